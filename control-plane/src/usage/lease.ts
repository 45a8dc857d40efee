import { randomUUID } from 'node:crypto';
import { redisScript } from '@aigateway/contract/script';
import type { Cluster, Redis } from 'ioredis';

/** What only one of several processes does at a time. Others may come to it when whoever had it is late: it saves work, and guards nothing. */
export interface Lease {
  /** @returns whether nobody else has it */
  take(): Promise<boolean>;
  /** Holds it for as long again. @returns whether it was still held */
  renew(): Promise<boolean>;
  /** Gives it back, where it is still held. */
  release(): Promise<void>;
}

/** KEYS lease; ARGV token, ms. */
const renew = redisScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`);

/** KEYS lease; ARGV token. */
const release = redisScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`);

/**
 * A lease in Redis.
 *
 * @param ms - how long it is held by who takes or renews it
 */
export function redisLease(redis: Redis | Cluster, key: string, ms: number): Lease {
  const token = randomUUID();
  return {
    take: async () => (await redis.set(key, token, 'PX', ms, 'NX')) !== null,
    renew: async () => (await renew(redis, [key], [token, ms])) === 1,
    release: async () => void (await release(redis, [key], [token])),
  };
}
