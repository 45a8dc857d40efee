import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createMemoryBus } from '@aigateway/contract/memory-bus';
import type { Records } from '@aigateway/contract/records';
import { openSecrets, sealSecrets } from '@aigateway/contract/sealed-secrets';
import { createSealer, type Sealer } from '@aigateway/contract/sealer';
import type { SnapshotPublisher, SnapshotSource } from '@aigateway/contract/snapshot';
import type { UsageTransport } from '@aigateway/contract/usage';
import { createRedisPublisher } from '@aigateway/control-plane/publish/redis';
import { createUsageConsumer } from '@aigateway/control-plane/usage/consumer';
import { createDirectTransport } from '@aigateway/control-plane/usage/direct';
import type { Limiter } from '@aigateway/proxy/ports';
import type { Proxy } from '@aigateway/proxy/proxy';
import { openUsageSpool } from '@aigateway/proxy/stores/file/spool';
import { createMemoryLimiter, type MemoryLimiter } from '@aigateway/proxy/stores/memory/limiter';
import { connectRedis, type RedisConnection } from '@aigateway/proxy/stores/redis/connection';
import { createRedisLimiter } from '@aigateway/proxy/stores/redis/limiter';
import { createRedisSource } from '@aigateway/proxy/stores/redis/snapshot-source';
import { createRedisTransport } from '@aigateway/proxy/stores/redis/usage-transport';
import { createLogger, type Logger } from '@aigateway/proxy/telemetry/logger';
import type { Role } from './command-line.ts';
import type { Configuration } from './configuration.ts';
import { startControl, type Control } from './control.ts';
import { earlierSpend } from './earlier-spend.ts';
import { redisSettings } from './redis-settings.ts';
import { startCompiled, startWith } from './start.ts';

