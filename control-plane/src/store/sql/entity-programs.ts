import { sql, type RawBuilder } from 'kysely';
import type { Kind } from '../documents.ts';
import { absent, ConflictError, UniqueError } from '../entities.ts';
import type { Condition, PreparedChange, PreparedPremises } from '../prepared-entities.ts';
import type { Columns, Dialect } from './dialect.ts';
import { query, type Program } from './program.ts';
import { fromColumn } from './text.ts';

/** One entity as a row of the table; texts in the form of columns, the document as JSON. */
export type EntityRow = { id: string; version: string; created_at: number; document: string };

/** Which entities of a kind: for each index named, one of the values. */
export type EntityFilter = {
  kind: Kind;
  where: readonly Condition[];
};

export type EntityPage = EntityFilter & {
  order: 'newest' | 'oldest';
  limit: number;
  offset: number;
  after: { createdAt: number; id: string } | undefined;
};

const keyColumns: Columns = { kind: 'text', id: 'text' };
const rowColumns: Columns = {
  ...keyColumns,
  version: 'text',
  created_at: 'bigint',
  document: 'text',
};
const versionColumns: Columns = { ...keyColumns, version: 'text' };
const indexColumns: Columns = {
  ...keyColumns,
  name: 'text',
  value: 'text',
  created_at: 'bigint',
  is_unique: 'bigint',
};

