import { ManagedRedis } from '@cdktn/provider-azurerm/lib/managed-redis/index.js';
import { ManagedRedisAccessPolicyAssignment } from '@cdktn/provider-azurerm/lib/managed-redis-access-policy-assignment/index.js';
import { partsOf } from '../clients.ts';
import type { Configuration } from '../config.ts';
import { nameOf } from '../names.ts';
import type { Variable } from './app.ts';
import type { Identity } from './identity.ts';
import type { Network } from './network.ts';
import type { Site } from './site.ts';

/** A Redis that processes share; without a host one that is brought along. */
export type SharedRedis = {
  /** Undefined where another stack makes it, or nobody. */
  readonly id: string | undefined;
  readonly host: string | undefined;
};

/** TLS only; Azure's older Redis had 6380. */
const managedPort = '10000';

/** Makes the Redis of the environment, or takes the one that is brought along. */
export function createRedis(site: Site, network: Network | undefined): SharedRedis | undefined {
  const { stack, base, name, configuration } = site;
  const settings = configuration.redis;
  if (settings === undefined) return undefined;
  if (settings.kind === 'existing') return { id: undefined, host: undefined };
  const redis = new ManagedRedis(stack, 'redis', {
    ...base,
    name: name('amr'),
    skuName: settings.sku,
    highAvailabilityEnabled: settings.isHighlyAvailable,
    publicNetworkAccess: network === undefined ? 'Enabled' : 'Disabled',
    defaultDatabase: {
      clientProtocol: 'Encrypted',
      // Scripts of limits name several keys, which a cluster would keep apart. Changing it later destroys the data.
      clusteringPolicy: 'NoCluster',
      // Counters and published records must not go for want of memory: an alert watches it.
      evictionPolicy: 'NoEviction',
      accessKeysAuthenticationEnabled: false,
    },
    lifecycle: { preventDestroy: configuration.isProtected },
  });
  network?.connect({ id: 'redis', resourceId: redis.id, kind: 'redis' });
  return { id: redis.id, host: redis.hostname };
}

/** The first region's Redis as another stack knows it, which does not make it. */
export function redisOf(configuration: Configuration): SharedRedis | undefined {
  const { redis, location } = configuration;
  if (redis === undefined) return undefined;
  const name = nameOf('amr', partsOf(configuration));
  const isManaged = redis.kind === 'managed';
  return { id: undefined, host: isManaged ? `${name}.${location}.redis.azure.net` : undefined };
}

/** Lets an identity sign in to Redis, where Entra decides that. */
export function grantRedis(
  { stack }: Site,
  redis: SharedRedis | undefined,
  identity: Identity,
): void {
  if (redis?.id === undefined) return;
  identity.grants.push(
    new ManagedRedisAccessPolicyAssignment(stack, `grant-${identity.actor}-redis`, {
      managedRedisId: redis.id,
      objectId: identity.resource.principalId,
    }),
  );
}

/** What an app finds Redis by, and signs in with. */
export function redisVariables(
  redis: SharedRedis | undefined,
  identity: Identity,
): { readonly [name: string]: Variable } {
  if (redis === undefined) return {};
  if (redis.host === undefined) return { AIGATEWAY_REDIS_URL: { secret: 'redis-url' } };
  return {
    REDIS_HOST: { value: redis.host },
    REDIS_PORT: { value: managedPort },
    REDIS_SSL: { value: 'true' },
    REDIS_USERNAME: { value: identity.resource.principalId },
    AIGATEWAY_REDIS_IDENTITY: { value: 'true' },
  };
}
