import { describeAzureUrl } from './azure-url.ts';
import { lastLevel, type Compiled } from './compile.ts';
import { describeMethod } from './compile-credential.ts';
import { formatNotice } from './config-problems.ts';
import type { Limits, LimitScope, ModelLimits } from './limits.ts';
import { priceDate } from './prices.ts';
import type { DeploymentRecord, KeyRecord, PriceRecord } from './records.ts';

/**
 * What was understood of a configuration, for people: models with their deployments, ways to sign in, routing, keys
 * without their secrets, keys without effect, warnings. Problems are not in it. Holds no secret value.
 */
export function describe(compiled: Compiled): string {
  const { records, server, notices } = compiled;
  const sections = [
    section('Models', models(compiled)),
    section('Ways to sign in', credentials(compiled)),
    section('Routing', routing(compiled)),
    section('Keys', records.keys.map(key)),
    section('Limits of all keys together', limits(records.settings.globalScope?.limits ?? {})),
    section('Process', [
      `${server.profile} profile, API on ${server.host}:${server.port}${server.basePath}, operations on ${server.opsHost}:${server.opsPort}`,
      `prices of ${priceDate}`,
    ]),
    section('Decided', texts(compiled, 'decision')),
    section('Without effect', texts(compiled, 'inert')),
    section('Warnings', notices.filter(({ level }) => level === 'warning').map(formatNotice)),
  ];
  return `${sections.filter((text) => text !== '').join('\n\n')}\n`;
}

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : [`${title}:`, ...lines.map((line) => `  ${line}`)].join('\n');
}

function texts({ notices }: Compiled, code: 'decision' | 'inert'): string[] {
  return notices.filter((notice) => notice.code === code).map(formatNotice);
}

function models(compiled: Compiled): string[] {
  const { records } = compiled;
  return records.models.flatMap((model) => {
    const notes = [
      ...(model.name.includes('*') ? ['pattern'] : model.hidden ? ['hidden'] : []),
      ...(model.accessGroups.length > 0 ? [`groups ${model.accessGroups.join(', ')}`] : []),
    ];
    const deployments = records.deployments.filter((one) => one.model === model.name);
    return [
      `${model.name}${notes.length > 0 ? ` (${notes.join('; ')})` : ''}`,
      ...deployments.map((one) => `  ${deployment(one, compiled)}`),
    ];
  });
}

function deployment(one: DeploymentRecord, { addresses }: Compiled): string {
  const url = addresses.get(one.id);
  const dialect =
    one.dialect === 'classic'
      ? `deployments path, api-version ${one.apiVersion}`
      : one.dialect === 'v1'
        ? `/openai/v1 path${one.apiVersion === undefined ? '' : `, api-version ${one.apiVersion}`}`
        : 'paths as OpenAI has them';
  const place =
    url === undefined ? one.resource.origin : (describeAzureUrl(url).split(';')[0] ?? '');
  const parts = [
    `${one.id}: ${one.deployment} of ${place}`,
    dialect,
    `signs in by ${one.credential}`,
    answers(one),
    one.priority === lastLevel ? 'last level' : `level ${one.priority}`,
    ...(one.capacity === 'ptu' ? ['provisioned'] : []),
    ...(one.weight === undefined ? [] : [`weight ${one.weight}`]),
    ...(one.requestsPerMinute === undefined ? [] : [`${one.requestsPerMinute} requests/min`]),
    ...(one.tokensPerMinute === undefined ? [] : [`${one.tokensPerMinute} tokens/min`]),
    ...(one.region === undefined
      ? []
      : [`region ${one.region}${one.residency === undefined ? '' : ` (${one.residency})`}`]),
    ...(one.scopes ?? []).map((scope) => `${limits(scope.limits).join(', ')} for ${scope.label}`),
    ...(one.tags.length > 0 ? [`tags ${one.tags.join(', ')}`] : []),
    price(one.prices, one.deployment),
    ...(one.blocked === true ? ['blocked'] : []),
  ];
  return parts.join('; ');
}

function answers({ operations, family }: DeploymentRecord): string {
  const kind = family === 'reasoning' ? ' (reasoning model)' : '';
  if (operations === undefined) return `what it answers is learned${kind}`;
  return operations.length === 0
    ? 'not served in this release'
    : `answers ${operations.join(', ')}${kind}`;
}

