import type { Proxy } from '@aigateway/proxy/proxy';
import type { Logger } from '@aigateway/proxy/telemetry/logger';
import type { Role } from './command-line.ts';
import type { Configuration } from './configuration.ts';
import type { SharedRedis } from './shared-redis.ts';
import { startStandalone } from './standalone.ts';

export type RoleInput = {
  readonly configuration: Configuration;
  readonly environment: { [name: string]: string | undefined };
  /** Root secret, and the one before it during a rotation. */
  readonly secret: { readonly current: string; readonly previous?: string };
  readonly version: string;
  /** Of the whole process. */
  readonly logger: Logger;
};

/** What runs in this process. */
export type Running = {
  /** Undefined where the management API alone is served. */
  readonly proxy: Proxy | undefined;
  /** Base URL of the main port. */
  readonly url: string;
  readonly logger: Logger;
  /** Puts a configuration that was read again in force. */
  put(configuration: Configuration): Promise<void>;
  /** Requests under way are finished, then everything is closed. */
  stop(): Promise<void>;
};

/**
 * Starts what a role runs.
 *
 * - `proxy` with models in its configuration stands alone: nobody tells it anything, and Redis, where there is one, counts limits
 * - `proxy` without models follows a control plane through Redis
 * - `control-plane` tells proxies through Redis
 * - `all` is both in one process, which meet in memory, or in Redis where further proxies follow
 *
 * What a role needs not is not even loaded: a start does not pay for it.
 *
 * @throws {Error} naming the setting that is missing
 */
export async function startRole(role: Role, input: RoleInput): Promise<Running> {
  const settings = input.configuration.compiled.server.redis;
  if (settings === undefined) return startWithin(role, input, undefined);
  const { connectSharedRedis } = await import('./shared-redis.ts');
  const redis = await connectSharedRedis(settings, input);
  try {
    return await startWithin(role, input, redis);
  } catch (error) {
    await redis.close();
    throw error;
  }
}

async function startWithin(
  role: Role,
  input: RoleInput,
  redis: SharedRedis | undefined,
): Promise<Running> {
  if (role === 'all') return (await import('./both-planes.ts')).startBothPlanes(input, redis);
  if (role === 'control-plane') {
    if (redis === undefined)
      throw new Error('REDIS_URL is not set: a control plane has no other way to its proxies');
    return (await import('./control-role.ts')).startControlRole(input, redis);
  }
  if (input.configuration.compiled.records.deployments.length > 0)
    return startStandalone(input, redis);
  if (redis === undefined) {
    throw new Error(
      'no models are configured, and no REDIS_URL names where a control plane publishes them',
    );
  }
  return (await import('./follower.ts')).startFollower(input, redis);
}
