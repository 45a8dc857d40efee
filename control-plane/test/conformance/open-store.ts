import { createPostgresStore } from '../../src/store/postgres/postgres-store.ts';
import { createSqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import type { Store } from '../../src/store/store.ts';

/** The store at a place that one program of the tests tells another: `postgres://…` or the path of a file. */
export function openStore(place: string): Promise<Store> {
  return place.startsWith('postgres:')
    ? createPostgresStore({ connectionString: place })
    : createSqliteStore({ path: place });
}
