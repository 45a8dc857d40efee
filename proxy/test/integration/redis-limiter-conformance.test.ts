import { setSharedSpend } from '@aigateway/control-plane/spend/shared-counters';
import { Redis } from 'ioredis';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeLimiter, ManualClock } from '../conformance/limiter-conformance.ts';
import type { Clock, Limiter } from '../../src/ports.ts';
import { createMemoryLimiter, type BudgetCalendar } from '../../src/stores/memory/limiter.ts';
import { createRedisLimiter, type RedisLimiter } from '../../src/stores/redis/limiter.ts';
import { hasRedisServer, startRedis, type RedisServer } from '../servers/redis-server.ts';

describe.skipIf(!hasRedisServer)('with a redis-server', () => {
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

  const limiterOf = (clock: Clock, calendar?: BudgetCalendar): RedisLimiter =>
    createRedisLimiter({
      calendar: () => calendar,
      redis,
      clock,
      timeOf: 'clock',
      withoutRedis: 'closed',
      tendMs: 0,
      answerMs: 10_000,
    });

  describeLimiter('Redis limiter', {
    create: async (clock, calendar) => {
      await redis.flushall();
      const limiter = limiterOf(clock, calendar);
      return {
        limiter,
        setSpend: (kind, id, nanoUsd) => setSharedSpend(redis, kind, id, nanoUsd, clock.now()),
        close: () => limiter.close(),
      };
    },
    exact: true,
    schedules: 100,
  });

  it('decides as the limiter of one process does, on any calendar, at any time, whenever spend is set', async () => {
    const schedules = fc.asyncProperty(
      fc.integer({ min: Date.UTC(2026, 0), max: Date.UTC(2030, 0) }),
      fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe'),
      fc.constantFrom('00:00', '02:30', '23:59'),
      fc.constantFrom('1h', '5h', '24h', '7d', '10d', '30d', '1mo'),
      fc.array(
        fc.record({
          waitMs: fc.oneof(fc.nat({ max: 3_600_000 }), fc.nat({ max: 12 * 86_400_000 })),
          costNanoUsd: fc.integer({ min: 1, max: 60 }),
          spent: fc.nat({ max: 70 }),
          set: fc.option(fc.nat({ max: 100 })),
        }),
        { minLength: 1, maxLength: 20, size: 'max' },
      ),
      async (startMs, timezone, budgetResetTime, window, steps) => {
        await redis.flushall();
        const clock = new ManualClock(startMs);
        const calendar = { timezone, budgetResetTime };
        const shared = limiterOf(clock, calendar);
        const alone = createMemoryLimiter({ clock, calendar: () => calendar });
        const limits = { budgets: [{ maxNanoUsd: 100, window }] };
        const scopes = [{ kind: 'team' as const, id: 't', label: 't', limits }];
        for (const { waitMs, costNanoUsd, spent, set } of steps) {
          clock.advance(waitMs);
          if (set !== null) {
            alone.setSpend('team', 't', set);
            await setSharedSpend(redis, 'team', 't', set, clock.now());
            // What was leased before is let go of with the next beat.
            clock.advance(1_000);
            await shared.tend();
          }
          const request = { scopes, tokens: 0, costNanoUsd };
          const [one, other] = [alone.reserve(request), await shared.reserve(request)];
          if ('refused' in one) expect(other).toEqual(one);
          else if ('refused' in other) throw new Error(`only Redis refused: ${other.remaining}`);
          for (const answer of [one, other]) {
            if ('settle' in answer) answer.settle({ tokens: 0, costNanoUsd: spent });
          }
          // What was left over is on its way back.
          await shared.tend();
        }
        await shared.close();
      },
    );
    const step = { waitMs: 0, costNanoUsd: 8, spent: 0, set: null };
    const leased = [step, { ...step, costNanoUsd: 1 }, { ...step, costNanoUsd: 9, set: 92 }];
    await expect(
      fc.assert(schedules, {
        numRuns: 60,
        examples: [[Date.UTC(2026, 0), 'UTC', '00:00', '1h', leased]],
      }),
    ).resolves.toBeUndefined();
  });

  describeLimiter('Redis limiter of three proxies that take turns', {
    create: async (clock, calendar) => {
      await redis.flushall();
      const limiters = [1, 2, 3].map(() => limiterOf(clock, calendar));
      for (const limiter of limiters) await limiter.tend();
      return {
        limiter: takingTurns(limiters),
        setSpend: (kind, id, nanoUsd) => setSharedSpend(redis, kind, id, nanoUsd, clock.now()),
        close: async () => {
          await Promise.all(limiters.map((limiter) => limiter.close()));
        },
      };
    },
    exact: false,
    schedules: 60,
  });
});

/** Each request goes to the next one; what is due by then has been looked after. */
function takingTurns(limiters: readonly RedisLimiter[]): Limiter {
  let turn = 0;
  const next = async (): Promise<RedisLimiter> => {
    for (const limiter of limiters) await limiter.tend();
    const limiter = limiters[(turn += 1) % limiters.length];
    if (limiter === undefined) throw new Error('no limiters');
    return limiter;
  };
  return {
    reserve: async (request) => (await next()).reserve(request),
    correct: async (correction) => (await next()).correct(correction),
  };
}
