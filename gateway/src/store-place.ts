import { join, resolve } from 'node:path';
import type { Environment } from '@aigateway/contract/environment-config';
import type { CosmosOptions } from '@aigateway/control-plane/store/cosmos/connection';
import type { Store } from '@aigateway/control-plane/store/store';

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
 * Opens a store. Only the code of its kind is loaded.
 *
 * @throws {StoreUnavailableError} when it cannot be reached
 */
export async function openStore(place: StorePlace): Promise<Store> {
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
