import type { LimitScope, Limits, ScopeKind } from '@aigateway/contract/limits';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Reservation } from '../../src/ports.ts';
import { createRedisLimiter } from '../../src/stores/redis/limiter.ts';
import { ManualClock } from '../conformance/limiter-conformance.ts';
import { hasRedisServer, startRedis, type RedisServer } from '../servers/redis-server.ts';

/** The start of a minute and of an hour. */
const noon = Date.UTC(2026, 10, 21, 12);

const kinds: readonly ScopeKind[] = [
  'global',
  'organization',
  'team',
  'user',
  'team_member',
  'api_key',
  'model_per_key',
  'model_per_team',
  'end_user',
  'tag',
  'deployment',
];

const limitsOfAny = fc.record(
  {
    requestsPerMinute: fc.integer({ min: 1, max: 300 }),
    tokensPerMinute: fc.integer({ min: 50, max: 9_000 }),
    parallelRequests: fc.integer({ min: 1, max: 100 }),
    budgets: fc
      .integer({ min: 50, max: 4_000 })
      .chain((maxNanoUsd) =>
        fc.constantFrom(
          [{ maxNanoUsd }],
          [{ maxNanoUsd, window: '1h' }],
          [{ maxNanoUsd, window: '1h' }, { maxNanoUsd: 3 * maxNanoUsd }],
        ),
      ),
  },
  { requiredKeys: [] },
);

/** What one holder was granted: by minute, by hour, in all, and what is in flight. */
type Granted = {
  scope: LimitScope;
  requests: Map<number, number>;
  tokens: Map<number, number>;
  cost: Map<number, number>;
  total: number;
  inFlight: number;
};

describe.skipIf(!hasRedisServer)('limits at every level, over two proxies', () => {
  let server: RedisServer;
  let redis: Redis;

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
  });
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  it('are never exceeded, whichever calls share which holders', async () => {
    const loads = fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(...kinds), fc.nat({ max: 1 }), limitsOfAny), {
        minLength: 4,
        maxLength: 14,
        size: 'max',
      }),
      fc.array(
        fc.record({
          calls: fc.array(
            fc.record({
              proxy: fc.nat({ max: 1 }),
              holders: fc.array(fc.nat({ max: 13 }), { minLength: 1, maxLength: 6 }),
              tokens: fc.nat({ max: 50 }),
              cost: fc.nat({ max: 50 }),
            }),
            { minLength: 1, maxLength: 60, size: 'max' },
          ),
          waitMs: fc.oneof(fc.nat({ max: 700 }), fc.nat({ max: 40_000 })),
          ended: fc.nat({ max: 100 }),
        }),
        { minLength: 1, maxLength: 8, size: 'max' },
      ),
      async (holders, steps) => {
        await redis.flushall();
        const clock = new ManualClock(noon);
        const limiters = [0, 1].map(() =>
          createRedisLimiter({
            redis,
            clock,
            timeOf: 'clock',
            withoutRedis: 'closed',
            tendMs: 0,
            answerMs: 10_000,
          }),
        );
        for (const limiter of limiters) await limiter.tend();
        const granted = holdersOf(holders);
        let flying: { reservation: Reservation; of: Granted[]; tokens: number; cost: number }[] =
          [];
        for (const { calls, waitMs, ended } of steps) {
          const nowMs = clock.now();
          await Promise.all(
            calls.map(async ({ proxy, holders: named, tokens, cost }) => {
              const of = [...new Set(named.map((at) => granted[at % granted.length]))].filter(
                (one) => one !== undefined,
              );
              const scopes = of.map(({ scope }) => scope);
              const answer = await limiters[proxy]?.reserve({ scopes, tokens, costNanoUsd: cost });
              if (answer === undefined || 'refused' in answer) return;
              for (const one of of) count(one, nowMs, tokens, cost);
              flying.push({ reservation: answer, of, tokens, cost });
            }),
          );
          expect(granted.flatMap((one) => exceeded(one, nowMs))).toEqual([]);
          const over = flying.slice(0, Math.ceil((flying.length * ended) / 100));
          flying = flying.slice(over.length);
          for (const { reservation, of, tokens, cost } of over) {
            // As much as was estimated: what is granted is then what counts.
            reservation.settle({ tokens, costNanoUsd: cost });
            for (const one of of) one.inFlight -= 1;
          }
          clock.advance(waitMs);
          for (const limiter of limiters) await limiter.tend();
        }
        for (const { reservation } of flying) reservation.settle({ tokens: 0, costNanoUsd: 0 });
        await Promise.all(limiters.map((limiter) => limiter.close()));
      },
    );
    await fc.assert(loads, { numRuns: 40 });
  });
});

/** Each holder once, with the limits that it was named with first. */
function holdersOf(drawn: readonly (readonly [ScopeKind, number, Limits])[]): Granted[] {
  const found = new Map<string, Granted>();
  for (const [kind, id, limits] of drawn) {
    const name = `${kind} ${id}`;
    if (found.has(name)) continue;
    found.set(name, {
      scope: { kind, id: `${id}`, label: name, limits },
      requests: new Map(),
      tokens: new Map(),
      cost: new Map(),
      total: 0,
      inFlight: 0,
    });
  }
  return [...found.values()];
}

function count(granted: Granted, nowMs: number, tokens: number, cost: number): void {
  const minute = Math.floor(nowMs / 60_000);
  const hour = Math.floor(nowMs / 3_600_000);
  granted.requests.set(minute, (granted.requests.get(minute) ?? 0) + 1);
  granted.tokens.set(minute, (granted.tokens.get(minute) ?? 0) + tokens);
  granted.cost.set(hour, (granted.cost.get(hour) ?? 0) + cost);
  granted.total += cost;
  granted.inFlight += 1;
}

/** What of a holder's limits was exceeded. */
function exceeded({ scope, requests, tokens, cost, total, inFlight }: Granted, nowMs: number) {
  const { limits, label } = scope;
  const minute = Math.floor(nowMs / 60_000);
  const hour = Math.floor(nowMs / 3_600_000);
  const used: [string, number, number | undefined][] = [
    ['requests', requests.get(minute) ?? 0, limits.requestsPerMinute],
    ['tokens', tokens.get(minute) ?? 0, limits.tokensPerMinute],
    ['calls in flight', inFlight, limits.parallelRequests],
    ...(limits.budgets ?? []).map(({ maxNanoUsd, window }): [string, number, number] => [
      window ?? 'ever',
      window === undefined ? total : (cost.get(hour) ?? 0),
      maxNanoUsd,
    ]),
  ];
  return used.flatMap(([what, amount, limit]) =>
    limit !== undefined && amount > limit ? [`${label}: ${amount} ${what} of ${limit}`] : [],
  );
}
