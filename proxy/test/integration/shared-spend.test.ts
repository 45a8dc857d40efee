import type { LimitScope } from '@aigateway/contract/limits';
import { setSharedSpend } from '@aigateway/control-plane/spend/shared-counters';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Reservation } from '../../src/ports.ts';
import { createRedisLimiter, type RedisLimiter } from '../../src/stores/redis/limiter.ts';
import { ManualClock } from '../conformance/limiter-conformance.ts';
import { hasRedisServer, startRedis, type RedisServer } from '../servers/redis-server.ts';

/** The start of an hour. */
const noon = Date.UTC(2026, 10, 21, 12);
const hourMs = 3_600_000;
const budgets = [{ maxNanoUsd: 1000 }, { maxNanoUsd: 1000, window: '1h' }];
const team: LimitScope = { kind: 'team', id: 'a:b', label: 'a:b', limits: { budgets } };

describe.skipIf(!hasRedisServer)('spend that Redis counts', () => {
  let server: RedisServer;
  let redis: Redis;
  let clock: ManualClock;
  let limiters: RedisLimiter[];

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
  });
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });
  beforeEach(async () => {
    await redis.flushall();
    clock = new ManualClock(noon);
    limiters = [await proxy(), await proxy()];
  });
  afterEach(() => Promise.all(limiters.map((limiter) => limiter.close())));

  async function proxy(): Promise<RedisLimiter> {
    const limiter = createRedisLimiter({
      redis,
      clock,
      timeOf: 'clock',
      withoutRedis: 'closed',
      tendMs: 0,
      answerMs: 10_000,
    });
    await limiter.tend();
    return limiter;
  }

  async function ask(at: number, costNanoUsd: number) {
    const limiter = limiters[at];
    if (limiter === undefined) throw new Error('there are two proxies');
    return limiter.reserve({ scopes: [team], tokens: 0, costNanoUsd });
  }

  /** @returns what was granted, call by call, until a call is refused */
  async function spendAll(at: number, costNanoUsd = 10): Promise<number> {
    for (let spent = 0; ; spent += costNanoUsd) {
      const answer = await ask(at, costNanoUsd);
      if ('refused' in answer) return spent;
      answer.settle({ tokens: 0, costNanoUsd });
    }
  }

  async function granted(at: number, costNanoUsd: number): Promise<Reservation> {
    const answer = await ask(at, costNanoUsd);
    if ('refused' in answer) throw new Error(`refused: ${answer.remaining} left`);
    return answer;
  }

  /** The next heartbeat. */
  async function beat(): Promise<void> {
    clock.advance(1000);
    for (const limiter of limiters) await limiter.tend();
  }

  const set = (nanoUsd: number) => setSharedSpend(redis, 'team', 'a:b', nanoUsd, clock.now());

  it('begins anew for every proxy as soon as it is set, in each of its windows', async () => {
    expect((await spendAll(0)) + (await spendAll(1))).toBe(1000);
    clock.advance(1);
    await set(0);
    expect((await spendAll(1)) + (await spendAll(0))).toBe(1000);
    clock.advance(1);
    await set(700);
    expect((await spendAll(0)) + (await spendAll(1))).toBe(300);
  });

  it('is let go of by proxies that have leased of it, with their next heartbeat', async () => {
    await spendAll(0, 5);
    await set(0);
    await beat();
    // Calls that are small against the budget: leases are taken ahead of need.
    for (let call = 0; call < 50; call += 1) {
      (await granted(call % 2, 5)).settle({ tokens: 0, costNanoUsd: 5 });
    }
    await set(900);
    await beat();
    expect((await spendAll(0, 5)) + (await spendAll(1, 5))).toBe(100);
  });

  it('is not given back by calls that began before it was set, and charged for what they take beyond', async () => {
    const over = await granted(0, 600);
    const under = await granted(1, 300);
    clock.advance(1);
    await set(0);
    await beat();
    over.settle({ tokens: 0, costNanoUsd: 700 });
    under.settle({ tokens: 0, costNanoUsd: 0 });
    await beat();
    expect((await spendAll(0)) + (await spendAll(1))).toBe(900);
  });

  it('counts for windows that nobody counted yet, and not for those that begin later', async () => {
    await set(400);
    expect((await spendAll(0)) + (await spendAll(1))).toBe(600);
    limiters.push(await proxy());
    clock.advance(hourMs);
    await set(0);
    clock.advance(hourMs);
    expect(await spendAll(1)).toBe(1000);
  });
});
