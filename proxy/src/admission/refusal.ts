import { GatewayError } from '../errors.ts';
import type { RateStanding, Refusal } from '../ports.ts';

export type RefusalOptions = {
  nowMs: number;
  /** What the refused request was expected to use and to cost. */
  estimateTokens: number;
  estimateNanoUsd: number;
  /** LiteLLM's `budget_exceeded_status_code`; default is the table's. */
  budgetExceededStatus?: number;
};

/** SDKs obey a wait of up to a minute and retry sooner than told when it is longer: they are then told not to. */
const longestRetryMs = 60_000;

/**
 * The answer to a caller whose limits refused the request, in LiteLLM's words.
 *
 * `retry-after` and `retry-after-ms` are the refusal's own. One that never ends has neither, and `x-should-retry: false`.
 */
export function refusalError(refusal: Refusal, options: RefusalOptions): GatewayError {
  const { scope, limitType, limit, remaining, retryAfterMs } = refusal;
  const retry = Number.isFinite(retryAfterMs) ? { retryAfterMs } : {};
  const scopeValues = {
    scope: scope.kind,
    id: scope.label,
    resetsAt: utcText(options.nowMs + retryAfterMs),
  };

  if (limitType === 'budget') {
    return new GatewayError('budget_exceeded', {
      ...retry,
      headers: retryHeaders(retryAfterMs),
      ...(options.budgetExceededStatus !== undefined && { status: options.budgetExceededStatus }),
      values: {
        ...scopeValues,
        spent: usdText(limit - remaining),
        budget: usdText(limit),
        estimate: usdText(options.estimateNanoUsd),
      },
    });
  }
  const headers = {
    ...retryHeaders(retryAfterMs),
    [`x-ratelimit-${scope.kind}-limit-${limitType}`]: String(limit),
    [`x-ratelimit-${scope.kind}-remaining-${limitType}`]: String(remaining),
  };
  if (limitType !== 'max_parallel_requests' && Number.isFinite(retryAfterMs)) {
    const flat = rateLimitHeaders({ [limitType]: { limit, remaining, resetMs: retryAfterMs } });
    for (let at = 0; at < flat.length; at += 2) headers[flat[at] ?? ''] = flat[at + 1] ?? '';
  }
  return new GatewayError('rate_limit_exceeded', {
    ...retry,
    headers,
    values: {
      ...scopeValues,
      limitType,
      limit,
      remaining,
      // Or else "Remaining: 900" reads as if there were room.
      ofRequest:
        limitType === 'tokens' ? ` This request is estimated at: ${options.estimateTokens}.` : '',
    },
  });
}

/**
 * `retry-after` in whole seconds of at least one, `retry-after-ms` exactly, and `x-should-retry: false` beyond a minute.
 *
 * @param waitMs - infinite when retrying is of no use
 */
export function retryHeaders(waitMs: number): Record<string, string> {
  if (!Number.isFinite(waitMs)) return { 'x-should-retry': 'false' };
  return {
    'retry-after': String(Math.max(1, Math.ceil(waitMs / 1000))),
    'retry-after-ms': String(Math.max(1, Math.ceil(waitMs))),
    ...(waitMs > longestRetryMs && { 'x-should-retry': 'false' }),
  };
}

/**
 * `x-ratelimit-*` of the tightest limits, names and values in turn. Resets are plain seconds, as Azure writes them.
 *
 * @param headers - the list that they are added to
 */
export function rateLimitHeaders(
  { requests, tokens }: RateStanding,
  headers: string[] = [],
): string[] {
  // Names written out: to put them together costs as much as all the rest of an answer's headers.
  if (requests !== undefined) {
    headers.push(
      'x-ratelimit-limit-requests',
      String(requests.limit),
      'x-ratelimit-remaining-requests',
      String(requests.remaining),
      'x-ratelimit-reset-requests',
      secondsText(requests.resetMs),
    );
  }
  if (tokens !== undefined) {
    headers.push(
      'x-ratelimit-limit-tokens',
      String(tokens.limit),
      'x-ratelimit-remaining-tokens',
      String(tokens.remaining),
      'x-ratelimit-reset-tokens',
      secondsText(tokens.resetMs),
    );
  }
  return headers;
}

function secondsText(milliseconds: number): string {
  return String(Math.ceil(milliseconds / 1000));
}

/** LiteLLM's form, `YYYY-MM-DD HH:MM:SS UTC`. */
function utcText(atMs: number): string {
  if (!Number.isFinite(atMs)) return 'never';
  // Windows end at whole seconds; what is beside one is the way from Redis, whose clock told the wait.
  const iso = new Date(Math.round(atMs / 1000) * 1000).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}

/** Nano-USD as a decimal number of USD, without a rounding and without an exponent. */
function usdText(nanoUsd: number): string {
  const digits = String(Math.max(0, Math.round(nanoUsd))).padStart(10, '0');
  const fraction = digits.slice(-9).replace(/0+$/, '');
  return fraction === '' ? `${digits.slice(0, -9)}.0` : `${digits.slice(0, -9)}.${fraction}`;
}
