import { limitsKnownKey } from '@aigateway/contract/channels';
import type { LimitScope, Limits } from '@aigateway/contract/limits';
import type { KeyRecord } from '@aigateway/contract/records';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { catalogue, keyRecord } from '../../../contract/test/snapshot.fixture.ts';
import { KeyTable } from '../../src/key-table.ts';
import { scopesOf } from '../../src/pipeline/authorize.ts';
import { Snapshot } from '../../src/snapshot.ts';
import { ManualClock } from '../conformance/limiter-conformance.ts';
import type { LimitRequest, Refusal, Reservation } from '../../src/ports.ts';
import {
  connectRedis,
  parseRedisUrl,
  type RedisConnection,
} from '../../src/stores/redis/connection.ts';
import {
  createRedisLimiter,
  type LimiterEvent,
  type RedisLimiter,
  type RedisLimiterOptions,
} from '../../src/stores/redis/limiter.ts';
import { hasRedisServer, startRedis, type RedisServer } from '../servers/redis-server.ts';

/** The start of a minute, twelve hours before the day's end. */
const noon = Date.UTC(2026, 10, 21, 12);

const key = (limits: Limits, id = 'k'): LimitScope => ({ kind: 'api_key', id, label: id, limits });

const call = (scopes: LimitScope[], tokens = 0, costNanoUsd = 0): LimitRequest => ({
  scopes,
  tokens,
  costNanoUsd,
});

const isGranted = (answer: Reservation | Refusal): answer is Reservation => !('refused' in answer);

