import type { Documents, Kind } from '../documents.ts';
import type { Entities, Page, Query, Stored } from '../entities.ts';
import { conditionsOf, pageOf, prepare, preparePremises, walk } from '../prepared-entities.ts';
import type { EntityRow } from './entity-programs.ts';
import type { Run } from './programs.ts';
import { fromColumn, toColumn, toCursor } from './text.ts';

export function sqlEntities(run: Run): Entities {
  async function getMany<K extends Kind>(
    kind: K,
    ids: readonly string[],
  ): Promise<readonly Stored<K>[]> {
    const rows = await run('getEntities', kind, ids.map(toColumn));
    return rows.map((row) => storedOf<K>(row));
  }

  async function find<K extends Kind>(kind: K, asked: Query<K>): Promise<Page<K>> {
    const page = pageOf(asked);
    const { limit } = page;
    const rows = await run('findEntities', {
      kind,
      where: conditionsOf(kind, asked.where),
      ...page,
      // One more tells whether there is a next page.
      limit: limit + 1,
    });
    const shown = rows.slice(0, limit).map((row) => storedOf<K>(row));
    const last = rows[limit - 1];
    if (rows.length <= limit || !last) return { rows: shown };
    return { rows: shown, next: toCursor([last.created_at, last.id]) };
  }

  return {
    get: async (kind, id) => (await getMany(kind, [id]))[0],
    getMany,
    find,
    count: async (kind, where) => run('countEntities', { kind, where: conditionsOf(kind, where) }),
    all: (kind) => walk(find, kind),
    async write(changes, entry, premises = []) {
      const { prepared, sorted } = prepare(changes);
      if (sorted.length > 0 || entry || premises.length > 0) {
        await run('commit', sorted, entry, preparePremises(premises, sorted));
      }
      return prepared.map(({ row }) => row?.version);
    },
  };
}

function storedOf<K extends Kind>({ id, version, document }: EntityRow): Stored<K> {
  return { id: fromColumn(id), version, document: JSON.parse(document) as Documents[K] };
}
