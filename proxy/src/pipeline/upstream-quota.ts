import type { UpstreamRateLimit } from '../routing/deployments.ts';
import type { UpstreamAnswerHeaders } from '../upstream/headers.ts';

/** What an upstream's answer says about its own limits, for the router. */
export type UpstreamQuotaReport = {
  rateLimit?: UpstreamRateLimit | undefined;
  /** Use of a provisioned deployment, 1 = full. */
  utilisation?: number | undefined;
};

const nothingSaid: UpstreamQuotaReport = {};

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
  if (remainingRequests === undefined && remainingTokens === undefined) {
    return utilisation === undefined ? nothingSaid : { utilisation: utilisation / 100 };
  }
  const resetSeconds = Math.max(
    count(headers['x-ratelimit-reset-requests']) ?? 0,
    count(headers['x-ratelimit-reset-tokens']) ?? 0,
  );
  return {
    rateLimit: {
      remainingRequests,
      remainingTokens,
      resetMs: resetSeconds > 0 ? resetSeconds * 1000 : undefined,
    },
    utilisation: utilisation === undefined ? undefined : utilisation / 100,
  };
}

/** A plain number, with or without a percent sign. */
function count(value: string | string[] | undefined): number | undefined {
  if (typeof value !== 'string' || !/^\d+(?:\.\d+)?%?$/.test(value)) return undefined;
  return Number.parseFloat(value);
}
