import { DatabaseSync } from 'node:sqlite';
import { migrations } from '../migrations/index.ts';

/**
 * The steps of the schema that a file lacks. Looks only: the file stays as it is.
 *
 * @returns their names; they are made when the store is opened
 * @throws {Error} when the file is none of SQLite's, or cannot be read
 */
export function missingSqliteMigrations(path: string): readonly string[] {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const [table] = database
      .prepare("select name from sqlite_master where name = 'schema_migration'")
      .all();
    const rows =
      table === undefined ? [] : database.prepare('select id from schema_migration').all();
    const made = new Set(rows.map(({ id }) => Number(id)));
    return migrations.filter(({ id }) => !made.has(id)).map(({ name }) => name);
  } finally {
    database.close();
  }
}
