import { parseAzureUrl } from './azure-url.ts';
import type { DeploymentContext, NamedCredential } from './compile-context.ts';
import { compileDeployment, type CompiledDeployment } from './compile-deployment.ts';
import { compileKeys } from './compile-keys.ts';
import { routerRecord, withRouting } from './compile-router.ts';
import { settingsRecord, tagRecords } from './compile-settings.ts';
import { type Config, identityKinds } from './config.ts';
import {
  type ConfigPath,
  createReport,
  type Notice,
  type Problem,
  type Report,
} from './config-problems.ts';
import { controlPlaneUrl } from './control-plane-url.ts';
import { durationMs } from './duration.ts';
import { type Environment, isSet } from './environment-config.ts';
import type { Limits } from './limits.ts';
import { nearestName } from './names.ts';
import { optional } from './optional.ts';
import { parseConfig, type ParsedConfig } from './parse-config.ts';
import {
  type CredentialRecord,
  type DeploymentRecord,
  type JsonObject,
  type KeyRecord,
  type ModelRecord,
  type Records,
  schemaVersion,
} from './records.ts';
import { redisSettings } from './redis-settings.ts';
import { serverSettings, type ServerSettings } from './server-settings.ts';
import {
  ambientIdentity,
  credentialMethod,
  credentialRecord,
  isNoKey,
  namesUnsetCredential,
} from './compile-credential.ts';
import { vaultOrigin } from './key-vault.ts';

/** A configuration ready to run, or everything that keeps it from running. */
export type Compiled = {
  /** Revision 0: a configuration file is one whole. */
  readonly records: Records;
  readonly server: ServerSettings;
  /** In the order they were found. */
  readonly notices: readonly Notice[];
  /** Not empty = must not start. */
  readonly problems: readonly Problem[];
  /** How each deployment's address was understood, by deployment id. */
  readonly addresses: ReadonlyMap<string, CompiledDeployment['url']>;
  /** What the control plane makes records of its own by. */
  readonly management: ManagementConfig;
};

export type ManagementConfig = {
  /** Budget of customers without one of their own; the store has it. */
  readonly customerBudgetId?: string;
  /** Fields of new keys where their makers left them out. */
  readonly keyDefaults: JsonObject;
  /** The most that keys may have, by field. */
  readonly keyUpperBounds: { readonly [field: string]: number | string };
  /** Whether callers may choose the secrets of keys. */
  readonly customKeys: boolean;
  /** Calls in flight of keys that have no number of their own. */
  readonly defaultParallel?: number;
  /** Whether the limits of users hold for keys of teams. */
  readonly userLimitsOnTeamKeys?: boolean;
  readonly logRetention: LogRetention;
};

/** How long single usage records are kept. */
export type LogRetention = {
  /** Absent = for ever. */
  readonly periodMs?: number;
  /** How often it is looked for what is older. */
  readonly everyMs: number;
};

/**
 * Reads and compiles a configuration in one go: a parsed file (or none) and the environment.
 *
 * Pure: the same two give the same result, and nothing is read or called.
 */
export function configure(raw: unknown, environment: Environment): Compiled {
  return compile(parseConfig(raw, environment));
}

