import { join, resolve } from 'node:path';
import type { Environment } from '@aigateway/contract/environment-config';
import type { CosmosOptions } from '@aigateway/control-plane/store/cosmos/connection';
import type { Store, StoreSnapshot } from '@aigateway/control-plane/store/store';
import { unfinishedTransfer } from '@aigateway/control-plane/store/transfer/unfinished';

/** Where a store is kept. */
export type StorePlace =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly connectionString: string }
  | { readonly kind: 'cosmos'; readonly options: CosmosOptions };

const defaultDatabase = 'aigateway';

/**
 * The store of a control plane: what the environment names, else a file in the data directory.
 *
 * @throws {TypeError} as `namedStore` does
 */
export function storePlace(
  { dataDir }: { readonly dataDir: string },
  environment: Environment,
): StorePlace {
  const path = join(resolve(dataDir), 'gateway.db');
  return namedStore(environment) ?? { kind: 'sqlite', path };
}

/**
 * The store that the environment names: PostgreSQL by `DATABASE_URL`, Cosmos DB by `COSMOS_ENDPOINT`.
 *
 * @returns undefined when it names none
 * @throws {TypeError} when it names both, or an endpoint that is none
 */
export function namedStore(environment: Environment): StorePlace | undefined {
  const connectionString = setting(environment, 'DATABASE_URL');
  const endpoint = setting(environment, 'COSMOS_ENDPOINT');
  if (connectionString !== undefined && endpoint !== undefined) {
    throw new TypeError('DATABASE_URL and COSMOS_ENDPOINT both name a store: set one of them');
  }
  if (connectionString !== undefined) return { kind: 'postgres', connectionString };
  if (endpoint === undefined) return undefined;
  return cosmosPlace(endpoint, setting(environment, 'COSMOS_DATABASE'), environment);
}

/** @throws {TypeError} for an endpoint that is none */
function cosmosPlace(
  endpoint: string,
  database: string | undefined,
  environment: Environment,
): StorePlace {
  const url = URL.parse(endpoint);
  if (url?.protocol !== 'https:' || url.username !== '' || url.search !== '') {
    throw new TypeError(
      'COSMOS_ENDPOINT must be the address of an account, https://ACCOUNT.documents.azure.com: a key goes into COSMOS_KEY',
    );
  }
  return {
    kind: 'cosmos',
    options: {
      endpoint: url.origin,
      database: database ?? defaultDatabase,
      credential: cosmosCredential(environment),
    },
  };
}

/** One way, chosen by what is set: there is no second one if it fails. */
function cosmosCredential(environment: Environment): CosmosOptions['credential'] {
  const key = setting(environment, 'COSMOS_KEY');
  if (key !== undefined) return { kind: 'key', key };
  if (setting(environment, 'AZURE_FEDERATED_TOKEN_FILE') !== undefined) {
    return { kind: 'workload-identity' };
  }
  const clientId = setting(environment, 'AZURE_CLIENT_ID');
  return { kind: 'managed-identity', ...(clientId !== undefined && { clientId }) };
}

/**
 * The store that a copy goes to: the variables of a store with `TARGET_` before their names, or the file `TARGET_SQLITE_FILE`.
 *
 * @throws {TypeError} when they name none or several
 */
export function targetPlace(environment: Environment): StorePlace {
  const target: { [name: string]: string | undefined } = { ...environment };
  for (const name of ['DATABASE_URL', 'COSMOS_ENDPOINT', 'COSMOS_DATABASE', 'COSMOS_KEY']) {
    target[name] = environment[`TARGET_${name}`];
  }
  const named = namedStore(target);
  const file = setting(environment, 'TARGET_SQLITE_FILE');
  if (named === undefined && file !== undefined) return { kind: 'sqlite', path: resolve(file) };
  if (named === undefined || file !== undefined) {
    throw new TypeError(
      'set one of TARGET_DATABASE_URL, TARGET_COSMOS_ENDPOINT and TARGET_SQLITE_FILE: it names the store to copy to',
    );
  }
  return named;
}

/** Names a store without its secrets. */
export function placeName(place: StorePlace): string {
  switch (place.kind) {
    case 'sqlite':
      return `sqlite ${place.path}`;
    case 'postgres': {
      const url = URL.parse(place.connectionString);
      return url ? `postgres ${url.host}${url.pathname}` : 'postgres';
    }
    case 'cosmos':
      return `cosmos ${place.options.endpoint}/${place.options.database}`;
  }
}

/**
 * Opens a store to be read as it stands now.
 *
 * @throws {StoreUnavailableError} when it cannot be reached, or there is none
 * @throws {Error} when it is of another release's schema, or is only being filled itself
 */
export async function openSnapshot(place: StorePlace): Promise<StoreSnapshot> {
  return finished(await snapshotOf(place));
}

async function snapshotOf(place: StorePlace): Promise<StoreSnapshot> {
  switch (place.kind) {
    case 'sqlite': {
      const { createSqliteSnapshot } =
        await import('@aigateway/control-plane/store/sqlite/sqlite-store');
      return createSqliteSnapshot({ path: place.path });
    }
    case 'postgres': {
      const { createPostgresSnapshot } =
        await import('@aigateway/control-plane/store/postgres/postgres-store');
      return createPostgresSnapshot({ connectionString: place.connectionString });
    }
    case 'cosmos': {
      const { createCosmosSnapshot } =
        await import('@aigateway/control-plane/store/cosmos/cosmos-store');
      return createCosmosSnapshot(place.options);
    }
  }
}

/**
 * Opens a store. Only the code of its kind is loaded.
 *
 * @throws {StoreUnavailableError} when it cannot be reached
 * @throws {Error} when a copy or a restore into it did not come to its end
 */
export async function openStore(place: StorePlace): Promise<Store> {
  return finished(await openTarget(place));
}

/** A store of which only a part is there is none: what is missing would be taken for never having been. */
async function finished<S extends Store>(store: S): Promise<S> {
  const unfinished = await unfinishedTransfer(store).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  if (unfinished === undefined) return store;
  await store.close();
  throw new Error(
    `the store is being filled from ${unfinished.source} since ${unfinished.since}, and that has not come to its end: run it again, or empty the store`,
  );
}

/**
 * The same for a store that is to be filled.
 *
 * @throws {StoreUnavailableError} when it cannot be reached
 */
export async function openTarget(place: StorePlace): Promise<Store> {
  switch (place.kind) {
    case 'sqlite': {
      const { createSqliteStore } =
        await import('@aigateway/control-plane/store/sqlite/sqlite-store');
      return createSqliteStore({ path: place.path });
    }
    case 'postgres': {
      const { createPostgresStore } =
        await import('@aigateway/control-plane/store/postgres/postgres-store');
      return createPostgresStore({ connectionString: place.connectionString });
    }
    case 'cosmos': {
      const { createCosmosStore } =
        await import('@aigateway/control-plane/store/cosmos/cosmos-store');
      return createCosmosStore(place.options);
    }
  }
}

function setting(environment: Environment, name: string): string | undefined {
  const value = environment[name]?.trim();
  return value === '' ? undefined : value;
}
