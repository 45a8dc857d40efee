import { createHash } from 'node:crypto';
import { type AzureUrl, parseAzureUrl, readApiVersion } from './azure-url.ts';
import {
  type CredentialContext,
  credentialMethod,
  credentialRecord,
} from './compile-credential.ts';
import { type Config, configSchema, type ModelConfig, type UpstreamConfig } from './config.ts';
import { isJsonObject } from './config-fields.ts';
import { type ConfigPath, formatPath } from './config-problems.ts';
import { azureVersionNames, firstSet } from './environment-config.ts';
import type { LimitScope } from './limits.ts';
import { nearestName } from './names.ts';
import {
  lookUp,
  operationsOf,
  overridePrices,
  type PriceFinding,
  type PriceOverride,
} from './prices.ts';
import type {
  CredentialRecord,
  DeploymentRecord,
  DialectName,
  JsonObject,
  ModelFacts,
  Operation,
  PriceRecord,
  ResourceRecord,
} from './records.ts';
import { knownRegions, normaliseRegion, residencyOf } from './regions.ts';

/** What the deployments of one configuration have in common. */
export type DeploymentContext = CredentialContext & {
  readonly config: Config;
  readonly credentials: ReadonlyMap<string, NamedCredential>;
  /** Unset variables by the path of the value that refers to them. */
  readonly unset: ReadonlyMap<string, string>;
  readonly allowInsecure: boolean;
};

/** An entry of `credential_list` and where it stands. */
export type NamedCredential = { readonly values: UpstreamConfig; readonly path: ConfigPath };

export type CompiledDeployment = {
  readonly deployment: DeploymentRecord;
  readonly credential: CredentialRecord;
  /** The address as understood, for people. */
  readonly url: AzureUrl;
  readonly provider: Provider;
};

/** LiteLLM's providers that this gateway speaks, by how their upstreams are addressed. */
export type Provider = 'azure' | 'openai';

const providers: { readonly [prefix: string]: Provider } = {
  azure: 'azure',
  azure_ai: 'azure',
  azure_text: 'azure',
  openai: 'openai',
  openai_like: 'openai',
  custom_openai: 'openai',
  'text-completion-openai': 'openai',
  hosted_vllm: 'openai',
  vllm: 'openai',
  lm_studio: 'openai',
  llamafile: 'openai',
  litellm_proxy: 'openai',
};

/** Api-version of a deployment address that names none: the last dated one, which has everything that classic has. */
const lastDatedVersion = '2025-04-01-preview';

type Name = {
  provider: Provider;
  deployment: string;
  operations?: Operation[];
  family?: 'reasoning';
};

/**
 * One entry of `model_list` as a deployment record with its credential.
 *
 * @param path - of the entry in the configuration
 * @returns undefined when a problem was reported
 */