/** Turns a configuration into the records a proxy holds and the settings of its process. */
export function compile(parsed: ParsedConfig): Compiled {
  const { config, environment, positions } = parsed;
  const report = createReport(parsed.report);
  const profile = profileOf(environment, report);
  const identity = ambientIdentity(
    { environment, fileVariables: parsed.fileVariables, profile },
    {},
  );
  const server: ServerSettings = {
    ...serverSettings(config, profile),
    ...rootSecrets(environment, report),
    ...optional('redis', redisSettings(config.aigateway_settings ?? {}, identity, report)),
    ...optional('controlPlaneUrl', controlPlaneUrl(config, report)),
    vaultIdentity: identity,
    apiKeyVaults: apiKeyVaults(config, report),
  };
  checkAmbientName(environment, report);
  const credentials = namedCredentials(config, positions, report);
  const context: DeploymentContext = {
    config,
    environment,
    fileVariables: parsed.fileVariables,
    profile,
    usesAmbientIdentity: config.litellm_settings?.enable_azure_ad_token_refresh === true,
    credentials,
    unset: parsed.unset,
    allowInsecure: server.allowInsecureUpstream,
    report,
  };

  const unusable: Written[] = [];
  const compiled = levelled(
    (config.model_list ?? []).flatMap((entry, index) => {
      const path: ConfigPath = parsed.modelSource ?? [
        'model_list',
        positions['model_list']?.[index] ?? index,
      ];
      const deployment = compileDeployment(entry, path, context);
      if (deployment !== undefined) return [{ ...deployment, entry, path }];
      unusable.push({ entry, path });
      return [];
    }),
  );
  checkIds(compiled, report);
  checkResources(compiled, report);
  const deployments = compiled.map(({ deployment }) => deployment);
  const models = withRouting(modelRecords(compiled), config, report);
  const router = routerRecord(config, models, report);
  const modelNames = new Set([
    ...models.flatMap((model) => [model.name, ...model.accessGroups]),
    ...Object.keys(router.aliases),
  ]);
  const keys = compileKeys(positions, {
    config,
    environment,
    profile,
    credentials,
    modelNames,
    report,
  });
  const credentialRecords = mergeCredentials([
    ...compiled.map(({ credential }) => credential),
    ...keyCredentials(keys, deployments, context),
  ]);
  if (config.aigateway_settings?.forbid_api_keys === true) {
    const withKeys = [
      ...compiled.filter(({ credential }) => credential.method.kind === 'api-key'),
      ...unusable.filter(({ entry }) => namesApiKey(entry, credentials)),
    ];
    forbidApiKeys(withKeys, credentialRecords, report);
  }
  checkManagement(config, environment, report);
  checkWhole(deployments, keys, server, environment, report);

  return {
    records: {
      schemaVersion,
      revision: 0,
      keys,
      holders: tagRecords(config),
      models,
      deployments,
      credentials: credentialRecords,
      router,
      settings: settingsRecord(config),
    },
    server,
    notices: report.notices,
    problems: report.problems,
    addresses: new Map(compiled.map(({ deployment, url }) => [deployment.id, url])),
    management: {
      ...optional('customerBudgetId', config.litellm_settings?.max_end_user_budget_id),
      keyDefaults: config.litellm_settings?.default_key_generate_params ?? {},
      keyUpperBounds: config.litellm_settings?.upperbound_key_generate_params ?? {},
      customKeys: config.general_settings?.disable_custom_api_keys !== true,
      ...optional('defaultParallel', config.general_settings?.max_parallel_requests),
      ...optional('userLimitsOnTeamKeys', config.general_settings?.apply_user_budget_to_team_keys),
      logRetention: logRetentionOf(config),
    },
  };
}

const dayMs = 86_400_000;

function logRetentionOf({ general_settings: general }: Config): LogRetention {
  const period = general?.maximum_spend_logs_retention_period;
  const interval = general?.maximum_spend_logs_retention_interval;
  return {
    ...optional('periodMs', period === undefined ? undefined : durationMs(period)),
    everyMs: (interval === undefined ? undefined : durationMs(interval)) ?? dayMs,
  };
}

/** A deployment as it stands in the configuration, whether it can be used or not. */
type Written = {
  readonly entry: NonNullable<Config['model_list']>[number];
  readonly path: ConfigPath;
};

type Entry = CompiledDeployment & Written;

function profileOf(environment: Environment, report: Report): ServerSettings['profile'] {
  const profile = environment['AIGATEWAY_PROFILE']?.trim() || 'production';
  if (profile === 'development' || profile === 'production') return profile;
  report.problem(['$AIGATEWAY_PROFILE'], 'must be one of development, production');
  return 'production';
}

