import { noTokens, type TokenCounts, type UsageRecord } from '@aigateway/contract/usage';

/** Sums over usage records. */
export type UsageTotals = {
  requests: number;
  /** Those of the requests that did not end as `completed`. */
  failures: number;
  tokens: TokenCounts;
  costNanoUsd: number;
};

export function noUsage(): UsageTotals {
  return { requests: 0, failures: 0, tokens: { ...noTokens }, costNanoUsd: 0 };
}

/** Adds a record to the totals, which it changes. A correction is no request. */
export function addUsage(totals: UsageTotals, record: UsageRecord): void {
  if (record.corrects === undefined) {
    totals.requests += 1;
    if (record.outcome !== 'completed') totals.failures += 1;
  }
  totals.costNanoUsd += record.costNanoUsd;
  const { tokens } = totals;
  tokens.input += record.tokens.input;
  tokens.cachedInput += record.tokens.cachedInput;
  tokens.cacheWrite += record.tokens.cacheWrite;
  tokens.audioInput += record.tokens.audioInput;
  tokens.output += record.tokens.output;
  tokens.reasoning += record.tokens.reasoning;
  tokens.audioOutput += record.tokens.audioOutput;
}
