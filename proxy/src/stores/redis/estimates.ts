import { estimateKey } from '@aigateway/contract/channels';
import type { UsageRecord } from '@aigateway/contract/usage';
import type { Cluster, Redis } from 'ioredis';
import { estimateLifeMs, type Estimates } from '../../ports.ts';

/** Estimates of all proxies that share a Redis, which decides who of them drops one. @param redis - not closed here */
export function createRedisEstimates(redis: Redis | Cluster): Estimates {
  return {
    async hold(id, record) {
      await redis.set(estimateKey(id), JSON.stringify(record), 'PX', estimateLifeMs);
    },
    async find(id) {
      const text = await redis.get(estimateKey(id));
      return text === null ? undefined : (JSON.parse(text) as UsageRecord);
    },
    drop: async (id) => (await redis.del(estimateKey(id))) === 1,
  };
}
