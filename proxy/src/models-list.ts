import type { ParsedUrlQuery } from 'node:querystring';
import type { KeyRecord } from '@aigateway/contract/records';
import { invalidParameter } from './errors.ts';
import { parametersOf } from './model-parameters.ts';
import { isServed, visibleModel, visibleModels, type VisibleModel } from './routing/models.ts';
import type { Snapshot } from './snapshot.ts';

/** LiteLLM answers this constant as every model's creation time; clients only want it to be there. */
const created = 1_677_610_602;

/** OpenAI's list of models: the public names a key may use, without those that are paused. */
export function modelsList(snapshot: Snapshot, key: KeyRecord) {
  return {
    object: 'list',
    data: visibleModels(snapshot.models, key)
      .filter((visible) => isServed(snapshot.models, visible))
      .map(({ id, model }) => modelEntry(snapshot, id, model.group)),
  };
}

/** An entry as of the list; undefined for a model that does not exist, is paused, or that the key may not use. */
export function modelById(snapshot: Snapshot, key: KeyRecord, id: string) {
  const model = visibleModel(snapshot.models, key, id);
  return model === undefined || !isServed(snapshot.models, { id, model })
    ? undefined
    : modelEntry(snapshot, id, model.group);
}

function modelEntry(snapshot: Snapshot, id: string, group: string) {
  const facts = snapshot.models.deployments(group)[0]?.facts;
  return {
    id,
    object: 'model',
    created,
    owned_by: 'azure',
    ...(facts?.mode !== undefined && { mode: facts.mode }),
    ...(facts?.maxInputTokens !== undefined && { max_input_tokens: facts.maxInputTokens }),
    ...(facts?.maxOutputTokens !== undefined && { max_output_tokens: facts.maxOutputTokens }),
  };
}

/**
 * LiteLLM's list of deployments, complete rows only: Roo Code drops a row that lacks `model_name`, `litellm_params.model` or
 * `model_info`. Hosts are shown to admins alone, secrets to nobody.
 *
 * @param only - the id of the one deployment that is asked for
 */
export function modelInfo(snapshot: Snapshot, key: KeyRecord, only?: string) {
  const rows = visibleModels(snapshot.models, key).flatMap((visible) =>
    deploymentRows(snapshot, key, visible),
  );
  return { data: only === undefined ? rows : rows.filter(({ model_info: { id } }) => id === only) };
}

function deploymentRows(snapshot: Snapshot, key: KeyRecord, { id, model }: VisibleModel) {
  return snapshot.models.deployments(model.group).map((record) => {
    const { facts, prices } = record;
    const showsHost = snapshot.exposesUpstream(key);
    return {
      model_name: id,
      litellm_params: {
        model: record.litellmModel,
        ...(showsHost && { api_base: record.resource.origin }),
        ...(record.requestsPerMinute !== undefined && { rpm: record.requestsPerMinute }),
        ...(record.tokensPerMinute !== undefined && { tpm: record.tokensPerMinute }),
      },
      model_info: {
        id: record.id,
        db_model: record.stored === true,
        key: facts.baseModel ?? record.litellmModel,
        litellm_provider: record.dialect === 'openai' ? 'openai' : 'azure',
        mode: facts.mode ?? null,
        max_tokens: facts.maxOutputTokens ?? null,
        max_input_tokens: facts.maxInputTokens ?? null,
        max_output_tokens: facts.maxOutputTokens ?? null,
        input_cost_per_token: usdPerToken(prices?.input),
        output_cost_per_token: usdPerToken(prices?.output),
        cache_read_input_token_cost: usdPerToken(prices?.cachedInput),
        ...supports(facts.supports ?? []),
      },
    };
  });
}

type ModelRow = ReturnType<typeof modelInfo>['data'][number];

const mostRows = 1000;

/**
 * One page of the list of deployments, as LiteLLM's `/v2/model/info` has it: `page` (1), `size` (50, at most 1,000), of the one `model`
 * by name, the one `modelId`, or those whose name holds `search`.
 *
 * @throws GatewayError `invalid_parameter` for a page or size that is none
 */
