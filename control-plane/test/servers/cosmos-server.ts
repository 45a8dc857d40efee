import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { CosmosOptions } from '../../src/store/cosmos/connection.ts';
import { createCosmosContainers } from '../../src/store/cosmos/containers.ts';

/** A request as what it is paid for. */
export type CosmosRequest =
  | 'read'
  | 'create'
  | 'replace'
  | 'delete'
  | 'query'
  | 'query of all partitions';

export type CosmosServer = {
  /** A new database with the containers of a store. */
  createDatabase(): Promise<CosmosOptions>;
  /** Requests for items since the last call, in their order. Of a real account nothing is known. */
  requests(): CosmosRequest[];
  stop(): Promise<void>;
};

/** The account that tests may run against instead of a stand-in. */
function realEndpoint(): { endpoint: string; key: string } | undefined {
  // oxlint-disable-next-line node/no-process-env -- chooses what the tests run against
  const { COSMOS_ENDPOINT: endpoint, COSMOS_KEY: key } = process.env;
  return endpoint && key ? { endpoint: new URL(endpoint).origin, key } : undefined;
}

/** How a store is reached that another program of the tests was told of: `https://…/DATABASE`. */
export function cosmosOptions(place: string): CosmosOptions {
  const { origin, pathname } = new URL(place);
  const database = pathname.slice(1);
  const real = realEndpoint();
  if (real) {
    const { endpoint, key } = real;
    return { endpoint, database, credential: { kind: 'key', key } };
  }
  return {
    endpoint: origin,
    database,
    credential: { kind: 'key', key: Buffer.from('any key is let in').toString('base64') },
    agent: new Agent({ rejectUnauthorized: false, keepAlive: true }),
  };
}

/**
 * The account that `COSMOS_ENDPOINT` names, with `COSMOS_KEY`; else a stand-in in this process. What the stand-in lacks or does otherwise
 * (batches, time to live, quotes around tags, consistency, throttling), the store does without.
 */
export async function startCosmos(): Promise<CosmosServer> {
  const real = realEndpoint();
  const databaseName = (): string => `aigateway-test-${randomBytes(6).toString('hex')}`;
  if (real) return realAccount(real.endpoint, real.key, databaseName);

  const module = (await import('@vercel/cosmosdb-server')) as unknown as {
    default: (() => Server) | { default: () => Server };
  };
  const create = 'default' in module.default ? module.default.default : module.default;
  const server = create();
  const seen: CosmosRequest[] = [];
  server.on('request', ({ method, url = '', headers }) => {
    // Before a query the library asks how to run it, which is not paid for.
    if (!url.includes('/docs') || headers['x-ms-cosmos-is-query-plan-request']) return;
    const isQuery = headers['x-ms-documentdb-isquery'] !== undefined;
    if (isQuery && headers['x-ms-documentdb-partitionkey'] === undefined) {
      seen.push('query of all partitions');
    } else if (isQuery) seen.push('query');
    else if (method === 'GET') seen.push('read');
    else if (method === 'POST') seen.push('create');
    else seen.push(method === 'PUT' ? 'replace' : 'delete');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    async createDatabase() {
      const options = cosmosOptions(`https://127.0.0.1:${port}/${databaseName()}`);
      await createCosmosContainers(options);
      return options;
    },
    requests: () => seen.splice(0),
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function realAccount(endpoint: string, key: string, databaseName: () => string): CosmosServer {
  const made: string[] = [];
  return {
    async createDatabase() {
      const options = cosmosOptions(`${endpoint}/${databaseName()}`);
      await createCosmosContainers(options);
      made.push(options.database);
      return options;
    },
    requests: () => [],
    async stop() {
      const { CosmosClient } = await import('@azure/cosmos');
      const client = new CosmosClient({ endpoint, key });
      for (const name of made) await client.database(name).delete();
      client.dispose();
    },
  };
}
