import type { CosmosClient } from '@azure/cosmos';
import { StoreChangedError } from '../entities.ts';
import type { Store, StoreSnapshot } from '../store.ts';
import { Commits } from './commits.ts';
import { connect, type CosmosOptions } from './connection.ts';
import { cosmosContainers, managementContainer, usageContainer } from './containers.ts';
import { cosmosAudit } from './cosmos-audit.ts';
import { cosmosEntities } from './cosmos-entities.ts';
import { cosmosLedger } from './cosmos-ledger.ts';
import { marksOf } from './cosmos-ledger-lines.ts';
import { itemsOf } from './items.ts';

const defaultRecoveryMs = 10_000;

/**
 * A store in a database of Azure Cosmos DB. Its containers are another program's to make (`createCosmosContainers`), or infrastructure's.
 *
 * @throws {StoreUnavailableError} if the account cannot be reached or does not let us in
 * @throws {Error} if a container is missing
 */
export async function createCosmosStore(options: CosmosOptions): Promise<Store> {
  return (await open(options)).store;
}

/**
 * The same for reading all of it once: Cosmos DB has nothing that keeps it as it stood, so it is noticed when somebody writes meanwhile.
 *
 * @throws {StoreUnavailableError} as `createCosmosStore` does
 */
export async function createCosmosSnapshot(options: CosmosOptions): Promise<StoreSnapshot> {
  const { store, standing } = await open(options);
  const before = await standing();
  return {
    ...store,
    kind: 'cosmos',
    async confirm() {
      if ((await standing()) !== before) throw new StoreChangedError();
    },
  };
}

async function open(
  options: CosmosOptions,
): Promise<{ store: Store; standing: () => Promise<string> }> {
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
  const usageItems = itemsOf(database.container(usageContainer), () => isClosed);
  const ledger = cosmosLedger(usageItems);
  const recovering = setInterval(() => {
    // What cannot be read now is tried again, and a write would say so.
    commits.recover().catch(() => undefined);
  }, options.recoveryMs ?? defaultRecoveryMs).unref();

  const store: Store = {
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
  /** Changes with every write. */
  const standing = async (): Promise<string> => {
    const { commit } = await commits.recover();
    const marks = await marksOf(usageItems);
    return JSON.stringify([commit, marks.map(({ producer, sequence }) => [producer, sequence])]);
  };
  return { store, standing };
}
