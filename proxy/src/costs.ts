import { isObject } from '@aigateway/contract/json';
import { lookUp } from '@aigateway/contract/prices';
import type { JsonObject, JsonValue, KeyRecord, PriceRecord } from '@aigateway/contract/records';
import { noTokens, type TokenCounts } from '@aigateway/contract/usage';
import { costNanoUsd, tokenRates } from './accounting/cost.ts';
import { readUsage } from './accounting/usage-reader.ts';
import { estimateTokens } from './admission/estimate.ts';
import { measureContent } from './admission/content-size.ts';
import { invalidParameter, modelNotFound } from './errors.ts';
import { visibleModel } from './routing/models.ts';
import type { Snapshot } from './snapshot.ts';

const nanoPerUsd = 1e9;
const picoPerUsd = 1e12;

/** No call has more tokens, and no day more calls. */
const mostCounted = 1e12;

/**
 * What calls of a model would cost: LiteLLM's `/cost/estimate`. Amounts are in US dollars; `daily_…` and `monthly_…` are null where the
 * caller names no number of requests.
 *
 * @throws GatewayError `invalid_parameter` for a number that is none, or a part that is more than its whole, `model_not_found` for a model that has no price
 */
export function estimatedCost(snapshot: Snapshot, key: KeyRecord, body: JsonObject): JsonObject {
  const model = requiredText(body, 'model');
  const input = requiredCount(body, 'input_tokens');
  const output = requiredCount(body, 'output_tokens');
  const cachedInput = count(body, 'cache_read_input_tokens') ?? 0;
  const cacheWrite = count(body, 'cache_creation_input_tokens') ?? 0;
  const reasoning = count(body, 'reasoning_tokens') ?? 0;
  if (cachedInput + cacheWrite > input)
    throw invalidParameter('input_tokens', '"input_tokens" must have the cached ones in it');
  if (reasoning > output)
    throw invalidParameter('output_tokens', '"output_tokens" must have those of reasoning in it');
  const perDay = count(body, 'num_requests_per_day');
  const perMonth = count(body, 'num_requests_per_month');
  const { price, provider } = requiredPrice(snapshot, key, model);
  const rates = tokenRates(input, price);
  const of = (tokens: Partial<TokenCounts>) => costNanoUsd({ ...noTokens, ...tokens }, price);
  const all = of({ input, output, cachedInput, cacheWrite, reasoning });
  // The price of input may hang on its length: it is told apart by leaving the other part out, not the other way round.
  const allInput = of({ input, cachedInput, cacheWrite });
  const lines = {
    cost: all,
    input_cost: allInput,
    output_cost: all - allInput,
    margin_cost: 0,
    cache_read_cost: nanoUsdOf(cachedInput, rates.cachedInput),
    cache_creation_cost: nanoUsdOf(cacheWrite, rates.cacheWrite),
    reasoning_cost: nanoUsdOf(reasoning, rates.reasoning),
  };
  const each = (name: (line: string) => string, requests: number | undefined): JsonObject =>
    Object.fromEntries(
      Object.entries(lines).map(([line, nanoUsd]) => [
        name(line),
        requests === undefined ? null : usdOf(nanoUsd) * requests,
      ]),
    );
  return {
    model,
    input_tokens: input,
    output_tokens: output,
    cache_read_input_tokens: cachedInput,
    cache_creation_input_tokens: cacheWrite,
    reasoning_tokens: reasoning,
    num_requests_per_day: perDay ?? null,
    num_requests_per_month: perMonth ?? null,
    ...each((line) => `${line}_per_request`, 1),
    ...each((line) => `daily_${line}`, perDay),
    ...each((line) => `monthly_${line}`, perMonth),
    input_cost_per_token: rates.input / picoPerUsd,
    output_cost_per_token: rates.output / picoPerUsd,
    cache_read_input_token_cost: rates.cachedInput / picoPerUsd,
    cache_creation_input_token_cost: rates.cacheWrite / picoPerUsd,
    output_cost_per_reasoning_token: rates.reasoning / picoPerUsd,
    provider,
  };
}

/** What some tokens cost by themselves; parts are rounded each, so they may miss their whole by a nano-USD. */
function nanoUsdOf(tokens: number, rate: number): number {
  return Math.round((tokens * rate) / 1000);
}

/**
 * What a call did cost, by the usage in its answer, or what its messages cost by estimate: LiteLLM's `/spend/calculate`.
 *
 * @throws GatewayError `invalid_parameter` where there is neither, `model_not_found` for a model that has no price
 */
export function calculatedCost(snapshot: Snapshot, key: KeyRecord, body: JsonObject): JsonObject {
  const answer = body['completion_response'];
  if (isObject(answer)) {
    const model = typeof body['model'] === 'string' ? body['model'] : requiredText(answer, 'model');
    const usage = readUsage('chat', answer['usage']);
    if (usage === undefined) {
      throw invalidParameter('completion_response', '"completion_response" must have its usage');
    }
    const tier = answer['service_tier'];
    return costOf(snapshot, key, model, usage, typeof tier === 'string' ? tier : undefined);
  }
  const model = requiredText(body, 'model');
  if (!Array.isArray(body['messages'])) {
    throw invalidParameter('messages', 'One of "messages" and "completion_response" must be there');
  }
  const bytes = Buffer.from(JSON.stringify(body['messages']));
  const { input } = estimateTokens({
    operation: 'chat',
    bodyBytes: bytes.length,
    ...measureContent(bytes),
  });
  return costOf(snapshot, key, model, { ...noTokens, input });
}

function costOf(
  snapshot: Snapshot,
  key: KeyRecord,
  model: string,
  tokens: TokenCounts,
  tier?: string,
): JsonObject {
  return { cost: usdOf(costNanoUsd(tokens, requiredPrice(snapshot, key, model).price, tier)) };
}

/**
 * The price of a model by its public name, as the key's calls are charged, else that of the price file. A model that the key may not use
 * is one of the price file, or none.
 */
function requiredPrice(
  snapshot: Snapshot,
  key: KeyRecord,
  model: string,
): { price: PriceRecord; provider: 'azure' | 'openai' } {
  const visible = visibleModel(snapshot.models, key, model);
  const group = visible === undefined ? [] : snapshot.models.deployments(visible.group);
  const priced = group.find(({ prices }) => prices !== undefined);
  const price = priced?.prices ?? lookUp(model)?.prices;
  if (price === undefined) throw modelNotFound(model);
  const isAzure = priced === undefined ? model.startsWith('azure/') : priced.dialect !== 'openai';
  return { price, provider: isAzure ? 'azure' : 'openai' };
}

function usdOf(nanoUsd: number): number {
  return nanoUsd / nanoPerUsd;
}

function requiredText(body: JsonObject, name: string): string {
  const value = body[name];
  if (typeof value === 'string' && value !== '') return value;
  throw invalidParameter(name, `"${name}" must be text`);
}

function requiredCount(body: JsonObject, name: string): number {
  const value = count(body, name);
  if (value !== undefined) return value;
  throw invalidParameter(name, `"${name}" must be there`);
}

function count(body: JsonObject, name: string): number | undefined {
  const value: JsonValue | undefined = body[name];
  if (value === undefined || value === null) return undefined;
  const isCount = typeof value === 'number' && Number.isInteger(value) && value >= 0;
  if (isCount && value <= mostCounted) return value;
  throw invalidParameter(name, `"${name}" must be a whole number from 0 to ${mostCounted}`);
}
