import { createRedisPublisher } from '../../../control-plane/src/publish/redis.ts';
import { Redis } from 'ioredis';
import { afterAll, beforeAll } from 'vitest';
import { describeSnapshotConformance } from '../../../contract/test/conformance/snapshot.ts';
import { createRedisSource } from '../../src/stores/redis/snapshot-source.ts';
import { hasRedisServer, startRedis, type RedisServer } from '../servers/redis-server.ts';

let server: RedisServer | undefined;
const secret = { current: 'a root secret of more than 32 bytes' };

beforeAll(async () => {
  if (hasRedisServer) server = await startRedis();
});
afterAll(() => server?.stop());

describeSnapshotConformance(
  'through Redis',
  async () => {
    const redis = new Redis(server?.port ?? 0);
    await redis.flushall();
    const options = { redis, secret, renewMs: 0 };
    const publisher = createRedisPublisher(options);
    const otherPublisher = createRedisPublisher(options);
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
  },
  { skip: !hasRedisServer, hasSeveralPublishers: true },
);