export function compileDeployment(
  entry: ModelConfig,
  path: ConfigPath,
  context: DeploymentContext,
): CompiledDeployment | undefined {
  const { config } = context;
  const params = entry.litellm_params;
  const info = entry.model_info ?? {};
  const paramsPath = [...path, 'litellm_params'];
  const upstream = upstreamOf(entry, paramsPath, context);
  if (upstream === undefined) return undefined;
  const name = readModel(entry, upstream, [...paramsPath, 'model'], context);
  if (name === undefined) return undefined;

  const address = readAddress(
    upstream,
    name.provider,
    params.litellm_credential_name,
    paramsPath,
    context,
  );
  if (address === undefined) return undefined;
  const dialect = chooseDialect(address, upstream, name.provider, paramsPath, context);
  if (dialect === undefined) return undefined;

  const region = regionOf(params.region_name, [...paramsPath, 'region_name'], context);
  const resource: ResourceRecord = {
    id: resourceId(address.origin, address.basePath),
    origin: address.origin,
    basePath: address.basePath,
    ...(region.region === undefined ? {} : { region: region.region }),
  };
  const target = {
    origin: address.origin,
    dialect: dialect.name,
    isAzure: name.provider === 'azure' || isAzureHost(address),
  };
  const method = credentialMethod(upstream, target, paramsPath, context);
  if (method === undefined) return undefined;
  const credential = credentialRecord(
    method,
    target,
    upstream,
    params.litellm_credential_name,
    context.environment,
  );

  const deployment = deploymentName(name.deployment, address, paramsPath, context);
  const finding = find(info.base_model ?? params.base_model, deployment, path, context);
  const facts = factsOf(info, finding);
  const operations = withoutMissing(
    operationsOfDeployment(entry, name, address, finding, path, context),
    dialect,
    path,
    context,
  );
  const prices = overridePrices(finding?.prices, {
    ...priceOverride(params),
    ...priceOverride(info),
  });
  const capacity = capacityOf(entry, name, deployment, path, context);
  const record: DeploymentRecord = {
    id: '',
    model: entry.model_name,
    deployment,
    resource,
    dialect: dialect.name,
    ...optional('apiVersion', dialect.apiVersion),
    credential: credential.id,
    ...optional('operations', operations),
    priority: params.order ?? 1,
    capacity,
    ...optional('weight', params.weight),
    ...optional('requestsPerMinute', params.rpm),
    ...optional('tokensPerMinute', params.tpm),
    ...optional(
      'parallelRequests',
      params.max_parallel_requests ?? config.router_settings?.default_max_parallel_requests,
    ),
    ...optional('timeoutMs', params.timeout ?? params.request_timeout),
    ...optional('streamTimeoutMs', params.stream_timeout),
    ...optional('coolDownMs', info.cooldown_time ?? params.cooldown_time),
    tags: params.tags ?? [],
    ...region,
    ...optional('family', familyOf(name, finding)),
    drop: params.additional_drop_params ?? [],
    defaults: defaultsOf(params),
    headers: headersOf({ ...params.headers, ...params.extra_headers }, paramsPath, context),
    facts,
    ...optional('prices', prices),
    ...optional('spilloverDeployment', params.spillover_deployment),
    litellmModel: params.model,
  };
  record.id = info.id ?? stableId(record);
  if (info.blocked === true) record.blocked = true;
  const scopes = deploymentScopes(record.id, entry, name.provider, context);
  if (scopes.length > 0) record.scopes = scopes;
  return { deployment: record, credential, url: address, provider: name.provider };
}

/** Fields of the entry, completed by the named credential. */
function upstreamOf(
  entry: ModelConfig,
  path: ConfigPath,
  context: DeploymentContext,
): UpstreamConfig | undefined {
  const own = pickUpstream(entry.litellm_params);
  const name = entry.litellm_params.litellm_credential_name;
  if (name === undefined) return own;
  const named = context.credentials.get(name)?.values;
  if (named === undefined) {
    const near = nearestName(name, context.credentials.keys());
    context.report.problem(
      [...path, 'litellm_credential_name'],
      'names no credential of credential_list',
      near === undefined ? undefined : `Did you mean ${near}?`,
    );
    return undefined;
  }
  return { ...named, ...own };
}

const upstreamKeys = [
  'api_base',
  'base_url',
  'api_key',
  'api_version',
  'azure_ad_token',
  'tenant_id',
  'client_id',
  'client_secret',
  'certificate_path',
  'federated_token_file',
  'azure_credential',
  'azure_scope',
] as const satisfies readonly (keyof UpstreamConfig)[];

function pickUpstream(params: ModelConfig['litellm_params']): UpstreamConfig {
  return Object.fromEntries(
    upstreamKeys.flatMap((key) => (params[key] === undefined ? [] : [[key, params[key]]])),
  ) as UpstreamConfig;
}

