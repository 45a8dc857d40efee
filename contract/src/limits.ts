/** What a limit hangs on. Names are LiteLLM's, they appear in error messages and headers. */
export type ScopeKind =
  | 'api_key'
  | 'model_per_key'
  | 'user'
  | 'team'
  | 'team_member'
  | 'organization'
  | 'end_user'
  | 'tag'
  | 'global'
  | 'deployment';

/** A money limit. Without `window` it never resets. */
export type BudgetLimit = {
  maxNanoUsd: number;
  /** LiteLLM's duration grammar: `<n>` + s, m, h, d, w, mo, or hourly, daily, weekly, monthly. On the calendar of the configured time zone. */
  window?: string;
};

export type Limits = {
  requestsPerMinute?: number;
  /** Input plus output, reserved by estimate and settled to the real usage. */
  tokensPerMinute?: number;
  parallelRequests?: number;
  /** Ever: nothing resets it. */
  requestsInTotal?: number;
  budgets?: readonly BudgetLimit[];
};

/** One holder of limits that a request must pass. `id` is unique within its kind and shown to the caller as `label`. */
export type LimitScope = {
  kind: ScopeKind;
  id: string;
  label: string;
  limits: Limits;
};

/** The id of what two are together: a user within a team, a model (or a pattern of models) of a key. */
export function pairId(one: string, other: string): string {
  return `${one}:${other}`;
}

/** Requests and tokens are counted per whole minute of the clock. */
export const minuteMs = 60_000;

/**
 * How long to wait for a free parallel slot. Nobody knows when a call in flight ends: a second is short against a model's
 * answer and long against a round trip.
 */
export const parallelRetryMs = 1000;

/** Tells whether there is anything to count for these limits. */
export function isLimited(limits: Limits): boolean {
  return (
    limits.requestsPerMinute !== undefined ||
    limits.tokensPerMinute !== undefined ||
    limits.parallelRequests !== undefined ||
    limits.budgets !== undefined ||
    limits.requestsInTotal !== undefined
  );
}

/**
 * Tells whether tokens or money do not fit a window. An untouched window admits one call larger than itself, or such a call
 * could never be made; a limit of zero admits none.
 *
 * @param used - granted in the window so far
 */
export function exceeds(used: number, amount: number, limit: number): boolean {
  return used >= limit || (used > 0 && used + amount > limit);
}
