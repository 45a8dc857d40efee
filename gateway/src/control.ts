import type { Compiled, LogRetention } from '@aigateway/contract/compile';
import { masterKeyId } from '@aigateway/contract/key';
import { optional } from '@aigateway/contract/optional';
import type { Sealer } from '@aigateway/contract/sealer';
import type { Catalogue, SnapshotPublisher } from '@aigateway/contract/snapshot';
import { createControlPlane, type ControlPlane } from '@aigateway/control-plane/control-plane';
import type { ControlPlanePorts } from '@aigateway/control-plane/http/registry';
import type { ManagementSettings } from '@aigateway/control-plane/http/call';
import { generateBody } from '@aigateway/control-plane/keys/schema';
import { hasForeignReference } from '@aigateway/control-plane/models/secrets';
import { createPublishing } from '@aigateway/control-plane/publish/publishing';
import type { TellSpend } from '@aigateway/control-plane/http/call';
import type { Entities } from '@aigateway/control-plane/store/entities';
import type { EarlierUse } from '@aigateway/control-plane/usage/budget-keeper';
import type { Store } from '@aigateway/control-plane/store/store';
import type { Configuration } from './configuration.ts';
import { earlierUse, isNearlyExact } from './earlier-use.ts';
import type { RoleInput } from './roles.ts';
import { openStore, storePlace } from './store-place.ts';
import { catalogueOf } from './stored-catalogue.ts';

/** A running control plane, without the server in front of it. */
export type Control = {
  readonly store: Store;
  readonly handler: ControlPlane['handler'];
  readonly readiness: ControlPlane['readiness'];
  /**
   * Puts a configuration that was read again in force, and begins with the first.
   *
   * @throws {Error} for one that cannot be; what was in force stays
   */
  publish(configuration: Configuration): Promise<void>;
  /** What was used of every limit that outlasts processes, as far as the ledger knows. */
  earlierUse(nowMs: number): Promise<EarlierUse[]>;
  /** How long single usage records are kept at present. */
  logRetention(): Promise<LogRetention>;
  close(): Promise<void>;
};

export type ControlInput = RoleInput & {
  /** What the management API needs besides. */
  readonly management: Pick<
    ControlPlanePorts,
    'onAnswered' | 'isStopping' | 'clientAddress' | 'logins' | 'standingChanges'
  >;
  readonly publisher: SnapshotPublisher;
  /** Seals secrets in the store. */
  readonly sealer: Sealer;
  /** What is done to the records before they are published. */
  readonly outgoing: (catalogue: Catalogue) => Catalogue;
  /** Told what was used of limits that were just published: whoever counts has at least that. */
  readonly tellEarlierUse: (used: readonly EarlierUse[]) => Promise<void>;
  /** Told when spend was set, so that whoever counts it does so from there. */
  readonly tellSpend: TellSpend;
  readonly onFault: (message: string, cause: unknown) => void;
};

/**
 * The control plane of a configuration: its store, the management API over it, and what brings both to proxies. What the file or
 * the environment says is read-only over the API.
 *
 * @throws {StoreUnavailableError} when the store cannot be reached
 * @throws {Error} naming a setting that cannot be used
 */
