import type { AuditEntry } from '../store/audit.ts';
import type { Documents, Kind } from '../store/documents.ts';
import type { Change, Entities, Page, Query, Stored } from '../store/entities.ts';
import { absent } from '../store/entities.ts';

/** One change together with what was there before. */
export type Replaced = {
  readonly kind: Kind;
  readonly id: string;
  readonly before: Documents[Kind] | undefined;
  readonly after: Documents[Kind] | undefined;
};

/**
 * The store as one call sees it. Remembers what was read, so that every write of the call can be made on the condition that
 * nobody changed it meanwhile; on a conflict the call is decided anew with a new view.
 */
export class View {
  readonly #entities: Entities;
  readonly #seen = new Map<string, Stored<Kind> | undefined>();

  constructor(entities: Entities) {
    this.#entities = entities;
  }

  async get<K extends Kind>(kind: K, id: string): Promise<Documents[K] | undefined> {
    return (await this.stored(kind, id))?.document;
  }

  /** With the version, for ETags. */
  async stored<K extends Kind>(kind: K, id: string): Promise<Stored<K> | undefined> {
    const place = placeOf(kind, id);
    if (this.#seen.has(place)) return this.#seen.get(place) as Stored<K> | undefined;
    const found = await this.#entities.get(kind, id);
    this.#seen.set(place, found);
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
    for (const id of wanted) {
      const place = placeOf(kind, id);
      if (!there.has(id) && !this.#seen.has(place)) this.#seen.set(place, undefined);
    }
    return new Map(this.#remember(kind, found).map(({ id, document }) => [id, document]));
  }

  async find<K extends Kind>(
    kind: K,
    query: Query<K>,
  ): Promise<{ rows: Documents[K][]; next?: string }> {
    const page: Page<K> = await this.#entities.find(kind, query);
    const rows = this.#remember(kind, page.rows).map(({ document }) => document);
    return page.next === undefined ? { rows } : { rows, next: page.next };
  }

  /** Every match, however many pages that takes. */
  async findAll<K extends Kind>(
    kind: K,
    where: NonNullable<Query<K>['where']>,
  ): Promise<Documents[K][]> {
    const rows: Documents[K][] = [];
    let after: string | undefined;
    do {
      const page = await this.find(kind, {
        where,
        limit: 1000,
        ...(after === undefined ? {} : { after }),
      });
      rows.push(...page.rows);
      after = page.next;
    } while (after !== undefined);
    return rows;
  }

  count<K extends Kind>(kind: K, where?: Query<K>['where']): Promise<number> {
    return this.#entities.count(kind, where);
  }

  /** Every entity of a kind. Nothing of it is remembered. */
  async *all<K extends Kind>(kind: K): AsyncIterable<Documents[K]> {
    for await (const { document } of this.#entities.all(kind)) yield document;
  }

  /**
   * Makes all the changes or none, each on the condition that its entity is as this view saw it.
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
      conditional.push({ ...change, expected: before?.version ?? absent } as Change);
      replaced.push({
        kind: change.kind,
        id: change.id,
        before: before?.document,
        after: change.document,
      });
    }
    const versions = await this.#entities.write(conditional, entryOf(replaced));
    return { replaced, versions };
  }

  #remember<K extends Kind>(kind: K, rows: readonly Stored<K>[]): readonly Stored<K>[] {
    for (const row of rows) {
      const place = placeOf(kind, row.id);
      // What was seen first counts: a decision may already stand on it.
      if (this.#seen.get(place) === undefined) this.#seen.set(place, row);
    }
    return rows;
  }
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
