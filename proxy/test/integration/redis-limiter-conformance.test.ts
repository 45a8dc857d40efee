import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe } from 'vitest';
import { describeLimiter } from '../conformance/limiter-conformance.ts';
import type { Clock, Limiter } from '../../src/ports.ts';
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

  const limiterOf = (clock: Clock): RedisLimiter =>
    createRedisLimiter({
      redis,
      clock,
      timeOf: 'clock',
      withoutRedis: 'closed',
      tendMs: 0,
      answerMs: 10_000,
    });

  describeLimiter('Redis limiter', {
    create: async (clock) => {
      await redis.flushall();
      const limiter = limiterOf(clock);
      return { limiter, close: () => limiter.close() };
    },
    exact: true,
    schedules: 100,
  });

  describeLimiter('Redis limiter of three proxies that take turns', {
    create: async (clock) => {
      await redis.flushall();
      const limiters = [limiterOf(clock), limiterOf(clock), limiterOf(clock)];
      for (const limiter of limiters) await limiter.tend();
      return {
        limiter: takingTurns(limiters),
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
