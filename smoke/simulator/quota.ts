import type { Clock } from './clock.ts';
import type { DeploymentConfig } from './config.ts';
import type { Model } from './models.ts';
import type { Usage } from './tokens.ts';

/** Size of a call as the front end guesses it at arrival. */
export type Estimate = { promptTokens: number; maxOutputTokens: number };

/** Whether a call may go on, and what its headers tell. */
export type Admission =
  | { admitted: true; headers: Record<string, string>; settle: (usage: Usage) => void }
  | {
      admitted: false;
      reason: 'tokens' | 'requests' | 'provisioned';
      retryAfterMs: number;
      headers: Record<string, string>;
    };

/** The limits of one deployment. */
export interface Quota {
  /** Counts a call and decides whether it is served. */
  admit(estimate: Estimate): Admission;
}

const MINUTE_MS = 60_000;

type Window = { endsAt: number; used: number };

/** What remains of a window at `now`; a new one begins with the first call after the old one's end. */
function windowAt(window: Window, now: number, lengthMs: number): Window {
  if (now < window.endsAt) return window;
  window.endsAt = now + lengthMs;
  window.used = 0;
  return window;
}

/**
 * Standard deployments. Tokens: the estimate of every call is added to a counter that is emptied each minute; once a
 * call does not fit, all are refused until then. Requests: counted in slices of 1 or 10 seconds, each holding its
 * share of the requests per minute.
 */
export function standardQuota(limits: DeploymentConfig['quota'], clock: Clock): Quota {
  const sliceMs = limits.sliceSeconds * 1000;
  const perSlice = Math.max(1, Math.floor((limits.rpm * limits.sliceSeconds) / 60));
  const tokens: Window = { endsAt: 0, used: 0 };
  const minute: Window = { endsAt: 0, used: 0 };
  const slice: Window = { endsAt: 0, used: 0 };

  const headers = (): Record<string, string> => ({
    'x-ratelimit-limit-requests': String(limits.rpm),
    'x-ratelimit-limit-tokens': String(limits.tpm),
    'x-ratelimit-remaining-requests': String(Math.max(0, limits.rpm - minute.used)),
    'x-ratelimit-remaining-tokens': String(Math.max(0, limits.tpm - tokens.used)),
  });

  return {
    admit: (estimate) => {
      const now = clock.now();
      windowAt(tokens, now, MINUTE_MS);
      windowAt(minute, now, MINUTE_MS);
      windowAt(slice, now, sliceMs);
      const size = estimate.promptTokens + estimate.maxOutputTokens;
      const tokensFit = tokens.used + size <= limits.tpm;
      const requestsFit = slice.used < perSlice;
      const admitted = tokensFit && requestsFit;
      if (admitted || limits.refusedCallsCount) {
        tokens.used += size;
        minute.used += 1;
        slice.used += 1;
      }
      if (admitted) return { admitted, headers: headers(), settle: () => undefined };

      const reason = tokensFit ? 'requests' : 'tokens';
      const waits = [
        ...(tokensFit ? [] : [tokens.endsAt - now]),
        ...(requestsFit ? [] : [slice.endsAt - now]),
      ];
      const retryAfterMs = Math.max(...waits);
      const seconds = String(Math.ceil(retryAfterMs / 1000));
      return {
        admitted,
        reason,
        retryAfterMs,
        headers: {
          ...headers(),
          [`x-ratelimit-remaining-${reason}`]: '0',
          [`x-ratelimit-reset-${reason}`]: seconds,
        },
      };
    },
  };
}

/**
 * Provisioned deployments: a leaky bucket of weighted tokens, drained at the purchased rate. A call is admitted while
 * the bucket is not full; its estimate is replaced by the truth when it ends. Cached input weighs nothing.
 */
export function provisionedQuota(
  settings: NonNullable<DeploymentConfig['provisioned']>,
  model: Model,
  clock: Clock,
): Quota {
  const outputRatio = settings.outputRatio ?? model.provisioned.outputRatio;
  const perMinute =
    settings.units * (settings.inputTpmPerUnit ?? model.provisioned.inputTpmPerUnit);
  const drainPerMs = perMinute / MINUTE_MS;
  const capacity = drainPerMs * settings.burstSeconds * 1000;
  let level = 0;
  let drainedAt = clock.now();

  const drain = (): void => {
    const now = clock.now();
    level = Math.max(0, level - (now - drainedAt) * drainPerMs);
    drainedAt = now;
  };
  const headers = (): Record<string, string> => ({
    'azure-openai-deployment-utilization': `${((level / capacity) * 100).toFixed(1)}%`,
  });

  return {
    admit: (estimate) => {
      drain();
      const weight = estimate.promptTokens + estimate.maxOutputTokens * outputRatio;
      if (level >= capacity) {
        const retryAfterMs = Math.max(1, Math.ceil((level - capacity) / drainPerMs) + 1);
        return { admitted: false, reason: 'provisioned', retryAfterMs, headers: headers() };
      }
      level += weight;
      return {
        admitted: true,
        headers: headers(),
        settle: (usage) => {
          const truth =
            usage.promptTokens - usage.cachedTokens + usage.completionTokens * outputRatio;
          level = Math.max(0, level - weight + truth);
        },
      };
    },
  };
}
