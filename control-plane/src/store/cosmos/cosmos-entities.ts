import type { Documents, Kind } from '../documents.ts';
import {
  absent,
  ConflictError,
  UniqueError,
  type Entities,
  type Page,
  type Query,
  type Stored,
} from '../entities.ts';
import {
  conditionsOf,
  prepare,
  preparePremises,
  pageOf,
  walk,
  type Condition,
  type PreparedChange,
  type PreparedPremises,
} from '../prepared-entities.ts';
import { fromColumn, toColumn, toCursor } from '../sql/text.ts';
import { entityPartition, type Cell, type Commits, type CommittedItem } from './commits.ts';
import { nameOf, type Items, type Parameters, type Read } from './items.ts';

/** One entity. What was removed has none of these members. */
type EntityItem = CommittedItem & {
  readonly kind: Kind;
  /** The id, in the form of columns. */
  readonly name: string;
  readonly version: string;
  /** The order of pages: time of creation, then id. */
  readonly place: string;
  /** Values of its indexes, in the form of columns. */
  readonly ix: { readonly [name: string]: readonly string[] };
  /** As JSON. */
  readonly document: string;
};

/** Up to so many single items are read one by one: a query costs more than three of them. */
const pointReads = 4;
/** Ids or values that one query names. */
const named = 100;

export function cosmosEntities(items: Items, commits: Commits): Entities {
  /** Items by their id, removed ones included. */
  async function readItems(ids: readonly string[]): Promise<Map<string, Read<CommittedItem>>> {
    const found = new Map<string, Read<CommittedItem>>();
    if (ids.length <= pointReads) {
      const read = await Promise.all(
        ids.map((id) => items.read<CommittedItem>(entityPartition, id)),
      );
      for (const one of read) if (one) found.set(one.item.id, one);
      return found;
    }
    for (let from = 0; from < ids.length; from += named) {
      const part = ids.slice(from, from + named);
      const text = `SELECT * FROM c WHERE c.id IN (${part.map((_, at) => `@${at}`).join(', ')})`;
      for await (const item of items.query<CommittedItem & { _etag: string }>(
        entityPartition,
        text,
        part,
      )) {
        found.set(item.id, { item, tag: item._etag });
      }
    }
    return found;
  }

  async function getMany<K extends Kind>(
    kind: K,
    ids: readonly string[],
  ): Promise<readonly Stored<K>[]> {
    const found = await readItems([...new Set(ids.map((id) => itemId(kind, toColumn(id))))]);
    return [...found.values()].flatMap(({ item }) => (isThere(item) ? [storedOf<K>(item)] : []));
  }

  async function find<K extends Kind>(kind: K, asked: Query<K>): Promise<Page<K>> {
    const { limit, offset, order, after } = pageOf(asked);
    const newest = order === 'newest';
    const conditions = conditionsOf(kind, asked.where);
    if (conditions.some(({ values }) => values.length === 0)) return { rows: [] };
    const page = <T>(select: string, most: number, beyond: string | undefined) => {
      const { text, parameters } = matching(kind, conditions);
      const rest =
        beyond === undefined ? '' : ` AND c.place ${newest ? '<' : '>'} @${parameters.length}`;
      return collect<T>(
        items.query(
          entityPartition,
          `SELECT TOP ${most} ${select} FROM c WHERE ${text}${rest} ORDER BY c.place ${newest ? 'DESC' : 'ASC'}`,
          beyond === undefined ? parameters : [...parameters, beyond],
        ),
      );
    };
    let beyond = after && placeOf(after.createdAt, after.id);
    if (offset > 0) {
      const passed = await page<{ place: string }>('c.place', offset, beyond);
      if (passed.length < offset) return { rows: [] };
      beyond = passed.at(-1)?.place;
    }
    const rows = await page<EntityItem>(
      'c.name, c.version, c.document, c.place',
      limit + 1,
      beyond,
    );
    const shown = rows.slice(0, limit).map((row) => storedOf<K>(row));
    const last = rows[limit - 1];
    if (rows.length <= limit || !last) return { rows: shown };
    return { rows: shown, next: toCursor([Number(last.place.slice(0, timeDigits)), last.name]) };
  }

  /** @throws {UniqueError} when a value that an entity is to have belongs to one that is not changed with it */
  async function checkUnique(
    changes: readonly PreparedChange[],
    there: ReadonlyMap<string, Read<CommittedItem>>,
  ): Promise<void> {
    const wanted = new Map<string, { kind: Kind; name: string; values: string[] }>();
    const owners = new Set<string>();
    for (const { kind, id, indexed } of changes) {
      const before = there.get(itemId(kind, id))?.item;
      for (const { name, value, unique } of indexed) {
        if (!unique) continue;
        const owned = JSON.stringify([kind, name, value]);
        if (owners.has(owned)) throw new UniqueError(kind, name);
        owners.add(owned);
        if (before && isThere(before) && before.ix[name]?.includes(value)) continue;
        const index = `${kind} ${name}`;
        let values = wanted.get(index)?.values;
        if (!values) wanted.set(index, { kind, name, values: (values = []) });
        values.push(value);
      }
    }
    const changed = new Set(changes.map(({ kind, id }) => itemId(kind, id)));
    for (const { kind, name, values } of wanted.values()) {
      for (let from = 0; from < values.length; from += named) {
        const { text, parameters } = matching(kind, [
          { name, values: values.slice(from, from + named) },
        ]);
        const owning = items.query<{ id: string }>(
          entityPartition,
          `SELECT c.id FROM c WHERE ${text}`,
          parameters,
        );
        for await (const { id } of owning) if (!changed.has(id)) throw new UniqueError(kind, name);
      }
    }
  }

  /** @throws {ConflictError} when one does not stand */
  async function checkPremises(
    { seen, searched }: PreparedPremises,
    there: ReadonlyMap<string, Read<CommittedItem>>,
  ): Promise<void> {
    for (const { kind, id, version } of seen) {
      if (versionOf(there.get(itemId(kind, id))) !== version) {
        throw new ConflictError(kind, fromColumn(id));
      }
    }
    for (const { kind, where, among } of searched) {
      if (where.some(({ values }) => values.length === 0)) continue;
      const { text, parameters } = matching(kind, where);
      const known = new Set(among);
      const found = items.query<{ name: string }>(
        entityPartition,
        `SELECT c.name FROM c WHERE ${text}`,
        parameters,
      );
      for await (const { name } of found) {
        if (!known.has(name)) throw new ConflictError(kind, fromColumn(name));
      }
    }
  }

  return {
    get: async (kind, id) => (await getMany(kind, [id]))[0],
    getMany,
    find,
    async count(kind, where) {
      const conditions = conditionsOf(kind, where);
      if (conditions.some(({ values }) => values.length === 0)) return 0;
      const { text, parameters } = matching(kind, conditions);
      const [total] = await collect<number>(
        items.query(entityPartition, `SELECT VALUE COUNT(1) FROM c WHERE ${text}`, parameters),
      );
      return total ?? 0;
    },
    async *all<K extends Kind>(kind: K) {
      await commits.recover();
      yield* walk(find, kind);
    },
    async write(changes, entry, premises = []) {
      const { prepared, sorted } = prepare(changes);
      const versions = prepared.map(({ row }) => row?.version);
      if (sorted.length === 0 && !entry && premises.length === 0) return versions;
      const rests = preparePremises(premises, sorted);
      const ids = [...sorted, ...rests.seen].map(({ kind, id }) => itemId(kind, id));
      await commits.commit(async () => {
        const there = await readItems(ids);
        const cells: Cell[] = [];
        for (const change of sorted) {
          const { kind, id, expected } = change;
          const read = there.get(itemId(kind, id));
          const version = versionOf(read);
          if (expected !== undefined && version !== expected) {
            throw new ConflictError(kind, fromColumn(id));
          }
          if (!change.row && version === absent) continue;
          cells.push({
            pk: entityPartition,
            id: itemId(kind, id),
            item: itemOf(change),
            tag: read?.tag,
          });
        }
        await checkPremises(rests, there);
        await checkUnique(sorted, there);
        return cells;
      }, entry);
      return versions;
    },
  };
}