export type RoleInput = {
  readonly configuration: Configuration;
  readonly environment: { [name: string]: string | undefined };
  /** Root secret, and the one before it during a rotation. */
  readonly secret: { readonly current: string; readonly previous?: string };
  readonly version: string;
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
 * @throws {Error} naming the setting that is missing
 */
export async function startRole(role: Role, input: RoleInput): Promise<Running> {
  const { configuration, environment } = input;
  const settings = redisSettings(environment);
  const { logLevel } = configuration.compiled.server;
  const log: { logger: Logger } = { logger: createLogger(logLevel) };
  const redis =
    settings === undefined
      ? undefined
      : await connectRedis({
          ...settings.connection,
          onError: (error) => log.logger.warn({ error }, 'Redis'),
        });
  if (redis !== undefined) await firstAttempt(redis.client);
  const parts: Parts = { input, log, redis, withoutRedis: settings?.withoutRedis ?? 'local' };
  try {
    if (role === 'control-plane') return await startControlRole(parts);
    if (role === 'all') return await startBoth(parts);
    const standsAlone = configuration.compiled.records.deployments.length > 0;
    return await (standsAlone ? startAlone(parts) : startFollower(parts));
  } catch (error) {
    await redis?.close();
    throw error;
  }
}

/** How long a start waits for a Redis that does not even refuse. */
const firstAttemptMs = 5_000;

/**
 * Resolves once Redis is connected, or has failed to be. Before that it would count as away, and what limits grant without it
 * stays reckoned for the rest of the minute.
 */
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

type Parts = {
  readonly input: RoleInput;
  readonly log: { logger: Logger };
  readonly redis: RedisConnection | undefined;
  readonly withoutRedis: 'local' | 'closed';
};

/** A proxy with a configuration of its own and no control plane. */
async function startAlone({ input, log, redis, withoutRedis }: Parts): Promise<Running> {
  const { configuration, ...rest } = input;
  const start = { ...rest, compiled: configuration.compiled };
  let settings = configuration.compiled.records.settings;
  const limiter = sharedLimiter(redis, withoutRedis, log, () => settings);
  const proxy =
    limiter === undefined
      ? await startCompiled(start)
      : await startWith(configuration.compiled.records, start, { limiter });
  log.logger = proxy.logger;
  return {
    proxy,
    url: proxy.url,
    logger: proxy.logger,
    put({ compiled }) {
      settings = compiled.records.settings;
      proxy.update(compiled.records);
      return Promise.resolve();
    },
    async stop() {
      await proxy.drain();
      await limiter?.close();
      await redis?.close();
    },
  };
}

/** A proxy that a control plane tells through Redis what it needs to know. */
async function startFollower(parts: Parts): Promise<Running> {
  const { input, log, redis } = parts;
  if (redis === undefined) {
    throw new Error(
      'no models are configured, and no REDIS_URL names where a control plane publishes them',
    );
  }
  const { dataDir } = input.configuration.compiled.server;
  const source = createRedisSource({
    redis: redis.client,
    secret: input.secret,
    dataDirectory: resolve(dataDir),
    onEvent: (event) => log.logger.warn(event, 'snapshot'),
  });
  const transport = createRedisTransport({ redis: redis.client });
  const data = await startData(parts, source, transport, {});
  return {
    ...data,
    put({ compiled }) {
      if (compiled.records.deployments.length > 0)
        log.logger.warn({ settings: ['model_list'] }, 'needs a restart: model_list');
      return Promise.resolve();
    },
    async stop() {
      await data.stop();
      await redis.close();
    },
  };
}

/** Both planes on one port. */
async function startBoth(parts: Parts): Promise<Running> {
  const { input, log, redis } = parts;
  const bus = redis === undefined ? createMemoryBus() : undefined;
  const source =
    bus?.createSource() ??
    createRedisSource({
      redis: clientOf(redis),
      secret: input.secret,
      dataDirectory: resolve(input.configuration.compiled.server.dataDir),
      onEvent: (event) => log.logger.warn(event, 'snapshot'),
    });
  const memory =
    bus === undefined
      ? undefined
      : createMemoryLimiter({
          clock: { now: Date.now },
          calendar: () => current.compiled.records.settings,
        });
  const sealer = sealerOf(input);
  let current = input.configuration;
  const control = await startControl({
    ...input,
    publisher: bus?.publisher ?? redisPublisher(parts, () => void republish()),
    sealer,
    outgoing: (catalogue) => (bus === undefined ? sealSecrets(catalogue, sealer) : catalogue),
    spend: spendKeeper(memory),
    onFault: (message, cause) => log.logger.error({ error: cause }, message),
  });
  const republish = (): Promise<void> => control.publish(current);
  if (bus !== undefined && memory !== undefined) {
    await control.publish(current);
    // Before the first request: what an earlier process spent is spent.
    const { keys, settings } = await recordsOf(bus.createSource());
    const { ledger } = control.store;
    for (const spend of await earlierSpend(keys, settings, ledger, Date.now())) memory.seed(spend);
  }
  const transport = createDirectTransport(control.store.ledger);
  const data = await startData(parts, source, transport, {
    management: control.handler,
    ...(memory !== undefined && { limiter: memory }),
  });
  // Usage of other proxies, where there are any.
  const consumer =
    redis === undefined
      ? undefined
      : createUsageConsumer({
          redis: redis.client,
          ledger: control.store.ledger,
          onTrouble: (error, producer) => log.logger.warn({ error, producer }, 'usage'),
        });
  if (bus === undefined) await republish();
  return {
    ...data,
    async put(next) {
      current = next;
      await republish();
    },
    async stop() {
      await data.stop();
      await consumer?.close();
      await control.close();
      await redis?.close();
    },
  };
}

/** What a source holds now. */
async function recordsOf(source: SnapshotSource): Promise<Records> {
  const { promise, resolve: hold } = Promise.withResolvers<Records>();
  void source.start({ replace: hold, change: () => undefined });
  const records = await promise;
  await source.close();
  return records;
}

/** The management API by itself. */
async function startControlRole(parts: Parts): Promise<Running> {
  const { input, log, redis } = parts;
  const { server } = input.configuration.compiled;
  if (redis === undefined)
    throw new Error('REDIS_URL is not set: a control plane has no other way to its proxies');
  const sealer = sealerOf(input);
  let current = input.configuration;
  const control = await startControl({
    ...input,
    publisher: redisPublisher(parts, () => void republish()),
    sealer,
    outgoing: (catalogue) => sealSecrets(catalogue, sealer),
    spend: spendKeeper(undefined),
    onFault: (message, cause) => log.logger.error({ error: cause }, message),
  });
  const republish = (): Promise<void> => control.publish(current);
  const consumer = createUsageConsumer({
    redis: redis.client,
    ledger: control.store.ledger,
    onTrouble: (error, producer) => log.logger.warn({ error, producer }, 'usage'),
  });
  const http = createServer(control.handler);
  await new Promise<void>((listening, failed) => {
    http.once('error', failed);
    http.listen(server.port, server.host, listening);
  });
  await republish();
  const { port } = http.address() as AddressInfo;
  return {
    proxy: undefined,
    url: `http://127.0.0.1:${port}`,
    logger: log.logger,
    async put(next) {
      current = next;
      await republish();
    },
    async stop() {
      const closed = new Promise<void>((resolveClosed) => http.close(() => resolveClosed()));
      http.closeIdleConnections();
      await Promise.race([closed, delay(server.drainMs, undefined, { ref: false })]);
      http.closeAllConnections();
      await closed;
      await consumer.close();
      await control.close();
      await redis.close();
    },
  };
}

type DataPorts = { limiter?: Limiter; management?: Control['handler'] };

/** A proxy that follows a source, its usage on its way to the ledger. */
async function startData(
  { input, log, redis, withoutRedis }: Parts,
  source: SnapshotSource,
  transport: UsageTransport,
  ports: DataPorts,
): Promise<Pick<Running, 'url' | 'logger' | 'stop'> & { proxy: Proxy }> {
  const { configuration, ...rest } = input;
  const { compiled } = configuration;
  let settings = compiled.records.settings;
  const shared = sharedLimiter(redis, withoutRedis, log, () => settings);
  const limiter = shared ?? ports.limiter;
  const usage = await openUsageSpool({
    directory: resolve(compiled.server.dataDir),
    transport,
    onTrouble: (error) => {
      if (error !== undefined) log.logger.warn({ error }, 'usage waits on the disk');
    },
  });
  const proxy = await startWith(
    undefined,
    { ...rest, compiled },
    {
      ...ports,
      ...(limiter !== undefined && { limiter }),
      usage,
      findKey: (hash) => source.findKey(hash),
    },
  );
  log.logger = proxy.logger;
  const sealer = sealerOf(input);
  void source.start({
    replace(records) {
      settings = records.settings;
      proxy.update({ ...records, ...openSecrets(records, sealer) });
    },
    change(change) {
      if (change.kind === 'key') {
        proxy.apply(change);
        return;
      }
      settings = change.catalogue.settings;
      proxy.apply({ ...change, catalogue: openSecrets(change.catalogue, sealer) });
    },
  });
  return {
    proxy,
    url: proxy.url,
    logger: proxy.logger,
    async stop() {
      await proxy.drain();
      await source.close();
      await usage.close();
      await shared?.close();
    },
  };
}

const leastSaltBytes = 32;

/** LiteLLM's salt key seals where it is set; else the root secret. Both planes need the same. */
function sealerOf({ environment, secret }: RoleInput): Sealer {
  const roots: [string, ...string[]] = [
    secret.current,
    ...(secret.previous === undefined ? [] : [secret.previous]),
  ];
  const salt = environment['LITELLM_SALT_KEY'];
  if (salt && Buffer.byteLength(salt) < leastSaltBytes)
    throw new Error(`LITELLM_SALT_KEY: must have at least ${leastSaltBytes} bytes`);
  return createSealer(salt ? [salt, ...roots] : roots);
}

function sharedLimiter(
  redis: RedisConnection | undefined,
  withoutRedis: Parts['withoutRedis'],
  log: Parts['log'],
  calendar: () => { timezone: string; budgetResetTime: string },
) {
  if (redis === undefined) return undefined;
  return createRedisLimiter({
    redis: redis.client,
    withoutRedis,
    calendar,
    onEvent: (event) => log.logger.warn(event, 'limits'),
  });
}

function redisPublisher({ input, log, redis }: Parts, onLost: () => void): SnapshotPublisher {
  return createRedisPublisher({
    redis: clientOf(redis),
    secret: input.secret,
    onLost,
    onError: (error) => log.logger.warn({ error }, 'snapshot'),
  });
}

function clientOf(redis: RedisConnection | undefined): RedisConnection['client'] {
  if (redis === undefined) throw new Error('REDIS_URL is not set');
  return redis.client;
}

/** Sets spend back where it is counted in this process; counters in Redis go on until their window ends. */
function spendKeeper(limiter: MemoryLimiter | undefined) {
  return {
    reset(dimension: keyof typeof scopeOfDimension, id: string, toNanoUsd: number): Promise<void> {
      const kind = scopeOfDimension[dimension];
      if (kind !== undefined && limiter !== undefined) {
        limiter.forget(kind, id);
        if (toNanoUsd > 0) limiter.seed({ kind, id, usedNanoUsd: toNanoUsd });
      }
      return Promise.resolve();
    },
  };
}

/** What of a limiter's holders each dimension of spend is counted by. */
const scopeOfDimension = {
  key: 'api_key',
  user: 'user',
  team: 'team',
  organization: 'organization',
  customer: 'end_user',
  tag: 'tag',
  deployment: 'deployment',
  model: undefined,
} as const;
