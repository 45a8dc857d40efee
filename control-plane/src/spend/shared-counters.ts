import { limitSpendKey, spendSetsKey } from '@aigateway/contract/channels';
import type { ScopeKind } from '@aigateway/contract/limits';
import { redisScript } from '@aigateway/contract/script';
import type { Cluster, Redis } from 'ioredis';

/** Proxies look every second; one that was away longer asks Redis before it grants anything. */
const setsLifeMs = 600_000;

/** KEYS what the holder's spend was set to; ARGV amount, time for tests ('' = that of Redis). Returns the time. */
const writeSpend = redisScript(`
local time = redis.call('TIME')
local now = tonumber(ARGV[2]) or time[1] * 1000 + math.floor(time[2] / 1000)
local before = tonumber(redis.call('HGET', KEYS[1], 'at') or '0')
if now <= before then now = before + 1 end
redis.call('HSET', KEYS[1], 'at', string.format('%.0f', now), 'amount', ARGV[1])
return now`);

/**
 * Sets what a holder has spent of each of its budgets, for all proxies: whoever asks Redis next counts from there, and those that
 * have leased something let go of it with their next heartbeat.
 *
 * @param nowMs - time of the setting, for tests that move it
 */
export async function setSharedSpend(
  redis: Redis | Cluster,
  kind: ScopeKind,
  id: string,
  nanoUsd: number,
  nowMs?: number,
): Promise<void> {
  const at = Number(await writeSpend(redis, [limitSpendKey(kind, id)], [nanoUsd, nowMs ?? '']));
  await redis.zadd(spendSetsKey, at, `${kind}:${id}`);
  await redis.zremrangebyscore(spendSetsKey, '-inf', at - setsLifeMs);
}
