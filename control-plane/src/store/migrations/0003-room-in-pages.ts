import { sql } from 'kysely';
import type { Migration } from './migration.ts';

const tables = ['usage_hour', 'usage_daily'];

/**
 * Half of each page of sums is left free. A batch of usage updates most rows of a day, and PostgreSQL writes a changed row anew: where its
 * page has room for that, no index need know. Pages that are there fill as before.
 */
export const roomInPages: Migration = {
  id: 3,
  name: 'room-in-pages',
  up: ({ name }) =>
    name === 'postgres'
      ? tables.map((table) => sql`alter table ${sql.table(table)} set (fillfactor = 50)`)
      : [],
  down: ({ name }) =>
    name === 'postgres'
      ? tables.map((table) => sql`alter table ${sql.table(table)} reset (fillfactor)`)
      : [],
};