/** What a store does for the port `Entities`. */
export function entityPrograms(dialect: Dialect) {
  const oneOf = (name: string, values: readonly string[]): RawBuilder<unknown> => {
    const given = values.map((value) => ({ value }));
    return sql`${sql.ref(name)} in (select value from ${dialect.rows(given, { value: 'text' })})`;
  };

  /**
   * The entities that a filter lets through, as `from … where …`, and the table that has them in order. A condition with a single
   * value leads: its index has them in the order of pages, so that a page costs what it holds.
   */
  function matching({ kind, where }: EntityFilter): {
    source: RawBuilder<unknown>;
    ordered: 'entity' | 'first';
  } {
    const leading = where.find(({ values }) => values.length === 1);
    const others = where
      .filter((condition) => condition !== leading)
      .map(
        ({ name, values }) => sql` and entity.id in (
          select id from entity_index
          where kind = ${kind} and name = ${name} and ${oneOf('value', values)})`,
      );
    const rest = sql.join(others, sql``);
    if (!leading)
      return { source: sql`from entity where entity.kind = ${kind}${rest}`, ordered: 'entity' };
    return {
      source: sql`
        from entity_index first
        join entity on entity.kind = first.kind and entity.id = first.id
        where first.kind = ${kind} and first.name = ${leading.name}
          and first.value = ${leading.values[0]}${rest}`,
      ordered: 'first',
    };
  }

  return {
    *getEntities(kind: Kind, ids: readonly string[]): Program<readonly EntityRow[]> {
      return yield* query<EntityRow>(sql`
        select id, version, created_at, document from entity
        where kind = ${kind} and ${oneOf('id', ids)}`);
    },

    *findEntities(page: EntityPage): Program<readonly EntityRow[]> {
      const { source, ordered } = matching(page);
      const createdAt = sql.ref(`${ordered}.created_at`);
      const id = sql.ref(`${ordered}.id`);
      const { after } = page;
      const way = page.order === 'newest' ? sql`desc` : sql`asc`;
      const beyond = page.order === 'newest' ? sql`<` : sql`>`;
      const rest = after
        ? sql` and (${createdAt}, ${id}) ${beyond} (${after.createdAt}, ${after.id})`
        : sql``;
      return yield* query<EntityRow>(sql`
        select entity.id, entity.version, entity.created_at, entity.document
        ${source}${rest}
        order by ${createdAt} ${way}, ${id} ${way}
        limit ${page.limit} offset ${page.offset}`);
    },

    *countEntities(filter: EntityFilter): Program<number> {
      const [row] = yield* query<{ total: number }>(
        sql`select count(*) as total ${matching(filter).source}`,
      );
      return row?.total ?? 0;
    },

    /** @param changes - sorted by kind and id: writers that meet wait for each other in one order */
    *writeEntities(changes: readonly PreparedChange[]): Program<void> {
      const there = yield* query<{ kind: Kind; id: string; version: string }>(sql`
        select entity.kind, entity.id, entity.version
        from ${keyRows(changes)}
        join entity on entity.kind = given.kind and entity.id = given.id
        order by entity.kind, entity.id
        ${dialect.forUpdate('entity')}`);
      const versions = new Map(there.map((row) => [nameOf(row), row.version]));
      for (const change of changes) {
        if (change.expected === undefined) continue;
        if ((versions.get(nameOf(change)) ?? absent) !== change.expected) throw conflict(change);
      }

      // One that was not there may be made by somebody else at this moment: nothing of it is touched.
      const removed = changes.filter((change) => !change.row && versions.has(nameOf(change)));
      if (removed.length > 0) {
        yield* query(sql`delete from entity where (kind, id) in (${keysOf(removed)})`);
      }

      const written = changes.filter(({ row }) => row !== undefined);
      const created = written.filter(({ expected }) => expected === absent);
      if (created.length > 0) {
        const made = yield* query<{ kind: Kind; id: string }>(sql`
          ${insertOf(created)} on conflict (kind, id) do nothing returning kind, id`);
        const names = new Set(made.map(nameOf));
        const taken = created.find((change) => !names.has(nameOf(change)));
        if (taken) throw conflict(taken);
      }
      const put = written.filter(({ expected }) => expected !== absent);
      if (put.length > 0) {
        yield* query(sql`
          ${insertOf(put)} on conflict (kind, id) do update
          set version = excluded.version, created_at = excluded.created_at, document = excluded.document`);
      }

      yield* query(
        sql`delete from entity_index where (kind, id) in (${keysOf([...removed, ...put])})`,
      );
      const indexed = written
        .flatMap(({ id, row, indexed: rows }) =>
          rows.map(({ unique, ...index }) => ({
            ...index,
            id,
            created_at: row?.created_at,
            is_unique: unique ? 1 : 0,
          })),
        )
        .toSorted((a, b) => compare(a.name, b.name) || compare(a.value, b.value));
      if (indexed.length === 0) return;
      const listed = yield* query<{ kind: Kind; id: string; name: string; value: string }>(sql`
        insert into entity_index (kind, id, name, value, created_at, is_unique)
        select kind, id, name, value, created_at, is_unique
        from ${dialect.rows(indexed, indexColumns)}
        where true
        order by kind, name, value, id
        on conflict (kind, name, value) where is_unique = 1 do nothing
        returning kind, id, name, value`);
      if (listed.length === indexed.length) return;
      const names = new Set(
        listed.map((row) => JSON.stringify([row.kind, row.id, row.name, row.value])),
      );
      const clash = indexed.find(
        (row) => !names.has(JSON.stringify([row.kind, row.id, row.name, row.value])),
      );
      if (clash) throw new UniqueError(clash.kind, clash.name);
    },

    /** Nobody else may write entities from before this until the transaction ends: what is looked at is not locked. */
    *checkPremises({ seen, searched }: PreparedPremises): Program<void> {
      if (seen.length > 0) {
        const [other] = yield* query<Found>(sql`
          select given.kind as kind, given.id as id
          from ${dialect.rows(seen, versionColumns)}
          left join entity on entity.kind = given.kind and entity.id = given.id
          where coalesce(entity.version, ${absent}) <> given.version
          limit 1`);
        if (other) throw conflict(other);
      }
      if (searched.length === 0) return;
      const others = searched.map(({ kind, where, among }) => {
        const except = among.length === 0 ? sql`` : sql` and not ${oneOf('entity.id', among)}`;
        return sql`
          select kind, id from (
            select entity.kind as kind, entity.id as id ${matching({ kind, where }).source}${except} limit 1
          ) as found`;
      });
      const [other] = yield* query<Found>(sql`${sql.join(others, sql` union all `)}`);
      if (other) throw conflict(other);
    },
  };

  function keysOf(changes: readonly PreparedChange[]): RawBuilder<unknown> {
    return sql`select kind, id from ${keyRows(changes)}`;
  }

  function keyRows(changes: readonly PreparedChange[]): RawBuilder<unknown> {
    return dialect.rows(
      changes.map(({ kind, id }) => ({ kind, id })),
      keyColumns,
    );
  }

  function insertOf(changes: readonly PreparedChange[]): RawBuilder<unknown> {
    const rows = changes.map(({ kind, id, row }) => ({ kind, id, ...row }));
    return sql`
      insert into entity (kind, id, version, created_at, document)
      select kind, id, version, created_at, document from ${dialect.rows(rows, rowColumns)}
      where true
      order by kind, id`;
  }
}

/** An entity as it is named; the id in the form of columns. */
type Found = { kind: Kind; id: string };

function conflict({ kind, id }: Found): ConflictError {
  return new ConflictError(kind, fromColumn(id));
}

function nameOf({ kind, id }: { kind: Kind; id: string }): string {
  return `${kind} ${id}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