function apiKeyVaults(config: Config, report: Report): string[] {
  return (config.aigateway_settings?.api_key_vaults ?? []).flatMap((written, index) => {
    const origin = vaultOrigin(written);
    if (origin !== undefined) return [origin];
    report.problem(
      ['aigateway_settings', 'api_key_vaults', index],
      'is neither the name nor the address of a Key Vault',
    );
    return [];
  });
}

/** The root secrets, by reference. A short one is as good as none. */
function rootSecrets(
  environment: Environment,
  report: Report,
): Pick<ServerSettings, 'secret' | 'previousSecret'> {
  const least = 32;
  const secret = (name: string) => {
    if (!isSet(environment, name)) return undefined;
    if (Buffer.byteLength(environment[name]?.trim() ?? '') < least) {
      report.problem(
        [`$${name}`],
        `must have at least ${least} bytes`,
        'Make one with: openssl rand -base64 48',
      );
    }
    return { kind: 'env' as const, name };
  };
  return {
    ...optional('secret', secret('AIGATEWAY_SECRET')),
    ...optional('previousSecret', secret('AIGATEWAY_SECRET_PREVIOUS')),
  };
}

function checkAmbientName(environment: Environment, report: Report): void {
  const name = environment['AZURE_CREDENTIAL']?.trim();
  if (!name || Object.hasOwn(identityKinds, name)) return;
  const near = nearestName(name, Object.keys(identityKinds));
  report.problem(
    ['$AZURE_CREDENTIAL'],
    `must be one of ${Object.keys(identityKinds).join(', ')}`,
    near === undefined ? undefined : `Did you mean ${near}?`,
  );
}

function namedCredentials(
  config: Config,
  positions: ParsedConfig['positions'],
  report: Report,
): Map<string, NamedCredential> {
  const named = new Map<string, NamedCredential>();
  for (const [index, credential] of (config.credential_list ?? []).entries()) {
    const path: ConfigPath = ['credential_list', positions['credential_list']?.[index] ?? index];
    if (named.has(credential.credential_name)) {
      report.problem([...path, 'credential_name'], 'is the name of another credential too');
    }
    const values = credential.credential_values;
    named.set(credential.credential_name, { values, path: [...path, 'credential_values'] });
  }
  return named;
}

function checkIds(compiled: readonly Entry[], report: Report): void {
  const seen = new Set<string>();
  for (const { deployment, entry, path } of compiled) {
    if (seen.has(deployment.id)) {
      const message =
        entry.model_info?.id === undefined
          ? 'is the same deployment as another entry; give each its own model_info.id'
          : 'has the id of another entry';
      report.problem([...path, 'model_info', 'id'], message);
    }
    seen.add(deployment.id);
  }
}

/** Of deployments without an `order` in a group where others have one: beyond every `order` that can be given. */
export const lastLevel = 1_000_000_000;

/**
 * The level of each deployment: its `order`; provisioned ones without come first, and others without come after those of
 * their group that have one, as LiteLLM never uses them while a level is there.
 */
function levelled(compiled: readonly Entry[]): Entry[] {
  const withOrder = new Set(
    compiled.flatMap(({ deployment, entry }) =>
      entry.litellm_params.order === undefined ? [] : [deployment.model],
    ),
  );
  return compiled.map((one) => {
    const { deployment, entry } = one;
    const isFirst = deployment.capacity === 'ptu';
    const unordered = isFirst ? 0 : withOrder.has(deployment.model) ? lastLevel : 1;
    return {
      ...one,
      deployment: { ...deployment, priority: entry.litellm_params.order ?? unordered },
    };
  });
}

function checkResources(compiled: readonly Entry[], report: Report): void {
  const seen = new Map<string, string>();
  for (const { deployment, path } of compiled) {
    const { id, origin, basePath } = deployment.resource;
    const address = origin + basePath;
    const other = seen.get(id);
    if (other !== undefined && other !== address) {
      report.problem(
        [...path, 'litellm_params', 'api_base'],
        `has the same short id as ${other}, by chance`,
        'Add a slash-separated path or use another of its host names.',
      );
    }
    seen.set(id, address);
  }
}

