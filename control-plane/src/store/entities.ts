import type { AuditEntry } from './audit.ts';
import type { Documents, Kind } from './documents.ts';

/** An entity that was written or removed. */
export type Written = { readonly kind: Kind; readonly id: string };

/** One entity as it stands in the store. */
export type Stored<K extends Kind> = {
  readonly id: string;
  /** Opaque; changes with every write. */
  readonly version: string;
  readonly document: Documents[K];
};

/** One write. `expected` makes it conditional; without it the write happens whatever is there. */
export type Change<K extends Kind = Kind> = {
  readonly [kind in K]: {
    readonly kind: kind;
    readonly id: string;
    /** Undefined removes the entity; removing what is not there is no error. */
    readonly document: Documents[kind] | undefined;
    /** The version that must be there, or `absent`: there must be none. */
    readonly expected?: string | undefined;
  };
}[K];

/** `expected`: there is no such entity. */
export const absent = 'absent';

/**
 * What a write rests on and does not change: an entity that is as it was seen, or a search that finds no other entities than it found.
 * Entities that the write changes do not count in either: what they must be is said with the change.
 */
export type Premise<K extends Kind = Kind> = {
  readonly [kind in K]:
    | {
        readonly kind: kind;
        readonly id: string;
        /** The version that must be there, or `absent`. */
        readonly expected: string;
      }
    | {
        readonly kind: kind;
        readonly where: NonNullable<Query<kind>['where']>;
        /** Ids of all that it may find. */
        readonly among: readonly string[];
      };
}[K];

/** Entities on one page at most. */
export const largestPage = 1000;

export type IndexName<K extends Kind> = keyof (typeof indexes)[K] & string;

/**
 * The indexes of each kind: a unique one admits a value once over all entities of the kind. Values are taken from a document as
 * they stand; null is not indexed, and so is found by no query and clashes with nothing.
 */
export const indexes = {
  key: {
    hash: { unique: true, values: (key: Documents['key']) => key.secrets.map(({ hash }) => hash) },
    key_alias: { unique: true, values: (key: Documents['key']) => [key.key_alias] },
    user_id: { unique: false, values: (key: Documents['key']) => [key.user_id] },
    team_id: { unique: false, values: (key: Documents['key']) => [key.team_id] },
    organization_id: { unique: false, values: (key: Documents['key']) => [key.organization_id] },
    budget_id: { unique: false, values: (key: Documents['key']) => [key.budget_id] },
    access_group_id: {
      unique: false,
      values: (key: Documents['key']) => key.access_group_ids ?? [],
    },
    created_by: { unique: false, values: (key: Documents['key']) => [key.created_by] },
  },
  user: {
    user_email: {
      unique: true,
      values: (user: Documents['user']) => [user.user_email?.toLowerCase() ?? null],
    },
    sso_user_id: { unique: true, values: (user: Documents['user']) => [user.sso_user_id] },
    user_role: { unique: false, values: (user: Documents['user']) => [user.user_role] },
  },
  team: {
    team_alias: { unique: false, values: (team: Documents['team']) => [team.team_alias] },
    organization_id: { unique: false, values: (team: Documents['team']) => [team.organization_id] },
    member_budget_id: {
      unique: false,
      values: ({ metadata: { team_member_budget_id: id } }: Documents['team']) => [
        typeof id === 'string' ? id : null,
      ],
    },
    access_group_id: {
      unique: false,
      values: (team: Documents['team']) => team.access_group_ids ?? [],
    },
    member: {
      unique: false,
      values: (team: Documents['team']) => team.members_with_roles.map(({ user_id }) => user_id),
    },
  },
  team_membership: {
    team_id: { unique: false, values: (row: Documents['team_membership']) => [row.team_id] },
    user_id: { unique: false, values: (row: Documents['team_membership']) => [row.user_id] },
    budget_id: { unique: false, values: (row: Documents['team_membership']) => [row.budget_id] },
  },
  organization: {
    organization_alias: {
      unique: false,
      values: (row: Documents['organization']) => [row.organization_alias],
    },
    budget_id: { unique: false, values: (row: Documents['organization']) => [row.budget_id] },
  },
  organization_membership: {
    organization_id: {
      unique: false,
      values: (row: Documents['organization_membership']) => [row.organization_id],
    },
    user_id: {
      unique: false,
      values: (row: Documents['organization_membership']) => [row.user_id],
    },
  },
  customer: {
    budget_id: { unique: false, values: (row: Documents['customer']) => [row.budget_id] },
  },
  tag: {
    budget_id: { unique: false, values: (row: Documents['tag']) => [row.budget_id] },
  },
  budget: {},
  spend_reset: {},
  idempotency: {},
  model: {
    model_name: { unique: false, values: (row: Documents['model']) => [row.model_name] },
  },
  access_group: {
    access_group_name: {
      unique: true,
      values: (row: Documents['access_group']) => [row.access_group_name],
    },
  },
  credential: {},
  settings: {},
  store_transfer: {},
} as const satisfies {
  [K in Kind]: {
    [name: string]: {
      unique: boolean;
      values: (document: Documents[K]) => readonly (string | null)[];
    };
  };
};

