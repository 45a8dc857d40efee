import type { Redis } from 'ioredis';

/** What one name of Redis holds. */
export type Kept =
  | { readonly name: string; readonly type: 'string'; readonly value: string }
  | { readonly name: string; readonly type: 'hash'; readonly value: Record<string, string> }
  | { readonly name: string; readonly type: 'zset'; readonly value: string[] }
  | { readonly name: string; readonly type: 'stream'; readonly value: [string, string[]][] };

/** All that a server holds, in the order of names. */
export async function dumpOf(redis: Redis): Promise<Kept[]> {
  const names = (await redis.keys('*')).toSorted();
  return Promise.all(names.map((name) => keptOf(redis, name)));
}

async function keptOf(redis: Redis, name: string): Promise<Kept> {
  const type = await redis.type(name);
  switch (type) {
    case 'string':
      return { name, type, value: (await redis.get(name)) ?? '' };
    case 'hash':
      return { name, type, value: await redis.hgetall(name) };
    case 'zset':
      return { name, type, value: await redis.zrange(name, '0', '-1', 'WITHSCORES') };
    case 'stream':
      return { name, type, value: await redis.xrange(name, '-', '+') };
    default:
      throw new Error(`${name} is a ${type}`);
  }
}

/** Puts into an empty server what another one held. */
export async function restore(redis: Redis, kept: readonly Kept[]): Promise<void> {
  await redis.flushall();
  for (const { name, type, value } of kept) {
    if (type === 'string') await redis.set(name, value);
    else if (type === 'hash') await redis.hset(name, value);
    else if (type === 'zset')
      for (let at = 0; at < value.length; at += 2)
        await redis.zadd(name, value[at + 1] ?? '0', value[at] ?? '');
    else for (const [id, fields] of value) await redis.xadd(name, id, ...fields);
  }
}