export async function startControl(input: ControlInput): Promise<Control> {
  let { configuration } = input;
  checkKeyDefaults(configuration);
  const store = await openStore(storePlace(configuration.compiled.server, input.environment));
  const { sealer } = input;
  const onProblem = (message: string) =>
    input.onFault(`an entry of the store is not used: ${message}`, undefined);
  const catalogueNow = () => catalogueOf(configuration, store.entities, sealer, onProblem);
  const publishing = createPublishing({
    entities: store.entities,
    publisher: input.publisher,
    catalogue: async () => input.outgoing(await catalogueNow()),
    fixedKeys: () => configuration.compiled.records.keys,
    fixedHolders: () => configuration.compiled.records.holders ?? [],
    compile: () => configuration.compiled.management,
    customerBudgetId: () => configuration.compiled.management.customerBudgetId,
    onPublished: async (records, catalogue) => {
      // The budget of all customers concerns thousands: it counts from when it is given.
      const {
        customerLimits: _,
        globalScope,
        ...settings
      } = configuration.compiled.records.settings;
      const used = await earlierUse({
        records,
        catalogue: {
          deployments: catalogue?.deployments ?? [],
          settings:
            catalogue === undefined
              ? settings
              : { ...settings, ...optional('globalScope', globalScope) },
        },
        store,
        nowMs: Date.now(),
      });
      await input.tellEarlierUse(used.filter((use) => isNearlyExact(use, settings)));
    },
    onFailure: (error) => input.onFault('publishing failed, it is tried again', error),
  });
  const { handler, readiness } = createControlPlane({
    ...input.management,
    store,
    clock: { now: Date.now },
    masterKeyHash: () => masterKeyHash(configuration.compiled),
    settings: () => managementSettings(configuration),
    sealer,
    tellSpend: input.tellSpend,
    onChange: (written) => publishing.publish(written),
    onFault: input.onFault,
  });
  return {
    store,
    handler,
    readiness,
    async earlierUse(nowMs) {
      const catalogue = await catalogueNow();
      return earlierUse({ records: publishing.records(), catalogue, store, nowMs });
    },
    logRetention: () => logRetentionOf(configuration, store.entities),
    async publish(next) {
      checkKeyDefaults(next);
      configuration = next;
      await publishing.publishAll();
    },
    async close() {
      publishing.close();
      await input.publisher.close();
      await store.close();
    },
  };
}

/** @throws {Error} for a default of keys that no key could be made with */
function checkKeyDefaults({ compiled: { management } }: Configuration): void {
  const issue = generateBody.safeParse(management.keyDefaults).error?.issues[0];
  if (issue === undefined) return;
  const place = ['litellm_settings', 'default_key_generate_params', ...issue.path].join('.');
  throw new Error(`${place}: ${issue.message}`);
}

const settingsOf = new WeakMap<Configuration, ManagementSettings>();

/** Made once for each configuration. */
function managementSettings(configuration: Configuration): ManagementSettings {
  let known = settingsOf.get(configuration);
  if (known === undefined) {
    const { settings, deployments, models, router } = configuration.compiled.records;
    const { keyDefaults, keyUpperBounds, customKeys } = configuration.compiled.management;
    const accessGroups = new Map(models.map((model) => [model.name, model.accessGroups]));
    known = {
      keyHeader: settings.keyHeader,
      keyDefaults,
      keyUpperBounds,
      customKeys,
      keyVaults: configuration.compiled.server.apiKeyVaults,
      timezone: settings.timezone,
      budgetResetTime: settings.budgetResetTime,
      fileModels: new Map(
        deployments.map(({ id, model, dialect }) => [
          id,
          {
            name: model,
            accessGroups: accessGroups.get(model) ?? [],
            provider: dialect === 'openai' ? 'openai' : 'azure',
          },
        ]),
      ),
      fileAliases: Object.keys(router.aliases),
      fileSettings: configuration.settings,
    };
    settingsOf.set(configuration, known);
  }
  return known;
}

function masterKeyHash({ records }: Compiled): string | undefined {
  const master = records.keys.find(({ keyId }) => keyId === masterKeyId);
  return master?.secrets[0]?.hash;
}

const retentionSettings = [
  'maximum_spend_logs_retention_period',
  'maximum_spend_logs_retention_interval',
];

/** By the configuration, and by what the store holds where that leaves it open. */
async function logRetentionOf(
  configuration: Configuration,
  entities: Entities,
): Promise<LogRetention> {
  const stored = (await entities.get('settings', 'general_settings'))?.document.values;
  const isSet = retentionSettings.some((name) => Object.hasOwn(stored ?? {}, name));
  if (stored === undefined || !isSet || hasForeignReference(stored, []))
    return configuration.compiled.management.logRetention;
  const settings = { general_settings: stored };
  return configuration.compileWith({ models: [], credentials: [], settings }).management
    .logRetention;
}
