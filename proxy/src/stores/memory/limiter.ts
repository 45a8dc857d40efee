import { budgetWindow } from '@aigateway/contract/duration';
import {
  exceeds,
  isLimited,
  minuteMs,
  parallelRetryMs,
  type ScopeKind,
} from '@aigateway/contract/limits';
import type {
  Clock,
  Limiter,
  LimitRequest,
  LimitStanding,
  RateStanding,
  Refusal,
  Reservation,
  SpendCorrection,
  Spent,
} from '../../ports.ts';
import { later } from '../refusals.ts';

/** When budget windows of days and months begin. */
export type BudgetCalendar = {
  /** IANA zone. */
  timezone: string;
  /** `HH:MM`. */
  budgetResetTime: string;
};

export type MemoryLimiterOptions = {
  clock: Clock;
  /** Asked at the start of each window; undefined, like the option left out, is midnight UTC. */
  calendar?: () => BudgetCalendar | undefined;
};

const utcMidnight: BudgetCalendar = { timezone: 'UTC', budgetResetTime: '00:00' };

/** Spend of one budget window; without `window` it is the spend that never resets. */
export type BudgetStanding = {
  window?: string;
  /** Absent when the window never ends. */
  startMs?: number;
  endMs?: number;
  /** Spent and reserved. */
  usedNanoUsd: number;
};

/** What one holder of limits has used, reservations included. */
export type ScopeStanding = {
  kind: ScopeKind;
  id: string;
  /** Start of the minute that `requests` and `tokens` belong to. */
  minuteStartMs: number;
  requests: number;
  tokens: number;
  inFlight: number;
  budgets: readonly BudgetStanding[];
};

/** Money spent before this process began. */
export type EarlierSpend = {
  kind: ScopeKind;
  id: string;
  window?: string;
  /** Start of the window it was spent in. When given and over, nothing is added. */
  startMs?: number;
  usedNanoUsd: number;
};

/** Requests ever of a holder, before this process began. */
export type EarlierRequests = { kind: ScopeKind; id: string; requestsInTotal: number };

/** A limiter that counts in this process alone, and so never answers with a promise. */
export interface MemoryLimiter extends Limiter {
  reserve(request: LimitRequest): Reservation | Refusal;
  /** Number of holders of limits that are remembered. */
  readonly size: number;
  /** What everybody has used, for diagnosis and for {@link MemoryLimiter.seed} after a restart. */
  snapshot(): ScopeStanding[];
  /**
   * Counts at least what is known of a budget's current window, or of requests ever: a restart does not hand out anew what was used, nor
   * does a limit that is given to a holder later.
   */
  seed(use: EarlierSpend | EarlierRequests): void;
  /** Sets what a holder has spent, of each of its budgets. Calls in flight no longer count towards it; what they take beyond their estimate does. */
  setSpend(kind: ScopeKind, id: string, nanoUsd: number): void;
}

/** A clock that steps back by less is taken to stand still; by more, it was wrong before and is followed. */
const clockToleranceMs = 120_000;

/** Spend within one budget window. */
class BudgetCounter {
  readonly window: string | undefined;
  startMs = Number.NEGATIVE_INFINITY;
  endMs = Number.POSITIVE_INFINITY;
  used = 0;
  /** When what is counted began: with the window, or when the spend was set. */
  beganMs = Number.NEGATIVE_INFINITY;
  /** Rises when the spend begins anew: what was taken before is not given back. */
  epoch = 0;

  constructor(window: string | undefined) {
    this.window = window;
  }

  begin(used: number, nowMs: number): void {
    this.used = used;
    this.beganMs = nowMs;
    this.epoch += 1;
  }
}

/** What one holder of limits has used. Counts that no limit asks for are kept too, so that a new limit takes effect at once. */
class ScopeState {
  minute: number;
  requests = 0;
  tokens = 0;
  inFlight = 0;
  /** Ever; counted where a limit asks for it. */
  requestsInTotal = 0;
  readonly budgets: BudgetCounter[] = [];
  /** What the spend was set to last, and when: for windows that were not counted by then. */
  spentAt: { readonly nowMs: number; readonly nanoUsd: number } | undefined;

  constructor(minute: number) {
    this.minute = minute;
  }

  /** Starts the counts anew when the minute has changed. */
  enter(minute: number): void {
    if (this.minute === minute) return;
    this.minute = minute;
    this.requests = 0;
    this.tokens = 0;
  }

  isIdle(nowMs: number, minute: number): boolean {
    if (this.inFlight > 0 || this.minute === minute || this.requestsInTotal > 0) return false;
    if (this.spentAt !== undefined && this.spentAt.nanoUsd > 0) return false;
    return this.budgets.every((budget) => budget.used === 0 || budget.endMs <= nowMs);
  }
}

