import { budgetWindow, parseDuration } from '@aigateway/contract/duration';
import { proxyError } from '../errors.ts';
import type { LimitFields } from '../store/documents.ts';
import type { Call } from './call.ts';

/** What an unset limit is. The names are all that callers can set of a document's limits. */
export const noLimits: LimitFields = {
  max_budget: null,
  soft_budget: null,
  budget_duration: null,
  budget_limits: null,
  rpm_limit: null,
  tpm_limit: null,
  max_parallel_requests: null,
  model_rpm_limit: null,
  model_tpm_limit: null,
  model_max_budget: {},
};

/**
 * Takes over the fields that were sent: null makes one blank again, what was not sent stays. Only names of `blank` are ever
 * looked at, so nothing else can be set.
 */
export function withFields<Document extends object>(
  document: Document,
  blank: Partial<Document>,
  sent: object,
): Document {
  const next = { ...document };
  for (const name of Object.keys(blank) as (keyof Document & string)[]) {
    const value = (sent as Partial<Document>)[name];
    if (value === undefined) continue;
    next[name] = value ?? (blank[name] as Document[typeof name]);
  }
  return next;
}

/** @throws ApiError 400 for a window that is not in LiteLLM's grammar */
export function checkWindows(limits: Partial<LimitFields>): void {
  const windows = [
    limits.budget_duration,
    ...(limits.budget_limits ?? []).map(({ budget_duration }) => budget_duration),
  ];
  for (const window of windows) {
    if (window !== null && window !== undefined && parseDuration(window) === undefined) {
      throw proxyError(
        400,
        'bad_request_error',
        `Invalid budget_duration "${window.slice(0, 40)}". Use a number and s, m, h, d, w or mo, or hourly, daily, weekly, monthly.`,
        'budget_duration',
      );
    }
  }
}

/** When the current window of a budget ends; null without a window. */
export function budgetResetAt(window: string | null, call: Call): string | null {
  const bounds = windowBounds(window, call);
  return bounds === undefined ? null : new Date(bounds.endMs).toISOString();
}

/** When the current window of a budget began, in milliseconds since the epoch; undefined without a window. */
export function windowStartMs(window: string | null, call: Call): number | undefined {
  return windowBounds(window, call)?.startMs;
}

function windowBounds(window: string | null, { now, settings }: Call) {
  if (window === null || parseDuration(window) === undefined) return undefined;
  return budgetWindow(now, window, settings.timezone, settings.budgetResetTime);
}
