import { sql } from 'kysely';
import type { Migration } from './migration.ts';

/** Which corrections of usage were counted, by what they correct. */
export const corrections: Migration = {
  id: 2,
  name: 'corrections',
  up: ({ text, byPrimaryKey }) => [
    sql`create table usage_correction (id ${text} primary key) ${byPrimaryKey}`,
  ],
  down: () => [sql`drop table usage_correction`],
};