/** What `litellm_params.model` says: provider, rules, and the deployment's name. */
function readModel(
  entry: ModelConfig,
  upstream: UpstreamConfig,
  path: ConfigPath,
  context: DeploymentContext,
): Name | undefined {
  const { model, custom_llm_provider: custom } = entry.litellm_params;
  const slash = model.indexOf('/');
  const prefix = slash < 0 ? '' : model.slice(0, slash);
  const isPrefixed = Object.hasOwn(providers, prefix);
  const address = upstream.api_base ?? upstream.base_url;
  const looksAzure = address !== undefined && isAzureText(address, context);
  const label = isPrefixed ? prefix : (custom ?? (looksAzure ? 'azure' : ''));
  const provider = Object.hasOwn(providers, label) ? providers[label] : undefined;
  if (provider === undefined) {
    const near = nearestName(prefix || label, Object.keys(providers));
    context.report.problem(
      path,
      'begins with no provider that is served here',
      near === undefined
        ? `Write azure/<deployment>, or one of ${Object.keys(providers)
            .map((known) => `${known}/`)
            .join(', ')}.`
        : `Did you mean ${near}/…?`,
    );
    return undefined;
  }
  let rest = isPrefixed ? model.slice(slash + 1) : model;
  const name: Name = { provider, deployment: '' };
  for (;;) {
    if (rest.startsWith('responses/')) name.operations = ['responses'];
    else if (rest.startsWith('o_series/') || rest.startsWith('gpt5_series/'))
      name.family = 'reasoning';
    else break;
    rest = rest.slice(rest.indexOf('/') + 1);
  }
  if (label === 'azure_text' || label === 'text-completion-openai')
    name.operations = ['completions'];
  if (rest === '') {
    context.report.problem(path, 'names no deployment after the provider');
    return undefined;
  }
  if (!checkWildcards(entry.model_name, rest, path, context)) return undefined;
  return { ...name, deployment: rest };
}

function checkWildcards(
  model: string,
  deployment: string,
  path: ConfigPath,
  context: DeploymentContext,
): boolean {
  const stars = (text: string) => text.split('*').length - 1;
  if (stars(model) > 1 || stars(deployment) > 1) {
    context.report.problem(path, 'and model_name may each have one "*" at most');
    return false;
  }
  if (stars(deployment) > stars(model)) {
    context.report.problem(
      path,
      'has a "*" that nothing fills',
      'Put a "*" into model_name as well.',
    );
    return false;
  }
  return true;
}

function isAzureText(address: string, context: DeploymentContext): boolean {
  const url = parseAzureUrl(address, { allowInsecure: context.allowInsecure });
  return url.ok && isAzureHost(url);
}

function isAzureHost(url: AzureUrl): boolean {
  return url.kind !== 'other';
}

const azureAddresses = ['AZURE_API_BASE', 'AZURE_OPENAI_ENDPOINT', 'AZURE_OPENAI_URL'];
const openAiAddresses = ['OPENAI_API_BASE', 'OPENAI_BASE_URL'];

function readAddress(
  upstream: UpstreamConfig,
  provider: Provider,
  credentialName: string | undefined,
  path: ConfigPath,
  context: DeploymentContext,
): AzureUrl | undefined {
  const { environment, report, unset } = context;
  const written = upstream.api_base ?? upstream.base_url;
  const place = [...path, 'api_base'];
  const variable = firstSet(environment, provider === 'azure' ? azureAddresses : openAiAddresses);
  const named = credentialName === undefined ? undefined : context.credentials.get(credentialName);
  const missing = [path, ...(named === undefined ? [] : [named.path])]
    .flatMap((at) => [
      [...at, 'api_base'],
      [...at, 'base_url'],
    ])
    .map((at) => unset.get(formatPath(at)))
    .find((variableName) => variableName !== undefined);
  const text =
    written ??
    (variable === undefined ? undefined : environment[variable]) ??
    (provider === 'openai' && missing === undefined ? 'https://api.openai.com/v1' : undefined);
  if (text === undefined) {
    report.problem(
      place,
      missing === undefined
        ? 'is missing'
        : `refers to the environment variable ${missing}, which is not set`,
      'Give the address of the resource, for example https://my-resource.openai.azure.com',
    );
    return undefined;
  }
  if (written === undefined && variable !== undefined) {
    report.notice('decision', place, `no address is given: ${variable} is used`);
  }
  const url = parseAzureUrl(text, { allowInsecure: context.allowInsecure });
  if (!url.ok) {
    report.problem(place, url.problem.replace(/\.$/, ''), url.hint);
    return undefined;
  }
  const allowed = context.config.aigateway_settings?.allowed_upstream_hosts;
  const { hostname } = new URL(url.origin);
  if (allowed !== undefined && !allowed.some((pattern) => matchesHost(pattern, hostname))) {
    report.problem(place, `has the host ${hostname}, which allowed_upstream_hosts does not name`);
    return undefined;
  }
  for (const note of url.notes) report.notice('decision', place, note);
  return url;
}

