import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  usageLeaseKey,
  usageProducersKey,
  usageRefusedKey,
  usageStreamKey,
} from '@aigateway/contract/channels';
import type { UsageRecord } from '@aigateway/contract/usage';
import { UsageSigner } from '@aigateway/contract/usage-signing';
import fc from 'fast-check';
import { Cluster, Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Ledger } from '../../../control-plane/src/store/ledger.ts';
import { createSqliteStore } from '../../../control-plane/src/store/sqlite/sqlite-store.ts';
import { createUsageConsumer } from '../../../control-plane/src/usage/consumer.ts';
import type { MissingEvents } from '../../../control-plane/src/usage/set-aside.ts';
import { openUsageSpool, type UsageSpool } from '../../src/stores/file/spool.ts';
import { createRedisTransport } from '../../src/stores/redis/usage-transport.ts';
import { startCluster } from '../servers/redis-cluster.ts';
import { hasRedisServer, startRedis, type RedisServer } from '../servers/redis-server.ts';
import { CountingLedger, openedCall, usageRecord, usageSecret } from '../usage.fixture.ts';

describe.skipIf(!hasRedisServer)('usage through Redis', () => {
  let server: RedisServer;
  let redis: Redis;
  let directory: string;
  let ledger: CountingLedger;
  let closing: (() => Promise<unknown>)[];
  let troubles: unknown[];

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.port);
  });
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });
  beforeEach(async () => {
    await redis.flushall();
    directory = await mkdtemp(join(tmpdir(), 'aigateway-usage-'));
    ledger = new CountingLedger();
    closing = [];
    troubles = [];
    missing = [];
  });
  afterEach(async () => {
    for (const close of closing.toReversed()) await close();
    await rm(directory, { recursive: true });
  });

  async function produce(
    name = 'one',
    options: { mostWaiting?: number; segmentBytes?: number } = {},
  ) {
    const { segmentBytes, ...sending } = options;
    const spool = await openUsageSpool({
      directory: join(directory, name),
      transport: createRedisTransport({ redis, secret: usageSecret, ...sending }),
      shipMs: 3_600_000,
      ...(segmentBytes !== undefined && { segmentBytes }),
      onTrouble: (error) => error !== undefined && troubles.push(error),
    });
    closing.push(() => spool.close());
    return spool;
  }

  let missing: MissingEvents[];

  function consume(into: Pick<Ledger, 'append'> = ledger, now?: () => number) {
    const consumer = createUsageConsumer({
      redis,
      ledger: into,
      secret: usageSecret,
      pollMs: 0,
      onTrouble: (error) => troubles.push(error),
      onMissing: (events) => missing.push(events),
      ...(now !== undefined && { now }),
    });
    closing.push(() => consumer.close());
    return consumer;
  }

  function call(spool: UsageSpool, requestId: string): void {
    spool.settle(usageRecord(requestId), spool.open(openedCall(requestId), 1));
  }

  /** Until everything that was ended is counted and everybody knows. */
  async function settle(spools: readonly UsageSpool[], consumer = consume()): Promise<void> {
    const isDone = () => spools.every((spool) => spool.standing().mark === spool.standing().last);
    for (let round = 0; round < 100 && !isDone(); round += 1) {
      await Promise.all(spools.map((spool) => spool.ship()));
      await consumer.take();
    }
    expect(spools.map((spool) => spool.standing().mark)).toEqual(
      spools.map((spool) => spool.standing().last),
    );
  }

  const names = (count: number, prefix = 'r') =>
    Array.from({ length: count }, (_, index) => `${prefix}${index}`);

  it('reaches the ledger, and the producer learns that it may forget', async () => {
    const spool = await produce();
    for (const requestId of names(1_200)) call(spool, requestId);
    await spool.ship();
    expect(await consume().take()).toBe(1_200);
    expect(ledger.requestIds()).toEqual(names(1_200));
    await spool.ship();
    expect(spool.standing()).toMatchObject({ last: 1_200, mark: 1_200 });
    const { producer } = spool.standing();
    expect(await redis.xlen(usageStreamKey(producer))).toBe(0);
    expect(await redis.exists(usageLeaseKey(producer))).toBe(0);
    expect(troubles).toEqual([]);
  });

  it('goes through a cluster as well', async () => {
    const nodes = await startCluster();
    closing.unshift(() => nodes.stop());
    const cluster = new Cluster([{ host: '127.0.0.1', port: nodes.port }]);
    closing.push(async () => cluster.disconnect());
    const transport = createRedisTransport({ redis: cluster, secret: usageSecret });
    const spool = await openUsageSpool({ directory, transport, shipMs: 3_600_000 });
    closing.push(() => spool.close());
    for (const requestId of names(3)) call(spool, requestId);
    await spool.ship();
    const consumer = createUsageConsumer({
      redis: cluster,
      ledger,
      secret: usageSecret,
      pollMs: 0,
    });
    expect(await consumer.take()).toBe(3);
    await spool.ship();
    expect(spool.standing().mark).toBe(3);
  });

  it('is counted once in a real store, whoever reads it', async () => {
    const store = await createSqliteStore({ path: join(directory, 'store.db') });
    closing.unshift(() => store.close());
    const spool = await produce();
    for (const requestId of names(700)) call(spool, requestId);
    await spool.ship();
    const consumers = [consume(store.ledger), consume(store.ledger), consume(store.ledger)];
    await Promise.all(consumers.map((consumer) => consumer.take()));
    await settle([spool], consumers[0]);
    const { costNanoUsd } = usageRecord('');
    expect(await store.ledger.mark(spool.standing().producer)).toBe(700);
    expect(await store.ledger.spend({ dimension: 'key', ids: ['k1'] })).toEqual(
      new Map([['k1', 700 * costNanoUsd]]),
    );
  });

  it('is sent again when Redis lost it, and counted once when it had been counted', async () => {
    const spool = await produce();
    for (const requestId of names(5, 'a')) call(spool, requestId);
    await settle([spool]);
    for (const requestId of names(5, 'b')) call(spool, requestId);
    await spool.ship();
    await consume().take();
    for (const requestId of names(5, 'c')) call(spool, requestId);
    await spool.ship();
    await redis.flushall();
    await settle([spool]);
    expect(ledger.requestIds()).toEqual([...names(5, 'a'), ...names(5, 'b'), ...names(5, 'c')]);
  });

  it('is sent again from where Redis went back to', async () => {
    const spool = await produce();
    const stream = usageStreamKey(spool.standing().producer);
    for (const requestId of names(3, 'a')) call(spool, requestId);
    await spool.ship();
    const before = (await redis.dumpBuffer(stream)) ?? Buffer.alloc(0);
    for (const requestId of names(3, 'b')) call(spool, requestId);
    await spool.ship();
    // A replica that had not yet seen the last of it has become the master.
    await redis.restore(stream, 0, before, 'REPLACE');
    await settle([spool]);
    expect(ledger.requestIds()).toEqual([...names(3, 'a'), ...names(3, 'b')]);
  });

  it('is sent again as far as its disk has it when the store was put back, and counted once', async () => {
    const spool = await produce();
    const { producer } = spool.standing();
    for (const requestId of names(6, 'a')) call(spool, requestId);
    await settle([spool]);
    ledger.putBack(producer, 2);
    for (const requestId of names(2, 'b')) call(spool, requestId);
    // Two control planes, neither of which knows what the other has asked for.
    const [one, two] = [consume(), consume()];
    for (let round = 0; round < 10; round += 1) {
      await spool.ship();
      await one.take();
      await two.take();
    }
    expect(ledger.requestIds()).toEqual([...names(6, 'a').slice(2), ...names(2, 'b')]);
    expect(spool.standing()).toMatchObject({ producer, last: 8, mark: 8 });
    expect([missing, one.standing().missing, troubles]).toEqual([[], 0, []]);
  });

  it('goes on without what no disk has any more when the store was put back, and says what is missing', async () => {
    // A file holds one event: what is counted is dropped at once.
    const spool = await produce('one', { segmentBytes: 1 });
    const { producer } = spool.standing();
    for (const requestId of names(6, 'a')) {
      call(spool, requestId);
      await settle([spool]);
    }
    ledger.putBack(producer, 2);
    call(spool, 'b');
    const consumer = consume();
    await settle([spool], consumer);
    // The newest file is kept until there is another.
    const kept = ledger.requestIds();
    expect(kept.at(-1)).toBe('b');
    const to = 7 - kept.length;
    expect(to).toBeGreaterThan(2);
    expect(missing).toEqual([{ producer, from: 3, to }]);
    expect(consumer.standing().missing).toBe(to - 2);
    // Once: what comes now leads on.
    call(spool, 'c');
    await settle([spool], consumer);
    expect(ledger.requestIds()).toEqual([...kept, 'c']);
    expect([missing.length, troubles]).toEqual([1, []]);
  });

  it('goes on without what a proxy of the release before has dropped', async () => {
    const transport = createRedisTransport({ redis, secret: usageSecret });
    const event = (sequence: number) => ({ sequence, record: usageRecord(`r${sequence}`) });
    const consumer = consume();
    await transport.append('before', [1, 2, 3].map(event), 0);
    await consumer.take();
    ledger.putBack('before', 1);
    // It gives nothing that was counted again.
    for (let round = 0; round < 2; round += 1) {
      await transport.append('before', [4, 5].map(event), 3);
      await consumer.take();
    }
    expect(ledger.requestIds()).toEqual(['r4', 'r5']);
    expect(missing).toEqual([{ producer: 'before', from: 2, to: 3 }]);
  });

  it('waits on the disk of its producer when nobody takes it in', async () => {
    const spool = await produce('one', { mostWaiting: 10 });
    for (const requestId of names(25)) call(spool, requestId);
    await spool.ship();
    expect(await redis.xlen(usageStreamKey(spool.standing().producer))).toBe(10);
    await settle([spool]);
    expect(ledger.requestIds()).toEqual(names(25));
  });

  it('leaves a producer’s events to the one that took them up first', async () => {
    const spool = await produce();
    call(spool, 'a');
    await spool.ship();
    const lease = usageLeaseKey(spool.standing().producer);
    await redis.set(lease, 'another');
    expect(await consume().take()).toBe(0);
    expect(await redis.get(lease)).toBe('another');
    await redis.del(lease);
    expect(await consume().take()).toBe(1);
  });

  it('is counted once when its control plane ends between counting and saying so', async () => {
    const spool = await produce();
    for (const requestId of names(3)) call(spool, requestId);
    await spool.ship();
    const dying = new Redis(server.port, { retryStrategy: null });
    const consumer = createUsageConsumer({
      redis: dying,
      secret: usageSecret,
      ledger: {
        append: async (producer, events) => {
          const mark = await ledger.append(producer, events);
          dying.disconnect();
          return mark;
        },
      },
      pollMs: 0,
    });
    await consumer.take();
    const { producer } = spool.standing();
    expect(await redis.xlen(usageStreamKey(producer))).toBe(3);
    // Its lease ends by itself.
    expect(await redis.pttl(usageLeaseKey(producer))).toBeGreaterThan(0);
    await redis.del(usageLeaseKey(producer));
    await settle([spool]);
    expect(ledger.requestIds()).toEqual(names(3));
  });

  it('goes on with the other producers when one’s events fail', async () => {
    const [bad, good] = [await produce('bad'), await produce('good')];
    call(bad, 'bad');
    call(good, 'good');
    await Promise.all([bad.ship(), good.ship()]);
    const consumer = consume({
      append: (producer, events) =>
        producer === bad.standing().producer
          ? Promise.reject(new Error('no'))
          : ledger.append(producer, events),
    });
    expect(await consumer.take()).toBe(1);
    expect(await consumer.take()).toBe(0);
    expect(ledger.requestIds()).toEqual(['good']);
    expect(troubles).toHaveLength(1);
  });

  it('counts nothing that no proxy signed, and loses nothing by it', async () => {
    const [one, other] = [await produce('one'), await produce('other')];
    call(one, 'a');
    call(other, 'b');
    call(other, 'c');
    await Promise.all([one.ship(), other.ship()]);
    const own = usageStreamKey(one.standing().producer);
    const invented = JSON.stringify({ ...usageRecord('invented'), costNanoUsd: 1e9 });
    await redis.xadd(own, '2-0', 'record', invented, 'mac', 'a'.repeat(43));
    const consumer = consume();
    await consumer.take();
    await settle([one, other], consumer);
    call(one, 'd');
    call(one, 'e');
    await settle([one, other], consumer);
    expect(ledger.requestIds().toSorted()).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(consumer.standing()).toMatchObject({ refused: 1, waiting: 0, producers: 2 });
    const [[, kept] = []] = await redis.xrange(usageRefusedKey, '-', '+');
    expect(kept).toContain('not signed by a proxy');
  });

  it('refuses a proxy’s event that stands as another one’s, or a second time', async () => {
    const [one, other] = [await produce('one'), await produce('other')];
    call(one, 'a');
    call(other, 'b');
    call(other, 'c');
    await Promise.all([one.ship(), other.ship()]);
    const stream = usageStreamKey(one.standing().producer);
    const [, second] = await redis.xrange(usageStreamKey(other.standing().producer), '-', '+');
    await redis.xadd(stream, '2-0', ...(second?.[1] ?? []));
    const consumer = consume();
    await consumer.take();
    const [first] = await redis.xrange(stream, '-', '+');
    expect(first).toBeUndefined();
    await settle([one, other], consumer);
    expect(ledger.requestIds().toSorted()).toEqual(['a', 'b', 'c']);
    expect(consumer.standing().refused).toBe(1);
  });

  it('sets aside what its ledger refuses, and goes on', async () => {
    const store = await createSqliteStore({ path: join(directory, 'store.db') });
    closing.unshift(() => store.close());
    const spool = await produce();
    call(spool, 'a');
    spool.settle({ ...usageRecord('bad'), costNanoUsd: -1 }, spool.open(openedCall('bad'), 1));
    call(spool, 'c');
    await spool.ship();
    const { producer } = spool.standing();
    // A proxy's signature under what no proxy writes: a fault of ours, which stops nobody either.
    const broken = '{"broken';
    const mac = new UsageSigner(usageSecret).sign(producer, 4, broken);
    await redis.xadd(usageStreamKey(producer), '4-0', 'record', broken, 'mac', mac);
    const consumer = consume(store.ledger);
    await consumer.take();
    expect(await store.ledger.mark(producer)).toBe(4);
    const { rows } = await store.ledger.logs({ limit: 10 });
    expect(rows.map(({ requestId }) => requestId).toSorted()).toEqual(
      ['a', 'c', `refused-${producer}-2`, `refused-${producer}-4`].toSorted(),
    );
    expect(await store.ledger.spend({ dimension: 'key', ids: ['refused_usage'] })).toEqual(
      new Map(),
    );
    expect(consumer.standing().refused).toBe(2);
    expect(await redis.xlen(usageRefusedKey)).toBe(2);
    expect(troubles).toEqual([]);
  });

  it('keeps its events when somebody claims to have ones that were never given', async () => {
    const spool = await produce();
    call(spool, 'a');
    await spool.ship();
    const stream = usageStreamKey(spool.standing().producer);
    await redis.xadd(stream, '1000-0', 'record', '{}');
    await spool.ship();
    expect(spool.standing()).toMatchObject({ last: 1, mark: 0 });
    expect(troubles).toHaveLength(1);
  });

  it('forgets a producer that is gone for a week, and not before all of its events are counted', async () => {
    const spool = await produce();
    const { producer } = spool.standing();
    call(spool, 'a');
    await spool.ship();
    const later = Date.now() + 8 * 86_400_000;
    await consume(ledger, () => later).take();
    expect(await redis.zscore(usageProducersKey, producer)).not.toBeNull();
    await consume(ledger, () => later).take();
    expect(await redis.keys('*')).toEqual([]);
    // Should it come back, it goes on where it was.
    call(spool, 'b');
    await settle([spool]);
    expect(ledger.requestIds()).toEqual(['a', 'b']);
  });

  it('gives exact totals whatever fails between a proxy and the store', async () => {
    const step = fc.constantFrom(
      'call 0',
      'call 1',
      'call 0',
      'call 1',
      'ship 0',
      'ship 1',
      'take',
      'take of another',
      'fail before',
      'fail after',
      'restart 0',
      'flush',
      'lose a stream',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 80 }), async (steps) => {
        await redis.flushall();
        ledger = new CountingLedger();
        const run = await mkdtemp(join(directory, 'run-'));
        const start = (index: number) => produce(join(run.slice(directory.length), `${index}`));
        const spools = [await start(0), await start(1)] as const;
        const current: [UsageSpool, UsageSpool] = [...spools];
        const consumers = [consume(), consume()] as const;
        const expected: string[] = [];
        for (const one of steps) {
          const at = one.endsWith('1') ? 1 : 0;
          if (one.startsWith('call')) {
            expected.push(`r${expected.length}`);
            call(current[at], expected.at(-1) ?? '');
          } else if (one.startsWith('ship')) {
            await current[at].ship();
          } else if (one.startsWith('take')) {
            await consumers[one === 'take' ? 0 : 1].take();
          } else if (one === 'fail before' || one === 'fail after') {
            ledger.failNext(one);
          } else if (one === 'restart 0') {
            await current[0].close();
            current[0] = await start(0);
          } else if (one === 'flush') {
            await redis.flushall();
          } else {
            await redis.del(usageStreamKey(current[0].standing().producer));
          }
        }
        await settle(current, consumers[0]);
        expect(ledger.requestIds().toSorted()).toEqual(expected.toSorted());
        const cost = ({ costNanoUsd }: UsageRecord) => costNanoUsd;
        const total = ledger.records.map(cost).reduce((sum, one) => sum + one, 0);
        expect(total).toBe(expected.length * usageRecord('').costNanoUsd);
        for (const close of closing.splice(0).toReversed()) await close();
      }),
      { numRuns: 40 },
    );
  });
});
