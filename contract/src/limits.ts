/** What a limit hangs on. Names are LiteLLM's, they appear in error messages and headers. */
export type ScopeKind =
  | 'api_key'
  | 'model_per_key'
  | 'user'
  | 'model_per_user'
  | 'team'
  | 'model_per_team'
  | 'team_member'
  | 'model_per_team_member'
  | 'organization'
  | 'model_per_organization'
  | 'end_user'
  | 'model_per_end_user'
  | 'tag'
  | 'model_per_tag'
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

/** Limits for single models, by name or pattern: a pattern's are one for all that it matches, and the most specific entry counts. */
export type ModelLimits = { readonly [model: string]: Limits };

/** One holder of limits that a request must pass. `id` is unique within its kind and shown to the caller as `label`. */
export type LimitScope = {
  kind: ScopeKind;
  id: string;
  label: string;
  limits: Limits;
  /** What all under this holder may use of single models. Absent = none has a limit. */
  modelLimits?: ModelLimits;
};

/** A holder as requests pass it; nothing where it has no limits. */
export function holderScope(
  kind: ScopeKind,
  id: string,
  label: string,
  limits: Limits,
  modelLimits: ModelLimits,
): LimitScope[] {
  const hasModels = Object.keys(modelLimits).length > 0;
  if (!hasModels && Object.keys(limits).length === 0) return [];
  return [{ kind, id, label, limits, ...(hasModels && { modelLimits }) }];
}

/** Who may have limits for single models, and what those hang on: names in LiteLLM's form. */
const modelScopeKinds: { readonly [kind in ScopeKind]?: ScopeKind } = {
  api_key: 'model_per_key',
  user: 'model_per_user',
  team: 'model_per_team',
  team_member: 'model_per_team_member',
  organization: 'model_per_organization',
  end_user: 'model_per_end_user',
  tag: 'model_per_tag',
};
const ofModels: ReadonlySet<ScopeKind> = new Set(Object.values(modelScopeKinds));

/** What a holder's limits for single models hang on; undefined for one that has none. */
export function modelScopeKind(kind: ScopeKind): ScopeKind | undefined {
  return modelScopeKinds[kind];
}

/** Tells whether it is the limit of a holder for a single model. */
export function isOfModel({ kind }: Pick<LimitScope, 'kind'>): boolean {
  return ofModels.has(kind);
}

/**
 * Tells whether a key's own limits for a model hold in place of those that its team has for that model, as in LiteLLM: where they
 * state requests and tokens a minute as far as the team's do. In part they do not: each holder is counted by one set of limits.
 */
export function takePlaceOf(own: Limits, ofTeam: Limits): boolean {
  return (
    (ofTeam.requestsPerMinute === undefined || own.requestsPerMinute !== undefined) &&
    (ofTeam.tokensPerMinute === undefined || own.tokensPerMinute !== undefined) &&
    ofTeam.budgets === undefined
  );
}

/** The id of what two are together: a user within a team, a model (or a pattern of models) of a holder of limits. */
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
