import type { UpstreamAnswerHeaders } from '../upstream/headers.ts';

/** What an upstream's answer says about its own limits, for the router. */
export type UpstreamQuotaReport = {
  rateLimit?: { remainingRequests?: number; remainingTokens?: number; resetMs?: number };
  /** Use of a provisioned deployment, 1 = full. */
  utilisation?: number;
};

/**
 * Reads `x-ratelimit-remaining-*` and `azure-openai-deployment-utilization`.
 *
 * @see Azure writes resets as plain seconds, OpenAI as `6m0s`; the latter is not read, a short belief takes its place
 */
export function quotaReport(headers: UpstreamAnswerHeaders): UpstreamQuotaReport {
  // After a native spillover these are the other deployment's.
  if (headers['x-ms-spillover-from-deployment'] !== undefined) return {};
  const remainingRequests = count(headers['x-ratelimit-remaining-requests']);
  const remainingTokens = count(headers['x-ratelimit-remaining-tokens']);
  const utilisation = count(headers['azure-openai-deployment-utilization']);
  const report: UpstreamQuotaReport = {};
  if (utilisation !== undefined) report.utilisation = utilisation / 100;
  if (remainingRequests === undefined && remainingTokens === undefined) return report;
  const resets = [headers['x-ratelimit-reset-requests'], headers['x-ratelimit-reset-tokens']].map(
    count,
  );
  const resetSeconds = Math.max(...resets.map((seconds) => seconds ?? 0));
  report.rateLimit = {
    ...(remainingRequests !== undefined && { remainingRequests }),
    ...(remainingTokens !== undefined && { remainingTokens }),
    ...(resetSeconds > 0 && { resetMs: resetSeconds * 1000 }),
  };
  return report;
}

/** A plain number, with or without a percent sign. */
function count(value: string | string[] | undefined): number | undefined {
  if (typeof value !== 'string' || !/^\d+(?:\.\d+)?%?$/.test(value)) return undefined;
  return Number.parseFloat(value);
}
