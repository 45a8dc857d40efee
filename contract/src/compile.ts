import { parseAzureUrl } from './azure-url.ts';
import {
  compileDeployment,
  type CompiledDeployment,
  type DeploymentContext,
  type NamedCredential,
  optional,
} from './compile-deployment.ts';
import { budget, compileKeys, matches } from './compile-keys.ts';
import { type Config, identityKinds, vendorFields } from './config.ts';
import type { ConfigPath, Notice, Problem, Report } from './config-problems.ts';
import { defaultResponsesModel, type Environment, isSet } from './environment-config.ts';
import type { Limits, LimitScope } from './limits.ts';
import { nearestName } from './names.ts';
import { parseConfig, type ParsedConfig } from './parse-config.ts';
import type {
  CredentialRecord,
  DeploymentRecord,
  FailureClass,
  KeyRecord,
  ModelRecord,
  Operation,
  Records,
  RouterRecord,
  SettingsRecord,
} from './records.ts';
import { schemaVersion } from './records.ts';
import { serverSettings, type ServerSettings } from './server-settings.ts';
import { credentialMethod, credentialRecord } from './compile-credential.ts';

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
  const { config, environment, report, positions } = parsed;
  const profile = profileOf(environment, report);
  const server = withSecrets(serverSettings(config, profile), parsed);
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

  const compiled = levelled(
    (config.model_list ?? []).flatMap((entry, index) => {
      const path: ConfigPath = parsed.modelSource ?? [
        'model_list',
        positions['model_list']?.[index] ?? index,
      ];
      const deployment = compileDeployment(entry, path, context);
      return deployment === undefined ? [] : [{ ...deployment, entry, path }];
    }),
  );
  checkIds(compiled, report);
  checkResources(compiled, report);
  const deployments = compiled.map(({ deployment }) => deployment);
  const models = modelRecords(compiled);
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
    modelDefaults: modelDefaults(compiled),
    report,
  });
  const credentialRecords = mergeCredentials([
    ...compiled.map(({ credential }) => credential),
    ...keyCredentials(keys, deployments, context),
  ]);
  if (config.aigateway_settings?.forbid_api_keys === true)
    forbidApiKeys(compiled, credentialRecords, report);
  checkWhole(deployments, keys, profile, report);

  return {
    records: {
      schemaVersion,
      revision: 0,
      keys,
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
  };
}

type Entry = CompiledDeployment & {
  readonly entry: NonNullable<Config['model_list']>[number];
  readonly path: ConfigPath;
};

function profileOf(environment: Environment, report: Report): ServerSettings['profile'] {
  const profile = environment['AIGATEWAY_PROFILE']?.trim() || 'production';
  if (profile === 'development' || profile === 'production') return profile;
  report.problem(['$AIGATEWAY_PROFILE'], 'must be one of development, production');
  return 'production';
}

/** The root secrets, by reference. A short one is as good as none. */
function withSecrets(
  server: ServerSettings,
  { environment, report }: ParsedConfig,
): ServerSettings {
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
    ...server,
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

/**
 * The level of each deployment: its `order`; provisioned ones without come first, and others without come after those of
 * their group that have one, as LiteLLM never uses them while a level is there.
 */
function levelled(compiled: readonly Entry[]): Entry[] {
  const last = 1_000_000_000;
  const withOrder = new Set(
    compiled.flatMap(({ deployment, entry }) =>
      entry.litellm_params.order === undefined ? [] : [deployment.model],
    ),
  );
  return compiled.map((one) => {
    const { deployment, entry } = one;
    const isFirst = deployment.capacity === 'ptu';
    const unordered = isFirst ? 0 : withOrder.has(deployment.model) ? last : 1;
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
    hidden: name.includes('*') || entries.some(({ entry }) => entry.model_info?.hidden === true),
    accessGroups: [
      ...new Set(entries.flatMap(({ entry }) => entry.model_info?.access_groups ?? [])),
    ],
  }));
}

