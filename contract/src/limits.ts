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
  budgets?: readonly BudgetLimit[];
};

/** One holder of limits that a request must pass. `id` is unique within its kind and shown to the caller as `label`. */
export type LimitScope = {
  kind: ScopeKind;
  id: string;
  label: string;
  limits: Limits;
};
