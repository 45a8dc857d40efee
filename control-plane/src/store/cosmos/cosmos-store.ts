import type { CosmosClient } from '@azure/cosmos';
import type { Store } from '../store.ts';
import { Commits } from './commits.ts';
import { connect, type CosmosOptions } from './connection.ts';
import { cosmosContainers, managementContainer, usageContainer } from './containers.ts';
import { cosmosAudit } from './cosmos-audit.ts';
import { cosmosEntities } from './cosmos-entities.ts';
import { cosmosLedger } from './cosmos-ledger.ts';
import { itemsOf } from './items.ts';

const defaultRecoveryMs = 10_000;

/**
 * A store in a database of Azure Cosmos DB. Its containers are another program's to make (`createCosmosContainers`), or infrastructure's.
 *
 * @throws {StoreUnavailableError} if the account cannot be reached or does not let us in
 * @throws {Error} if a container is missing
 */
export async function createCosmosStore(options: CosmosOptions): Promise<Store> {
  const missing = (await cosmosContainers(options)).filter(({ isThere }) => !isThere);
  if (missing.length > 0) {
    const names = missing.map(({ name }) => name).join(', ');
    throw new Error(
      `the database ${options.database} lacks the containers ${names}: make them with --migrate apply`,
    );
  }
  const client: CosmosClient = await connect(options);
  const database = client.database(options.database);
  let isClosed = false;
  const items = itemsOf(database.container(managementContainer), () => isClosed);
  const commits = new Commits(items);
  try {
    await commits.recover();
  } catch (error) {
    client.dispose();
    throw error;
  }
  const ledger = cosmosLedger(itemsOf(database.container(usageContainer), () => isClosed));
  const recovering = setInterval(() => {
    // What cannot be read now is tried again, and a write would say so.
    commits.recover().catch(() => undefined);
  }, options.recoveryMs ?? defaultRecoveryMs).unref();

  return {
    entities: cosmosEntities(items, commits),
    ledger: ledger.port,
    audit: cosmosAudit(items, commits),
    async close() {
      if (isClosed) return;
      clearInterval(recovering);
      await Promise.all([commits.settled(), ledger.settled()]);
      isClosed = true;
      client.dispose();
    },
  };
}