function modelRecords(compiled: readonly Entry[]): ModelRecord[] {
  const groups = Map.groupBy(compiled, ({ deployment }) => deployment.model);
  return [...groups].map(([name, entries]) => ({
    name,
    hidden: entries.some(({ entry }) => entry.model_info?.hidden === true),
    accessGroups: [
      ...new Set(entries.flatMap(({ entry }) => entry.model_info?.access_groups ?? [])),
    ],
    ...optional('keyLimits', keyLimits(entries)),
  }));
}

/** The last deployment that states a number counts. */
function keyLimits(entries: readonly Entry[]): Limits | undefined {
  const limits: Limits = {};
  for (const { entry } of entries) {
    const { default_api_key_rpm_limit: requests, default_api_key_tpm_limit: tokens } =
      entry.litellm_params;
    if (requests !== undefined) limits.requestsPerMinute = requests;
    if (tokens !== undefined) limits.tokensPerMinute = tokens;
  }
  return Object.keys(limits).length === 0 ? undefined : limits;
}

/** One record per id, with every origin that its deployments have. */
function mergeCredentials(credentials: readonly CredentialRecord[]): CredentialRecord[] {
  const merged = new Map<string, CredentialRecord>();
  for (const credential of credentials) {
    const known = merged.get(credential.id);
    const origins = [...new Set([...(known?.origins ?? []), ...credential.origins])];
    merged.set(credential.id, { ...(known ?? credential), origins });
  }
  return [...merged.values()];
}

/** Credentials that keys and projects bring: bound to their own address, or to the only one there is. */
function keyCredentials(
  keys: readonly KeyRecord[],
  deployments: readonly DeploymentRecord[],
  context: DeploymentContext,
): CredentialRecord[] {
  const { report, credentials } = context;
  const used = new Set(keys.flatMap((key) => key.credential ?? []));
  const origins = [...new Set(deployments.map(({ resource }) => resource.origin))];
  return [...credentials].flatMap(([name, { values, path }]) => {
    if (!used.has(name) || namesUnsetCredential(path, context.unset)) return [];
    const address = values.api_base ?? values.base_url;
    const url =
      address === undefined
        ? undefined
        : parseAzureUrl(address, { allowInsecure: context.allowInsecure });
    if (url?.ok === false) {
      report.problem([...path, 'api_base'], url.problem.replace(/\.$/, ''), url.hint);
      return [];
    }
    const origin = url?.origin ?? (origins.length === 1 ? origins[0] : undefined);
    if (origin === undefined) {
      report.problem(
        [...path, 'api_base'],
        'is missing: keys use this credential, and it must be known where it may be sent',
      );
      return [];
    }
    const isAzure = url === undefined || url.kind !== 'other' || url.dialect !== 'openai';
    const target = { origin, dialect: url?.dialect ?? 'v1', isAzure } as const;
    const method = credentialMethod(values, target, path, context);
    return method === undefined
      ? []
      : [credentialRecord(method, target, values, name, context.environment)];
  });
}

/** Whether a deployment would sign in with a key, were there not another problem. */
function namesApiKey(
  { litellm_params: params }: Written['entry'],
  credentials: DeploymentContext['credentials'],
): boolean {
  const named = credentials.get(params.litellm_credential_name ?? '')?.values;
  const key = params.api_key ?? named?.api_key;
  return key !== undefined && !isNoKey(key);
}

/** @param written - the deployments with a key */
function forbidApiKeys(
  written: readonly (Written & Partial<Pick<Entry, 'credential'>>)[],
  credentials: readonly CredentialRecord[],
  report: Report,
): void {
  const message = 'is reached with an API key, which forbid_api_keys does not permit';
  const hint = 'Use azure_credential: managed-identity, or another identity.';
  const reported = new Set<string>();
  for (const { entry, credential, path } of written) {
    if (credential !== undefined) reported.add(credential.id);
    report.problem([...path, 'litellm_params'], `${entry.model_name} ${message}`, hint);
  }
  for (const { id, method } of credentials) {
    if (method.kind === 'api-key' && !reported.has(id)) {
      report.problem(
        ['credential_list'],
        `${id} is an API key, which forbid_api_keys does not permit`,
        hint,
      );
    }
  }
}