function matchesHost(pattern: string, hostname: string): boolean {
  const lower = pattern.toLowerCase();
  return lower.startsWith('*.') ? hostname.endsWith(lower.slice(1)) : hostname === lower;
}

/** The address decides first, where it says something; then the configured version; a bare resource is spoken to on v1. */
function chooseDialect(
  url: AzureUrl,
  upstream: UpstreamConfig,
  provider: Provider,
  path: ConfigPath,
  context: DeploymentContext,
): { name: DialectName; apiVersion?: string } | undefined {
  const { report, environment, config } = context;
  if (
    url.dialect === 'openai' ||
    (provider === 'openai' && url.kind === 'other' && url.decidedBy === 'default')
  ) {
    return { name: 'openai' };
  }
  const place = [...path, 'api_version'];
  const variable = firstSet(environment, azureVersionNames);
  const text =
    upstream.api_version ??
    url.apiVersion ??
    config.litellm_settings?.api_version ??
    (variable === undefined ? undefined : environment[variable]);
  const version = text === undefined ? undefined : readApiVersion(text);
  if (typeof version === 'object' && 'ok' in version) {
    report.problem(place, version.problem.replace(/\.$/, ''), version.hint);
    return undefined;
  }
  const dated = typeof version === 'object' ? version.dated : undefined;
  if (url.dialect === 'v1' && url.decidedBy === 'path') {
    if (dated !== undefined && upstream.api_version !== undefined) {
      report.notice(
        'decision',
        place,
        'is left out: api_base names the /openai/v1 path, which refuses dated versions',
      );
    }
    return version === 'preview' ? { name: 'v1', apiVersion: 'preview' } : { name: 'v1' };
  }
  if (dated !== undefined) return { name: 'classic', apiVersion: dated };
  if (version === 'preview') return { name: 'v1', apiVersion: 'preview' };
  if (version === 'v1') return { name: 'v1' };
  if (url.dialect === 'classic') {
    report.notice(
      'decision',
      place,
      `no api-version is given: ${lastDatedVersion} is used on the deployments path`,
    );
    return { name: 'classic', apiVersion: lastDatedVersion };
  }
  report.notice(
    'decision',
    place,
    'no api-version is given: the /openai/v1 path is used, which needs none',
  );
  return { name: 'v1' };
}

/** A full deployment address keeps its own deployment, as in LiteLLM. */
function deploymentName(
  asked: string,
  url: AzureUrl,
  path: ConfigPath,
  context: DeploymentContext,
): string {
  if (url.deployment === undefined || url.deployment === asked || asked.includes('*')) return asked;
  context.report.notice(
    'decision',
    [...path, 'api_base'],
    `names the deployment ${url.deployment}, which is used`,
  );
  return url.deployment;
}

function find(
  baseModel: string | undefined,
  deployment: string,
  path: ConfigPath,
  context: DeploymentContext,
): PriceFinding | undefined {
  if (baseModel !== undefined) {
    const found = lookUp(baseModel);
    if (found === undefined) {
      context.report.notice(
        'risk',
        [...path, 'model_info', 'base_model'],
        'is not in the price file: its use is unpriced',
      );
    }
    return found;
  }
  return deployment.includes('*') ? undefined : lookUp(deployment);
}

type Info = NonNullable<ModelConfig['model_info']>;

function factsOf(info: Info, finding: PriceFinding | undefined): ModelFacts {
  const facts: ModelFacts = { ...finding?.facts };
  if (info.mode !== undefined) facts.mode = info.mode;
  if (info.base_model !== undefined) facts.baseModel = info.base_model;
  if (info.max_input_tokens !== undefined) facts.maxInputTokens = info.max_input_tokens;
  const maxOutput = info.max_output_tokens ?? info.max_tokens;
  if (maxOutput !== undefined) facts.maxOutputTokens = maxOutput;
  const declared = Object.entries(info).filter(([key]) => key.startsWith('supports_'));
  if (declared.length > 0) {
    const supports = new Set(facts.supports);
    for (const [key, value] of declared) {
      const ability = key.slice('supports_'.length);
      if (value === true) supports.add(ability);
      else supports.delete(ability);
    }
    facts.supports = [...supports].toSorted();
  }
  return facts;
}

