import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  snapshotCatalogueKey,
  snapshotHeadKey,
  snapshotKeysKey,
  snapshotLogKey,
} from '@aigateway/contract/channels';
import { SnapshotSigner } from '@aigateway/contract/signing';
import {
  holderName,
  isHolder,
  published,
  type Catalogue,
  type SingleRecord,
} from '@aigateway/contract/snapshot';
import type { UsageRecord } from '@aigateway/contract/usage';
import { createRedisPublisher } from '@aigateway/control-plane/publish/redis';
import { createSqliteStore } from '@aigateway/control-plane/store/sqlite/sqlite-store';
import { createUsageConsumer } from '@aigateway/control-plane/usage/consumer';
import { openUsageSpool } from '@aigateway/proxy/stores/file/spool';
import { createRedisSource } from '@aigateway/proxy/stores/redis/snapshot-source';
import { createRedisTransport } from '@aigateway/proxy/stores/redis/usage-transport';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../smoke/free-port.ts';
import { Follower } from '../../contract/test/snapshot.fixture.ts';
import {
  hasRedisServer,
  startRedis,
  type RedisServer,
} from '../../proxy/test/servers/redis-server.ts';
import { dumpOf, restore, type Kept } from './golden-files/dump.ts';
import {
  catalogue,
  changed,
  fullKey,
  producer,
  secret,
  whole,
  writtenAt,
} from './golden-files/samples.ts';

const golden = join(import.meta.dirname, 'golden');
const versions = readdirSync(golden)
  .filter((name) => /^\d+$/.test(name))
  .toSorted((a, b) => Number(a) - Number(b));
const newest = versions.at(-1) ?? '';

/** What a version was given to write. */
type Told = { records: SingleRecord[]; catalogue: Catalogue; usage: UsageRecord };

/** As a proxy holds it: the later of two records of one name counts. */
function asHeld({ records, catalogue: kept }: Told) {
  const byName = records.map(
    (record) => [isHolder(record) ? holderName(record) : record.keyId, record] as const,
  );
  return { records: new Map<string, SingleRecord>(byName), catalogue: kept };
}