export function pageOfModels(rows: readonly ModelRow[], query: ParsedUrlQuery) {
  const page = wholeNumber(query, 'page', 1, Number.MAX_SAFE_INTEGER);
  const size = wholeNumber(query, 'size', 50, mostRows);
  const { model, modelId, search } = query;
  const part = typeof search === 'string' ? search.toLowerCase() : '';
  const found = rows.filter(
    ({ model_name: name, model_info: { id } }) =>
      (typeof model !== 'string' || name === model) &&
      (typeof modelId !== 'string' || id === modelId) &&
      name.toLowerCase().includes(part),
  );
  return {
    data: found.slice((page - 1) * size, page * size),
    total_count: found.length,
    current_page: page,
    total_pages: Math.ceil(found.length / size),
    size,
  };
}

/**
 * A whole number of a query, from the lower of 1 and what it is otherwise.
 *
 * @throws GatewayError `invalid_parameter`
 */
export function wholeNumber(
  query: ParsedUrlQuery,
  name: string,
  otherwise: number,
  most: number,
): number {
  const given = query[name];
  if (given === undefined) return otherwise;
  const least = Math.min(1, otherwise);
  const number = typeof given === 'string' && /^\d+$/.test(given) ? Number(given) : -1;
  if (number >= least && number <= most) return number;
  throw invalidParameter(name, `"${name}" must be a whole number from ${least} to ${most}`);
}

/**
 * What is known of a model by its public name: LiteLLM's `/utils/model_info`. Undefined for a model that does not exist or that the key
 * may not use.
 */
export function factsOfModel(snapshot: Snapshot, key: KeyRecord, name: string) {
  const model = visibleModel(snapshot.models, key, name);
  return model && deploymentRows(snapshot, key, { id: name, model })[0]?.model_info;
}

/** LiteLLM's list of public names, limits of their deployments summed. */
export function modelGroupInfo(snapshot: Snapshot, key: KeyRecord, only: string | undefined) {
  const groups = visibleModels(snapshot.models, key).filter(
    ({ id }) => only === undefined || id === only,
  );
  return { data: groups.map((visible) => groupRow(snapshot, visible)) };
}

function groupRow(snapshot: Snapshot, { id, model }: VisibleModel) {
  const records = snapshot.models.deployments(model.group);
  const facts = records[0]?.facts ?? {};
  const prices = records[0]?.prices;
  const sum = (read: (record: (typeof records)[number]) => number | undefined) => {
    const known = records.map(read).filter((value) => value !== undefined);
    return known.length === 0 ? null : known.reduce((total, value) => total + value, 0);
  };
  return {
    model_group: id,
    providers: [
      ...new Set(records.map((record) => (record.dialect === 'openai' ? 'openai' : 'azure'))),
    ],
    max_input_tokens: facts.maxInputTokens ?? null,
    max_output_tokens: facts.maxOutputTokens ?? null,
    input_cost_per_token: usdPerToken(prices?.input),
    output_cost_per_token: usdPerToken(prices?.output),
    mode: facts.mode ?? null,
    tpm: sum((record) => record.tokensPerMinute),
    rpm: sum((record) => record.requestsPerMinute),
    ...supports(facts.supports ?? []),
    supported_openai_params: records[0] === undefined ? null : parametersOf(records[0]),
    is_public_model_group: false,
  };
}

/** Flags that LiteLLM's clients read; what is not known of a model is reported as not supported. */
const knownFlags = [
  'vision',
  'prompt_caching',
  'reasoning',
  'function_calling',
  'parallel_function_calling',
  'response_schema',
  'tool_choice',
  'web_search',
  'pdf_input',
  'computer_use',
] as const;

function supports(names: readonly string[]): Record<string, boolean> {
  return Object.fromEntries(knownFlags.map((flag) => [`supports_${flag}`, names.includes(flag)]));
}

function usdPerToken(picoUsd: number | undefined): number | null {
  return picoUsd === undefined ? null : picoUsd / 1e12;
}