const operationsByMode: { readonly [mode: string]: readonly Operation[] } = {
  completion: ['completions'],
  embedding: ['embeddings'],
  responses: ['responses'],
};

/** What a deployment is declared to answer, the most explicit statement first; undefined = learned. */
function operationsOfDeployment(
  entry: ModelConfig,
  name: Name,
  url: AzureUrl,
  finding: PriceFinding | undefined,
  path: ConfigPath,
  context: DeploymentContext,
): readonly Operation[] | undefined {
  const info = entry.model_info ?? {};
  if (name.operations !== undefined) return name.operations;
  if (info.supported_endpoints !== undefined) return operationsOf(info.supported_endpoints);
  if (info.mode !== undefined && info.mode !== 'chat') {
    const operations = operationsByMode[info.mode];
    if (operations === undefined) {
      context.report.notice(
        'inert',
        [...path, 'model_info', 'mode'],
        `is ${info.mode}, which is not served in this release`,
      );
    }
    return operations ?? [];
  }
  if (info.mode === undefined && url.operation === 'embeddings' && !name.deployment.includes('*'))
    return ['embeddings'];
  if (finding?.operations === undefined) return undefined;
  // A chat model declared by hand may be newer than the price file, so the file's list only adds to it.
  return info.mode === 'chat'
    ? [...new Set<Operation>(['chat', ...finding.operations])]
    : finding.operations;
}

/** First dated api-version that has the Responses API. */
const firstResponsesVersion = '2025-03-01';

/** Dated api-versions before Responses have no such path, whatever the model could do. */
function withoutMissing(
  operations: readonly Operation[] | undefined,
  dialect: { name: DialectName; apiVersion?: string },
  path: ConfigPath,
  context: DeploymentContext,
): readonly Operation[] | undefined {
  const { name, apiVersion = '' } = dialect;
  if (
    name !== 'classic' ||
    apiVersion >= firstResponsesVersion ||
    !operations?.includes('responses')
  ) {
    return operations;
  }
  if (operations.length > 1) return operations.filter((operation) => operation !== 'responses');
  context.report.notice(
    'risk',
    [...path, 'litellm_params', 'api_version'],
    `${apiVersion} has no Responses API, which is all that this deployment answers; use 2025-04-01-preview or v1`,
  );
  return operations;
}

/** The family decides which parameters the model takes. */
function familyOf(
  name: Name,
  finding: PriceFinding | undefined,
): 'reasoning' | 'standard' | undefined {
  if (name.family !== undefined) return name.family;
  const supports = finding?.facts.supports;
  if (supports !== undefined) return supports.includes('reasoning') ? 'reasoning' : 'standard';
  return undefined;
}

function priceOverride(fields: Partial<Pick<Info, PriceKey>>): PriceOverride {
  const override: { [part: string]: number } = {};
  for (const [key, part] of Object.entries(priceKeys)) {
    const price = fields[key as PriceKey];
    if (price !== undefined) override[part] = price;
  }
  return override;
}

const priceKeys = {
  input_cost_per_token: 'input',
  output_cost_per_token: 'output',
  cache_read_input_token_cost: 'cachedInput',
  cache_creation_input_token_cost: 'cacheWrite',
  input_cost_per_audio_token: 'audioInput',
  output_cost_per_audio_token: 'audioOutput',
  output_cost_per_reasoning_token: 'reasoning',
} as const satisfies { [key: string]: keyof PriceRecord };
type PriceKey = keyof typeof priceKeys;

/** Provisioned capacity is declared, or shows in the name or in prices of zero on a level of its own. */
function capacityOf(
  entry: ModelConfig,
  name: Name,
  deployment: string,
  path: ConfigPath,
  context: DeploymentContext,
): 'ptu' | 'standard' {
  const params = entry.litellm_params;
  const info = entry.model_info ?? {};
  const declared = params.capacity ?? info.capacity;
  if (declared !== undefined) return declared;
  const prices = { ...priceOverride(params), ...priceOverride(info) };
  const isFree = params.order !== undefined && prices.input === 0 && prices.output === 0;
  const isNamed = /(^|[-_.])(ptu|provisioned)([-_.]|$)/i.test(deployment);
  if (name.provider !== 'azure' || !(isFree || isNamed)) return 'standard';
  context.report.notice(
    'decision',
    path,
    'is taken for provisioned capacity (PTU); set capacity to say otherwise',
  );
  return 'ptu';
}