describe.skipIf(!hasRedisServer)('what an earlier version wrote', () => {
  let server: RedisServer;
  let redis: Redis;
  const closing: (() => unknown)[] = [];

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
  });
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close();
  });
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  function keptBy(version: string): Kept[] {
    return JSON.parse(readFileSync(join(golden, version, 'redis.json'), 'utf8')) as Kept[];
  }

  function toldTo(version: string): Told {
    return JSON.parse(readFileSync(join(golden, version, 'records.json'), 'utf8')) as Told;
  }

  function copyOf(version: string): string {
    const directory = mkdtempSync(join(tmpdir(), 'aigateway-golden-'));
    closing.push(() => rmSync(directory, { recursive: true, force: true }));
    cpSync(join(golden, version), directory, { recursive: true });
    return directory;
  }

  /** A proxy of this version. */
  async function follow(client: Redis, dataDirectory?: string): Promise<Follower> {
    const follower = new Follower();
    const source = createRedisSource({
      redis: client,
      secret,
      pollMs: 5,
      ...(dataDirectory !== undefined && { dataDirectory }),
    });
    closing.push(() => source.close());
    await source.start(follower);
    return follower;
  }

  function held(follower: Follower) {
    const { keys, holders } = follower;
    const found = new Map<string, SingleRecord>([...keys, ...holders]);
    return { records: found, catalogue: follower.catalogue };
  }

  it.each(versions)('is read from Redis, and changed there (version %s)', async (version) => {
    await restore(redis, keptBy(version));
    const follower = await follow(redis);
    expect(held(follower)).toEqual(asHeld(toldTo(version)));
    const publisher = createRedisPublisher({ redis, secret, renewMs: 0 });
    closing.push(() => publisher.close());
    expect(await publisher.revision()).toBe(follower.revision);
    const key = { ...fullKey, blocked: true };
    const revision = await publisher.publish([published(key)], follower.revision);
    await follower.until(() => follower.revision === revision);
    expect(follower.keys.get(key.keyId)).toEqual(key);
    expect(follower.replacements).toBe(1);
  });

  it.each(versions)(
    'is read from the disk while there is no Redis (version %s)',
    async (version) => {
      const nobody = new Redis(await freePort(), '127.0.0.1', { maxRetriesPerRequest: 0 });
      nobody.on('error', () => undefined);
      closing.push(() => nobody.disconnect());
      const follower = await follow(nobody, copyOf(version));
      expect(held(follower)).toEqual(asHeld(toldTo(version)));
    },
  );

  it.each(versions)('is counted: events in Redis and on the disk (version %s)', async (version) => {
    await restore(redis, keptBy(version));
    const store = await createSqliteStore({ path: ':memory:' });
    closing.push(() => store.close());
    const counted: UsageRecord[] = [];
    const consumer = createUsageConsumer({
      redis,
      secret,
      pollMs: 0,
      ledger: {
        append: (from, events) => {
          counted.push(...events.map(({ record }) => record));
          return store.ledger.append(from, events);
        },
      },
      onRefused: ({ error }) => {
        throw error;
      },
    });
    closing.push(() => consumer.close());
    expect(await consumer.take()).toBe(2);
    const { corrects: _none, ...settled } = toldTo(version).usage;
    expect(counted).toEqual(
      ['request-1', 'request-2'].map((requestId) => ({ ...settled, requestId })),
    );
    const spool = await openUsageSpool({
      directory: copyOf(version),
      transport: createRedisTransport({ redis, secret }),
      shipMs: 60_000,
    });
    closing.push(() => spool.close());
    expect(spool.standing().producer).toBe(producer);
    await spool.ship();
    await consumer.take();
    expect(counted.slice(2)).toMatchObject([
      {
        requestId: 'request-3',
        keyId: 'key-1',
        usageSource: 'estimated',
        costNanoUsd: 30,
        tokens: { input: 10, output: 20 },
      },
    ]);
  });

  /** What is the same whenever it is written: no signature, no drawn secret. */
  function formOf(kept: readonly Kept[]): object {
    const valueOf = (name: string): Kept | undefined => kept.find((one) => one.name === name);
    const signer = new SnapshotSigner(secret);
    const head = valueOf(snapshotHeadKey)?.value as Record<string, string>;
    const {
      digest: _digest,
      digestKey: _key,
      ...opened
    } = signer.open(head['sealed'] ?? '') ?? {
      digest: '',
      digestKey: '',
    };
    const generation = Number(head['generation']);
    const keys = valueOf(snapshotKeysKey(generation))?.value as Record<string, string>;
    const text = valueOf(snapshotCatalogueKey(generation))?.value as string;
    return {
      names: kept.map(({ name, type }) => `${type} ${name}`),
      head: opened,
      hints: Object.keys(head).toSorted(),
      log: valueOf(snapshotLogKey)?.value,
      catalogue: signer.verify('catalogue', '', text),
      keys: Object.fromEntries(
        Object.entries(keys).map(([id, signed]) => [
          id,
          signer.verify(id.startsWith('\0') ? 'holder' : 'key', id, signed),
        ]),
      ),
    };
  }

  it('is what this version writes; where it is not, golden-files/write.ts writes the newest folder anew', async () => {
    await redis.flushall();
    const publisher = createRedisPublisher({ redis, secret, now: () => writtenAt, renewMs: 0 });
    closing.push(() => publisher.close());
    async function* all() {
      yield* whole;
    }
    await publisher.republish(all(), catalogue);
    for (const record of changed) await publisher.publish([published(record)]);
    const kept = keptBy(newest).filter(({ name }) => name.includes('{snapshot}'));
    expect(formOf(await dumpOf(redis))).toEqual(formOf(kept));
  });
});
