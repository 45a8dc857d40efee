import type { Database } from '@azure/cosmos';
import { connect, portError, type CosmosOptions } from './connection.ts';

/** Entities, the audit and what ties them together. */
export const managementContainer = 'management';
/** The ledger. */
export const usageContainer = 'usage';

/**
 * What is indexed: what queries name, and nothing else, since every indexed value is paid for with each write. No item is removed by
 * time unless it says so itself, and nothing depends on when it goes.
 */
const containers = [
  {
    id: managementContainer,
    indexed: ['/pk/?', '/kind/?', '/place/?', '/ix/*', '/sequence/?', '/audit/*'],
  },
  {
    id: usageContainer,
    indexed: ['/pk/?', '/day/?', '/cost/?', '/oldest/?', '/newest/?', '/lookup/*'],
  },
].map(({ id, indexed }) => ({
  id,
  partitionKey: { paths: ['/pk'], version: 2 },
  defaultTtl: -1,
  indexingPolicy: {
    indexingMode: 'consistent' as const,
    includedPaths: indexed.map((path) => ({ path })),
    excludedPaths: [{ path: '/*' }],
  },
}));

/** Which containers there are, and whether the database has them. */
export async function cosmosContainers(
  options: CosmosOptions,
): Promise<readonly { name: string; isThere: boolean }[]> {
  return withDatabase(options, (database) =>
    Promise.all(
      containers.map(async ({ id }) => ({ name: id, isThere: await isThere(database, id) })),
    ),
  );
}

/**
 * Makes the database and the containers that are missing, as a job: an identity for data alone may not, then infrastructure does
 * (partition key `/pk`).
 *
 * @returns the names of those that were made
 */
export async function createCosmosContainers(options: CosmosOptions): Promise<readonly string[]> {
  const client = await connect(options);
  try {
    const { database } = await client.databases.createIfNotExists({ id: options.database });
    const made: string[] = [];
    for (const container of containers) {
      const { statusCode } = await database.containers.createIfNotExists(container);
      if (statusCode === 201) made.push(container.id);
    }
    return made;
  } catch (error) {
    throw portError(error);
  } finally {
    client.dispose();
  }
}

async function withDatabase<T>(
  options: CosmosOptions,
  work: (database: Database) => Promise<T>,
): Promise<T> {
  const client = await connect(options);
  try {
    return await work(client.database(options.database));
  } catch (error) {
    throw portError(error);
  } finally {
    client.dispose();
  }
}

async function isThere(database: Database, id: string): Promise<boolean> {
  try {
    await database.container(id).read();
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === 404) return false;
    throw error;
  }
}