class InProcessLimiter implements MemoryLimiter {
  readonly #clock: Clock;
  readonly #calendar: () => BudgetCalendar | undefined;
  // Two maps rather than one with joined keys: ids keep their hash, a joined text is hashed at every look-up.
  readonly #kinds = new Map<ScopeKind, Map<string, ScopeState>>();
  readonly #sweeps = new Map<ScopeKind, Iterator<[string, ScopeState]>>();
  #latestMs = Number.NEGATIVE_INFINITY;

  constructor(options: MemoryLimiterOptions) {
    this.#clock = options.clock;
    this.#calendar = options.calendar ?? (() => undefined);
  }

  get size(): number {
    let size = 0;
    for (const states of this.#kinds.values()) size += states.size;
    return size;
  }

  reserve(request: LimitRequest): Reservation | Refusal {
    const { scopes, tokens, costNanoUsd } = request;
    // Not a number would make every later comparison false, that is: every limit void.
    if (!isAmount(tokens) || !isAmount(costNanoUsd)) {
      throw new RangeError('an estimate is a finite number, zero or more');
    }

    const nowMs = this.nowMs();
    const minute = Math.floor(nowMs / minuteMs);
    const minuteLeftMs = (minute + 1) * minuteMs - nowMs;
    const reservation = new HeldReservation(this, minute, minuteLeftMs, tokens, costNanoUsd);
    let refusal: Refusal | undefined;

    for (const scope of scopes) {
      const { limits } = scope;
      if (!isLimited(limits)) continue;
      const state = this.#stateOf(scope, nowMs, minute);
      state.enter(minute);
      reservation.hold(state);

      const { requestsPerMinute, tokensPerMinute, parallelRequests, requestsInTotal, budgets } =
        limits;
      if (requestsPerMinute !== undefined) {
        if (state.requests + 1 > requestsPerMinute) {
          const waitMs = requestsPerMinute < 1 ? Number.POSITIVE_INFINITY : minuteLeftMs;
          const left = requestsPerMinute - state.requests;
          refusal = later(refusal, scope, 'requests', requestsPerMinute, left, waitMs);
        }
        reservation.limitRequests(requestsPerMinute, requestsPerMinute - state.requests - 1);
      }
      if (tokensPerMinute !== undefined) {
        if (exceeds(state.tokens, tokens, tokensPerMinute)) {
          const waitMs = tokensPerMinute > 0 ? minuteLeftMs : Number.POSITIVE_INFINITY;
          const left = tokensPerMinute - state.tokens;
          refusal = later(refusal, scope, 'tokens', tokensPerMinute, left, waitMs);
        }
        reservation.limitTokens(tokensPerMinute, tokensPerMinute - state.tokens - tokens);
      }
      if (parallelRequests !== undefined && state.inFlight + 1 > parallelRequests) {
        const waitMs = parallelRequests < 1 ? Number.POSITIVE_INFINITY : parallelRetryMs;
        const left = parallelRequests - state.inFlight;
        refusal = later(refusal, scope, 'max_parallel_requests', parallelRequests, left, waitMs);
      }
      if (requestsInTotal !== undefined) {
        reservation.holdInTotal(state);
        if (state.requestsInTotal + 1 > requestsInTotal) {
          const left = requestsInTotal - state.requestsInTotal;
          const waitMs = Number.POSITIVE_INFINITY;
          refusal = later(refusal, scope, 'requests', requestsInTotal, left, waitMs);
        }
      }
      if (budgets === undefined) continue;
      for (const { maxNanoUsd, window } of budgets) {
        const counter = this.#budgetOf(state, window, nowMs);
        reservation.holdBudget(counter);
        // Models without a price skip budgets, as LiteLLM has it; what such a call turns out to cost is charged all the same.
        if (costNanoUsd === 0 || !exceeds(counter.used, costNanoUsd, maxNanoUsd)) continue;
        const waitMs = maxNanoUsd > 0 ? counter.endMs - nowMs : Number.POSITIVE_INFINITY;
        const left = maxNanoUsd - counter.used;
        refusal = later(refusal, scope, 'budget', maxNanoUsd, left, waitMs);
      }
    }

    if (refusal !== undefined) return refusal;
    reservation.grant();
    return reservation;
  }

  correct({ scopes, moreNanoUsd, startedAt }: SpendCorrection): Promise<void> {
    const nowMs = this.nowMs();
    const counters = new Set<BudgetCounter>();
    for (const scope of scopes) {
      for (const { window } of scope.limits.budgets ?? []) {
        const state = this.#stateOf(scope, nowMs, Math.floor(nowMs / minuteMs));
        counters.add(this.#budgetOf(state, window, nowMs));
      }
    }
    for (const counter of counters) {
      if (moreNanoUsd > 0 || counter.beganMs <= startedAt)
        counter.used = Math.max(0, counter.used + moreNanoUsd);
    }
    return Promise.resolve();
  }

  snapshot(): ScopeStanding[] {
    const standings: ScopeStanding[] = [];
    for (const [kind, states] of this.#kinds) {
      for (const [id, state] of states) {
        standings.push({
          kind,
          id,
          minuteStartMs: state.minute * minuteMs,
          requests: state.requests,
          tokens: state.tokens,
          inFlight: state.inFlight,
          budgets: state.budgets.map(({ window, startMs, endMs, used }) =>
            window === undefined
              ? { usedNanoUsd: used }
              : { window, startMs, endMs, usedNanoUsd: used },
          ),
        });
      }
    }
    return standings;
  }

  seed(use: EarlierSpend | EarlierRequests): void {
    const isOfRequests = 'requestsInTotal' in use;
    if (!isAmount(isOfRequests ? use.requestsInTotal : use.usedNanoUsd))
      throw new RangeError('what was used is a finite number, zero or more');
    const nowMs = this.nowMs();
    const state = this.#stateOf(use, nowMs, Math.floor(nowMs / minuteMs));
    if (isOfRequests) {
      state.requestsInTotal = Math.max(state.requestsInTotal, use.requestsInTotal);
      return;
    }
    const counter = this.#budgetOf(state, use.window, nowMs);
    const isOver = use.startMs !== undefined && use.startMs < counter.startMs;
    if (!isOver) counter.used = Math.max(counter.used, use.usedNanoUsd);
  }

  setSpend(kind: ScopeKind, id: string, nanoUsd: number): void {
    if (!isAmount(nanoUsd)) throw new RangeError('spend is a finite number, zero or more');
    const nowMs = this.nowMs();
    const state = this.#stateOf({ kind, id }, nowMs, Math.floor(nowMs / minuteMs));
    state.spentAt = { nowMs, nanoUsd };
    for (const counter of state.budgets) {
      this.enter(counter, nowMs);
      counter.begin(nanoUsd, nowMs);
    }
  }

  nowMs(): number {
    const nowMs = this.#clock.now();
    if (nowMs > this.#latestMs || this.#latestMs - nowMs > clockToleranceMs) this.#latestMs = nowMs;
    return this.#latestMs;
  }

  /** Starts a budget's spend anew when its window is over. */
  enter(counter: BudgetCounter, nowMs: number): void {
    if (counter.window === undefined || (counter.startMs <= nowMs && nowMs < counter.endMs)) return;
    const { window } = counter;
    const { timezone, budgetResetTime } = this.#calendar() ?? utcMidnight;
    const bounds = budgetWindow(nowMs, window, timezone, budgetResetTime);
    counter.startMs = bounds.startMs;
    counter.endMs = bounds.endMs;
    counter.begin(0, bounds.startMs);
  }

  #budgetOf(state: ScopeState, window: string | undefined, nowMs: number): BudgetCounter {
    let counter = state.budgets.find((known) => known.window === window);
    if (counter === undefined) {
      counter = new BudgetCounter(window);
      // Not within these bounds, so that entering sets them.
      if (window !== undefined) counter.endMs = Number.NEGATIVE_INFINITY;
      state.budgets.push(counter);
      this.enter(counter, nowMs);
      const { spentAt } = state;
      if (spentAt !== undefined && spentAt.nowMs >= counter.startMs)
        counter.begin(spentAt.nanoUsd, spentAt.nowMs);
    }
    this.enter(counter, nowMs);
    return counter;
  }

  #stateOf(scope: { kind: ScopeKind; id: string }, nowMs: number, minute: number): ScopeState {
    let states = this.#kinds.get(scope.kind);
    if (states === undefined) this.#kinds.set(scope.kind, (states = new Map()));
    let state = states.get(scope.id);
    if (state !== undefined) return state;
    this.#sweep(scope.kind, states, nowMs, minute);
    states.set(scope.id, (state = new ScopeState(minute)));
    return state;
  }

  /**
   * Looks at two holders for every new one and drops the idle ones. What is remembered so stays in proportion to what is in
   * use, without a timer and without ever walking through all of them at once.
   */
  #sweep(kind: ScopeKind, states: Map<string, ScopeState>, nowMs: number, minute: number): void {
    for (let looks = 0; looks < 2; looks += 1) {
      const next = this.#sweeps.get(kind)?.next();
      if (next === undefined || next.done === true) {
        this.#sweeps.set(kind, states.entries());
        continue;
      }
      const [id, state] = next.value;
      if (state.isIdle(nowMs, minute)) states.delete(id);
    }
  }
}

