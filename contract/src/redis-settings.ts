import * as z from 'zod';
import { effective, flag, hostPorts, integer, oneOf, secret, text } from './config-fields.ts';
import type { Report } from './config-problems.ts';
import { optional } from './optional.ts';
import type { CredentialMethod, SecretReference } from './records.ts';

export type HostPort = { readonly host: string; readonly port: number };

/** Where the Redis is that processes share, and how they come in. Secrets are references. */
export type RedisSettings = {
  readonly address:
    | { readonly kind: 'url'; readonly url: SecretReference }
    | ({ readonly kind: 'single' } & HostPort)
    | {
        readonly kind: 'sentinel';
        readonly master: string;
        readonly sentinels: readonly HostPort[];
        readonly password?: SecretReference;
      }
    | { readonly kind: 'cluster'; readonly nodes: readonly HostPort[] };
  readonly db?: number;
  readonly username?: string;
  readonly password?: SecretReference;
  /** Signs in with tokens of this identity, under `username`, instead of a password. */
  readonly identity?: CredentialMethod;
  readonly tls: boolean;
  readonly caFile?: string;
  /** Name that the certificate is made out to, where it is not the address. */
  readonly serverName?: string;
  readonly allowPlaintext: boolean;
  /** What limits do while it is away. */
  readonly whileAway: 'local' | 'closed';
};

const port = integer({ min: 1, max: 65_535 });

/** The settings of a Redis, part of our own. */
export const redisFields = {
  redis_url: effective(
    secret(),
    '`redis://user:password@host:port/db`, or `rediss://…` for TLS: what proxies and control planes share; also `REDIS_URL`',
    'none',
  ),
  redis_host: effective(text(), 'Another way to name it, with the next ones; also `REDIS_HOST`'),
  redis_port: effective(port, 'Its port; also `REDIS_PORT`', '6379'),
  redis_db: effective(
    integer({ min: 0, max: 1_000_000 }),
    'Number of its database; also `REDIS_DB`',
    '0',
  ),
  redis_username: effective(
    text(),
    'User of the Redis; with `redis_identity` the object id of the identity; also `REDIS_USERNAME`',
  ),
  redis_password: effective(secret(), 'Its password; also `REDIS_PASSWORD`'),
  redis_identity: effective(
    flag(),
    'Signs in with tokens of Entra ID in place of a password, renewed on live connections: those of the identity that the platform gives the process',
    'false',
  ),
  redis_ssl: effective(flag(), 'TLS, where the address does not say so; also `REDIS_SSL`', 'false'),
  redis_ca_file: effective(
    text(),
    'PEM file of the authorities that its certificate may come from; also `REDIS_SSL_CA_CERTS`',
    'the usual ones',
  ),
  redis_server_name: effective(
    text(),
    'Name that its certificate is made out to, where it is not the address',
  ),
  redis_sentinels: effective(
    hostPorts(26_379),
    'Sentinels that know the master; also `REDIS_SENTINEL_NODES`',
    'none',
  ),
  redis_service_name: effective(
    text(),
    'Name of the master that they watch; also `REDIS_SERVICE_NAME`',
  ),
  redis_sentinel_password: effective(
    secret(),
    'Password of the sentinels; also `REDIS_SENTINEL_PASSWORD`',
  ),
  redis_cluster_nodes: effective(
    hostPorts(6379),
    'Some servers of a cluster, which know the others; also `REDIS_CLUSTER_NODES`',
    'none',
  ),
  allow_plaintext_redis: effective(
    flag(),
    'Speaks to a Redis on another machine without TLS',
    'false',
  ),
  without_redis: effective(
    oneOf('local', 'closed'),
    'What limits do while Redis is away: each proxy grants its share, or 503',
    'local',
  ),
};

/** Names of the same settings in the environment, LiteLLM's where it has them. */
export const redisVariables: { readonly [setting: string]: readonly string[] } = {
  redis_url: ['REDIS_URL'],
  redis_host: ['REDIS_HOST'],
  redis_port: ['REDIS_PORT'],
  redis_db: ['REDIS_DB'],
  redis_username: ['REDIS_USERNAME'],
  redis_password: ['REDIS_PASSWORD'],
  redis_ssl: ['REDIS_SSL'],
  redis_ca_file: ['REDIS_SSL_CA_CERTS'],
  redis_sentinels: ['REDIS_SENTINEL_NODES'],
  redis_service_name: ['REDIS_SERVICE_NAME'],
  redis_sentinel_password: ['REDIS_SENTINEL_PASSWORD'],
  redis_cluster_nodes: ['REDIS_CLUSTER_NODES'],
};

const redisSchema = z.object(redisFields);

/**
 * The Redis that a configuration names; of several ways the one that LiteLLM would take: cluster, sentinels, address, host.
 *
 * @param identity - that of the process
 * @returns undefined where it names none
 */
export function redisSettings(
  ours: Partial<z.output<typeof redisSchema>>,
  identity: CredentialMethod,
  report: Report,
): RedisSettings | undefined {
  const address = addressOf(ours, report);
  if (address === undefined) return undefined;
  const problem = (setting: string, message: string, hint: string) =>
    report.problem(['aigateway_settings', setting], message, hint);
  if (ours.redis_identity === true && ours.redis_password !== undefined) {
    problem('redis_identity', 'and redis_password are two ways to sign in', 'Keep one.');
  }
  if (ours.redis_identity === true && ours.redis_username === undefined) {
    problem(
      'redis_identity',
      'signs in under no name',
      'Set redis_username (REDIS_USERNAME) to the object id of the identity.',
    );
  }
  if (address.kind === 'cluster' && (ours.redis_db ?? 0) !== 0) {
    problem('redis_db', 'a cluster has one database', 'Remove it.');
  }
  return {
    address,
    ...optional('db', ours.redis_db),
    ...optional('username', ours.redis_username),
    ...optional('password', ours.redis_password),
    ...(ours.redis_identity === true && { identity }),
    tls: ours.redis_ssl ?? false,
    ...optional('caFile', ours.redis_ca_file),
    ...optional('serverName', ours.redis_server_name),
    allowPlaintext: ours.allow_plaintext_redis ?? false,
    whileAway: ours.without_redis ?? 'local',
  };
}

function addressOf(
  ours: Partial<z.output<typeof redisSchema>>,
  report: Report,
): RedisSettings['address'] | undefined {
  if (ours.redis_cluster_nodes?.length) return { kind: 'cluster', nodes: ours.redis_cluster_nodes };
  if (ours.redis_sentinels?.length) {
    const { redis_service_name: master } = ours;
    if (master === undefined) {
      report.problem(
        ['aigateway_settings', 'redis_sentinels'],
        'watch no master that has a name',
        'Set redis_service_name (REDIS_SERVICE_NAME).',
      );
      return undefined;
    }
    return {
      kind: 'sentinel',
      master,
      sentinels: ours.redis_sentinels,
      ...optional('password', ours.redis_sentinel_password),
    };
  }
  if (ours.redis_url !== undefined) return { kind: 'url', url: ours.redis_url };
  if (ours.redis_host === undefined) return undefined;
  return { kind: 'single', host: ours.redis_host, port: ours.redis_port ?? 6379 };
}
