import type { LimitCounter } from '@aigateway/contract/channels';
import { exceeds, minuteMs, parallelRetryMs, type Limits } from '@aigateway/contract/limits';
import type { BudgetWindow } from '@aigateway/contract/duration';
import type { Refusal } from '../../ports.ts';

/** `r` requests and `t` tokens of a minute, `b` money of a budget's window, `n` requests ever, `g` slots of calls in flight. */
export type MeterKind = 'r' | 't' | 'b' | 'n' | 'g';

/** What Redis answered about one counter. */
export type MeterAnswer = {
  startMs: number;
  endMs: number;
  lease: number;
  /** What of the lease was there before anything was granted: it counts as spent in a window that is new to this proxy. */
  base: number;
  others: number;
  singly: boolean;
  /** When the spend was set last within the window; 0 = never. */
  setAtMs: number;
};

/** What a request takes of a holder's counters. */
export type Amounts = { readonly tokens: number; readonly cost: number };

const limitTypes: { readonly [kind in MeterKind]: Refusal['limitType'] } = {
  r: 'requests',
  t: 'tokens',
  b: 'budget',
  n: 'requests',
  g: 'max_parallel_requests',
};

/** Use is looked at in stretches of this length. */
const recentMs = 2000;

/** What has not been used for so long is given back, but for what {@link Meter.keeps}. */
const idleMs = 2000;

/** A lease that is kept unused is no more than what so many calls take. */
const keptCalls = 32;

/** All proxies together keep no more unused than this part of a limit. */
const keptPart = 64;

/** The minute that an instant lies in. */
export function minuteOf(nowMs: number): BudgetWindow {
  const startMs = nowMs - (nowMs % minuteMs);
  return { startMs, endMs: startMs + minuteMs };
}

/**
 * One counter of one holder, as one proxy sees it: what it has leased of the present window, and what it has spent of that.
 *
 * Slots are such a counter too: spent are the calls in flight, and the window is the time until which Redis keeps the lease.
 */
export class Meter {
  readonly kind: MeterKind;
  readonly counter: LimitCounter;
  /** Of a budget that resets. */
  readonly window: string | undefined;
  /** Window that everything below belongs to, in time of Redis. Over from the start. */
  startMs = 0;
  endMs = 0;
  /** When the spend of the window was set last, as far as is known here: what was spent before it does not count. */
  setAtMs = 0;
  /** This proxy's part of the window, as Redis has confirmed it. */
  lease = 0;
  /** More than the lease when more was used than granted: that is charged with the next call of Redis. */
  spent = 0;
  /** What was spent of the window before, when this one follows on it. */
  spentBefore = 0;
  /** Granted to all other proxies, when Redis was last asked. */
  others = 0;
  /** The limit under which the lease was granted; another one has to ask anew. */
  limit: number | undefined;
  /** Call by call: nothing is leased ahead of need, and nothing kept. */
  singly = true;
  /** What is spare has been given back, the answer is on its way. */
  frozen = false;
  /** With this much left it is time to lease more. */
  low = 0;
  /** The call of Redis that the figures are from; 0 when it was not asked in this window. */
  sequence = 0;
  /** Time of the last use, and its size. */
  usedAtMs = 0;
  unit = 1;
  #recentStartMs = 0;
  #recent = 0;
  #recentBefore = 0;

  readonly #boundsAt: (nowMs: number) => BudgetWindow;

  /** @param boundsAt - the window that an instant lies in; Redis may know another one, which then holds */
  constructor(
    kind: MeterKind,
    counter: LimitCounter,
    boundsAt: (nowMs: number) => BudgetWindow,
    window?: string,
  ) {
    this.kind = kind;
    this.counter = counter;
    this.window = window;
    this.#boundsAt = boundsAt;
  }