function modelDefaults(compiled: readonly Entry[]): { [model: string]: Limits } {
  const defaults: { [model: string]: Limits } = {};
  for (const { deployment, entry } of compiled) {
    const { default_api_key_rpm_limit: requests, default_api_key_tpm_limit: tokens } =
      entry.litellm_params;
    if (requests === undefined && tokens === undefined) continue;
    defaults[deployment.model] = {
      ...defaults[deployment.model],
      ...optional('requestsPerMinute', requests),
      ...optional('tokensPerMinute', tokens),
    };
  }
  return defaults;
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
    if (!used.has(name)) return [];
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

function forbidApiKeys(
  compiled: readonly Entry[],
  credentials: readonly CredentialRecord[],
  report: Report,
): void {
  const message = 'is reached with an API key, which forbid_api_keys does not permit';
  const hint = 'Use azure_credential: managed-identity, or another identity.';
  const reported = new Set<string>();
  for (const { deployment, credential, path } of compiled) {
    if (credential.method.kind !== 'api-key') continue;
    reported.add(credential.id);
    report.problem([...path, 'litellm_params'], `${deployment.model} ${message}`, hint);
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
function checkWhole(
  deployments: readonly DeploymentRecord[],
  keys: readonly KeyRecord[],
  profile: ServerSettings['profile'],
  report: Report,
): void {
  if (report.problems.length > 0) return;
  const noModels = 'no model is configured';
  const noKeys = 'no key is configured that callers could use';
  const modelHint = 'Set AZURE_OPENAI_URL, or model_list in the file.';
  const keyHint = 'Set PROXY_API_KEY, or virtual_keys or general_settings.master_key in the file.';
  if (profile === 'production') {
    if (deployments.length === 0) report.problem([], noModels, modelHint);
    if (keys.length === 0) report.problem([], noKeys, keyHint);
    return;
  }
  if (deployments.length === 0) report.notice('no-models', [], `${noModels}. ${modelHint}`);
  if (keys.length === 0) report.notice('no-keys', [], `${noKeys}. ${keyHint}`);
}

/** Ten minutes, as the SDKs wait. */
const defaultTimeoutMs = 600_000;

function routerRecord(
  config: Config,
  models: readonly ModelRecord[],
  report: Report,
): RouterRecord {
  const router = config.router_settings ?? {};
  const litellm = config.litellm_settings ?? {};
  const ours = config.aigateway_settings ?? {};
  const timeoutMs = router.timeout ?? litellm.request_timeout ?? defaultTimeoutMs;
  const allowedFails = router.allowed_fails ?? litellm.allowed_fails;
  const policy = router.retry_policy ?? {};
  const checks = router.optional_pre_call_checks ?? [];
  const strategy = router.routing_strategy ?? 'simple-shuffle';
  const names = models.map(({ name }) => name);
  const aliases = aliasesOf(config);
  const record: RouterRecord = {
    strategy: strategy === 'usage-based-routing' ? 'usage-based-routing-v2' : strategy,
    latencyWindowMs: router.routing_strategy_args?.ttl ?? 3_600_000,
    latencyBuffer: router.routing_strategy_args?.lowest_latency_buffer ?? 0,
    retries:
      policy.DefaultRetries ?? router.num_retries ?? router.max_retries ?? litellm.num_retries ?? 2,
    retryPolicy: policyOf(policy, 'Retries'),
    // LiteLLM's default of 3 means "not set" there, also when someone writes it.
    ...(allowedFails === undefined || allowedFails === 3 ? {} : { allowedFails }),
    allowedFailsPolicy: policyOf(router.allowed_fails_policy ?? {}, 'AllowedFails'),
    coolDownMs: router.disable_cooldowns === true ? 0 : (router.cooldown_time ?? 5000),
    maxAttempts: ours.max_attempts ?? 12,
    totalTimeoutMs: ours.total_timeout ?? Math.max(timeoutMs, defaultTimeoutMs),
    timeoutMs,
    streamTimeoutMs: router.stream_timeout ?? timeoutMs,
    retryAfterMs: router.retry_after ?? 0,
    fallbacks: merge(router.fallbacks ?? litellm.fallbacks),
    contextWindowFallbacks: merge(
      router.context_window_fallbacks ?? litellm.context_window_fallbacks,
    ),
    contentPolicyFallbacks: merge(
      router.content_policy_fallbacks ?? litellm.content_policy_fallbacks,
    ),
    defaultFallbacks: router.default_fallbacks ?? litellm.default_fallbacks ?? [],
    maxFallbacks: router.max_fallbacks ?? 5,
    preCallChecks: router.enable_pre_call_checks ?? false,
    tagFiltering: router.enable_tag_filtering ?? false,
    tagMatchAny: router.tag_filtering_match_any ?? true,
    aliases,
    defaultModels: defaultModels(config, [...names, ...Object.keys(aliases)], report),
    enforceRateLimits:
      checks.includes('enforce_model_rate_limits') || strategy === 'usage-based-routing-v2',
  };
  checkNames(record, [...names, ...Object.keys(aliases)], report);
  const ignored = checks.filter((check) => check !== 'enforce_model_rate_limits');
  if (ignored.length > 0) {
    report.notice(
      'inert',
      ['router_settings', 'optional_pre_call_checks'],
      `${ignored.join(', ')}: always made where this release has the endpoint, else without effect`,
    );
  }
  return record;
}

function policyOf(
  policy: { readonly [name: string]: number | undefined },
  suffix: 'Retries' | 'AllowedFails',
): { [failure in FailureClass]?: number } {
  const result: { [failure in FailureClass]?: number } = {};
  for (const [name, count] of Object.entries(policy)) {
    if (count === undefined || !name.endsWith(`Error${suffix}`)) continue;
    result[name.slice(0, -suffix.length) as FailureClass] = count;
  }
  return result;
}

function merge(list: readonly { readonly [model: string]: readonly string[] }[] | undefined): {
  [model: string]: readonly string[];
} {
  return Object.assign({}, ...(list ?? [])) as { [model: string]: readonly string[] };
}

function aliasesOf(config: Config): RouterRecord['aliases'] {
  const hidden = Object.entries(config.litellm_settings?.model_alias_map ?? {}).map(
    ([alias, model]): [string, { model: string; hidden: boolean }] => [
      alias,
      { model, hidden: true },
    ],
  );
  return { ...Object.fromEntries(hidden), ...config.router_settings?.model_group_alias };
}

function defaultModels(
  config: Config,
  names: readonly string[],
  report: Report,
): RouterRecord['defaultModels'] {
  const ours = config.aigateway_settings?.default_models ?? {};
  const general = config.general_settings?.completion_model;
  const isKnown = (model: string) => names.some((name) => matches(name, model));
  const fallback = isKnown(defaultResponsesModel) ? defaultResponsesModel : undefined;
  const chosen: { [operation in Operation]: string | undefined } = {
    chat: ours.chat ?? general ?? fallback,
    completions: ours.completions ?? general,
    responses: ours.responses ?? general ?? fallback,
    embeddings: ours.embeddings,
  };
  const result: { [operation in Operation]?: string } = {};
  for (const [operation, model] of Object.entries(chosen) as [Operation, string | undefined][]) {
    if (model === undefined) continue;
    if (!isKnown(model))
      report.notice(
        'risk',
        ['aigateway_settings', 'default_models', operation],
        notConfigured(model, names),
      );
    result[operation] = model;
  }
  return result;
}

/** Names that lead nowhere are told, but do not stop the start: LiteLLM's files hold them too. */
function checkNames(router: RouterRecord, names: readonly string[], report: Report): void {
  const isKnown = (model: string) => names.some((name) => matches(name, model));
  const check = (model: string, path: ConfigPath) => {
    if (!isKnown(model)) report.notice('risk', path, notConfigured(model, names));
  };
  const lists = {
    fallbacks: router.fallbacks,
    context_window_fallbacks: router.contextWindowFallbacks,
    content_policy_fallbacks: router.contentPolicyFallbacks,
  };
  for (const [key, fallbacks] of Object.entries(lists)) {
    for (const [model, targets] of Object.entries(fallbacks)) {
      if (model !== '*') check(model, ['router_settings', key]);
      for (const target of targets) check(target, ['router_settings', key, model]);
    }
  }
  for (const target of router.defaultFallbacks)
    check(target, ['router_settings', 'default_fallbacks']);
  for (const [alias, { model }] of Object.entries(router.aliases)) {
    check(model, ['router_settings', 'model_group_alias', alias]);
  }
}

function notConfigured(model: string, names: readonly string[]): string {
  const near = nearestName(model, names);
  return `names the model ${model}, which is not configured${near === undefined ? '' : `; did you mean ${near}?`}`;
}

function settingsRecord(config: Config): SettingsRecord {
  const ours = config.aigateway_settings ?? {};
  const litellm = config.litellm_settings ?? {};
  const general = config.general_settings ?? {};
  const customer = general.user_header_mappings?.find(
    (mapping) => mapping.litellm_user_role === 'customer',
  );
  const global = globalScope(config);
  return {
    sanitiseContentFilter: ours.sanitise_content_filter ?? true,
    responseModel: ours.response_model ?? 'native',
    cleanChatStream: ours.clean_chat_stream ?? true,
    alwaysIncludeStreamUsage: general.always_include_stream_usage ?? false,
    repairParameters: ours.repair_parameters ?? litellm.drop_params ?? true,
    bridge: ours.bridge ?? true,
    exposeUpstream: ours.expose_upstream ?? 'admin',
    budgetExceededStatus: litellm.budget_exceeded_status_code ?? 429,
    forwardHeaders: ours.forward_headers ?? [],
    dropVendorFields: ours.drop_vendor_fields ?? vendorFields,
    ...optional('keyHeader', general.litellm_key_header_name?.toLowerCase()),
    ...optional('userHeader', (general.user_header_name ?? customer?.header_name)?.toLowerCase()),
    spendTagHeaders: (litellm.extra_spend_tag_headers ?? []).map((name) => name.toLowerCase()),
    defaultKeyLimits: { ...optional('parallelRequests', general.max_parallel_requests) },
    ...optional('globalScope', global),
    timezone: litellm.timezone ?? 'UTC',
    budgetResetTime: litellm.budget_reset_time ?? '00:00',
    extraRoutes: ours.extra_routes ?? [],
  };
}

function globalScope(config: Config): LimitScope | undefined {
  const litellm = config.litellm_settings ?? {};
  const parallel = config.general_settings?.global_max_parallel_requests;
  // LiteLLM's 0 switches the budget off.
  const max = litellm.max_budget === 0 ? undefined : litellm.max_budget;
  if (max === undefined && parallel === undefined) return undefined;
  return {
    kind: 'global',
    id: 'global',
    label: 'global',
    limits: {
      ...optional('parallelRequests', parallel),
      ...(max === undefined ? {} : { budgets: [budget(max, litellm.budget_duration)] }),
    },
  };
}
