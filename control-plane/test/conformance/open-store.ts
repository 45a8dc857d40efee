import { createCosmosStore } from '../../src/store/cosmos/cosmos-store.ts';
import { createPostgresStore } from '../../src/store/postgres/postgres-store.ts';
import { createSqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import type { Store } from '../../src/store/store.ts';
import { cosmosOptions } from '../servers/cosmos-server.ts';

/** The store at a place that one program of the tests tells another: `postgres://…`, `https://…/DATABASE` for Cosmos DB, or the path of a file. */
export function openStore(place: string): Promise<Store> {
  if (place.startsWith('https:')) return createCosmosStore(cosmosOptions(place));
  return place.startsWith('postgres:')
    ? createPostgresStore({ connectionString: place })
    : createSqliteStore({ path: place });
}
