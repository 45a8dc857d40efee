import type { AuditEntry } from '../store/audit.ts';
import type { Documents, Kind } from '../store/documents.ts';
import type { Change, Entities, Page, Premise, Query, Stored } from '../store/entities.ts';
import { absent, ConflictError, largestPage } from '../store/entities.ts';

/** One change together with what was there before. */
export type Replaced = {
  readonly kind: Kind;
  readonly id: string;
  readonly before: Documents[Kind] | undefined;
  readonly after: Documents[Kind] | undefined;
};

type Seen = { readonly kind: Kind; readonly id: string; readonly stored: Stored<Kind> | undefined };

/**
 * The store as one call sees it. Remembers what was read, so that the call's write can be made on the condition that nobody changed
 * any of it meanwhile, or added to what was found; on a conflict the call is decided anew with a new view.
 */
export class View {
  readonly #entities: Entities;
  readonly #earlier: View | undefined;
  readonly #seen = new Map<string, Seen>();
  readonly #searched: Premise[] = [];
  readonly #login: View | undefined;

  /**
   * @param earlier - what the same call saw before this
   * @param login - what the caller's rights were found in: they rest on it as the call's decisions do on what it reads
   */
  constructor(entities: Entities, earlier?: View, login?: View) {
    this.#entities = entities;
    this.#earlier = earlier;
    this.#login = login;
  }

  /** Whether there was one when this call looked first, and there is none any more. */
  async isGone(kind: Kind, id: string): Promise<boolean> {
    const place = placeOf(kind, id);
    for (let view = this.#earlier; view !== undefined; view = view.#earlier) {
      if (view.#seen.get(place)?.stored !== undefined) {
        return (await this.get(kind, id)) === undefined;
      }
    }
    return false;
  }

  async get<K extends Kind>(kind: K, id: string): Promise<Documents[K] | undefined> {
    return (await this.stored(kind, id))?.document;
  }

  /** With the version, for ETags. */
  async stored<K extends Kind>(kind: K, id: string): Promise<Stored<K> | undefined> {
    const seen = this.#seen.get(placeOf(kind, id));
    if (seen !== undefined) return seen.stored as Stored<K> | undefined;
    const found = await this.#entities.get(kind, id);
    this.#see(kind, id, found);
    return found;
  }

  /** Those of the ids that exist, by id. */
  async getMany<K extends Kind>(
    kind: K,
    ids: readonly string[],
  ): Promise<ReadonlyMap<string, Documents[K]>> {
    const wanted = [...new Set(ids)];
    if (wanted.length === 0) return new Map();
    const found = await this.#entities.getMany(kind, wanted);
    const there = new Set(found.map(({ id }) => id));
    for (const id of wanted) if (!there.has(id)) this.#see(kind, id, undefined);
    this.#remember(kind, found);
    return new Map(found.map(({ id, document }) => [id, document]));
  }

  /** A part of what there is is not held to be all of it when the call writes. */
  async find<K extends Kind>(
    kind: K,
    query: Query<K>,
  ): Promise<{ rows: Documents[K][]; next?: string }> {
    const { rows, next }: Page<K> = await this.#entities.find(kind, query);
    this.#remember(kind, rows);
    const isAll = next === undefined && query.after === undefined && !query.offset;
    if (isAll) this.#search(kind, query.where, rows);
    const documents = rows.map(({ document }) => document);
    return next === undefined ? { rows: documents } : { rows: documents, next };
  }

  /** Every match, however many pages that takes. */
  async findAll<K extends Kind>(
    kind: K,
    where: NonNullable<Query<K>['where']>,
  ): Promise<Documents[K][]> {
    const rows: Stored<K>[] = [];
    let after: string | undefined;
    do {
      const page: Page<K> = await this.#entities.find(kind, {
        where,
        limit: largestPage,
        ...(after === undefined ? {} : { after }),
      });
      rows.push(...page.rows);
      after = page.next;
    } while (after !== undefined);
    this.#remember(kind, rows);
    this.#search(kind, where, rows);
    return rows.map(({ document }) => document);
  }

  /** That there are none is remembered; any other number is not. */
  async count<K extends Kind>(kind: K, where?: Query<K>['where']): Promise<number> {
    const total = await this.#entities.count(kind, where);
    if (total === 0) this.#search(kind, where, []);
    return total;
  }

  /** Every entity of a kind. Nothing of it is remembered. */
  async *all<K extends Kind>(kind: K): AsyncIterable<Documents[K]> {
    for await (const { document } of this.#entities.all(kind)) yield document;
  }

  /**
   * Makes all the changes or none, on the condition that all this view saw is as it was, and what the caller's rights rest on.
   *
   * @param entryOf - what the audit is to say of them, written with them
   * @throws {ConflictError} when it is not
   */
  async write(
    changes: readonly Change[],
    entryOf: (replaced: readonly Replaced[]) => AuditEntry,
  ): Promise<{
    readonly replaced: readonly Replaced[];
    /** Of each change; undefined for what is gone. */
    readonly versions: readonly (string | undefined)[];
  }> {
    const replaced: Replaced[] = [];
    const conditional: Change[] = [];
    for (const change of changes) {
      const before = await this.stored(change.kind, change.id);
      conditional.push({ ...change, expected: versionOf(before) } as Change);
      replaced.push({
        kind: change.kind,
        id: change.id,
        before: before?.document,
        after: change.document,
      });
    }
    const seen = [...this.#seen.values(), ...this.#seenAtLogin()].map(
      ({ kind, id, stored }) => ({ kind, id, expected: versionOf(stored) }) as Premise,
    );
    const versions = await this.#entities.write(conditional, entryOf(replaced), [
      ...seen,
      ...this.#searched,
    ]);
    return { replaced, versions };
  }

  /**
   * What the caller's rights rest on and the call has not read itself.
   *
   * @throws {ConflictError} when it has, and found it changed
   */
  #seenAtLogin(): readonly Seen[] {
    const login = this.#login;
    if (login === undefined) return [];
    const rest: Seen[] = [];
    for (const [place, seen] of login.#seen) {
      const own = this.#seen.get(place);
      if (own === undefined) rest.push(seen);
      else if (versionOf(own.stored) !== versionOf(seen.stored))
        throw new ConflictError(seen.kind, seen.id);
    }
    return rest;
  }

  /** What was seen first counts: a decision may already stand on it. */
  #see(kind: Kind, id: string, stored: Stored<Kind> | undefined): void {
    const place = placeOf(kind, id);
    if (!this.#seen.has(place)) this.#seen.set(place, { kind, id, stored });
  }

  #remember<K extends Kind>(kind: K, rows: readonly Stored<K>[]): void {
    for (const row of rows) this.#see(kind, row.id, row);
  }

  #search<K extends Kind>(
    kind: K,
    where: Query<K>['where'] = {},
    found: readonly Stored<K>[],
  ): void {
    this.#searched.push({ kind, where, among: found.map(({ id }) => id) } as unknown as Premise);
  }
}

function versionOf(stored: Stored<Kind> | undefined): string {
  return stored?.version ?? absent;
}

function placeOf(kind: Kind, id: string): string {
  return `${kind}/${id}`;
}

/** One write, typed by its kind. */
export function put<K extends Kind>(kind: K, id: string, document: Documents[K]): Change {
  return { kind, id, document } as unknown as Change;
}

/** One removal. */
export function remove(kind: Kind, id: string): Change {
  return { kind, id, document: undefined } as Change;
}
