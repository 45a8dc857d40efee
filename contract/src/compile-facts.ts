import type { AzureUrl } from './azure-url.ts';
import type { DeploymentContext } from './compile-context.ts';
import type { ModelName } from './compile-model-name.ts';
import type { ModelConfig } from './config.ts';
import type { ConfigPath } from './config-problems.ts';
import { nearestName } from './names.ts';
import { lookUp, operationsOf, type PriceFinding, type PriceOverride } from './prices.ts';
import type { DialectName, ModelFacts, Operation, PriceRecord } from './records.ts';
import { knownRegions, normaliseRegion, residencyOf } from './regions.ts';

/** What the price file has on a deployment, by its base model or its name. */
export function findModel(
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

/** What clients are told about the deployment: the price file, overridden by the entry. */
export function factsOf(info: Info, finding: PriceFinding | undefined): ModelFacts {
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
export function declaredOperations(
  entry: ModelConfig,
  name: ModelName,
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
export function withoutMissing(
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
    'decision',
    [...path, 'litellm_params', 'api_version'],
    `${apiVersion} has no Responses API, which is all that this deployment answers: its calls go to /openai/v1/responses`,
  );
  return operations;
}

/** The family decides which parameters the model takes. */
export function familyOf(
  name: ModelName,
  finding: PriceFinding | undefined,
): 'reasoning' | 'standard' | undefined {
  if (name.family !== undefined) return name.family;
  const supports = finding?.facts.supports;
  if (supports !== undefined) return supports.includes('reasoning') ? 'reasoning' : 'standard';
  return undefined;
}

/** Prices that the entry sets itself. */
export function priceOverride(fields: Partial<Pick<Info, PriceKey>>): PriceOverride {
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
export function capacityOf(
  entry: ModelConfig,
  name: ModelName,
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

/** Region and residency of a deployment, as far as it says. */
export function regionOf(
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
