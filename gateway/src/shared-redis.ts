import { once } from 'node:events';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { snapshotHeadKey } from '@aigateway/contract/channels';
import type { SettingsRecord } from '@aigateway/contract/records';
import type { RedisSettings } from '@aigateway/contract/redis-settings';
import type { SnapshotSource } from '@aigateway/contract/snapshot';
import type { StandingChanges } from '@aigateway/contract/standing-changes';
import type { Estimates, Limiter } from '@aigateway/proxy/ports';
import { connectRedis, type RedisConnection } from '@aigateway/proxy/stores/redis/connection';
import { createRedisEstimates } from '@aigateway/proxy/stores/redis/estimates';
import { createRedisLimiter } from '@aigateway/proxy/stores/redis/limiter';
import { createRedisStandingChanges } from '@aigateway/proxy/stores/redis/standing-changes';
import { createRedisSource } from '@aigateway/proxy/stores/redis/snapshot-source';
import { redisConnection } from './redis-settings.ts';
import type { RoleInput } from './roles.ts';

/** Tells when the windows of budgets begin. */
export type Calendar = () => Pick<SettingsRecord, 'timezone' | 'budgetResetTime'>;

/** The Redis that processes share. */
export type SharedRedis = {
  readonly client: RedisConnection['client'];
  /** Counts limits for all of them. Closed by whoever made it. */
  createLimiter(
    calendar: Calendar,
    options?: { grantedOfLate: boolean },
  ): Limiter & { close(): Promise<void> };
  /** Holds for all of them what background responses were charged by. */
  createEstimates(): Estimates;
  /** How deployments fared, as all of them saw it. */
  readonly standingChanges: StandingChanges;
  /** What a control plane publishes there. */
  createSource(): SnapshotSource;
  /** Tells whether one does. False where Redis does not say. */
  isPublishedIn(): Promise<boolean>;
  close(): Promise<void>;
};

/** How long a start waits for a Redis that does not even refuse. */
const firstAttemptMs = 5_000;

/**
 * Connects to the Redis of the settings. Resolves once it is connected, or has failed to be: before that it would
 * count as away, and what limits grant without it stays reckoned for the rest of the minute.
 *
 * @throws {Error} for settings that cannot be used
 */
export async function connectSharedRedis(
  settings: RedisSettings,
  input: RoleInput,
): Promise<SharedRedis> {
  const { environment, logger } = input;
  const connection = await connectRedis({
    ...redisConnection(settings, environment),
    onError: (error) => logger.warn({ error }, 'Redis'),
  });
  await firstAttempt(connection.client);
  return {
    client: connection.client,
    createLimiter: (calendar, options) =>
      createRedisLimiter({
        ...options,
        redis: connection.client,
        withoutRedis: settings.whileAway,
        calendar,
        onEvent: (event) => logger.warn(event, 'limits'),
      }),
    createEstimates: () => createRedisEstimates(connection.client),
    standingChanges: createRedisStandingChanges(connection.client),
    createSource: () =>
      createRedisSource({
        redis: connection.client,
        secret: input.secret,
        dataDirectory: resolve(input.configuration.compiled.server.dataDir),
        onEvent: (event) => logger.warn(event, 'snapshot'),
      }),
    isPublishedIn: () =>
      connection.client.exists(snapshotHeadKey).then(
        (count) => count > 0,
        () => false,
      ),
    close: () => connection.close(),
  };
}

async function firstAttempt(client: RedisConnection['client']): Promise<void> {
  if (client.status === 'ready') return;
  const over = new AbortController();
  const { signal } = over;
  await Promise.race([
    once(client, 'ready', { signal }),
    once(client, 'close', { signal }),
    delay(firstAttemptMs, undefined, { signal }),
  ]).catch(() => undefined);
  over.abort();
}