class HeldReservation implements Reservation {
  readonly #limiter: InProcessLimiter;
  readonly #minute: number;
  readonly #minuteLeftMs: number;
  readonly #tokens: number;
  readonly #costNanoUsd: number;
  #states: ScopeState[] | undefined;
  #budgets: { counter: BudgetCounter; epoch: number }[] | undefined;
  #inTotal: ScopeState[] | undefined;
  #requestLimit = 0;
  #requestsLeft = Number.POSITIVE_INFINITY;
  #tokenLimit = 0;
  #tokensLeft = Number.POSITIVE_INFINITY;
  #settled = false;

  constructor(
    limiter: InProcessLimiter,
    minute: number,
    minuteLeftMs: number,
    tokens: number,
    costNanoUsd: number,
  ) {
    this.#limiter = limiter;
    this.#minute = minute;
    this.#minuteLeftMs = minuteLeftMs;
    this.#tokens = tokens;
    this.#costNanoUsd = costNanoUsd;
  }

  get standing(): RateStanding {
    return {
      requests: this.#standingOf(this.#requestLimit, this.#requestsLeft),
      tokens: this.#standingOf(this.#tokenLimit, this.#tokensLeft),
    };
  }

  #standingOf(limit: number, left: number): LimitStanding | undefined {
    if (left === Number.POSITIVE_INFINITY) return undefined;
    return { limit, remaining: Math.max(0, left), resetMs: this.#minuteLeftMs };
  }

