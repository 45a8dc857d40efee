import type { Config } from './config.ts';
import type { ConfigPath, Report } from './config-problems.ts';
import { defaultResponsesModel } from './environment-config.ts';
import { nearestName } from './names.ts';
import { optional } from './optional.ts';
import type {
  FailureClass,
  ModelRecord,
  Operation,
  RouterRecord,
  StrategyName,
} from './records.ts';
import { matchesPattern } from './wildcard.ts';

/** Ten minutes, as the SDKs wait. */
const defaultTimeoutMs = 600_000;

/** Routing of the file, with LiteLLM's defaults; `litellm_settings` count where `router_settings` say nothing. */
export function routerRecord(
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
    strategy: strategyName(strategy),
    latencyWindowMs: 3_600_000,
    latencyBuffer: 0,
    ...latencyFields(router.routing_strategy_args),
    retries:
      policy.DefaultRetries ?? router.num_retries ?? router.max_retries ?? litellm.num_retries ?? 2,
    retryPolicy: failurePolicy(policy, 'Retries'),
    ...optional('allowedFails', allowedFailsOf(allowedFails)),
    allowedFailsPolicy: failurePolicy(router.allowed_fails_policy ?? {}, 'AllowedFails'),
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
  checkStrategyArguments(config, report);
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

/** LiteLLM's default of 3 means "not set" there, also when someone writes it. */
export function allowedFailsOf(count: number | undefined): number | undefined {
  return count === 3 ? undefined : count;
}

function strategyName(name: ConfiguredStrategy): StrategyName {
  return name === 'usage-based-routing' ? 'usage-based-routing-v2' : name;
}

type StrategyArguments = NonNullable<Config['router_settings']>['routing_strategy_args'];
type LatencyFields = Pick<ModelRecord, 'latencyWindowMs' | 'latencyBuffer' | 'latencySamples'>;

function latencyFields(given: StrategyArguments): LatencyFields {
  return {
    ...optional('latencyWindowMs', given?.ttl),
    ...optional('latencyBuffer', given?.lowest_latency_buffer),
    ...optional('latencySamples', given?.max_latency_list_size),
  };
}

/** Only latency-based routing has any; LiteLLM's `ttl` of the usage-based ones is how long it remembers a minute. */
function checkStrategyArguments({ router_settings: router = {} }: Config, report: Report): void {
  const check = (of: typeof router, path: ConfigPath, byDefault?: ConfiguredStrategy): void => {
    const strategy = of.routing_strategy ?? byDefault ?? 'simple-shuffle';
    const isGiven = Object.keys(latencyFields(of.routing_strategy_args)).length > 0;
    if (isGiven && strategy !== 'latency-based-routing')
      report.notice('inert', [...path, 'routing_strategy_args'], `${strategy} takes none`);
  };
  const { routing_groups: groups = [] } = router;
  const isShared = groups.some(
    ({ routing_strategy: strategy }) => strategy === 'latency-based-routing',
  );
  if (!isShared) check(router, ['router_settings']);
  for (const [index, group] of groups.entries())
    check(group, ['router_settings', 'routing_groups', index], router.routing_strategy);
}

type ConfiguredStrategy = StrategyName | 'usage-based-routing';

/** What the router's settings say of single models. Names that are none are told, but do not stop the start. */
export function withRouting(
  models: readonly ModelRecord[],
  config: Config,
  report: Report,
): readonly ModelRecord[] {
  const { routing_groups: groups = [], model_group_retry_policy: policies = {} } =
    config.router_settings ?? {};
  const names = models.map(({ name }) => name);
  const strategies = new Map<string, StrategyName>();
  const latencies = new Map<string, LatencyFields>();
  for (const [index, group] of groups.entries()) {
    const path: ConfigPath = ['router_settings', 'routing_groups', index, 'models'];
    for (const model of group.models ?? []) {
      if (strategies.has(model)) report.problem(path, `${model} is in another group too`);
      if (!names.includes(model)) report.notice('risk', path, notConfigured(model, names));
      if (group.routing_strategy !== undefined)
        strategies.set(model, strategyName(group.routing_strategy));
      latencies.set(model, latencyFields(group.routing_strategy_args));
    }
  }
  for (const model of Object.keys(policies)) {
    const path: ConfigPath = ['router_settings', 'model_group_retry_policy'];
    if (!names.includes(model)) report.notice('risk', path, notConfigured(model, names));
  }
  return models.map((record) => {
    const policy = Object.hasOwn(policies, record.name) ? policies[record.name] : undefined;
    return {
      ...record,
      ...optional('strategy', strategies.get(record.name)),
      ...latencies.get(record.name),
      ...(policy !== undefined && { retryPolicy: failurePolicy(policy, 'Retries') }),
      ...optional('retries', policy?.DefaultRetries),
    };
  });
}

/** Counts by failure class, out of LiteLLM's names for them. */
export function failurePolicy(
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
  const isKnown = (model: string) => names.some((name) => matchesPattern(name, model));
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
  const isKnown = (model: string) => names.some((name) => matchesPattern(name, model));
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

/** What is said of a model that leads nowhere. @param names - those that are configured */
export function notConfigured(model: string, names: Iterable<string>): string {
  const near = nearestName(model, names);
  return `names the model ${model}, which is not configured${near === undefined ? '' : `; did you mean ${near}?`}`;
}
