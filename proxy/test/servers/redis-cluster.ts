import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { startRedis, type RedisServer } from './redis-server.ts';

/** A cluster of one server: it refuses what a larger one refuses, such as scripts over several slots. */
export async function startCluster(): Promise<RedisServer> {
  const server = await startRedis({
    args: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'],
  });
  const client = new Redis(server.port);
  await client.cluster('ADDSLOTS', ...Array(16_384).keys());
  client.disconnect();
  await whenServing(server.port);
  return server;
}

/** Resolves once a node of a cluster takes commands: it finds in a turn of its own, and not before two seconds, that no slot is missing. */
export async function whenServing(port: number): Promise<void> {
  const client = new Redis(port);
  while (!String(await client.cluster('INFO')).includes('cluster_state:ok')) await delay(20);
  client.disconnect();
}
