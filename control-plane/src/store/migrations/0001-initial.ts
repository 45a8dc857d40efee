import { sql } from 'kysely';
import { rootHash } from '../audit.ts';
import { recordTable } from '../sql/ledger-programs.ts';
import type { Migration } from './migration.ts';

/** Entities and their indexes, usage records by day with their sums, the audit's chain. */
export const initial: Migration = {
  id: 1,
  name: 'initial',
  up(dialect) {
    const { text, byPrimaryKey } = dialect;
    const sums = sql`
      requests bigint not null,
      failed bigint not null,
      input_tokens bigint not null,
      cached_input_tokens bigint not null,
      cache_write_tokens bigint not null,
      output_tokens bigint not null,
      reasoning_tokens bigint not null,
      cost_nano_usd bigint not null`;
    return [
      sql`
        create table entity (
          kind ${text} not null,
          id ${text} not null,
          version ${text} not null,
          created_at bigint not null,
          document text not null,
          primary key (kind, id)
        )`,
      sql`create index entity_created on entity (kind, created_at, id)`,
      sql`
        create table entity_index (
          kind ${text} not null,
          id ${text} not null,
          name ${text} not null,
          value ${text} not null,
          created_at bigint not null,
          is_unique smallint not null,
          primary key (kind, id, name, value)
        ) ${byPrimaryKey}`,
      sql`create index entity_index_value on entity_index (kind, name, value, created_at, id)`,
      sql`create unique index entity_index_unique on entity_index (kind, name, value) where is_unique = 1`,

      sql`create table usage_mark (producer ${text} primary key, sequence bigint not null) ${byPrimaryKey}`,
      sql`create table usage_day (day ${text} primary key) ${byPrimaryKey}`,
      ...(dialect.partitioned
        ? recordTable(dialect, 'usage_record', sql`partition by range (started_at)`)
        : []),
      sql`
        create table usage_hour (
          dimension ${text} not null,
          id ${text} not null,
          hour bigint not null,
          ${sums},
          primary key (dimension, id, hour)
        ) ${byPrimaryKey}`,
      sql`
        create table usage_daily (
          dimension ${text} not null,
          by_dimension ${text} not null,
          id ${text} not null,
          day ${text} not null,
          by_id ${text} not null,
          ${sums},
          primary key (dimension, by_dimension, id, day, by_id)
        ) ${byPrimaryKey}`,
      sql`create index usage_daily_day on usage_daily (dimension, by_dimension, day)`,

      sql`
        create table audit (
          sequence bigint primary key,
          at bigint not null,
          actor ${text} not null,
          action ${text} not null,
          object_kind ${text} not null,
          object_id ${text} not null,
          hash ${text} not null,
          entry text not null
        )`,
      sql`create index audit_at on audit (at)`,
      sql`create index audit_actor on audit (actor, sequence)`,
      sql`create index audit_object on audit (object_kind, object_id, sequence)`,
      sql`
        create table audit_head (
          id smallint primary key check (id = 1),
          sequence bigint not null,
          hash ${text} not null
        )`,
      sql`insert into audit_head (id, sequence, hash) values (1, 0, ${rootHash})`,
    ];
  },
  down(dialect) {
    return [
      'audit_head',
      'audit',
      'usage_daily',
      'usage_hour',
      ...(dialect.partitioned ? ['usage_record'] : []),
      'usage_day',
      'usage_mark',
      'entity_index',
      'entity',
    ].map((table) => sql`drop table ${sql.table(table)}`);
  },
};
