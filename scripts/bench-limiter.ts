// What shared limits cost: the Redis limiter beside the in-process one under the same load, `npm run bench:limiter`.
// 100 keys of 6,000 requests a minute, two proxies, 1,000 calls a second in all; then the same through whole gateways. Needs redis-server
// on the PATH, and `npm run build` for figures of the bundle.
import type { LimitScope } from '@aigateway/contract/limits';
import { setTimeout as delay } from 'node:timers/promises';
import type { Limiter, Reservation } from '../proxy/src/ports.ts';
import { createMemoryLimiter } from '../proxy/src/stores/memory/limiter.ts';
import { connectRedis, parseRedisUrl } from '../proxy/src/stores/redis/connection.ts';
import { createRedisLimiter } from '../proxy/src/stores/redis/limiter.ts';
import { startRedis } from '../proxy/test/servers/redis-server.ts';
import { measureSharedLimits } from '../smoke/bench/shared-limits.ts';
import { median, quantile } from '../smoke/bench/statistics.ts';
import { table } from '../smoke/bench/table.ts';

const rate = 1000;
const warmMs = 3000;
const roundMs = 5000;
const rounds = 3;
const tickMs = 10;
const callMs = 200;

const keys: readonly LimitScope[][] = Array.from({ length: 100 }, (_, at) => [
  {
    kind: 'api_key',
    id: `key-${at}`,
    label: `key-${at}`,
    limits: { requestsPerMinute: 6000, tokensPerMinute: 6_000_000 },
  },
]);

type Measured = {
  cpuMicroseconds: number;
  waitsMs: number[];
  requests: number;
  /** Calls that did not have their answer at once, but asked Redis. */
  asked: number;
  refused: number;
};

/** Calls arrive evenly and end after a while; every proxy gets its turn, every key too. */
async function load(limiters: readonly Limiter[], durationMs: number): Promise<Measured> {
  const waitsMs: number[] = [];
  const ending: { atMs: number; reservation: Reservation }[] = [];
  let requests = 0;
  let asked = 0;
  let refused = 0;
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  for (let nowMs = 0; nowMs < durationMs; nowMs = performance.now() - startMs) {
    const due = (nowMs * rate) / 1000;
    for (; requests < due; requests += 1) {
      const scopes = keys[requests % keys.length] ?? [];
      const limiter = limiters[Math.floor(requests / keys.length) % limiters.length];
      const askedMs = performance.now();
      const answer = limiter?.reserve({ scopes, tokens: 1000, costNanoUsd: 0 });
      if (answer instanceof Promise) asked += 1;
      const outcome = answer instanceof Promise ? await answer : answer;
      waitsMs.push(performance.now() - askedMs);
      if (outcome === undefined || 'refused' in outcome) refused += 1;
      else ending.push({ atMs: nowMs + callMs, reservation: outcome });
    }
    while ((ending[0]?.atMs ?? Number.POSITIVE_INFINITY) <= nowMs) {
      ending.shift()?.reservation.settle({ tokens: 800, costNanoUsd: 0 });
    }
    await delay(tickMs);
  }
  for (const { reservation } of ending) reservation.settle({ tokens: 800, costNanoUsd: 0 });
  const { user, system } = process.cpuUsage(cpu);
  return { cpuMicroseconds: (user + system) / requests, waitsMs, requests, asked, refused };
}

const server = await startRedis();
const connections = await Promise.all([1, 2].map(() => connectRedis(parseRedisUrl(server.url))));
await Promise.all(
  connections.map(({ client }) => new Promise<void>((resolve) => client.once('ready', resolve))),
);
const shared = connections.map(({ client }) =>
  createRedisLimiter({ redis: client, withoutRedis: 'closed' }),
);
const inProcess = [1, 2].map(() => createMemoryLimiter({ clock: { now: Date.now } }));

await load(inProcess, warmMs);
const memory: Measured[] = [];
const redis: Measured[] = [];
const trips: number[] = [];
for (let round = 0; round < rounds; round += 1) {
  memory.push(await load(inProcess, roundMs));
  // What idled was given back: steady load is what is measured.
  await load(shared, warmMs);
  const before = shared.reduce((sum, { roundTrips }) => sum + roundTrips, 0);
  const measured = await load(shared, roundMs);
  redis.push(measured);
  const after = shared.reduce((sum, { roundTrips }) => sum + roundTrips, 0);
  trips.push((after - before) / measured.requests);
}
await Promise.all(shared.map((limiter) => limiter.close()));
await Promise.all(connections.map((connection) => connection.close()));
const through = await measureSharedLimits(server.url, { windows: 7, seconds: 2, perSecond: 50 });
await server.stop();

const cpuOf = (runs: readonly Measured[]): number =>
  median(runs.map(({ cpuMicroseconds }) => cpuMicroseconds));
const row = (name: string, runs: readonly Measured[], perRequest: string): string[] => {
  const waitsMs = runs.flatMap((run) => run.waitsMs);
  const total = (of: 'requests' | 'asked' | 'refused') =>
    runs.reduce((sum, run) => sum + run[of], 0);
  return [
    name,
    cpuOf(runs).toFixed(1),
    perRequest,
    `${((100 * total('asked')) / total('requests')).toFixed(2)} %`,
    quantile(waitsMs, 0.5).toFixed(3),
    quantile(waitsMs, 0.99).toFixed(3),
    String(total('refused')),
  ];
};
console.log(
  table([
    [
      'limiter',
      'CPU µs/call',
      'round trips/call',
      'calls that wait',
      'p50 ms',
      'p99 ms',
      'refused',
    ],
    row('in process', memory, '0'),
    row('Redis', redis, median(trips).toFixed(3)),
  ]),
);
console.log(
  `Redis costs ${(cpuOf(redis) - cpuOf(memory)).toFixed(1)} µs of CPU time more for a call, pacing included in both.`,
);
console.log('\nThrough the gateway, two of them, saturated, one core for both:\n');
console.log(
  table([
    ['limits', 'CPU µs/call', 'to in process'],
    ['in process', through.alone.toFixed(0), `${through.noise.toFixed(2)} (noise)`],
    ['Redis', through.shared.toFixed(0), through.ratio.toFixed(2)],
  ]),
);
console.log('\nOne key through one gateway, 50 calls a second:\n');
console.log(
  table([
    ['limits', 'p50 ms', 'p99 ms', 'added p50', 'added p99'],
    ...through.latencies.map(({ target, p50, p99, addedP50, addedP99 }) => [
      target,
      ...[p50, p99, addedP50, addedP99].map((ms) => ms.toFixed(2)),
    ]),
  ]),
);
const { alone, shared: sharing } = through.failures;
if (alone + sharing > 0) {
  console.log(`${alone} and ${sharing} calls failed: the figures mean nothing.`);
  process.exitCode = 1;
}
