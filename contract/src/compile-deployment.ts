import { createHash } from 'node:crypto';
import { type AzureUrl, isAzureHost } from './azure-url.ts';
import { chooseDialect, deploymentName, readAddress } from './compile-address.ts';
import type { DeploymentContext } from './compile-context.ts';
import {
  credentialFields,
  credentialMethod,
  credentialRecord,
  namesUnsetCredential,
} from './compile-credential.ts';
import {
  capacityOf,
  declaredOperations,
  factsOf,
  familyOf,
  findModel,
  priceOverride,
  regionOf,
  withoutMissing,
} from './compile-facts.ts';
import { type Provider, readModelName } from './compile-model-name.ts';
import { allowedFailsOf, failurePolicy } from './compile-router.ts';
import { configSchema, type ModelConfig, type UpstreamConfig } from './config.ts';
import { isJsonObject } from './config-fields.ts';
import type { ConfigPath } from './config-problems.ts';
import type { LimitScope } from './limits.ts';
import { nearestName } from './names.ts';
import { optional } from './optional.ts';
import { overridePrices } from './prices.ts';
import type { CredentialRecord, DeploymentRecord, JsonObject, ResourceRecord } from './records.ts';

export type CompiledDeployment = {
  readonly deployment: DeploymentRecord;
  readonly credential: CredentialRecord;
  /** The address as understood, for people. */
  readonly url: AzureUrl;
  readonly provider: Provider;
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
  const name = readModelName(entry, upstream, [...paramsPath, 'model'], context);
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
  const named = context.credentials.get(params.litellm_credential_name ?? '');
  const places = named === undefined ? [paramsPath] : [paramsPath, named.path];
  if (places.some((place) => namesUnsetCredential(place, context.unset))) return undefined;
  const method = credentialMethod(upstream, target, paramsPath, context);
  if (method === undefined) return undefined;
  const credential = credentialRecord(
    method,
    target,
    upstream,
    hasOwnCredential(params) ? undefined : params.litellm_credential_name,
    context.environment,
  );

  const deployment = deploymentName(name.deployment, address, paramsPath, context);
  const finding = findModel(info.base_model ?? params.base_model, deployment, path, context);
  const facts = factsOf(info, finding);
  const operations = withoutMissing(
    declaredOperations(entry, name, address, finding, path, context),
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
    ...optional('allowedFails', allowedFailsOf(info.allowed_fails)),
    ...optional(
      'allowedFailsPolicy',
      info.allowed_fails_policy && failurePolicy(info.allowed_fails_policy, 'AllowedFails'),
    ),
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
  if (info['db_model'] === true) record.stored = true;
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
  'api_version',
  ...credentialFields,
] as const satisfies readonly (keyof UpstreamConfig)[];

/** Then the named credential is not what signs in, and must not be confused with it. */
function hasOwnCredential(params: ModelConfig['litellm_params']): boolean {
  return credentialFields.some((key) => params[key] !== undefined);
}

function pickUpstream(params: ModelConfig['litellm_params']): UpstreamConfig {
  return Object.fromEntries(
    upstreamKeys.flatMap((key) => (params[key] === undefined ? [] : [[key, params[key]]])),
  ) as UpstreamConfig;
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
function resourceId(origin: string, basePath: string): string {
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
