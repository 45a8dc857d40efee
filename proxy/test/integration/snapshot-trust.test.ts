import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  snapshotCatalogueKey,
  snapshotHashesKey,
  snapshotHeadKey,
  snapshotKeysKey,
  snapshotLogKey,
} from '@aigateway/contract/channels';
import { SnapshotSigner } from '@aigateway/contract/signing';
import { SnapshotUnavailableError } from '@aigateway/contract/snapshot';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { catalogue, Follower, keyRecord, listed } from '../../../contract/test/snapshot.fixture.ts';
import {
  createRedisPublisher,
  type RedisPublisher,
} from '../../../control-plane/src/publish/redis.ts';
import {
  createRedisSource,
  type RedisSourceOptions,
  type SnapshotEvent,
} from '../../src/stores/redis/snapshot-source.ts';
import { hasRedisServer, startRedis, type RedisServer } from '../servers/redis-server.ts';

const secret = { current: 'a root secret of more than 32 bytes' };
const otherSecret = { current: 'another root secret of more than 32 bytes' };

describe.skipIf(!hasRedisServer)('a proxy that reads its snapshot from Redis', () => {
  let server: RedisServer;
  let redis: Redis;
  let publisher: RedisPublisher;
  let directory: string;
  let closing: (() => Promise<unknown> | void)[];

  beforeEach(async () => {
    closing = [];
    directory = await mkdtemp(join(tmpdir(), 'aigateway-snapshot-'));
    server = await startRedis();
    redis = connect();
    publisher = publish();
  });
  afterEach(async () => {
    for (const close of closing.toReversed()) await close();
    await server.stop();
    await rm(directory, { recursive: true });
  });

  function connect(): Redis {
    const client = new Redis(server.port, {
      retryStrategy: () => 5,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: true,
    });
    client.on('error', () => undefined);
    closing.push(() => client.disconnect());
    return client;
  }

  function publish(options: Partial<Parameters<typeof createRedisPublisher>[0]> = {}) {
    const created = createRedisPublisher({ redis, secret, renewMs: 0, ...options });
    closing.push(() => created.close());
    return created;
  }

  function follow(options: Partial<RedisSourceOptions> = {}) {
    const follower = new Follower();
    const events: SnapshotEvent[] = [];
    let waiting: { holds: (event: SnapshotEvent) => boolean; resolve: () => void }[] = [];
    const source = createRedisSource({
      redis,
      secret,
      pollMs: 2,
      onEvent: (event) => {
        events.push(event);
        for (const { holds, resolve } of waiting) if (holds(event)) resolve();
        waiting = waiting.filter(({ holds }) => !holds(event));
      },
      ...options,
    });
    closing.push(() => source.close());
    const event = async (expected: Partial<SnapshotEvent>): Promise<void> => {
      const holds = (given: SnapshotEvent) =>
        Object.entries(expected).every(
          ([name, value]) => given[name as keyof SnapshotEvent] === value,
        );
      if (events.some(holds)) return;
      await new Promise<void>((resolve) => waiting.push({ holds, resolve }));
    };
    return { source, follower, events, event, started: source.start(follower) };
  }

  const put = (keyId: string, overrides = {}) =>
    publisher.publish([{ kind: 'key', keyId, key: keyRecord(keyId, overrides) }]);
  const remove = (keyId: string) => publisher.publish([{ kind: 'key', keyId, key: undefined }]);

  async function generation(): Promise<number> {
    return Number(await redis.hget(snapshotHeadKey, 'generation'));
  }

  it('believes nothing that another secret signed, and serves once its own did', async () => {
    await publish({ secret: otherSecret }).republish(listed(keyRecord('evil')), catalogue());
    const { source, follower, event, started } = follow();
    await event({ kind: 'refused', reason: 'forged' });
    expect(source.standing()).toMatchObject({ revision: 0, refused: 1 });
    await publisher.republish(listed(keyRecord('a')), catalogue());
    await started;
    expect([...follower.keys.keys()]).toEqual(['a']);
  });

  it('takes what the previous secret signed while the secret is being changed', async () => {
    await publisher.republish(listed(keyRecord('a')), catalogue());
    const both = { current: otherSecret.current, previous: secret.current };
    const { follower, started } = follow({ secret: both });
    await started;
    const next = publish({ secret: both });
    // 0 asks for everything anew, so that nothing is left of the old secret.
    expect(await next.revision()).toBe(0);
    await next.publish([{ kind: 'key', keyId: 'b', key: keyRecord('b') }]);
    expect(await next.revision()).toBe(0);
    await follower.until(() => follower.keys.has('b'));
    const last = await next.republish(listed(keyRecord('a'), keyRecord('b')), catalogue());
    expect(await next.revision()).toBe(last);
    const only = follow({ secret: otherSecret });
    await only.started;
    expect(only.follower.keys.size).toBe(2);
  });

  it('refuses a forged record and keeps what it holds', async () => {
    await publisher.republish(listed(keyRecord('a', { blocked: true })), catalogue());
    const { source, follower, event, started } = follow();
    await started;
    const forged = new SnapshotSigner(otherSecret).sign('key', 'a', {
      schemaVersion: 1,
      revision: follower.revision + 1,
      body: JSON.stringify(keyRecord('a')),
    });
    await redis.hset(snapshotKeysKey(await generation()), 'a', forged);
    await redis.hset(snapshotHeadKey, 'generation', 1);
    await event({ kind: 'refused', reason: 'forged', subject: 'head' });
    await event({ kind: 'refused', reason: 'forged', subject: 'key a' });
    expect(follower.keys.get('a')?.blocked).toBe(true);
    expect(source.standing().refused).toBeGreaterThan(0);
  });

  it('refuses a record put back to what it was, at the start as well as after', async () => {
    await publisher.republish(listed(keyRecord('a'), keyRecord('b')), catalogue());
    const keys = snapshotKeysKey(await generation());
    const old = (await redis.hget(keys, 'a')) ?? '';
    const { follower, event, started } = follow();
    await started;
    await put('a', { blocked: true });
    await follower.until(() => follower.keys.get('a')?.blocked === true);
    await redis.hset(keys, 'a', old);
    const late = follow();
    await late.event({ kind: 'refused', reason: 'omitted' });
    expect(late.source.standing().revision).toBe(0);
    // Who runs holds what it has seen, whatever stands in Redis.
    await put('b', { blocked: true });
    await follower.until(() => follower.keys.get('b')?.blocked === true);
    expect(follower.keys.get('a')?.blocked).toBe(true);
    // And does not take the old record when it can no longer follow the changes.
    await redis.del(snapshotLogKey);
    await redis.hset(snapshotHeadKey, 'revision', 1);
    await event({ kind: 'refused', reason: 'forged', subject: 'head' });
    expect(follower.keys.get('a')?.blocked).toBe(true);
  });

  it('refuses a snapshot from which a record was taken away', async () => {
    await publisher.republish(listed(keyRecord('a'), keyRecord('b')), catalogue());
    await redis.hdel(snapshotKeysKey(await generation()), 'b');
    const { event, source } = follow();
    await event({ kind: 'refused', reason: 'omitted' });
    expect(source.standing().revision).toBe(0);
  });

  it('refuses a record under another key’s name', async () => {
    await publisher.republish(listed(keyRecord('a'), keyRecord('b')), catalogue());
    const keys = snapshotKeysKey(await generation());
    await redis.hset(keys, 'b', (await redis.hget(keys, 'a')) ?? '');
    const { event, source } = follow();
    await event({ kind: 'refused', reason: 'forged', subject: 'key b' });
    expect(source.standing().revision).toBe(0);
  });

  it('refuses the whole of an older state, and goes on with the next it is given', async () => {
    await publisher.republish(listed(keyRecord('a')), catalogue());
    const name = snapshotKeysKey(await generation());
    const [head, keys] = [await redis.hgetall(snapshotHeadKey), await redis.hgetall(name)];
    const { follower, event, started } = follow();
    await started;
    const blocked = await put('a', { blocked: true });
    await follower.until(() => follower.revision === blocked);
    await redis.hset(snapshotHeadKey, head);
    await redis.hset(name, keys);
    await event({ kind: 'refused', reason: 'older' });
    expect(follower.keys.get('a')?.blocked).toBe(true);
    // The publisher sees it too, and does not build on it.
    await expect(put('b')).rejects.toThrow('published anew');
    const last = await publisher.republish(
      listed(keyRecord('a', { blocked: true }), keyRecord('b')),
      catalogue(),
    );
    await follower.until(() => follower.revision === last);
    expect(follower.keys.size).toBe(2);
    expect(await redis.exists(name)).toBe(0);
  });

  it('keeps what it holds when Redis loses everything, until it is published anew', async () => {
    await publisher.republish(listed(keyRecord('a')), catalogue());
    const { source, follower, started } = follow();
    await started;
    const before = follower.revision;
    await redis.flushall();
    await expect(source.findKey('hash-of-b')).rejects.toThrow(SnapshotUnavailableError);
    expect(follower.keys.size).toBe(1);
    await expect(put('b')).rejects.toThrow('published anew');
    // A control plane that has only now come up and remembers nothing.
    const last = await publish().republish(listed(keyRecord('a'), keyRecord('b')), catalogue());
    expect(last).toBeGreaterThan(before);
    await follower.until(() => follower.revision === last);
    expect(follower.keys.size).toBe(2);
  });

  it('asks for everything to be published anew when the head is gone', async () => {
    let lost = 0;
    const watching = publish({ onLost: () => (lost += 1) });
    await watching.republish(listed(), catalogue());
    await watching.renew();
    expect(lost).toBe(0);
    await redis.flushall();
    await watching.renew();
    expect(lost).toBe(1);
  });

  it('reads everything when the log no longer leads on from where it is', async () => {
    await publisher.republish(listed(keyRecord('a')), catalogue());
    const slow = follow({ pollMs: 2 });
    await slow.started;
    await slow.source.close();
    const { follower, started } = follow();
    await started;
    const steps = Array.from({ length: 3 }, (_, index) => put(`k${index}`));
    await Promise.all(steps);
    await redis.del(snapshotLogKey);
    const last = await put('last');
    await follower.until(() => follower.revision === last);
    expect(follower.keys.size).toBe(5);
  });

  it('tells how current it is by the head that control planes renew', async () => {
    let now = 1_000_000;
    const own = publish({ now: () => now });
    await own.republish(listed(keyRecord('a')), catalogue());
    const { source, started } = follow();
    await started;
    expect(source.standing().asOfMs).toBe(1_000_000);
    now += 10_000;
    await own.renew();
    await expect.poll(() => source.standing().asOfMs, { interval: 2 }).toBe(1_010_000);
  });

  it('does not believe a key that was taken back and is put there again', async () => {
    await publisher.republish(listed(), catalogue());
    const [keys, hashes] = [
      snapshotKeysKey(await generation()),
      snapshotHashesKey(await generation()),
    ];
    await put('a');
    const old = (await redis.hget(keys, 'a')) ?? '';
    const last = await remove('a');
    const { source, follower, event, started } = follow();
    await started;
    expect(follower.revision).toBe(last);
    await redis.hset(keys, 'a', old);
    await redis.hset(hashes, 'hash-of-a', 'a');
    await expect(source.findKey('hash-of-a')).rejects.toThrow(SnapshotUnavailableError);
    await event({ kind: 'refused', reason: 'older', subject: 'key a' });
  });

  it('does not take a key for a secret that is not its own', async () => {
    await publisher.republish(listed(keyRecord('admin', { role: 'admin' })), catalogue());
    const { source, started } = follow();
    await started;
    await redis.hset(snapshotHashesKey(await generation()), 'mine', 'admin');
    expect(await source.findKey('mine')).toBeUndefined();
  });

  it('asks once for a key that is not there, and a bounded number at a time', async () => {
    let now = 0;
    await publisher.republish(listed(), catalogue());
    const { source, started } = follow({ pollMs: 60_000, now: () => now });
    await started;
    const calls = async (): Promise<number> => {
      const stats = await redis.info('commandstats');
      return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0);
    };
    await source.findKey('first');
    const before = await calls();
    await Promise.all([source.findKey('x'), source.findKey('x')]);
    await source.findKey('x');
    expect((await calls()) - before).toBe(1);
    now += 5_001;
    await source.findKey('x');
    expect((await calls()) - before).toBe(2);
    const many = await Promise.allSettled(
      Array.from({ length: 200 }, (_, index) => source.findKey(`many${index}`)),
    );
    expect(many.filter(({ status }) => status === 'rejected')).toHaveLength(200 - 64);
  });

  it('publishes no secret that stands in the clear', async () => {
    const credential = {
      id: 'c',
      origins: ['https://one.openai.azure.com'],
      method: { kind: 'api-key', key: { kind: 'inline', value: 'canary-secret' } },
    } as const;
    await expect(
      publisher.republish(listed(), catalogue({ credentials: [credential] })),
    ).rejects.toThrow(RangeError);
    for (const name of await redis.keys('*')) {
      expect((await redis.dump(name))?.toString()).not.toContain('canary');
    }
    // Nor does the failure stand in the way of the next.
    expect(await publisher.republish(listed(), catalogue())).toBeGreaterThan(0);
  });

  it('leaves nothing of the generations before', async () => {
    await publisher.republish(listed(keyRecord('a')), catalogue());
    const first = await generation();
    await publisher.republish(listed(keyRecord('b')), catalogue());
    expect(await redis.exists(snapshotKeysKey(first), snapshotCatalogueKey(first))).toBe(0);
    const names = await redis.keys('*');
    expect(names.toSorted()).toEqual(
      [
        snapshotHeadKey,
        snapshotKeysKey(await generation()),
        snapshotHashesKey(await generation()),
        snapshotCatalogueKey(await generation()),
      ].toSorted(),
    );
    expect(await Promise.all(names.map((name) => redis.ttl(name)))).toEqual([-1, -1, -1, -1]);
  });

  describe('with a data directory', () => {
    const file = () => join(directory, 'snapshot.jsonl');

    it('starts from it while Redis is away, with every change it had seen', async () => {
      await publisher.republish(listed(keyRecord('a'), keyRecord('b')), catalogue());
      const first = follow({ dataDirectory: directory });
      await first.started;
      await put('c');
      const last = await remove('a');
      await first.follower.until(() => first.follower.revision === last);
      await first.source.close();
      expect((await stat(file())).mode & 0o777).toBe(0o600);
      await server.stop();
      const second = follow({ dataDirectory: directory });
      await second.started;
      expect(second.follower.revision).toBe(last);
      expect([...second.follower.keys.keys()].toSorted()).toEqual(['b', 'c']);
      await second.event({ kind: 'failed', place: 'redis' });
      expect(second.source.standing().connected).toBe(false);
    });

    it('goes on from it by what changed since, without reading everything', async () => {
      await publisher.republish(listed(keyRecord('a')), catalogue());
      const first = follow({ dataDirectory: directory });
      await first.started;
      await first.source.close();
      const last = await put('b');
      const second = follow({ dataDirectory: directory });
      await second.started;
      await second.follower.until(() => second.follower.revision === last);
      expect(second.follower.replacements).toBe(1);
    });

    it('is not fooled by an older state of Redis than the one it keeps', async () => {
      await publisher.republish(listed(keyRecord('a')), catalogue());
      const [head, name] = [
        await redis.hgetall(snapshotHeadKey),
        snapshotKeysKey(await generation()),
      ];
      const keys = await redis.hgetall(name);
      const first = follow({ dataDirectory: directory });
      await first.started;
      const blocked = await put('a', { blocked: true });
      await first.follower.until(() => first.follower.revision === blocked);
      await first.source.close();
      await redis.hset(snapshotHeadKey, head);
      await redis.hset(name, keys);
      const second = follow({ dataDirectory: directory });
      await second.event({ kind: 'refused', reason: 'older' });
      expect(second.follower.keys.get('a')?.blocked).toBe(true);
    });

    it('passes over what was cut off in the middle of a line, and adds to it', async () => {
      await publisher.republish(listed(keyRecord('a')), catalogue());
      const first = follow({ dataDirectory: directory });
      await first.started;
      const last = await put('b');
      await first.follower.until(() => first.follower.revision === last);
      await first.source.close();
      const whole = await readFile(file(), 'utf8');
      await writeFile(file(), whole.slice(0, -20));
      const second = follow({ dataDirectory: directory });
      await second.started;
      await second.follower.until(() => second.follower.revision === last);
      await second.source.close();
      await server.stop();
      const third = follow({ dataDirectory: directory });
      await third.started;
      expect(third.follower.revision).toBe(last);
      expect(third.follower.keys.size).toBe(2);
    });

    it('believes the file no more than Redis', async () => {
      await publisher.republish(listed(keyRecord('a', { blocked: true })), catalogue());
      const first = follow({ dataDirectory: directory });
      await first.started;
      await first.source.close();
      const text = await readFile(file(), 'utf8');
      await writeFile(file(), text.replace('\\"blocked\\":true', '\\"blocked\\":false'));
      await server.stop();
      const second = follow({ dataDirectory: directory });
      await second.event({ kind: 'refused', reason: 'forged', subject: 'key a' });
      expect(second.follower.replacements).toBe(0);
    });

    it('serves what it reads from Redis when the disk takes nothing', async () => {
      await publisher.republish(listed(keyRecord('a')), catalogue());
      await writeFile(join(directory, 'no-directory'), '');
      const { follower, event, started } = follow({
        dataDirectory: join(directory, 'no-directory'),
      });
      await started;
      await event({ kind: 'failed', place: 'file' });
      expect(follower.keys.size).toBe(1);
    });
  });
});
