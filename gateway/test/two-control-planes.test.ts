import type { KeyRecord } from '@aigateway/contract/records';
import type { Catalogue } from '@aigateway/contract/snapshot';
import { createPublishing, type Publishing } from '@aigateway/control-plane/publish/publishing';
import { createRedisPublisher } from '@aigateway/control-plane/publish/redis';
import type { Entities } from '@aigateway/control-plane/store/entities';
import { createSqliteStore } from '@aigateway/control-plane/store/sqlite/sqlite-store';
import type { Store } from '@aigateway/control-plane/store/store';
import { createRedisSource } from '@aigateway/proxy/stores/redis/snapshot-source';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keyDocument } from '../../control-plane/test/conformance/documents.ts';
import {
  hasRedisServer,
  startRedis,
  type RedisServer,
} from '../../proxy/test/servers/redis-server.ts';

const secret = { current: 'a-root-secret-of-more-than-thirty-two-bytes' };
const catalogue = {
  models: [],
  deployments: [],
  credentials: [],
  router: {},
  settings: {},
} as unknown as Catalogue;

describe.skipIf(!hasRedisServer)('two control planes that publish one key', () => {
  let server: RedisServer;
  let redis: Redis;
  let store: Store;
  let closing: (() => unknown)[];

  beforeEach(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
    store = await createSqliteStore({ path: ':memory:' });
    closing = [];
  });
  afterEach(async () => {
    for (const close of closing) await close();
    await store.close();
    redis.disconnect();
    await server.stop();
  });

  function controlPlane(entities: Entities = store.entities): Publishing {
    const publisher = createRedisPublisher({ redis, secret, renewMs: 0 });
    const publishing = createPublishing({
      entities,
      publisher,
      catalogue: () => Promise.resolve(catalogue),
      fixedKeys: () => [],
      compile: () => ({}),
      onFailure: (error) => {
        throw error;
      },
    });
    closing.push(() => publishing.close());
    return publishing;
  }

  /** Reads as the store does, and is slow to go on with what it has read the first time. */
  function slowEntities(hold: Promise<void>, onRead: () => void): Entities & { reads: number } {
    const slow = {
      ...store.entities,
      reads: 0,
      getMany: (async (kind: 'key', ids: readonly string[]) => {
        const found = await store.entities.getMany(kind, ids);
        if (kind !== 'key') return found;
        slow.reads += 1;
        if (slow.reads > 1) return found;
        onRead();
        await hold;
        return found;
      }) as Entities['getMany'],
    };
    return slow;
  }

  function put(changes: Parameters<typeof keyDocument>[1]): Promise<unknown> {
    const secrets = [{ hash: 'hash-of-k', name: 'sk-...', not_after: null }];
    const document = keyDocument('k', { secrets, ...changes });
    return store.entities.write([{ kind: 'key', id: 'k', document }]);
  }

  /** What a proxy that starts now is told. */
  async function published(): Promise<readonly KeyRecord[]> {
    const source = createRedisSource({ redis, secret });
    const { promise, resolve } = Promise.withResolvers<readonly KeyRecord[]>();
    void source.start({ replace: ({ keys }) => resolve(keys), change: () => undefined });
    const keys = await promise;
    await source.close();
    return keys;
  }

  /** One has read the key and is held up; the other publishes what became of it meanwhile; then the first goes on. */
  async function overtake(change: () => Promise<unknown>, changed = 'k'): Promise<number> {
    await put({ blocked: false });
    const fast = controlPlane();
    await fast.publishAll();
    const held = Promise.withResolvers<void>();
    const read = Promise.withResolvers<void>();
    const entities = slowEntities(held.promise, read.resolve);
    const slow = controlPlane(entities);
    const overtaken = slow.publish([{ kind: 'key', id: 'k' }]);
    await read.promise;
    await change();
    await fast.publish([{ kind: 'key', id: changed }]);
    held.resolve();
    await overtaken;
    expect(slow.behind).toBe(0);
    return entities.reads;
  }

  it('leave the newer state, also when the older one is published last', async () => {
    expect(await overtake(() => put({ blocked: true }))).toBe(2);
    expect((await published()).map(({ blocked }) => blocked)).toEqual([true]);
  });

  it('do not bring a key back that one of them has removed', async () => {
    expect(
      await overtake(() => store.entities.write([{ kind: 'key', id: 'k', document: undefined }])),
    ).toBe(2);
    expect(await published()).toEqual([]);
  });

  it('do not read again for changes of other keys', async () => {
    const document = keyDocument('other', {
      secrets: [{ hash: 'hash-of-other', name: 'sk-...', not_after: null }],
    });
    const change = () => store.entities.write([{ kind: 'key', id: 'other', document }]);
    expect(await overtake(change, 'other')).toBe(1);
    expect((await published()).map(({ keyId }) => keyId).toSorted()).toEqual(['k', 'other']);
  });
});