const timeDigits = 15;

/** Ids in the form of columns have no characters of two units: the order of texts is that of bytes, here and in Cosmos DB. */
function placeOf(createdAt: number, id: string): string {
  return `${String(createdAt).padStart(timeDigits, '0')} ${id}`;
}

function itemId(kind: Kind, column: string): string {
  return `${kind}:${nameOf(column)}`;
}

function isThere(item: CommittedItem): item is EntityItem {
  return 'document' in item;
}

function versionOf(read: Read<CommittedItem> | undefined): string {
  return read && isThere(read.item) ? read.item.version : absent;
}

function itemOf({ kind, id, row, indexed }: PreparedChange): object | null {
  if (!row) return null;
  const ix: { [name: string]: string[] } = {};
  for (const { name, value } of indexed) (ix[name] ??= []).push(value);
  const { version, created_at, document } = row;
  return { kind, name: id, version, place: placeOf(created_at, id), ix, document };
}

function storedOf<K extends Kind>({
  name,
  version,
  document,
}: Pick<EntityItem, 'name' | 'version' | 'document'>): Stored<K> {
  return { id: fromColumn(name), version, document: JSON.parse(document) as Documents[K] };
}

/** Which entities of a kind, as a condition. Names of indexes are ours. */
function matching(
  kind: Kind,
  conditions: readonly Condition[],
): { text: string; parameters: Parameters } {
  const parameters: (string | number)[] = [kind];
  const any = conditions.map(({ name, values }) => {
    const each = values.map((value) => {
      parameters.push(value);
      return `ARRAY_CONTAINS(c.ix["${name}"], @${parameters.length - 1})`;
    });
    return ` AND (${each.join(' OR ')})`;
  });
  return { text: `c.kind = @0${any.join('')}`, parameters };
}

async function collect<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const row of rows) all.push(row);
  return all;
}
