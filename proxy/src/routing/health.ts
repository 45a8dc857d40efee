import type { FailureClass, RouterRecord } from '@aigateway/contract/records';

/** Ceiling of the doubling of cool-downs; a longer configured or announced one stands. */
const maxDoubledCoolDownMs = 60_000;
/** After this time without a result a trial no longer keeps others away. */
const trialLimitMs = 300_000;
/** How soon to look again at a deployment whose trial call is under way: its end is not known. */
const trialPollMs = 1_000;
/** Failures in a row that open the circuit where traffic is too thin for the failure rate to speak. */
const failuresInARow = 3;
/** Longest wait Azure was seen to announce: one day. */
const maxAnnouncedMs = 86_400_000;

/**
 * - `healthy`: takes calls
 * - `cooling`: rests until a known time
 * - `half-open`: the rest after failures is over; one trial call decides
 */
export type Standing = 'healthy' | 'cooling' | 'half-open';

/** Cool-down and circuit of one deployment. Changed only by the functions of this file. */
export type Health = {
  /** End of the present or last rest, milliseconds since the epoch; 0 = never rested. */
  until: number;
  /** True from the opening of the circuit until a success closes it. Rests for a rate limit do not open it. */
  open: boolean;
  trialSince: number | undefined;
  reopenings: number;
  /** Start of the rest, or the moment the circuit closed. */
  since: number;
  reason: 'rate_limit' | 'failures' | undefined;
  lastFailure: FailureClass | undefined;
  failuresInARow: number;
  /** Calls and failures of the present whole minute. */
  minute: number;
  calls: number;
  failures: number;
  failuresByClass: { [failure in FailureClass]?: number };
};

/** Anything with a health, in practice a deployment's state. */
export type WithHealth = { readonly health: Health };

export type HealthReport = {
  standing: Standing;
  /** Milliseconds since the epoch; 0 = since the start. */
  since: number;
  reason: 'rate_limit' | 'failures' | undefined;
  lastFailure: FailureClass | undefined;
};

export type Failure = {
  failureClass: FailureClass;
  /** The wait the upstream announced. */
  waitMs?: number;
};

/** What a failure is judged by. */
export type FailureRules = {
  router: Pick<RouterRecord, 'allowedFails' | 'allowedFailsPolicy' | 'coolDownMs'>;
  /** The deployment's own cool-down. */
  coolDownMs: number | undefined;
  /** No other member of the model group is healthy now. */
  lastUsable: boolean;
};

export function newHealth(): Health {
  return {
    until: 0,
    open: false,
    trialSince: undefined,
    reopenings: 0,
    since: 0,
    reason: undefined,
    lastFailure: undefined,
    failuresInARow: 0,
    minute: 0,
    calls: 0,
    failures: 0,
    failuresByClass: {},
  };
}

/** True when a call may go there now: healthy, or half-open with the trial still to be made. */
export function isUsable({ health }: WithHealth, now: number): boolean {
  return now >= health.until && !(health.open && isTrialUnderWay(health, now));
}

/** When a call may go there, milliseconds since the epoch; `now` when at once. */
export function availableAt({ health }: WithHealth, now: number): number {
  if (now < health.until) return health.until;
  return health.open && isTrialUnderWay(health, now) ? now + trialPollMs : now;
}

export function standing({ health }: WithHealth, now: number): Standing {
  if (now < health.until) return 'cooling';
  return health.open ? 'half-open' : 'healthy';
}

/** For metrics and health lists. */
export function healthReport(state: WithHealth, now: number): HealthReport {
  const { health } = state;
  const present = standing(state, now);
  return {
    standing: present,
    since: present === 'cooling' ? health.since : Math.max(health.since, health.until),
    reason: present === 'healthy' ? undefined : health.reason,
    lastFailure: health.lastFailure,
  };
}

/** A call leaves for the deployment; on a half-open one it is the trial. */
export function recordStart(health: Health, now: number): void {
  if (health.open && now >= health.until && !isTrialUnderWay(health, now)) health.trialSince = now;
}

/** The deployment gave an answer that shows it works: closes a half-open circuit. A rest that still runs goes on. */
export function recordSuccess(health: Health, now: number): void {
  countCall(health, now);
  health.failuresInARow = 0;
  if (health.open && now >= health.until) close(health, now);
}

/** A call ended without a word on the deployment's health, e.g. the caller left: another trial may be made. */
export function recordNothing(health: Health): void {
  health.trialSince = undefined;
}