function price(prices: PriceRecord | undefined, name: string): string {
  if (prices === undefined) return name.includes('*') ? 'priced by the answer' : 'unpriced';
  const onTop = prices.isSurcharge === true ? ' on top of the model that answers' : '';
  return `$${perMillion(prices.input)} / $${perMillion(prices.output)} per million tokens${onTop}`;
}

/** Pico-USD a token are micro-USD a million tokens. */
function perMillion(pico: number): string {
  return decimal(pico, 6);
}

/** An integer with a decimal point before its last digits, without zeros at the end. */
function decimal(value: number, digits: number): string {
  const text = String(value).padStart(digits + 1, '0');
  return `${text.slice(0, -digits)}.${text.slice(-digits)}`.replace(/\.?0+$/, '');
}

function credentials({ records }: Compiled): string[] {
  return records.credentials.map(
    ({ id, method, origins }) => `${id}: ${describeMethod(method)}, only to ${origins.join(', ')}`,
  );
}

function routing({ records: { router } }: Compiled): string[] {
  const lists = [
    ['fallbacks', router.fallbacks],
    ['when the prompt is too long', router.contextWindowFallbacks],
    ['when the content filter refused', router.contentPolicyFallbacks],
  ] as const;
  return [
    `${router.strategy}; ${router.retries} ${router.retries === 1 ? 'retry' : 'retries'}; rest of ${router.coolDownMs / 1000} s; answer within ${router.timeoutMs / 1000} s`,
    ...(router.tagFiltering
      ? [`only deployments with ${router.tagMatchAny ? 'one' : 'all'} of the tags asked for`]
      : []),
    ...lists.flatMap(([title, fallbacks]) =>
      Object.entries(fallbacks).map(
        ([model, targets]) => `${title}: ${model} → ${targets.join(', ')}`,
      ),
    ),
    ...(router.defaultFallbacks.length > 0
      ? [`fallbacks of any other model: ${router.defaultFallbacks.join(', ')}`]
      : []),
    ...Object.entries(router.aliases).map(
      ([alias, target]) => `${alias} means ${target.model}${target.hidden ? ' (hidden)' : ''}`,
    ),
    ...Object.entries(router.defaultModels).map(
      ([operation, model]) => `${operation} without a model: ${model}`,
    ),
  ];
}

function key(record: KeyRecord): string {
  const own = record.scopes.find(({ kind }) => kind === 'api_key');
  const team = record.scopes.find(({ kind }) => kind === 'team');
  return [
    `${record.alias ?? record.keyId}: ${record.role === 'admin' ? 'administrator' : 'caller'}`,
    record.models.length === 0 ? 'every model' : `models ${record.models.join(', ')}`,
    ...(own ? limits(own.limits) : []),
    ...ofModels(record.modelLimits),
    ...(record.teamId === undefined
      ? []
      : [`of ${record.teamId}${team ? ` (${holder(team).join(', ')})` : ''}`]),
    ...(record.credential === undefined ? [] : [`signs in by ${record.credential}`]),
    ...(record.regions.length > 0 ? [`only in ${record.regions.join(', ')}`] : []),
    ...(record.expiresAt === undefined
      ? []
      : [`until ${new Date(record.expiresAt).toISOString()}`]),
    ...(record.blocked ? ['blocked'] : []),
  ].join('; ');
}

function holder({ limits: own, modelLimits = {} }: LimitScope): string[] {
  return [...limits(own), ...ofModels(modelLimits)];
}

function ofModels(modelLimits: ModelLimits): string[] {
  return Object.entries(modelLimits).map(([model, one]) => `${limits(one).join(', ')} of ${model}`);
}

function limits(one: Limits): string[] {
  return [
    ...(one.requestsPerMinute === undefined ? [] : [`${one.requestsPerMinute} requests/min`]),
    ...(one.tokensPerMinute === undefined ? [] : [`${one.tokensPerMinute} tokens/min`]),
    ...(one.parallelRequests === undefined ? [] : [`${one.parallelRequests} at once`]),
    ...(one.budgets ?? []).map(
      ({ maxNanoUsd, window }) =>
        `$${decimal(maxNanoUsd, 9)}${window === undefined ? '' : ` per ${window}`}`,
    ),
  ];
}
