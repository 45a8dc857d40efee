import { Cluster, Redis } from 'ioredis';
import { afterAll, beforeAll } from 'vitest';
import { describeSnapshotConformance } from '../../../contract/test/conformance/snapshot.ts';
import { createRedisPublisher } from '../../../control-plane/src/publish/redis.ts';
import { createRedisSource } from '../../src/stores/redis/snapshot-source.ts';
import { startCluster } from '../servers/redis-cluster.ts';
import { hasRedisServer, startRedis, type RedisServer } from '../servers/redis-server.ts';

const secret = { current: 'a root secret of more than 32 bytes' };
let single: RedisServer | undefined;
let cluster: RedisServer | undefined;

beforeAll(async () => {
  if (!hasRedisServer) return;
  [single, cluster] = await Promise.all([startRedis(), startCluster()]);
});
afterAll(async () => {
  await Promise.all([single?.stop(), cluster?.stop()]);
});

function describeThrough(name: string, connect: () => Redis | Cluster): void {
  const setUp = async () => {
    const redis = connect();
    await redis.flushall();
    const publisher = createRedisPublisher({ redis, secret, renewMs: 0 });
    const otherPublisher = createRedisPublisher({ redis, secret, renewMs: 0 });
    return {
      publisher,
      otherPublisher,
      createSource: () => createRedisSource({ redis, secret, pollMs: 5 }),
      close: async () => {
        await publisher.close();
        await otherPublisher.close();
        redis.disconnect();
      },
    };
  };
  describeSnapshotConformance(name, setUp, { skip: !hasRedisServer, hasSeveralPublishers: true });
}

describeThrough('through Redis', () => new Redis(single?.port ?? 0));
describeThrough(
  'through a Redis cluster',
  () => new Cluster([{ host: '127.0.0.1', port: cluster?.port ?? 0 }]),
);
