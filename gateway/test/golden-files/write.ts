// Keeps what this version writes for later versions to read: `node gateway/test/golden-files/write.ts 1`, needs redis-server. Run it
// when the wire format has changed. The newest folder of `golden/` is that of the next release: until then it is written anew. With
// the first change after a release another one is begun; those of releases stay as they are.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRedisPublisher } from '@aigateway/control-plane/publish/redis';
import { openUsageSpool } from '@aigateway/proxy/stores/file/spool';
import { createRedisSource } from '@aigateway/proxy/stores/redis/snapshot-source';
import { createRedisTransport } from '@aigateway/proxy/stores/redis/usage-transport';
import { Redis } from 'ioredis';
import { startRedis } from '../../../proxy/test/servers/redis-server.ts';
import { dumpOf } from './dump.ts';
import {
  changed,
  catalogue,
  fullKey,
  fullUsage,
  producer,
  secret,
  whole,
  writtenAt,
} from './samples.ts';
import { published } from '@aigateway/contract/snapshot';

const folder = join(import.meta.dirname, '..', 'golden', String(process.argv[2] ?? ''));
if (!/\d$/.test(folder)) throw new Error('give the number of a folder of golden/');
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
const server = await startRedis();
const redis = new Redis(server.url);
const directory = mkdtempSync(join(tmpdir(), 'aigateway-golden-'));
const publisher = createRedisPublisher({ redis, secret, now: () => writtenAt, renewMs: 0 });
async function* all() {
  yield* whole;
}
await publisher.republish(all(), catalogue);
for (const record of changed) await publisher.publish([published(record)]);

const source = createRedisSource({ redis, secret, dataDirectory: directory });
await source.start({ replace: () => undefined, change: () => undefined });
await source.close();
cpSync(join(directory, 'snapshot.jsonl'), join(folder, 'snapshot.jsonl'));

// Two events on their way, and a call that was begun and never ended.
mkdirSync(join(directory, 'usage'));
writeFileSync(join(directory, 'usage', 'producer'), producer);
const spool = await openUsageSpool({
  directory,
  transport: createRedisTransport({ redis, secret }),
  shipMs: 60_000,
});
for (const requestId of ['request-1', 'request-2']) {
  const account = spool.open(openedCall(requestId), writtenAt);
  spool.settle({ ...fullUsage, requestId, corrects: undefined }, account);
}
spool.open(openedCall('request-3'), writtenAt);
await spool.ship();
mkdirSync(join(folder, 'usage'));
for (const name of readdirSync(join(directory, 'usage'))) {
  if (name !== 'lock') cpSync(join(directory, 'usage', name), join(folder, 'usage', name));
}
const told = { records: [...whole, ...changed], catalogue, usage: fullUsage };
writeFileSync(join(folder, 'records.json'), `${JSON.stringify(told, undefined, 2)}\n`);
writeFileSync(join(folder, 'redis.json'), `${JSON.stringify(await dumpOf(redis), undefined, 2)}\n`);
await spool.close();
await publisher.close();
redis.disconnect();
await server.stop();
rmSync(directory, { recursive: true });

function openedCall(requestId: string) {
  return {
    requestId,
    key: fullKey,
    customerId: 'alice',
    tags: fullUsage.tags,
    model: fullUsage.model,
    operation: fullUsage.operation,
    stream: fullUsage.stream,
    expected: { input: 10, output: 20, costNanoUsd: 30 },
  };
}
