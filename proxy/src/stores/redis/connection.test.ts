import { describe, expect, it } from 'vitest';
import { connectRedis, parseRedisUrl, RedisSettingsError } from './connection.ts';

describe('the address of a Redis', () => {
  it('says host, port, database, user and whether it is TLS', () => {
    expect(parseRedisUrl('rediss://me:p%40ss@cache.example:6380/2')).toEqual({
      address: { kind: 'single', host: 'cache.example', port: 6380, db: 2 },
      signIn: { username: 'me', password: 'p@ss' },
      tls: {},
    });
    expect(parseRedisUrl('redis://localhost')).toEqual({
      address: { kind: 'single', host: 'localhost', port: 6379 },
    });
  });

  it('is refused without being repeated when it is none', () => {
    for (const text of ['', 'cache:6379', 'http://x:hunter2@cache', 'redis://u:hunter2@h/one']) {
      expect(() => parseRedisUrl(text)).toThrow(RedisSettingsError);
      expect(() => parseRedisUrl(text)).not.toThrow('hunter2');
    }
  });

  it('needs TLS unless it is on this machine', async () => {
    const at = (host: string) => ({ kind: 'single' as const, host, port: 1 });
    await expect(connectRedis({ address: at('10.0.0.4') })).rejects.toThrow(RedisSettingsError);
    await expect(
      connectRedis({ address: { kind: 'cluster', nodes: [at('127.0.0.1'), at('cache')] } }),
    ).rejects.toThrow('cache');
    for (const options of [
      { address: at('localhost') },
      { address: at('10.0.0.4'), allowPlaintext: true },
      { address: at('10.0.0.4'), tls: {} },
    ]) {
      const connection = await connectRedis(options);
      await expect(connection.close()).resolves.toBeUndefined();
    }
  });
});
