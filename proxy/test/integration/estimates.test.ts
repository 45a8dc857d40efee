import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { estimateLifeMs, type Clock, type Estimates } from '../../src/ports.ts';
import { openEstimates } from '../../src/stores/file/estimates.ts';
import { MemoryEstimates } from '../../src/stores/memory/estimates.ts';
import { createRedisEstimates } from '../../src/stores/redis/estimates.ts';
import { stillClock } from '../gateway-under-test.ts';
import { hasRedisServer, startRedis, type RedisServer } from '../servers/redis-server.ts';
import { usageRecord } from '../usage.fixture.ts';

/** What is held until the usage of a response is known. */
function describeEstimates(name: string, create: () => Promise<Estimates>): void {
  describe(`estimates ${name}`, () => {
    it('are found until one of all that drop them has', async () => {
      const estimates = await create();
      await estimates.hold('one', usageRecord('first'));
      await estimates.hold('two', usageRecord('second'));
      expect(await estimates.find('one')).toEqual(usageRecord('first'));
      expect(await estimates.find('three')).toBeUndefined();
      const drops = await Promise.all([estimates.drop('one'), estimates.drop('one')]);
      expect(drops.filter(Boolean)).toHaveLength(1);
      expect(await estimates.find('one')).toBeUndefined();
      expect(await estimates.find('two')).toEqual(usageRecord('second'));
    });
  });
}

const early: Clock = { now: () => 1 };

describeEstimates('in memory', () => Promise.resolve(new MemoryEstimates(early)));

describe('estimates in memory', () => {
  it('are as many as there may be, the newest, for as long as Azure keeps responses', async () => {
    const clock = stillClock();
    const estimates = new MemoryEstimates(clock, 2);
    const record = { ...usageRecord('x'), startedAt: clock.now() };
    for (const id of ['one', 'two', 'three']) await estimates.hold(id, record);
    expect(await estimates.find('one')).toBeUndefined();
    expect(await estimates.find('two')).toEqual(record);
    clock.advance(estimateLifeMs);
    expect(await estimates.find('three')).toBeUndefined();
  });
});

describe('estimates in a file', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'aigateway-estimates-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  describeEstimates('in a file', () => openEstimates(directory, early));

  it('are those of the process before, but for what was dropped, cut off or is too old', async () => {
    const now = Date.now();
    const record = (id: string) => ({ ...usageRecord(id), startedAt: now });
    const before = await openEstimates(directory, { now: () => now });
    await before.hold('kept', record('kept'));
    await before.hold('dropped', record('dropped'));
    await before.hold('old', { ...record('old'), startedAt: now - estimateLifeMs });
    await before.drop('dropped');
    const path = join(directory, 'estimates.jsonl');
    await appendFile(path, '{"id":"kept","rec');

    const estimates = await openEstimates(directory, { now: () => now });
    expect(await estimates.find('kept')).toEqual(record('kept'));
    expect(await estimates.find('dropped')).toBeUndefined();
    expect(await estimates.find('old')).toBeUndefined();
    expect((await readFile(path, 'utf8')).trim().split('\n')).toHaveLength(1);
  });

  it('do not fill the disk while a process goes on, and are all there after it', async () => {
    const estimates = await openEstimates(directory, early);
    const path = join(directory, 'estimates.jsonl');
    const linesNow = async () => (await readFile(path, 'utf8')).trim().split('\n').length;
    const many = 12_000;
    // All at once, so that some come while the file is written anew.
    const turns = Array.from({ length: many }, async (_, at) => {
      const id = `estimate-${at}`;
      await estimates.hold(id, usageRecord(id));
      if (at % 100 !== 0) await estimates.drop(id);
    });
    await Promise.all(turns);
    expect(await linesNow()).toBeLessThan(2 * many - many / 100 - 1);
    const after = await openEstimates(directory, early);
    for (let at = 0; at < many; at += 1) {
      const id = `estimate-${at}`;
      expect((await after.find(id))?.requestId).toBe(
        at % 100 === 0 ? usageRecord(id).requestId : undefined,
      );
    }
    expect(await linesNow()).toBe(many / 100);
  });
});

describe.skipIf(!hasRedisServer)('estimates in Redis', () => {
  let server: RedisServer;
  let redis: Redis;
  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.port);
  });
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  describeEstimates('in Redis', () => Promise.resolve(createRedisEstimates(redis)));

  it('go when Azure no longer keeps the response', async () => {
    await createRedisEstimates(redis).hold('mortal', usageRecord('mortal'));
    const left = await redis.pttl('aigateway:estimate:mortal');
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(estimateLifeMs);
  });
});
