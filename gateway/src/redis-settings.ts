import type { Environment } from '@aigateway/contract/environment-config';
import {
  parseRedisUrl,
  type RedisConnectionOptions,
} from '@aigateway/proxy/stores/redis/connection';

type Address = Pick<RedisConnectionOptions, 'address' | 'signIn' | 'tls' | 'allowPlaintext'>;

/** The Redis that an environment names, and what happens while it is away; undefined where it names none. */
export type RedisSettings = {
  readonly connection: Address;
  readonly withoutRedis: 'local' | 'closed';
};

/**
 * Reads `REDIS_URL`, or LiteLLM's `REDIS_HOST`, `REDIS_PORT`, `REDIS_USERNAME`, `REDIS_PASSWORD` and `REDIS_SSL`.
 *
 * @throws {RedisSettingsError} for an address that cannot be used
 * @throws {Error} naming the variable that has no usable value
 */
export function redisSettings(environment: Environment): RedisSettings | undefined {
  const value = (name: string) => environment[name]?.trim() || undefined;
  const url = value('REDIS_URL');
  const host = value('REDIS_HOST');
  if (url === undefined && host === undefined) return undefined;
  const withoutRedis = value('AIGATEWAY_WITHOUT_REDIS') ?? 'local';
  if (withoutRedis !== 'local' && withoutRedis !== 'closed')
    throw new Error('AIGATEWAY_WITHOUT_REDIS: must be one of local, closed');
  const address = url === undefined ? hostAddress(value) : parseRedisUrl(url);
  const allowPlaintext = isYes(value('AIGATEWAY_ALLOW_PLAINTEXT_REDIS'));
  return { connection: { ...address, allowPlaintext }, withoutRedis };
}

function hostAddress(value: (name: string) => string | undefined): Address {
  const port = Number(value('REDIS_PORT') ?? 6379);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new Error('REDIS_PORT: must be the number of a port');
  const password = value('REDIS_PASSWORD');
  const username = value('REDIS_USERNAME');
  return {
    address: { kind: 'single', host: value('REDIS_HOST') ?? 'localhost', port },
    ...(password !== undefined && {
      signIn: { password, ...(username !== undefined && { username }) },
    }),
    ...(isYes(value('REDIS_SSL')) && { tls: {} }),
  };
}

function isYes(text: string | undefined): boolean {
  return /^(true|1|yes|on)$/i.test(text ?? '');
}