export type Query<K extends Kind> = {
  /** Indexes and the value each of them must have (any one of a list). All must hold. */
  readonly where?: { readonly [name in IndexName<K>]?: string | readonly string[] };
  /** By `created_at`, then id. Default `newest`. */
  readonly order?: 'newest' | 'oldest';
  /** At most so many; the largest page is 1000. */
  readonly limit: number;
  /** Page on from here: `next` of the page before. */
  readonly after?: string;
  /** Entities to pass over, for LiteLLM's page numbers; grows slow with its size, so `after` is better. */
  readonly offset?: number;
};

export type Page<K extends Kind> = {
  readonly rows: readonly Stored<K>[];
  /** Absent on the last page. */
  readonly next?: string;
};

/** What was written meanwhile: an entity is not as expected, or there where none is. Read again and decide anew. */
export class ConflictError extends Error {
  override readonly name = 'ConflictError';
  readonly kind: Kind;
  readonly id: string;

  constructor(kind: Kind, id: string) {
    super(`${kind} ${id} is not as it was expected to be`);
    this.kind = kind;
    this.id = id;
  }
}

/** A value of a unique index belongs to another entity. */
export class UniqueError extends Error {
  override readonly name = 'UniqueError';
  readonly kind: Kind;
  readonly index: string;

  constructor(kind: Kind, index: string) {
    super(`another ${kind} has this ${index}`);
    this.kind = kind;
    this.index = index;
  }
}

/** A store was written to, or is being written to, while it was read as it stood at one time. */
export class StoreChangedError extends Error {
  override readonly name = 'StoreChangedError';

  constructor() {
    super('the store is being written to: stop its control planes, and let them finish before');
  }
}

/** The store cannot be reached or is full; nothing was written as far as is known. The cause is for the log. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
}

/**
 * Versioned documents with declared indexes: the one truth about keys, teams, models and the like. Ids and values of indexes are any
 * text, compared as it stands; an id has at most 1,200 bytes.
 *
 * A write is one in every store, however many entities it changes. Where a database has no transaction over several documents (Cosmos
 * DB), somebody else may see a part of it for a moment; a write that rests on what it read is still made only if all of that stands.
 * Premises are looked at in the moment of the write: of two writes that each take away what the other rests on, one is made.
 *
 * @throws {StoreUnavailableError} from every method
 * @throws {RangeError} for what no store could answer: an index that is not declared, a page that is none
 */
export interface Entities {
  get<K extends Kind>(kind: K, id: string): Promise<Stored<K> | undefined>;
  /** Those of the ids that exist, in no order. */
  getMany<K extends Kind>(kind: K, ids: readonly string[]): Promise<readonly Stored<K>[]>;
  find<K extends Kind>(kind: K, query: Query<K>): Promise<Page<K>>;
  /** How many match; `order`, `limit`, `after` and `offset` do not count. */
  count<K extends Kind>(kind: K, where?: Query<K>['where']): Promise<number>;
  /** Every entity of a kind, in pages read one after another. */
  all<K extends Kind>(kind: K): AsyncIterable<Stored<K>>;
  /**
   * Makes all the changes or none. At most one for each entity; unique values may change places between the entities of one write.
   *
   * @param entry - what the audit is to say of it: appended with the changes or, if they are not made, not at all. It may stand alone.
   * @param premises - what must stand besides
   * @returns the new version of each written entity, in the order of the changes; undefined for removed ones
   * @throws {ConflictError}
   * @throws {UniqueError}
   * @throws {RangeError} for two changes of one entity, an id that is empty or too long, a `created_at` that is no time
   */
  write(
    changes: readonly Change[],
    entry?: AuditEntry,
    premises?: readonly Premise[],
  ): Promise<readonly (string | undefined)[]>;
}
