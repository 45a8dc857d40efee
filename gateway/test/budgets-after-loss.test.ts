import { createBudgetKeeper, type EarlierUse } from '@aigateway/control-plane/usage/budget-keeper';
import {
  createRedisLimiter,
  type RedisLimiter,
  type RedisLimiterOptions,
} from '@aigateway/proxy/stores/redis/limiter';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../proxy/test/conformance/limiter-conformance.ts';
import {
  hasRedisServer,
  startRedis,
  type RedisServer,
} from '../../proxy/test/servers/redis-server.ts';

const limitNanoUsd = 1000;
const payer = {
  kind: 'api_key',
  id: 'payer',
  label: 'payer',
  limits: { budgets: [{ maxNanoUsd: limitNanoUsd }] },
} as const;
const minuteMs = 60_000;

describe.skipIf(!hasRedisServer)('budgets of a Redis that lost its data', () => {
  let server: RedisServer;
  let clock: ManualClock;
  let clients: Redis[];

  beforeEach(async () => {
    server = await startRedis();
    clock = new ManualClock(Date.UTC(2026, 10, 21, 12));
    clients = [];
  });
  afterEach(async () => {
    for (const client of clients) client.disconnect();
    await server.stop();
  });

  function client(): Redis {
    const made = new Redis(server.url);
    clients.push(made);
    return made;
  }

  async function proxy(options: Partial<RedisLimiterOptions> = {}): Promise<RedisLimiter> {
    const limiter = createRedisLimiter({
      redis: client(),
      clock,
      timeOf: 'clock',
      withoutRedis: 'closed',
      tendMs: 0,
      answerMs: 10_000,
      ...options,
    });
    await limiter.tend();
    return limiter;
  }

  function keeper(used: readonly EarlierUse[]) {
    return createBudgetKeeper({
      redis: client(),
      used: () => Promise.resolve(used),
      calendar: () => ({ timezone: 'UTC', budgetResetTime: '00:00' }),
      pollMs: 0,
      settleMs: 0,
    });
  }

  async function isGranted(limiter: RedisLimiter, costNanoUsd: number): Promise<boolean> {
    const answer = await limiter.reserve({ scopes: [payer], tokens: 0, costNanoUsd });
    if ('refused' in answer) return false;
    answer.settle({ tokens: 0, costNanoUsd });
    return true;
  }

  /** Calls of 10 nano-USD, by each in turn, until nobody is let in. */
  async function grantedUntilRefused(limiters: readonly RedisLimiter[]): Promise<number> {
    let granted = 0;
    for (;;) {
      let isAny = false;
      for (const limiter of limiters) {
        if (!(await isGranted(limiter, 10))) continue;
        isAny = true;
        granted += 10;
      }
      if (!isAny) return granted;
    }
  }

  it('know what proxies that have ended since had granted, and count those that go on once', async () => {
    const ended = await proxy();
    const lasting = await proxy();
    expect(await isGranted(ended, 300)).toBe(true);
    expect(await isGranted(lasting, 200)).toBe(true);

    await client().flushall();
    expect(await isGranted(lasting, 10)).toBe(false);
    await lasting.tend();
    expect(await keeper([{ kind: 'api_key', id: 'payer', usedNanoUsd: 500 }]).look()).toBe(true);

    clock.advance(minuteMs);
    await lasting.tend();
    const next = await proxy();
    expect(await grantedUntilRefused([lasting, next])).toBe(limitNanoUsd - 500);
  });

  it('are told once for each loss, and left alone where every proxy says the same as the ledger', async () => {
    const lasting = await proxy();
    expect(await isGranted(lasting, 400)).toBe(true);
    const kept = keeper([{ kind: 'api_key', id: 'payer', usedNanoUsd: 390 }]);
    expect(await kept.look()).toBe(true);
    expect(await kept.look()).toBe(false);
    expect(await grantedUntilRefused([lasting, await proxy()])).toBe(limitNanoUsd - 400);
  });

  it('count the minute as granted also for a proxy that starts after the loss, once a control plane has noticed it', async () => {
    const kept = keeper([]);
    await kept.look();
    await kept.look();
    const scopes = [{ ...payer, limits: { requestsPerMinute: 5 } }];
    const ask = async (limiter: RedisLimiter) =>
      limiter.reserve({ scopes, tokens: 0, costNanoUsd: 0 });
    const timed = { timeOf: 'redis', clock: { now: () => performance.now() } } as const;
    const minute = async () => Math.floor(Number((await client().time())[0]) / 60);
    const askAfterLoss = async (): Promise<unknown> => {
      const before = await minute();
      await client().flushall();
      await kept.look();
      const answer = await ask(await proxy(timed));
      // In a minute that began meanwhile nothing was granted before.
      return (await minute()) === before ? answer : askAfterLoss();
    };
    expect(await ask(await proxy(timed))).toHaveProperty('settle');
    expect(await askAfterLoss()).toHaveProperty('refused');
  });

  it('know of requests in total as well', async () => {
    const counted = { kind: 'api_key', id: 'payer', requestsInTotal: 3 } as const;
    await keeper([counted]).look();
    const scopes = [{ ...payer, limits: { requestsInTotal: 4 } }];
    const limiter = await proxy();
    const ask = async () => limiter.reserve({ scopes, tokens: 0, costNanoUsd: 0 });
    expect(await ask()).toHaveProperty('settle');
    expect(await ask()).toMatchObject({ refused: true, limit: 4, remaining: 0 });
  });

  it('that belong to another window by now are left alone', async () => {
    const now = Date.now();
    const over = {
      kind: 'api_key',
      id: 'payer',
      window: '1h',
      startMs: now - (now % 3_600_000) - 7_200_000,
      usedNanoUsd: 500,
    } as const;
    await keeper([over]).look();
    expect(await client().keys('aigateway:limit:*')).toEqual([]);
  });
});