/** A gateway that serves nobody or nothing is a mistake, except where development provides both by itself. */
/** Settings that bound what the management API gives out: ignored, keys would have more than the operator meant. */
const managementBounds: ReadonlySet<string> = new Set([
  'key_generation_settings',
  'custom_key_generate',
]);

const keyParams = ['default_key_generate_params', 'upperbound_key_generate_params'] as const;

function checkManagement(config: Config, environment: Environment, report: Report): void {
  if ((environment['AIGATEWAY_ROLE']?.trim() || 'proxy') === 'proxy') {
    const inert = (section: string, name: string, reason: string): void =>
      report.notice('inert', [section, name], reason);
    if (config.litellm_settings?.max_end_user_budget_id !== undefined) {
      inert(
        'litellm_settings',
        'max_end_user_budget_id',
        'names a budget of the management API, which does not run in this role; use max_end_user_budget',
      );
    }
    const isOfKeys = 'is for keys of the management API, which does not run in this role';
    for (const name of keyParams) {
      if (config.litellm_settings?.[name] !== undefined) inert('litellm_settings', name, isOfKeys);
    }
    if (config.general_settings?.disable_custom_api_keys === true)
      inert('general_settings', 'disable_custom_api_keys', isOfKeys);
    return;
  }
  for (const { path } of report.notices) {
    const name = path.at(-1);
    if (typeof name !== 'string' || !managementBounds.has(name)) continue;
    report.problem(
      path,
      'bounds the keys that the management API makes, and is not read in this release',
      'Remove it and give each key its limits, or run --role proxy.',
    );
  }
}

/** What becomes of several processes that share nothing. */
export function unshared(replicas: number): string {
  return `${replicas} replicas without a Redis each count limits and budgets by themselves: together they grant up to ${replicas} times as much. Set REDIS_URL`;
}

function checkWhole(
  deployments: readonly DeploymentRecord[],
  keys: readonly KeyRecord[],
  { controlPlaneUrl: forwardsTo, profile, redis, replicas }: ServerSettings,
  environment: Environment,
  report: Report,
): void {
  if (report.problems.length > 0) return;
  if (replicas > 1 && redis === undefined)
    report.notice('risk', ['aigateway_settings', 'replicas'], unshared(replicas));
  const role = environment['AIGATEWAY_ROLE']?.trim() || 'proxy';
  const follows = role === 'proxy' && redis !== undefined;
  if (forwardsTo !== undefined && (!follows || deployments.length > 0))
    report.notice(
      'inert',
      ['aigateway_settings', 'control_plane_url'],
      'has no effect: only a proxy that follows a control plane forwards to it',
    );
  const noModels = 'no model is configured';
  const noKeys = 'no key is configured that callers could use';
  const modelHint = 'Set AZURE_OPENAI_URL, or model_list in the file.';
  const keyHint = 'Set PROXY_API_KEY, or virtual_keys or general_settings.master_key in the file.';
  if (profile === 'production') {
    // A control plane may hold them, and a proxy may have them from there.
    if (role === 'proxy' && !follows) {
      if (deployments.length === 0) report.problem([], noModels, modelHint);
      if (keys.length === 0) report.problem([], noKeys, keyHint);
    } else if (!follows && !keys.some((key) => key.role === 'admin')) {
      report.problem(
        [],
        'no master key is set, without which nobody could use the management API',
        'Set LITELLM_MASTER_KEY.',
      );
    }
    return;
  }
  if (deployments.length === 0) {
    const instead = 'this profile offers simulated ones in their place';
    report.notice('decision', [], `${noModels}: ${instead}. ${modelHint}`);
  }
  if (keys.length === 0) {
    const instead = 'this profile makes a master key at its first start';
    report.notice('decision', [], `${noKeys}: ${instead}.`);
  }
}