  /** A holder that is named twice is counted once. */
  hold(state: ScopeState): void {
    this.#states = withOther(this.#states, state);
  }

  holdBudget(counter: BudgetCounter): void {
    const held = { counter, epoch: counter.epoch };
    if (this.#budgets === undefined) this.#budgets = [held];
    else if (!this.#budgets.some((other) => other.counter === counter)) this.#budgets.push(held);
  }

  holdInTotal(state: ScopeState): void {
    this.#inTotal = withOther(this.#inTotal, state);
  }

  limitRequests(limit: number, left: number): void {
    if (left >= this.#requestsLeft) return;
    this.#requestLimit = limit;
    this.#requestsLeft = left;
  }

  limitTokens(limit: number, left: number): void {
    if (left >= this.#tokensLeft) return;
    this.#tokenLimit = limit;
    this.#tokensLeft = left;
  }

  grant(): void {
    if (this.#states === undefined) return;
    for (const state of this.#states) {
      state.requests += 1;
      state.tokens += this.#tokens;
      state.inFlight += 1;
    }
    if (this.#inTotal !== undefined) for (const state of this.#inTotal) state.requestsInTotal += 1;
    if (this.#budgets === undefined) return;
    for (const { counter } of this.#budgets) counter.used += this.#costNanoUsd;
  }

  settle(spent: Spent): void {
    if (this.#settled) return;
    this.#settled = true;
    if (this.#states === undefined) return;
    // What is not an amount leaves the estimate as it stands: settling never fails, and never frees by mistake.
    const moreTokens = isAmount(spent.tokens) ? spent.tokens - this.#tokens : 0;
    const moreNanoUsd = isAmount(spent.costNanoUsd) ? spent.costNanoUsd - this.#costNanoUsd : 0;
    // What is returned goes back to the window it was taken from, or is lost with it; what is charged on top is charged now.
    const nowMs = moreTokens > 0 || moreNanoUsd > 0 ? this.#limiter.nowMs() : 0;

    for (const state of this.#states) {
      state.inFlight -= 1;
      if (moreTokens > 0) state.enter(Math.floor(nowMs / minuteMs));
      if (moreTokens > 0 || state.minute === this.#minute) state.tokens += moreTokens;
    }
    if (this.#budgets === undefined) return;
    for (const { counter, epoch } of this.#budgets) {
      if (moreNanoUsd > 0) this.#limiter.enter(counter, nowMs);
      if (moreNanoUsd > 0 || counter.epoch === epoch) counter.used += moreNanoUsd;
    }
  }
}

/** A list that is made with its one member takes a sixth of the room of one that the member is pushed to. */
function withOther(states: ScopeState[] | undefined, state: ScopeState): ScopeState[] {
  if (states === undefined) return [state];
  if (!states.includes(state)) states.push(state);
  return states;
}

function isAmount(value: number): boolean {
  return value >= 0 && value < Number.POSITIVE_INFINITY;
}

/**
 * Admission for one process: strict, without a round trip, without a timer.
 *
 * Requests and tokens are counted per whole minute of the clock, budgets per calendar window, requests in total for ever. What a call reserves belongs
 * to the window that granted it: what it leaves over returns there while that window lasts, what it takes beyond its
 * estimate is charged to the window in which it ends. Limits come with every request, so a changed limit meets the counts as
 * they stand. A refusal's `retryAfterMs` is infinite when the same request can never pass.
 *
 * @throws {RangeError} from `reserve` for an estimate that is not a finite number of zero or more
 */
export function createMemoryLimiter(options: MemoryLimiterOptions): MemoryLimiter {
  return new InProcessLimiter(options);
}