describe.skipIf(!hasRedisServer)('limits over several proxies', () => {
  let server: RedisServer;
  let clock: ManualClock;
  let connections: RedisConnection[];
  let limiters: RedisLimiter[];
  let events: LimiterEvent['type'][];

  beforeEach(async () => {
    server = await startRedis();
    clock = new ManualClock(noon);
    connections = [];
    limiters = [];
    events = [];
  });
  afterEach(async () => {
    process.kill(server.pid, 'SIGCONT');
    await Promise.all(limiters.map((limiter) => limiter.close()));
    await Promise.all(connections.map((connection) => connection.close()));
    await server.stop();
  });

  /** A proxy with a connection of its own, tended by the test. */
  async function proxy(options: Partial<RedisLimiterOptions> = {}): Promise<RedisLimiter> {
    // Long, for a busy machine, where it is not the matter.
    const { answerMs = 10_000 } = options;
    const connection = await connectRedis({ ...parseRedisUrl(server.url), answerMs });
    connections.push(connection);
    await ready(connection);
    const limiter = createRedisLimiter({
      redis: connection.client,
      clock,
      timeOf: 'clock',
      withoutRedis: 'closed',
      tendMs: 0,
      answerMs,
      onEvent: ({ type }) => events.push(type),
      ...options,
    });
    limiters.push(limiter);
    await limiter.tend();
    return limiter;
  }

  /** Proxies that have all heard of each other. */
  async function proxies(count: number, options: Partial<RedisLimiterOptions> = {}) {
    const made: RedisLimiter[] = [];
    for (let index = 0; index < count; index += 1) made.push(await proxy(options));
    clock.advance(1000);
    for (const limiter of made) await limiter.tend();
    return made;
  }

  /** Tends from the next second on until the condition holds: servers and sockets take their time to come and go. */
  async function tendUntil(limiter: RedisLimiter, isReached: () => boolean): Promise<void> {
    const startedAtMs = clock.now();
    while (!isReached()) {
      if (clock.now() < startedAtMs + 1000) clock.advance(1000);
      await limiter.tend();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async function grantedOf(
    calls: Iterable<Promise<Reservation | Refusal> | Reservation | Refusal>,
  ): Promise<Reservation[]> {
    const answers = await Promise.all(Array.from(calls, async (answer) => answer));
    return answers.filter(isGranted);
  }

  it('never grants more than a limit to three proxies that are asked at the same time, on any schedule', async () => {
    const schedules = fc.asyncProperty(
      fc.record({
        requestsPerMinute: fc.integer({ min: 1, max: 1500 }),
        tokensPerMinute: fc.integer({ min: 1, max: 40_000 }),
        parallelRequests: fc.integer({ min: 1, max: 400 }),
        budgets: fc.constant([{ maxNanoUsd: 9000, window: '1h' }]),
      }),
      fc.array(
        fc.record({
          batch: fc.array(fc.nat({ max: 2 }), { minLength: 1, maxLength: 120 }),
          tokens: fc.nat({ max: 60 }),
          cost: fc.nat({ max: 20 }),
          waitMs: fc.oneof(fc.nat({ max: 700 }), fc.nat({ max: 40_000 })),
          endCalls: fc.boolean(),
        }),
        { minLength: 1, maxLength: 12, size: 'max' },
      ),
      async (limits, steps) => {
        await connections[0]?.client.flushall();
        const three = await proxies(3);
        const scope = key(limits);
        const grants: { minute: number; hour: number; tokens: number; cost: number }[] = [];
        let open: Reservation[] = [];
        for (const { batch, tokens, cost, waitMs, endCalls } of steps) {
          const held = await grantedOf(
            batch.map((at) => (three[at] as RedisLimiter).reserve(call([scope], tokens, cost))),
          );
          const at = {
            minute: Math.floor(clock.now() / 60_000),
            hour: Math.floor(clock.now() / 3_600_000),
          };
          for (const _ of held) grants.push({ ...at, tokens, cost });
          open.push(...held);
          expect(open.length).toBeLessThanOrEqual(limits.parallelRequests);
          if (endCalls) {
            for (const reservation of open)
              reservation.settle({ tokens: Number.NaN, costNanoUsd: Number.NaN });
            open = [];
          }
          for (let leftMs = waitMs; leftMs >= 0; leftMs -= 4000) {
            for (const limiter of three) await limiter.tend();
            clock.advance(Math.min(leftMs, 4000));
          }
        }
        for (const { minute, hour } of grants) {
          const inMinute = grants.filter((grant) => grant.minute === minute);
          const inHour = grants.filter((grant) => grant.hour === hour);
          expect(inMinute.length).toBeLessThanOrEqual(limits.requestsPerMinute);
          // One call alone may be larger than a minute.
          const sizes = inMinute.map((grant) => grant.tokens).filter((tokens) => tokens > 0);
          if (sizes.length > 1) expect(sum(sizes)).toBeLessThanOrEqual(limits.tokensPerMinute);
          expect(sum(inHour.map((grant) => grant.cost))).toBeLessThanOrEqual(9000);
        }
        await Promise.all(three.map((limiter) => limiter.close()));
      },
    );
    await expect(fc.assert(schedules, { numRuns: 40 })).resolves.toBeUndefined();
  });

  it('grants the keys of a team together what it has of a model, through whichever proxy they call', async () => {
    const limits = { requestsPerMinute: 90 };
    const ofTeam: LimitScope = {
      kind: 'team',
      id: 't',
      label: 'search',
      limits: {},
      modelLimits: { 'gpt-*': limits },
    };
    const keys = [
      keyRecord('one', { scopes: [ofTeam] }),
      keyRecord('two', { scopes: [ofTeam] }),
      keyRecord('own', { scopes: [ofTeam], modelLimits: { 'gpt-4o': limits } }),
    ];
    const snapshot = new Snapshot(catalogue(), new KeyTable(keys));
    const two = await proxies(2);
    const grantedTo = async (calls: number, of: readonly KeyRecord[]) => {
      const asked = Array.from({ length: calls }, (_, at) => {
        const [caller, limiter] = [of[at % of.length], two[(at >> 1) % 2]];
        const scopes = caller === undefined ? [] : scopesOf(caller, 'gpt-4o', snapshot);
        return limiter?.reserve({ scopes, tokens: 0, costNanoUsd: 0 }) ?? [];
      }).flat();
      return (await grantedOf(asked)).length;
    };
    expect(await grantedTo(200, keys.slice(0, 2))).toBe(90);
    expect(await grantedTo(200, keys.slice(2))).toBe(90);
    clock.advance(60_000);
    for (const limiter of two) await limiter.tend();
    expect(await grantedTo(400, keys)).toBe(180);
  });

  it('never grants more than a budget on the time of Redis, also when a proxy dies with a lease', async () => {
    const three = await proxies(3, { timeOf: 'redis', clock: { now: Date.now } });
    const payer = key({ budgets: [{ maxNanoUsd: 20_000 }] });
    let granted = 0;
    const ask = async (limiter: RedisLimiter | undefined): Promise<void> => {
      const answer = await limiter?.reserve(call([payer], 0, 7));
      if (answer !== undefined && isGranted(answer)) granted += 7;
    };
    for (let round = 0; round < 20; round += 1) {
      await Promise.all(Array.from({ length: 90 }, (_, at) => ask(three[at % 3])));
    }
    connections[2]?.client.disconnect();
    for (let round = 0; round < 30; round += 1) {
      await Promise.all(Array.from({ length: 90 }, (_, at) => ask(three[at % 2])));
    }
    expect(granted).toBeLessThanOrEqual(20_000);
    // What the dead one had leased may have been spent: it stays granted. It is a small part.
    expect(granted).toBeGreaterThan(15_000);
    const used = await connections[0]?.client.hget(
      'aigateway:limit:{api_key:k}:budget:total',
      'used',
    );
    expect(Number(used)).toBeLessThanOrEqual(20_000);
  });

  it('asks Redis for a busy key less than once in ten requests', async () => {
    const [limiter] = await proxies(2);
    const scope = key({
      requestsPerMinute: 6000,
      tokensPerMinute: 6_000_000,
      parallelRequests: 500,
    });
    const before = limiter?.roundTrips ?? 0;
    let grants = 0;
    for (let tick = 0; tick < 200; tick += 1) {
      for (let request = 0; request < 5; request += 1) {
        const answer = await limiter?.reserve(call([scope], 800));
        if (answer === undefined || !isGranted(answer)) throw new Error('refused');
        grants += 1;
        answer.settle({ tokens: 700, costNanoUsd: 0 });
      }
      clock.advance(50);
      if (tick % 5 === 0) await limiter?.tend();
    }
    expect(grants).toBe(1000);
    expect((limiter?.roundTrips ?? 0) - before).toBeLessThan(grants / 10);
  });

  it('asks no more often for a key whose budget its calls take nothing of', async () => {
    const [limiter] = await proxies(2);
    const scope = key({
      requestsPerMinute: 6000,
      tokensPerMinute: 6_000_000,
      budgets: [{ maxNanoUsd: 1e15 }],
    });
    const before = limiter?.roundTrips ?? 0;
    for (let request = 0; request < 500; request += 1) {
      const answer = await limiter?.reserve(call([scope], 800));
      if (answer === undefined || !isGranted(answer)) throw new Error('refused');
      answer.settle({ tokens: 700, costNanoUsd: 0 });
      // What is asked in the background has its answer before the next call.
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (request % 10 === 9) clock.advance(100);
    }
    expect((limiter?.roundTrips ?? 0) - before).toBeLessThan(50);
  });

  describe('a key that is called now and then', () => {
    const scope = (id: string): LimitScope =>
      key(
        {
          requestsPerMinute: 6000,
          tokensPerMinute: 6_000_000,
          budgets: [{ maxNanoUsd: 1e12, window: '1d' }],
        },
        id,
      );
    const usedOf = async (counter: string): Promise<number> =>
      Number(await connections[0]?.client.hget(`aigateway:limit:{api_key:k0}:${counter}`, 'used'));

    /** Every key is called once in a while through each proxy, beginning at an odd time. @returns how many calls waited */
    async function waitsOf(made: readonly RedisLimiter[], keys: number, forMs: number) {
      const everyMs = 4000;
      let [calls, waits] = [0, 0];
      for (let passedMs = 0; passedMs < forMs; passedMs += 250) {
        for (const limiter of made) await limiter.tend();
        clock.advance(125);
        for (const [at, limiter] of made.entries()) {
          for (let index = 0; index < keys; index += 1) {
            if ((passedMs + index * 750 + at * 250) % everyMs !== 0) continue;
            const answer = limiter.reserve(call([scope(`k${index}`)], 1000, 1000));
            calls += 1;
            if (answer instanceof Promise) waits += 1;
            const held = await answer;
            if (!isGranted(held)) throw new Error('refused');
            held.settle({ tokens: 800, costNanoUsd: 900 });
          }
        }
        clock.advance(125);
      }
      return { calls, waits };
    }

    it('waits for Redis with its first call only, over minutes, and asks for less than one in ten', async () => {
      const two = await proxies(2);
      const first = await waitsOf(two, 5, 59_000);
      expect(first.waits).toBe(10);
      const before = sum(two.map(({ roundTrips }) => roundTrips));
      const later = await waitsOf(two, 5, 180_000);
      expect(later).toEqual({ calls: 450, waits: 0 });
      // Each second of a proxy has a heartbeat of three calls.
      const asked = sum(two.map(({ roundTrips }) => roundTrips)) - before - 2 * 3 * 180;
      expect(asked).toBeLessThan(later.calls / 10);
    });

    it('keeps what few calls take, a small part of its limits, and returns it when it is not called any more', async () => {
      const [one, other] = await proxies(2);
      await waitsOf([one as RedisLimiter], 1, 59_000);
      clock.advance(2000);
      await one?.tend();
      const kept = { requests: await usedOf('requests'), tokens: await usedOf('tokens') };
      // A new minute, of which nothing was used: a part in 64 over all proxies, in whole calls.
      expect(kept.requests).toBeGreaterThan(0);
      expect(kept.requests).toBeLessThanOrEqual(6000 / 64 / 2);
      expect(kept.tokens).toBeLessThanOrEqual(6_000_000 / 64 / 2);
      const rest = Array.from({ length: 6000 }, () => other?.reserve(call([scope('k0')])));
      const granted = await grantedOf(rest.filter((answer) => answer !== undefined));
      expect(granted).toHaveLength(6000 - kept.requests);

      for (let second = 0; second < 120; second += 1) {
        clock.advance(1000);
        for (const limiter of limiters) await limiter.tend();
      }
      expect(await usedOf('budget:1d')).toBe(15 * 900);
    });
  });

  it('grants a small limit to whoever asks, to the last request', async () => {
    const three = await proxies(3);
    const scope = key({ requestsPerMinute: 20 });
    const calls = Array.from({ length: 90 }, (_, at) => three[at % 3]?.reserve(call([scope])));
    const held = await grantedOf(calls.filter((answer) => answer !== undefined));
    expect(held).toHaveLength(20);
  });

  it('returns a slice that is idle, so that another proxy may have it', async () => {
    const [first, second] = await proxies(2);
    const scope = key({ tokensPerMinute: 1000 });
    for (let request = 0; request < 40; request += 1) await first?.reserve(call([scope], 10));
    clock.advance(2000);
    await first?.tend();
    const rest = Array.from({ length: 60 }, () => second?.reserve(call([scope], 10)));
    expect(await grantedOf(rest.filter((answer) => answer !== undefined))).toHaveLength(60);
  });

  it('frees the slots of a proxy that is gone, and only then', async () => {
    const [gone, other] = await proxies(2);
    const scope = key({ parallelRequests: 2 });
    await gone?.reserve(call([scope]));
    await gone?.reserve(call([scope]));
    clock.advance(14_999);
    await other?.tend();
    expect(await other?.reserve(call([scope]))).toMatchObject({
      limitType: 'max_parallel_requests',
    });
    clock.advance(2);
    expect(await other?.reserve(call([scope]))).toHaveProperty('settle');
    expect(other?.live).toBe(1);
  });

  it('returns everything when it is closed', async () => {
    const [first, second] = await proxies(2);
    const scope = key({ requestsPerMinute: 1000 });
    for (let request = 0; request < 30; request += 1) await first?.reserve(call([scope]));
    await first?.close();
    const used = await connections[0]?.client.hget('aigateway:limit:{api_key:k}:requests', 'used');
    expect(used).toBe('30');
    expect(await second?.reserve(call([scope]))).toHaveProperty('settle');
  });

  describe('while Redis does not answer', () => {
    const scope = key({ requestsPerMinute: 30 });
    const answerMs = 200;

    it('closed: refuses with 503 in bounded time, and goes on when Redis is back', async () => {
      const limiter = await proxy({ answerMs });
      process.kill(server.pid, 'SIGSTOP');
      await expect(limiter.reserve(call([scope]))).rejects.toMatchObject({
        code: 'limiter_unavailable',
      });
      expect(() => limiter.reserve(call([scope]))).toThrow('cannot tell');
      expect(limiter.reserve(call([key({})]))).toHaveProperty('settle');
      process.kill(server.pid, 'SIGCONT');
      await tendUntil(limiter, () => events.includes('redis_back'));
      expect(await limiter.reserve(call([scope]))).toHaveProperty('settle');
      expect(events).toEqual(['redis_away', 'redis_back']);
    });

    it('local: grants what is leased, then from the next minute on each proxy its share', async () => {
      const three = await proxies(3, { withoutRedis: 'local', answerMs });
      await three[0]?.reserve(call([scope]));
      process.kill(server.pid, 'SIGSTOP');
      for (const limiter of three) {
        // Others may have been granted all that was left of the minute.
        expect(await limiter.reserve(call([scope]))).toMatchObject({ refused: true });
      }
      clock.advance(60_000);
      const calls = Array.from({ length: 90 }, (_, at) => three[at % 3]?.reserve(call([scope])));
      expect(await grantedOf(calls.filter((answer) => answer !== undefined))).toHaveLength(30);

      // What was granted without Redis is not granted again by it.
      process.kill(server.pid, 'SIGCONT');
      for (const limiter of three) {
        await tendUntil(limiter, () => !limiter.isAway);
      }
      for (const limiter of three)
        expect(await limiter.reserve(call([scope]))).toHaveProperty('refused');
      clock.advance(60_000);
      expect(await three[0]?.reserve(call([scope]))).toHaveProperty('settle');
    });

    it('local: divides budgets, which are charged when Redis is back', async () => {
      const two = await proxies(2, { withoutRedis: 'local', answerMs });
      const payer = key({ budgets: [{ maxNanoUsd: 100, window: '1d' }] });
      process.kill(server.pid, 'SIGSTOP');
      await two[0]?.reserve(call([payer], 0, 1));
      expect(await two[0]?.reserve(call([payer], 0, 49))).toHaveProperty('settle');
      expect(await two[0]?.reserve(call([payer], 0, 1))).toMatchObject({ limitType: 'budget' });
      process.kill(server.pid, 'SIGCONT');
      await tendUntil(two[0] as RedisLimiter, () => events.includes('redis_back'));
      clock.advance(60_000);
      await two[0]?.tend();
      await tendUntil(two[1] as RedisLimiter, () => two[1]?.isAway === false);
      expect(await two[1]?.reserve(call([payer], 0, 51))).toMatchObject({ remaining: 50 });
    });
  });

  it('a Redis that lost its data: the minute counts as granted, budgets are told anew', async () => {
    const two = await proxies(2);
    const [first, second] = two as [RedisLimiter, RedisLimiter];
    const scope = key({ requestsPerMinute: 10 });
    const payer = key({ budgets: [{ maxNanoUsd: 100, window: '1d' }] }, 'payer');
    for (const limiter of two) await limiter.reserve(call([scope]));
    await first.reserve(call([payer], 0, 30));
    await second.reserve(call([payer], 0, 40));

    await server.stop();
    server = await startRedis({ port: server.port });
    for (const limiter of two) {
      const before = events.filter((type) => type === 'redis_lost_data').length;
      await tendUntil(
        limiter,
        () => events.filter((type) => type === 'redis_lost_data').length > before,
      );
      expect(await limiter.reserve(call([scope]))).toMatchObject({ limitType: 'requests' });
      await limiter.tend();
    }
    clock.advance(60_000);
    for (const limiter of two) await limiter.tend();
    expect(await first.reserve(call([scope]))).toHaveProperty('settle');
    expect(await second.reserve(call([payer], 0, 31))).toMatchObject({ limit: 100, remaining: 30 });
    expect(await second.reserve(call([payer], 0, 30))).toHaveProperty('settle');
  });

  it('a loss that every holder notices is told once', async () => {
    const limiter = await proxy();
    const payers = [1, 2, 3].map((at) => key({ budgets: [{ maxNanoUsd: 10 }] }, `payer-${at}`));
    const ask = async () => {
      for (const payer of payers) await limiter.reserve(call([payer], 0, 1));
    };
    await ask();
    await connections[0]?.client.flushall();
    await ask();
    await limiter.tend();
    expect(events).toEqual(['redis_lost_data']);
  });

  describe('a proxy that starts when Redis has just lost its data', () => {
    const scope = key({ requestsPerMinute: 10 });

    it('learns from one that was there that the minute counts as granted, and grants from the next on', async () => {
      const lasting = await proxy();
      expect(await lasting.reserve(call([scope]))).toHaveProperty('settle');
      await connections[0]?.client.flushall();
      // With a lease or the next beat, whichever comes first.
      expect(await lasting.reserve(call([scope]))).toHaveProperty('refused');
      await lasting.tend();
      const started = await proxy();
      const refused = await started.reserve(call([scope]));
      expect(refused).toMatchObject({ limitType: 'requests', retryAfterMs: 60_000 });
      expect(events.filter((type) => type === 'redis_lost_data')).toHaveLength(2);
      clock.advance(59_999);
      expect(await started.reserve(call([scope]))).toHaveProperty('refused');
      clock.advance(1);
      expect(await started.reserve(call([scope]))).toHaveProperty('settle');
    });

    it('knows it from its own directory, when nobody else is there', async () => {
      const again = await proxy({ grantedOfLate: true });
      expect(await again.reserve(call([scope]))).toHaveProperty('refused');
      clock.advance(60_000);
      expect(await again.reserve(call([scope]))).toHaveProperty('settle');
    });

    it('knows it from the server, when that has taken the place of another', async () => {
      const first = await proxy();
      expect(await first.reserve(call([scope]))).toHaveProperty('settle');
      // A replica has the data, and a run id of its own.
      await connections[0]?.client.hset(limitsKnownKey, 'run', 'another');
      const started = await proxy();
      expect(await started.reserve(call([scope]))).toHaveProperty('refused');
    });

    it('asks before it grants anything, however early a call comes', async () => {
      await proxy({ grantedOfLate: true });
      const connection = await connectRedis({ ...parseRedisUrl(server.url), answerMs: 10_000 });
      connections.push(connection);
      await ready(connection);
      const early = createRedisLimiter({
        redis: connection.client,
        clock,
        timeOf: 'clock',
        withoutRedis: 'closed',
        tendMs: 0,
        answerMs: 10_000,
      });
      limiters.push(early);
      expect(await early.reserve(call([scope]))).toHaveProperty('refused');
    });

    it('grants at once where nothing can have been granted, and where nothing was lost', async () => {
      expect(await (await proxy()).reserve(call([scope]))).toHaveProperty('settle');
      const restarted = await proxy({ grantedOfLate: true });
      expect(await restarted.reserve(call([scope]))).toHaveProperty('settle');
    });
  });
});

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

async function ready({ client }: RedisConnection): Promise<void> {
  if (client.status !== 'ready')
    await new Promise<void>((resolve) => client.once('ready', () => resolve()));
}
