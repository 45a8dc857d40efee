import type { Limits } from '@aigateway/contract/limits';
import type { KeyRecord } from '@aigateway/contract/records';
import type { FlatHeaders } from './reply.ts';

const known = new WeakMap<KeyRecord, FlatHeaders>();

/**
 * LiteLLM's headers that tell a caller the limits of its key, for those it has: names and values in turn. Made once for each
 * record. Its spend is not among them: a proxy knows only what it reserved of a budget, and that alone of keys that have one.
 */
export function keyHeaders(key: KeyRecord): FlatHeaders {
  let headers = known.get(key);
  if (headers === undefined) known.set(key, (headers = headersOf(key)));
  return headers;
}

function headersOf({ scopes }: KeyRecord): FlatHeaders {
  const limits: Limits = scopes.find(({ kind }) => kind === 'api_key')?.limits ?? {};
  const headers: FlatHeaders = [];
  const { tokensPerMinute, requestsPerMinute, budgets = [] } = limits;
  if (tokensPerMinute !== undefined)
    headers.push('x-litellm-key-tpm-limit', String(tokensPerMinute));
  if (requestsPerMinute !== undefined)
    headers.push('x-litellm-key-rpm-limit', String(requestsPerMinute));
  const [budget] = budgets;
  if (budget !== undefined)
    headers.push('x-litellm-key-max-budget', String(budget.maxNanoUsd / 1e9));
  return headers;
}