/**
 * A fault of the backend. Never call it for a mistake of the caller: those say nothing about the deployment.
 *
 * An announced wait is kept in any case, and a shorter one never shortens it. Beyond that LiteLLM's rules decide: a policy
 * for the class, else `allowed_fails`, else at once for 429, 401 and 404 and above half of five calls in the minute; three
 * failures in a row are added for thin traffic. Rate limits end by themselves; other faults open the circuit, which closes by
 * one trial call and rests twice as long each time that fails. The last usable member of a group keeps taking calls.
 */
export function recordFailure(
  health: Health,
  failure: Failure,
  rules: FailureRules,
  now: number,
): void {
  countCall(health, now);
  const { failureClass } = failure;
  health.failures += 1;
  health.failuresByClass[failureClass] = (health.failuresByClass[failureClass] ?? 0) + 1;
  health.failuresInARow += 1;
  health.lastFailure = failureClass;
  const trialFailed = health.open && now >= health.until;
  health.trialSince = undefined;

  const isRateLimit = failureClass === 'RateLimitError';
  if (failure.waitMs !== undefined && failure.waitMs > 0) {
    const reason = isRateLimit ? 'rate_limit' : 'failures';
    rest(health, Math.min(failure.waitMs, maxAnnouncedMs), reason, now);
  }
  // A 429 answers the question of the trial: the deployment works, it is only full.
  if (trialFailed && (isRateLimit || rules.lastUsable)) health.open = false;
  if (rules.lastUsable) return;
  if (!trialFailed && !isOverAllowance(health, failureClass, rules.router)) return;

  if (isRateLimit) {
    // The upstream's own figure is better than the router's guess, even when it is 0; a deployment's own setting is a minimum.
    const defaultMs = failure.waitMs === undefined ? rules.router.coolDownMs : 0;
    rest(health, rules.coolDownMs ?? defaultMs, 'rate_limit', now);
    return;
  }
  if (health.open && !trialFailed) return;
  const baseMs = rules.coolDownMs ?? rules.router.coolDownMs;
  if (baseMs <= 0) return;
  health.reopenings = trialFailed ? health.reopenings + 1 : 0;
  const doubledMs = Math.min(baseMs * 2 ** health.reopenings, maxDoubledCoolDownMs);
  health.open = true;
  rest(health, Math.max(baseMs, doubledMs), 'failures', now);
}

/**
 * Result of a probe that costs no tokens. A good one closes the circuit early; it says nothing about quota, so rests for a
 * rate limit go on. A bad one keeps an open circuit open and never opens one: not every upstream has what is probed.
 */
export function recordProbe(health: Health, ok: boolean, coolDownMs: number, now: number): void {
  if (!health.open) return;
  if (!ok) {
    if (now >= health.until) rest(health, coolDownMs, 'failures', now);
    return;
  }
  if (health.reason === 'failures') health.until = Math.min(health.until, now);
  close(health, now);
}

function isTrialUnderWay(health: Health, now: number): boolean {
  return health.trialSince !== undefined && now - health.trialSince < trialLimitMs;
}

function close(health: Health, now: number): void {
  health.open = false;
  health.trialSince = undefined;
  health.reopenings = 0;
  health.failuresInARow = 0;
  health.calls = 0;
  health.failures = 0;
  health.failuresByClass = {};
  health.since = now;
}

function rest(
  health: Health,
  lengthMs: number,
  reason: 'rate_limit' | 'failures',
  now: number,
): void {
  const until = now + lengthMs;
  if (until <= health.until || lengthMs <= 0) return;
  if (now >= health.until) health.since = now;
  health.until = until;
  health.reason = reason;
}

function countCall(health: Health, now: number): void {
  const minute = Math.floor(now / 60_000);
  if (health.minute !== minute) {
    health.minute = minute;
    health.calls = 0;
    health.failures = 0;
    health.failuresByClass = {};
  }
  health.calls += 1;
}

function isOverAllowance(
  health: Health,
  failureClass: FailureClass,
  router: FailureRules['router'],
): boolean {
  const allowedOfClass = router.allowedFailsPolicy[failureClass];
  if (allowedOfClass !== undefined)
    return (health.failuresByClass[failureClass] ?? 0) > allowedOfClass;
  if (router.allowedFails !== undefined) return health.failures > router.allowedFails;
  if (
    failureClass === 'RateLimitError' ||
    failureClass === 'AuthenticationError' ||
    failureClass === 'NotFoundError'
  ) {
    return true;
  }
  return (
    health.failuresInARow >= failuresInARow ||
    (health.calls >= 5 && health.failures * 2 > health.calls)
  );
}