  /** Counts calls, each as one. */
  get #isOfRequests(): boolean {
    return this.kind === 'r' || this.kind === 'n' || this.kind === 'g';
  }

  get limitType(): Refusal['limitType'] {
    return limitTypes[this.kind];
  }

  /** The limit for this counter among those of its holder. */
  limitIn(limits: Limits): number | undefined {
    switch (this.kind) {
      case 'r':
        return limits.requestsPerMinute;
      case 't':
        return limits.tokensPerMinute;
      case 'g':
        return limits.parallelRequests;
      case 'n':
        return limits.requestsInTotal;
      case 'b':
        return this.#budgetIn(limits);
    }
  }

  /** Of several budgets with one window the tightest. */
  #budgetIn({ budgets = [] }: Limits): number | undefined {
    let tightest: number | undefined;
    for (const { window, maxNanoUsd } of budgets) {
      if (window !== this.window) continue;
      if (tightest === undefined || maxNanoUsd < tightest) tightest = maxNanoUsd;
    }
    return tightest;
  }

  /** What a request takes of it. */
  amountIn({ tokens, cost }: Amounts): number {
    switch (this.kind) {
      case 'r':
      case 'n':
      case 'g':
        return 1;
      case 't':
        return tokens;
      case 'b':
        return cost;
    }
  }

  /** What can be spent at once under a limit. */
  spare(limit: number): number {
    return this.frozen ? 0 : Math.min(this.lease, limit) - this.spent;
  }

  /** Tells whether an amount can be granted without asking anybody. */
  has(amount: number, limit: number, nowMs: number): boolean {
    if (limit !== this.limit || nowMs >= this.endMs) return false;
    const spare = this.spare(limit);
    return spare > 0 && spare >= amount;
  }

  /** Room for the amount by what is known, whether it is leased or not. */
  fits(amount: number, limit: number): boolean {
    const used = this.others + this.spent;
    if (this.#isOfRequests) return used + amount <= limit;
    // Models without a price skip budgets; what such a call turns out to cost is charged all the same.
    if (this.kind === 'b' && amount === 0) return true;
    return !exceeds(used, amount, limit);
  }

  /** How long until the window has room again that has none now. */
  waitMs(limit: number, nowMs: number): number {
    const isPossible = this.#isOfRequests ? limit >= 1 : limit > 0;
    if (!isPossible || this.kind === 'n' || (this.kind === 'b' && this.window === undefined)) {
      return Number.POSITIVE_INFINITY;
    }
    return this.kind === 'g' ? parallelRetryMs : this.endMs - nowMs;
  }

  isOpen(nowMs: number): boolean {
    return this.kind === 'g' || nowMs < this.endMs;
  }

  /** Spent in the busier of this minute and the last; of a counter of minutes. */
  lately(nowMs: number): number {
    if (this.isOpen(nowMs)) return Math.max(this.spent, this.spentBefore);
    return nowMs < this.endMs + minuteMs ? this.spent : 0;
  }

  /**
   * What of a lease stays unused, so that a holder that is called now and then need not ask for each call: what twice as many calls
   * take as came of late, in whole calls, and a small part of the limit at most. Slots are never kept.
   *
   * @param calls - of the holder, in a minute
   * @param unit - what one takes
   * @param live - proxies among which that part is divided
   */
  keeps(limit: number, calls: number, unit: number, live: number): number {
    if (this.kind === 'g') return 0;
    const most = Math.floor(limit / (keptPart * live * unit));
    return Math.min(2 * calls, keptCalls, most) * unit;
  }

  isIdle(nowMs: number): boolean {
    return nowMs - this.usedAtMs >= idleMs;
  }

  /** Small limits, and what is left of large ones, keep nothing for later: another proxy may need it. */
  isToReturn(nowMs: number): boolean {
    const isWanted = this.singly && this.limit !== undefined;
    return isWanted && this.lease > this.spent && !this.frozen && this.isOpen(nowMs);
  }

  /** When what is counted began: with the window, or when the spend was set. */
  get beganMs(): number {
    return Math.max(this.startMs, this.setAtMs);
  }

  /** @returns when what it was taken from began, for {@link putBack} */
  spend(amount: number, nowMs: number): number {
    this.#roll(nowMs);
    this.#recent += amount;
    this.usedAtMs = nowMs;
    if (amount > 0 && !this.#isOfRequests) this.unit = amount;
    this.charge(amount, nowMs);
    return this.beganMs;
  }

  /** Takes an amount, whether there is room for it or not. */
  charge(amount: number, nowMs: number): void {
    this.enter(nowMs);
    this.spent += amount;
  }

  /** What is left over goes back to the window it was taken from, or is lost with it. */
  putBack(amount: number, beganMs: number): void {
    if (beganMs === this.beganMs) this.spent = Math.max(0, this.spent - amount);
  }

  /** Begins the window of this instant when the one before is over. Redis may yet say that it is not. */
  enter(nowMs: number): void {
    if (this.isOpen(nowMs)) return;
    const { startMs, endMs } = this.#boundsAt(nowMs);
    this.spentBefore = startMs === this.endMs ? this.spent : 0;
    this.startMs = startMs;
    this.endMs = endMs;
    this.lease = 0;
    this.spent = 0;
    this.others = 0;
    this.sequence = 0;
    this.setAtMs = 0;
  }

  /** Names another window as the present one, which Redis will find acceptable. */
  enterAgain(nowMs: number): void {
    const { spent } = this;
    this.endMs = 0;
    this.enter(nowMs);
    this.spent = spent;
  }

  /**
   * Takes in what Redis answered. What was spent while it was asked is in `spent` already.
   *
   * @param asked - under which limit, which lease was named, and what was spent by then
   * @param atMs - when Redis answered
   * @param nowMs - when the answer came
   */
  update(
    answer: MeterAnswer,
    asked: {
      readonly limit: number | undefined;
      readonly base: number;
      readonly spent: number;
    },
    { sequence, atMs, nowMs }: { sequence: number; atMs: number; nowMs: number },
  ): void {
    this.frozen = false;
    if (this.kind !== 'g' && answer.startMs !== this.startMs) {
      // The window of the answer ended on its way, and the next one has begun here.
      if (this.startMs > answer.startMs && answer.endMs <= nowMs) return;
      this.spentBefore = answer.startMs === this.endMs ? this.spent : 0;
      // A window that is over takes its spend along; one that Redis has under another beginning does not.
      this.spent = this.endMs > atMs ? this.spent + answer.base - asked.base : answer.base;
    } else if (answer.setAtMs !== this.setAtMs) {
      this.spent = answer.base + Math.max(0, this.spent - asked.spent);
    }
    this.setAtMs = answer.setAtMs;
    this.startMs = answer.startMs;
    this.endMs = answer.endMs;
    this.lease = answer.lease;
    this.others = answer.others;
    this.singly = answer.singly;
    this.limit = asked.limit;
    this.sequence = sequence;
    // An eighth of two seconds' use: time for many round trips.
    this.low = Math.floor((this.lease - this.spent) / 8);
  }

  /** Use of the last two seconds. */
  recent(nowMs: number): number {
    this.#roll(nowMs);
    return Math.max(this.#recent, this.#recentBefore);
  }

  #roll(nowMs: number): void {
    const agoMs = nowMs - this.#recentStartMs;
    if (agoMs < recentMs && agoMs > -recentMs) return;
    this.#recentBefore = agoMs > 0 && agoMs < 2 * recentMs ? this.#recent : 0;
    this.#recent = 0;
    this.#recentStartMs = nowMs;
  }
}
