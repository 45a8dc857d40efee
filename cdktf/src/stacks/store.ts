import { createCosmos } from './cosmos.ts';
import type { Identity } from './identity.ts';
import type { Network } from './network.ts';
import { createPostgres } from './postgres.ts';
import type { Site } from './site.ts';
import type { Store } from './store-type.ts';

/** Makes the store, or takes the one that is brought along; the identity gets its rights, where Entra decides them. */
export function createStore(site: Site, identity: Identity, network: Network | undefined): Store {
  const { store } = site.configuration;
  switch (store?.kind) {
    case 'cosmos':
      return createCosmos(site, store, identity, network);
    case 'postgres':
      return createPostgres(site, store, network);
    case 'existing-cosmos':
      return { variables: { COSMOS_ENDPOINT: { value: store.endpoint } } };
    case 'existing-postgres':
    case undefined:
      return { variables: { DATABASE_URL: { secret: 'database-url' } } };
  }
}
