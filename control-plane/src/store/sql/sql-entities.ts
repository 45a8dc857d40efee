import { randomUUID } from 'node:crypto';
import type { Documents, Kind } from '../documents.ts';
import {
  indexes,
  largestPage,
  type Change,
  type Entities,
  type Page,
  type Query,
  type Stored,
} from '../entities.ts';
import type { EntityChange, EntityFilter, EntityRow, IndexRow } from './entity-programs.ts';
import type { Run } from './programs.ts';
import { fromColumn, fromCursor, isKept, maxTextBytes, toColumn, toCursor } from './text.ts';

/** Small enough that reading a page does not hold up what else the process does. */
const walkPage = 200;

export function sqlEntities(run: Run): Entities {
  async function getMany<K extends Kind>(
    kind: K,
    ids: readonly string[],
  ): Promise<readonly Stored<K>[]> {
    const rows = await run('getEntities', kind, ids.map(toColumn));
    return rows.map((row) => storedOf<K>(row));
  }

  async function find<K extends Kind>(kind: K, asked: Query<K>): Promise<Page<K>> {
    const { order = 'newest', offset = 0, after } = asked;
    const limit = wholeFrom(1, asked.limit, 'limit', largestPage);
    const rows = await run('findEntities', {
      ...filterOf(kind, asked.where),
      order,
      // One more tells whether there is a next page.
      limit: limit + 1,
      offset: wholeFrom(0, offset, 'offset'),
      after: after === undefined ? undefined : placeOf(after),
    });
    const page = rows.slice(0, limit).map((row) => storedOf<K>(row));
    const last = rows[limit - 1];
    if (rows.length <= limit || !last) return { rows: page };
    return { rows: page, next: toCursor([last.created_at, last.id]) };
  }

  return {
    get: async (kind, id) => (await getMany(kind, [id]))[0],
    getMany,
    find,
    count: async (kind, where) => run('countEntities', filterOf(kind, where)),
    async *all<K extends Kind>(kind: K) {
      let after: string | undefined;
      do {
        const page: Page<K> = await find(kind, {
          order: 'oldest',
          limit: walkPage,
          ...(after !== undefined && { after }),
        });
        yield* page.rows;
        after = page.next;
      } while (after !== undefined);
    },
    async write(changes, entry) {
      const prepared = changes.map(changeOf);
      const sorted = prepared.toSorted((a, b) => compare(a.kind, b.kind) || compare(a.id, b.id));
      const twice = sorted.find(
        (change, at) =>
          at > 0 && change.kind === sorted[at - 1]?.kind && change.id === sorted[at - 1]?.id,
      );
      if (twice) throw new RangeError(`one write changes a ${twice.kind} twice`);
      if (sorted.length > 0 || entry) await run('commit', sorted, entry);
      return prepared.map(({ row }) => row?.version);
    },
  };
}

function storedOf<K extends Kind>({ id, version, document }: EntityRow): Stored<K> {
  return { id: fromColumn(id), version, document: JSON.parse(document) as Documents[K] };
}

function filterOf<K extends Kind>(kind: K, where: Query<K>['where'] = {}): EntityFilter {
  const conditions = Object.entries<string | readonly string[] | undefined>(where);
  return {
    kind,
    where: conditions.flatMap(([name, value]) => {
      if (!Object.hasOwn(indexes[kind], name))
        throw new RangeError(`a ${kind} has no index ${name}`);
      if (value === undefined) return [];
      const values = typeof value === 'string' ? [value] : value;
      return [{ name, values: [...new Set(values.map(toColumn))] }];
    }),
  };
}

function changeOf({ kind, id, document, expected }: Change): EntityChange {
  if (id === '' || !isKept(id)) {
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

function indexRowsOf<K extends Kind>(kind: K, document: Documents[K]): IndexRow[] {
  const declared = indexes[kind] as unknown as DeclaredIndexes<K>;
  return Object.entries(declared).flatMap(([name, { unique, values }]) => {
    const present = values(document).filter((value) => value !== null);
    return [...new Set(present.map(toColumn))].map((value) => ({ kind, name, value, unique }));
  });
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
