/**
 * `npm exec -- node scripts/bench-snapshot.ts [keys]`: what a snapshot of many keys costs. Publishes them in a Redis of its own, starts proxies'
 * sources from it and from their disk, and sends single changes to three of them. Prints figures; docs/reference/snapshot.md has
 * the last ones.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Redis } from 'ioredis';
import type { KeyRecord, Records } from '../contract/src/records.ts';
import type { SnapshotListener } from '../contract/src/snapshot.ts';
import { catalogue, keyRecord } from '../contract/test/snapshot.fixture.ts';
import { createRedisPublisher } from '../control-plane/src/publish/redis.ts';
import { createRedisSource } from '../proxy/src/stores/redis/snapshot-source.ts';
import { KeyTable } from '../proxy/src/key-table.ts';
import { Snapshot } from '../proxy/src/snapshot.ts';
import { startRedis } from '../proxy/test/servers/redis-server.ts';

const count = Number(process.argv[2] ?? 100_000);
const secret = { current: 'a root secret of more than 32 bytes' };
const directory = mkdtempSync(join(tmpdir(), 'aigateway-bench-'));
const server = await startRedis();
// A server outlives the program that started it.
const endServer = (): boolean => process.kill(server.pid, 'SIGKILL');
process.once('uncaughtExceptionMonitor', endServer);
const redis = new Redis(server.port);
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** A key as the control plane compiles it: limits of its own and its team's, one of ten policies. */
function key(index: number, blocked = false): KeyRecord {
  const keyId = `key-${String(index).padStart(8, '0')}`;
  const team = `team-${index % 500}`;
  return keyRecord(keyId, {
    secrets: [{ hash: createHash('sha256').update(keyId).digest('hex') }],
    alias: `alias of ${keyId}`,
    ownerId: team,
    teamId: team,
    models: ['gpt-4o', 'gpt-4o-mini', `model-${index % 10}`],
    scopes: [
      { kind: 'api_key', id: keyId, label: keyId, limits: { requestsPerMinute: index % 10 } },
      { kind: 'team', id: team, label: team, limits: { tokensPerMinute: 1_000_000 } },
    ],
    blocked,
  });
}

async function* keys(): AsyncGenerator<KeyRecord> {
  for (let index = 0; index < count; index += 1) yield key(index);
}

/** Holds what a proxy holds. */
class Holder implements SnapshotListener {
  snapshot: Snapshot | undefined;
  onChange: () => void = () => undefined;

  replace(records: Records): void {
    this.snapshot = new Snapshot(records, new KeyTable(records.keys));
  }

  change(): void {
    this.onChange();
  }
}

function heapMb(): number {
  collect();
  return process.memoryUsage().heapUsed / 1e6;
}

async function timed<Result>(what: string, run: () => Promise<Result>): Promise<Result> {
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  const start = performance.now();
  const usage = process.cpuUsage();
  const result = await run();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(usage);
  loop.disable();
  console.log(
    `${what}: ${seconds.toFixed(2)} s, of which CPU ${((user + system) / 1e6).toFixed(2)} s, longest turn of the loop ${(loop.max / 1e6).toFixed(0)} ms`,
  );
  return result;
}

const publisher = createRedisPublisher({ redis, secret, renewMs: 0 });
await timed(`publish ${count} keys`, () => publisher.republish(keys(), catalogue()));

const before = heapMb();
const holders = [new Holder(), new Holder(), new Holder()];
const sources = holders.map((_, index) =>
  createRedisSource({
    redis: redis.duplicate(),
    secret,
    ...(index === 0 && { dataDirectory: directory }),
  }),
);
const [first, second, third] = sources;
if (first === undefined || second === undefined || third === undefined)
  throw new Error('no source');
await timed('boot from Redis, kept on disk', () => first.start(holders[0] ?? new Holder()));
await delay(2000);
console.log(`heap of one proxy: ${(heapMb() - before).toFixed(1)} MB`);
await timed('boot from Redis', () => second.start(holders[1] ?? new Holder()));
await third.start(holders[2] ?? new Holder());

const reached: number[] = [];
for (let round = 0; round < 20; round += 1) {
  const all = Promise.all(
    holders.map((holder) => new Promise<void>((resolve) => (holder.onChange = resolve))),
  );
  const start = performance.now();
  await publisher.publish([{ kind: 'key', keyId: key(round).keyId, key: key(round, true) }]);
  await all;
  reached.push(performance.now() - start);
}
reached.sort((a, b) => a - b);
console.log(
  `one change until the last of 3 proxies has it: median ${reached[10]?.toFixed(0)} ms, longest ${reached.at(-1)?.toFixed(0)} ms`,
);

await Promise.all(sources.map((source) => source.close()));
redis.disconnect();
await server.stop();
process.off('uncaughtExceptionMonitor', endServer);
const away = new Redis(server.port, { retryStrategy: () => 1000 });
away.on('error', () => undefined);
const last = createRedisSource({ redis: away, secret, dataDirectory: directory });
await timed('boot from disk, Redis away', () => last.start(new Holder()));
rmSync(directory, { recursive: true });
process.exit(0);
