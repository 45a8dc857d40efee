import { randomUUID } from 'node:crypto';
import type { Documents, Kind } from './documents.ts';
import {
  indexes,
  largestPage,
  type Change,
  type Page,
  type Premise,
  type Query,
  type Stored,
} from './entities.ts';
import { fromCursor, isKept, maxTextBytes, toColumn } from './sql/text.ts';

/** Entities that are read together when all are gone through: few, so that reading them does not hold up what else the process does. */
const walkPage = 200;

/** All entities of a kind, the oldest first, found a page at a time. */
export async function* walk<K extends Kind>(
  find: (kind: K, asked: Query<K>) => Promise<Page<K>>,
  kind: K,
): AsyncGenerator<Stored<K>> {
  let after: string | undefined;
  do {
    const page = await find(kind, {
      order: 'oldest',
      limit: walkPage,
      ...(after !== undefined && { after }),
    });
    yield* page.rows;
    after = page.next;
  } while (after !== undefined);
}

/** Where an entity is found: a value of one of its indexes, in the form of columns. */
export type IndexEntry = { kind: Kind; name: string; value: string; unique: boolean };

/** A change as stores make it; texts in the form of columns. */
export type PreparedChange = {
  kind: Kind;
  id: string;
  expected: string | undefined;
  /** Undefined when the entity is to go. */
  row: { version: string; created_at: number; document: string } | undefined;
  indexed: readonly IndexEntry[];
};

/** A value that an index must have: any one of these, in the form of columns. */
export type Condition = { name: string; values: readonly string[] };

/**
 * What a store makes of the changes of a write.
 *
 * @returns them in the order given, and sorted by kind and id: writers that meet wait for each other in one order
 * @throws {RangeError} as `Entities.write` does
 */
export function prepare(changes: readonly Change[]): {
  prepared: readonly PreparedChange[];
  sorted: readonly PreparedChange[];
} {
  const prepared = changes.map(changeOf);
  const sorted = prepared.toSorted((a, b) => compare(a.kind, b.kind) || compare(a.id, b.id));
  const twice = sorted.find(
    (change, at) =>
      at > 0 && change.kind === sorted[at - 1]?.kind && change.id === sorted[at - 1]?.id,
  );
  if (twice) throw new RangeError(`one write changes a ${twice.kind} twice`);
  return { prepared, sorted };
}

/** Premises as stores look at them; texts in the form of columns. */
export type PreparedPremises = {
  /** `version` is `absent` where there must be none. */
  readonly seen: readonly { kind: Kind; id: string; version: string }[];
  readonly searched: readonly {
    kind: Kind;
    where: readonly Condition[];
    among: readonly string[];
  }[];
};

/**
 * What a store makes of the premises of a write.
 *
 * @param changes - what the write changes, and so no premise holds to
 * @throws {RangeError} for an index that is not declared
 */
export function preparePremises(
  premises: readonly Premise[],
  changes: readonly PreparedChange[],
): PreparedPremises {
  const changed = new Map<Kind, string[]>();
  for (const { kind, id } of changes) {
    const ids = changed.get(kind);
    if (ids) ids.push(id);
    else changed.set(kind, [id]);
  }
  const isChanged = new Set(changes.map(({ kind, id }) => `${kind} ${id}`));
  const seen: { kind: Kind; id: string; version: string }[] = [];
  const searched: PreparedPremises['searched'][number][] = [];
  for (const premise of premises) {
    const { kind } = premise;
    if ('where' in premise) {
      const among = [...premise.among.map(toColumn), ...(changed.get(kind) ?? [])];
      searched.push({ kind, where: conditionsOf(kind, premise.where), among });
    } else {
      const id = toColumn(premise.id);
      if (!isChanged.has(`${kind} ${id}`)) seen.push({ kind, id, version: premise.expected });
    }
  }
  return { seen, searched };
}

/** @throws {RangeError} for an index that is not declared */
export function conditionsOf<K extends Kind>(
  kind: K,
  where: Query<K>['where'] = {},
): readonly Condition[] {
  const conditions = Object.entries<string | readonly string[] | undefined>(where);
  return conditions.flatMap(([name, value]) => {
    if (!Object.hasOwn(indexes[kind], name)) throw new RangeError(`a ${kind} has no index ${name}`);
    if (value === undefined) return [];
    const values = typeof value === 'string' ? [value] : value;
    return [{ name, values: [...new Set(values.map(toColumn))] }];
  });
}

/**
 * Which page is asked for, with what was left out.
 *
 * @throws {RangeError} for a page that is none
 */
export function pageOf<K extends Kind>({
  order = 'newest',
  limit,
  offset = 0,
  after,
}: Query<K>): {
  order: 'newest' | 'oldest';
  limit: number;
  offset: number;
  after: { createdAt: number; id: string } | undefined;
} {
  return {
    order,
    limit: wholeFrom(1, limit, 'limit', largestPage),
    offset: wholeFrom(0, offset, 'offset'),
    after: after === undefined ? undefined : placeOf(after),
  };
}

/** Whether an entity may have this id: one that could not be read back is none. */
export function isEntityId(id: string): boolean {
  return id !== '' && isKept(id);
}

function changeOf({ kind, id, document, expected }: Change): PreparedChange {
  if (!isEntityId(id)) {
    throw new RangeError(`the id of a ${kind} has 1 to ${maxTextBytes} bytes`);
  }
  if (!document) return { kind, id: toColumn(id), expected, row: undefined, indexed: [] };
  const createdAt = Date.parse(document.created_at);
  if (Number.isNaN(createdAt)) throw new RangeError(`created_at of a ${kind} is no time`);
  const row = { version: randomUUID(), created_at: createdAt, document: JSON.stringify(document) };
  return { kind, id: toColumn(id), expected, row, indexed: indexRowsOf(kind, document) };
}

type DeclaredIndexes<K extends Kind> = {
  [name: string]: {
    unique: boolean;
    values: (document: Documents[K]) => readonly (string | null)[];
  };
};

function indexRowsOf<K extends Kind>(kind: K, document: Documents[K]): IndexEntry[] {
  const declared = indexes[kind] as unknown as DeclaredIndexes<K>;
  return Object.entries(declared).flatMap(([name, { unique, values }]) => {
    const present = values(document).filter((value) => value !== null);
    return [...new Set(present.map(toColumn))].map((value) => ({ kind, name, value, unique }));
  });
}

/** Whether a text is a place where a page of entities can have ended. */
export function isEntityCursor(after: string): boolean {
  try {
    return Number.isSafeInteger(placeOf(after).createdAt);
  } catch {
    return false;
  }
}

function placeOf(after: string): { createdAt: number; id: string } {
  const [createdAt, id] = fromCursor(after, ['number', 'string']);
  return { createdAt: Number(createdAt), id: String(id) };
}

function wholeFrom(least: number, value: number, name: string, most = Infinity): number {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`${name} is no whole number from ${least} on`);
  }
  return Math.min(value, most);
}

/** The order of the databases: by bytes, which is not JavaScript's where a text has characters of two units. */
function compare(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
