import { join, resolve } from 'node:path';
import type { Compiled } from '@aigateway/contract/compile';
import { createMemoryBus } from '@aigateway/contract/memory-bus';
import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import type { Catalogue } from '@aigateway/contract/snapshot';
import { createControlPlane } from '@aigateway/control-plane/control-plane';
import { createPublishing, type Publishing } from '@aigateway/control-plane/publish/publishing';
import { createSealer, type Sealer } from '@aigateway/control-plane/secrets/sealer';
import type { Entities } from '@aigateway/control-plane/store/entities';
import { createSqliteStore } from '@aigateway/control-plane/store/sqlite/sqlite-store';
import { createMemoryLimiter } from '@aigateway/proxy/stores/memory/limiter';
import type { Proxy } from '@aigateway/proxy/proxy';
import type { Configuration } from './configuration.ts';
import { startWith, type StartInput } from './start.ts';

/** Both planes in one process. */
export type Embedded = {
  readonly proxy: Proxy;
  /** Puts a configuration that was read again in force. */
  put(configuration: Configuration): Promise<void>;
  /** After the proxy has been drained. */
  close(): Promise<void>;
};

export type EmbeddedInput = Omit<StartInput, 'compiled'> & {
  readonly configuration: Configuration;
};

/**
 * Starts a proxy and its control plane in one process, on one port: the store is a file in the data directory, and the planes
 * meet in memory. What the file or the environment says is read-only over the API.
 */
export async function startEmbedded(input: EmbeddedInput): Promise<Embedded> {
  let { configuration } = input;
  const { server } = configuration.compiled;
  const clock = { now: Date.now };
  const store = await createSqliteStore({
    path: join(resolve(server.dataDir), 'gateway.db'),
  });
  const sealer = createSealer(secretsOf(input));
  const limiter = createMemoryLimiter({
    clock,
    calendar: () => configuration.compiled.records.settings,
  });
  const bus = createMemoryBus();
  const running: { proxy?: Proxy } = {};
  const publishing: Publishing = createPublishing({
    entities: store.entities,
    publisher: bus.publisher,
    catalogue: () => catalogueOf(configuration, store.entities, sealer),
    fixedKeys: () => configuration.compiled.records.keys,
    compile: () => ({ modelDefaults: {} }),
    onFailure: (error) => running.proxy?.logger.error({ error }, 'publishing failed'),
  });
  const { handler } = createControlPlane({
    store,
    clock,
    masterKeyHash: masterKeyHash(configuration.compiled),
    settings: {
      keyDefaults: {},
      keyUpperBounds: {},
      customKeys: true,
      timezone: configuration.compiled.records.settings.timezone,
      budgetResetTime: configuration.compiled.records.settings.budgetResetTime,
      fileModels: new Set(configuration.compiled.records.deployments.map(({ id }) => id)),
    },
    sealer,
    spend: {
      reset: (dimension, id, toNanoUsd) => {
        const kind = scopeOfDimension[dimension];
        if (kind === undefined) return Promise.resolve();
        limiter.forget(kind, id);
        if (toNanoUsd > 0) limiter.seed({ kind, id, usedNanoUsd: toNanoUsd });
        return Promise.resolve();
      },
    },
    onChange: (written) => publishing.publish(written),
    onFault: (message, cause) => running.proxy?.logger.error({ error: cause }, message),
  });
  const started = await startWith(
    undefined,
    { ...input, compiled: configuration.compiled },
    {
      limiter,
      management: handler,
    },
  );
  running.proxy = started;
  const source = bus.createSource();
  const told = source.start({
    replace: (records) => started.update(records),
    change: (change) => started.apply(change),
  });
  await publishing.publishAll();
  await told;
  return {
    proxy: started,
    async put(next) {
      configuration = next;
      await publishing.publishAll();
    },
    async close() {
      publishing.close();
      await source.close();
      await bus.publisher.close();
      await store.close();
    },
  };
}

/** What of a limiter's scopes each dimension of spend is counted by. */
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

/** LiteLLM's salt key seals where it is set, so that a store can be shared with what was sealed by it; else the root secret. */
function secretsOf({ environment, secret }: EmbeddedInput): [string, ...string[]] {
  const salt = environment['LITELLM_SALT_KEY'];
  const roots = [secret.current, ...(secret.previous === undefined ? [] : [secret.previous])];
  return salt ? [salt, ...roots] : (roots as [string, ...string[]]);
}

function masterKeyHash({ records }: Compiled): string | undefined {
  const master = records.keys.find(({ keyId }) => keyId === 'litellm_proxy_master_key');
  return master?.secrets[0]?.hash;
}

/** The configuration's records but its keys, with the models that the store holds besides. */
async function catalogueOf(
  configuration: Configuration,
  entities: Entities,
  sealer: Sealer,
): Promise<Catalogue> {
  const models: JsonObject[] = [];
  for await (const { document } of entities.all('model')) {
    models.push({
      model_name: document.model_name,
      litellm_params: unsealed(document.litellm_params, sealer) as JsonObject,
      model_info: { ...document.model_info, id: document.model_id, blocked: document.blocked },
    });
  }
  const { records } =
    models.length === 0 ? configuration.compiled : configuration.compileWith(models);
  const { keys: _keys, schemaVersion: _version, revision: _revision, ...catalogue } = records;
  return catalogue;
}

/** What cannot be opened stays as it is: an upstream refuses it, and its deployment says so. */
function unsealed(value: JsonValue, sealer: Sealer): JsonValue {
  if (typeof value === 'string') {
    return sealer.isSealed(value) ? (sealer.unseal(value) ?? value) : value;
  }
  if (Array.isArray(value)) return value.map((item) => unsealed(item, sealer));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, unsealed(member, sealer)]),
  );
}