function regionOf(
  name: string | undefined,
  path: ConfigPath,
  context: DeploymentContext,
): { region?: string; residency?: string } {
  if (name === undefined) return {};
  const region = normaliseRegion(name);
  const residency = residencyOf(region);
  if (residency !== undefined) return { region, residency };
  const near = nearestName(region, knownRegions);
  context.report.notice(
    'risk',
    path,
    `is no region known here, so the deployment serves no key that is bound to a zone${near === undefined ? '' : `. Did you mean ${near}?`}`,
  );
  return { region };
}

const paramKeys: ReadonlySet<string> = new Set(Object.keys(litellmParamsShape()));

function litellmParamsShape(): object {
  return configSchema.shape.model_list.unwrap().element.shape.litellm_params.shape;
}

/** Request parameters among `litellm_params`, and those of `extra_body`. */
function defaultsOf(params: ModelConfig['litellm_params']): JsonObject {
  const rest = Object.fromEntries(Object.entries(params).filter(([key]) => !paramKeys.has(key)));
  return { ...(isJsonObject(rest) ? rest : {}), ...params.extra_body };
}

/** Headers that carry credentials or belong to the connection. */
const ownHeaders =
  /^(authorization|api-key|x-api-key|cookie|host|content-length|content-type|connection|transfer-encoding)$/i;

function headersOf(
  headers: { readonly [name: string]: string },
  path: ConfigPath,
  context: DeploymentContext,
): { [name: string]: string } {
  const result: { [name: string]: string } = {};
  for (const [name, value] of Object.entries(headers)) {
    const place = [...path, 'extra_headers', name];
    if (ownHeaders.test(name)) {
      context.report.problem(
        place,
        'is a header that the gateway sets itself',
        'Credentials belong in api_key.',
      );
    } else if (
      !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) ||
      /[^\t\x20-\x7e\x80-\xff]/.test(value)
    ) {
      context.report.problem(place, 'is no valid header');
    } else {
      result[name.toLowerCase()] = value;
    }
  }
  return result;
}

/** Budgets that only this deployment must pass: its own and its provider's. */
function deploymentScopes(
  id: string,
  entry: ModelConfig,
  provider: Provider,
  context: DeploymentContext,
): LimitScope[] {
  const scopes: LimitScope[] = [];
  const params = entry.litellm_params;
  if (params.max_budget !== undefined) {
    const window = params.budget_duration;
    scopes.push({
      kind: 'deployment',
      id,
      label: id,
      limits: { budgets: [{ maxNanoUsd: params.max_budget, ...optional('window', window) }] },
    });
  }
  const budget = context.config.router_settings?.provider_budget_config?.[provider];
  const maxNanoUsd = budget?.budget_limit ?? budget?.max_budget;
  if (maxNanoUsd !== undefined) {
    const window = budget?.time_period ?? budget?.budget_duration;
    scopes.push({
      kind: 'deployment',
      id: `provider/${provider}`,
      label: provider,
      limits: { budgets: [{ maxNanoUsd, ...optional('window', window) }] },
    });
  }
  return scopes;
}

/** Short id of a resource: stable over restarts and renamings, since it goes into the ids that callers hold. */
export function resourceId(origin: string, basePath: string): string {
  return createHash('sha256')
    .update(origin + basePath)
    .digest('base64url')
    .slice(0, 6);
}

/** Id of a deployment without a configured one: where it is and what it serves, so that limits may change without it. */
function stableId(record: DeploymentRecord): string {
  const identity = [
    record.model,
    record.litellmModel,
    record.resource.origin,
    record.resource.basePath,
    record.deployment,
    record.dialect,
    record.apiVersion ?? '',
    record.credential,
  ];
  return createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 16);
}

/** Leaves a field out when there is nothing to say, as exact optional types want it. */
export function optional<Key extends string, Value>(
  key: Key,
  value: Value | undefined,
): { [Name in Key]?: Value } {
  return (value === undefined ? {} : { [key]: value }) as { [Name in Key]?: Value };
}
