import { readFileSync } from 'node:fs';
import type { RedisSettings } from '@aigateway/contract/redis-settings';
import {
  parseRedisUrl,
  type RedisAddress,
  type RedisConnectionOptions,
  type RedisSignIn,
} from '@aigateway/proxy/stores/redis/connection';
import { createEntraTokenFetcher, isEntra } from '@aigateway/proxy/upstream/entra-token';
import { resolveSecret } from './start.ts';

type Environment = { readonly [name: string]: string | undefined };

/** The same for every cloud's Redis. */
const tokenScope = 'https://redis.azure.com/.default';
const publicAuthority = 'https://login.microsoftonline.com';

/**
 * What to connect to Redis with: settings with their secrets and files read.
 *
 * @throws {RedisSettingsError} for an address that cannot be used
 * @throws {Error} naming the variable or file that is not there
 */
export function redisConnection(
  settings: RedisSettings,
  environment: Environment,
): Pick<RedisConnectionOptions, 'address' | 'signIn' | 'tls' | 'allowPlaintext'> {
  const { caFile, serverName } = settings;
  const named = target(settings, environment);
  const signIn = named.signIn ?? ownSignIn(settings, environment);
  const isTls = settings.tls || named.tls !== undefined;
  return {
    address: named.address,
    ...(signIn !== undefined && { signIn }),
    ...(isTls && {
      tls: {
        ...(caFile !== undefined && { ca: readFileSync(caFile, 'utf8') }),
        ...(serverName !== undefined && { servername: serverName }),
      },
    }),
    allowPlaintext: settings.allowPlaintext,
  };
}

function target(
  { address, db }: RedisSettings,
  environment: Environment,
): ReturnType<typeof parseRedisUrl> {
  const database = db === undefined ? {} : { db };
  switch (address.kind) {
    case 'url': {
      const parsed = parseRedisUrl(resolveSecret(address.url, environment).trim());
      const withDatabase = { ...database, ...parsed.address } as RedisAddress;
      return { ...parsed, address: withDatabase };
    }
    case 'single':
      return { address: { ...address, ...database } };
    case 'sentinel': {
      const { password, ...sentinel } = address;
      const sentinelPassword =
        password === undefined
          ? {}
          : { sentinelPassword: resolveSecret(password, environment).trim() };
      return { address: { ...sentinel, ...sentinelPassword, ...database } };
    }
    case 'cluster':
      return { address };
  }
}

function ownSignIn(
  { username, password, identity }: RedisSettings,
  environment: Environment,
): RedisSignIn | undefined {
  if (identity !== undefined && username !== undefined) {
    if (!isEntra(identity))
      throw new Error('redis_identity: the environment holds no identity to sign in with');
    const authorityHost = environment['AZURE_AUTHORITY_HOST']?.replace(/\/+$/, '');
    const fetchToken = createEntraTokenFetcher({
      method: identity,
      scope: tokenScope,
      authorityHost: authorityHost || publicAuthority,
      environment,
    });
    let previous: string | undefined;
    const token = async () => {
      const fresh = await fetchToken(previous);
      previous = fresh.value;
      return fresh;
    };
    return { username, token };
  }
  if (password === undefined) return undefined;
  return {
    password: resolveSecret(password, environment).trim(),
    ...(username !== undefined && { username }),
  };
}
