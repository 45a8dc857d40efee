import { limitKey, limitSpendKey } from '@aigateway/contract/channels';
import { budgetWindow } from '@aigateway/contract/duration';
import type { LimitScope, Limits, ScopeKind } from '@aigateway/contract/limits';
import type { Refusal } from '../../ports.ts';
import type { BudgetCalendar } from '../memory/limiter.ts';
import { later } from '../refusals.ts';
import { answerHead, answerPerCounter } from './lease-script.ts';
import { Meter, minuteOf, type Amounts } from './meter.ts';

/** What a request needs of one holder. */
export type Need = Amounts & { readonly scope: LimitScope };

/** What one request took from one holder, and of which windows. */
export type Hold = {
  readonly lease: ScopeLease;
  readonly requestsStartMs: number;
  readonly tokensStartMs: number;
  readonly budgets: readonly { readonly meter: Meter; readonly startMs: number }[];
  readonly inTotal: Meter | undefined;
};

/** Undefined: Redis did not answer, or may not be believed. */
export type Outcome = Hold | Refusal | undefined;

/** What the leases of one holder need of the limiter that they belong to. */
export interface LeaseHost {
  /** False while nothing may be leased from Redis, though it may be told what was used. */
  readonly leasing: boolean;
  /** Proxies that are alive, this one among them. */
  readonly live: number;
  /** Time of Redis, never behind it. */
  nowMs(): number;
  /** Rises from call to call. */
  nextSequence(): number;
  calendar(): BudgetCalendar;
  /**
   * Runs the lease script.
   *
   * @throws when there is no answer in time
   */
  run(
    keys: string[],
    sequence: number,
    take: boolean,
    counters: (string | number)[],
  ): Promise<LeaseAnswer>;
  /** @returns false when the server is another one than before, or has forgotten what it granted */
  trusts(lease: ScopeLease, runId: string, hasForgotten: boolean): boolean;
  /** A call came to nothing. */
  failed(error: unknown): void;
  /** The lease has something that must be looked after by and by. */
  watch(lease: ScopeLease): void;
}

/** What the script answered: numbers, but for the server's run id or the reason why nothing was done. */
export type LeaseAnswer = readonly (number | string)[];

type Waiter = { readonly need: Need; readonly resolve: (outcome: Outcome) => void };

/** A counter in a call of Redis: the part of the window that was named as this proxy's, and what it was before. */
type Asked = {
  readonly meter: Meter;
  readonly limit: number | undefined;
  readonly base: number;
  readonly spent: number;
  readonly isKnown: boolean;
};

/** Slots of a proxy that is not heard of for so long are free. */
export const slotLifeMs = 15_000;

/** Slots in use are renewed when less of their life is left. */
const slotRenewalMs = 10_000;

/** The window of what never resets. */
const always = { startMs: 0, endMs: Number.MAX_SAFE_INTEGER };

const noBudgets: Hold['budgets'] = [];

/**
 * All counters of one holder of limits, and the one call of Redis that may be under way for them.
 *
 * Whoever does not find enough waits in line. While a call is under way others gather behind it, and the next one asks for all
 * of them: a holder makes one round trip at a time, however many requests come.
 */
export class ScopeLease {
  readonly kind: ScopeKind;
  readonly id: string;
  readonly requests = new Meter('r', 'requests', minuteOf);
  readonly tokens = new Meter('t', 'tokens', minuteOf);
  readonly parallel = new Meter('g', 'parallel', minuteOf);
  readonly meters: Meter[] = [this.requests, this.tokens, this.parallel];
  /** The server that granted what is leased. */
  runId: string | undefined;
  /** All use has to be told to Redis, which has lost it. */
  isUntold = false;
  /** Among those that are looked after. */
  isTended = false;
  readonly #host: LeaseHost;
  readonly #spendKey: string;
  readonly #waiters: Waiter[] = [];
  #asking: Promise<void> | undefined;
  #isToAsk = false;
  #sequence = 0;

  constructor(host: LeaseHost, kind: ScopeKind, id: string) {
    this.#host = host;
    this.kind = kind;
    this.id = id;
    this.#spendKey = limitSpendKey(kind, id);
  }

  /** Tells whether all that is needed is leased and spare. */
  has(limits: Limits, tokens: number, cost: number, nowMs: number): boolean {
    const { requestsPerMinute, tokensPerMinute, parallelRequests, requestsInTotal, budgets } =
      limits;
    if (requestsPerMinute !== undefined && !this.requests.has(1, requestsPerMinute, nowMs)) {
      return false;
    }
    if (tokensPerMinute !== undefined && !this.tokens.has(tokens, tokensPerMinute, nowMs)) {
      return false;
    }
    if (parallelRequests !== undefined && !this.parallel.has(1, parallelRequests, nowMs)) {
      return false;
    }
    if (requestsInTotal !== undefined && !this.inTotal().has(1, requestsInTotal, nowMs)) {
      return false;
    }
    if (budgets === undefined || cost === 0) return true;
    for (const { maxNanoUsd, window } of budgets) {
      if (!this.budget(window).has(cost, maxNanoUsd, nowMs)) return false;
    }
    return true;
  }

  /** Spends what is needed, which must be there. Leases more ahead of need when little is left. */
  take(limits: Limits, tokens: number, cost: number, nowMs: number): Hold {
    const { requests, parallel } = this;
    const requestsStartMs = requests.spend(1, nowMs);
    const tokensStartMs = this.tokens.spend(tokens, nowMs);
    parallel.spend(1, nowMs);
    let low =
      isLow(requests, limits.requestsPerMinute) ||
      (tokens > 0 && isLow(this.tokens, limits.tokensPerMinute)) ||
      isLow(parallel, limits.parallelRequests);

    let inTotal: Meter | undefined;
    if (limits.requestsInTotal !== undefined) {
      inTotal = this.inTotal();
      inTotal.spend(1, nowMs);
      low ||= isLow(inTotal, limits.requestsInTotal);
    }

    let budgets = noBudgets;
    if (limits.budgets !== undefined) {
      const held: { meter: Meter; startMs: number }[] = [];
      for (const { maxNanoUsd, window } of limits.budgets) {
        const meter = this.budget(window);
        if (held.some((earlier) => earlier.meter === meter)) continue;
        held.push({ meter, startMs: meter.spend(cost, nowMs) });
        // A call without a price asks for nothing, and may cost something after all.
        meter.limit ??= maxNanoUsd;
        // What takes nothing of a budget does not run it low, or each call without a price would ask.
        low ||= cost > 0 && isLow(meter, maxNanoUsd);
      }
      budgets = held;
    }
    if (low && this.#host.leasing) this.#askSoon();
    if (!this.isTended) this.#host.watch(this);
    return { lease: this, requestsStartMs, tokensStartMs, budgets, inTotal };
  }

  /** Undoes a {@link take}: another holder refused. */
  putBack(hold: Hold, { tokens, cost }: Amounts): void {
    this.requests.putBack(1, hold.requestsStartMs);
    hold.inTotal?.putBack(1, hold.inTotal.beganMs);
    this.settle(hold, -tokens, -cost);
  }

  /** Ends a call: charges what it took beyond its estimate, or takes back what it left over. */
  settle(hold: Hold, moreTokens: number, moreCost: number): void {
    const nowMs = this.#host.nowMs();
    this.parallel.spent -= 1;
    correct(this.tokens, moreTokens, hold.tokensStartMs, nowMs);
    for (const { meter, startMs } of hold.budgets) correct(meter, moreCost, startMs, nowMs);
    if (!this.isTended) this.#host.watch(this);
    if (this.#host.leasing && this.#hasToReturn(nowMs)) this.#ask();
  }

  /** Asks Redis for what is needed, together with all who wait for the same holder. */
  wait(need: Need): Promise<Outcome> {
    return new Promise((resolve) => {
      this.#waiters.push({ need, resolve });
      this.#ask();
    });
  }

  /** Of requests ever: made where a limit asks for it. */
  inTotal(): Meter {
    const known = this.meters.find(({ kind }) => kind === 'n');
    if (known !== undefined) return known;
    const meter = new Meter('n', 'requests:total', () => always);
    this.meters.push(meter);
    return meter;
  }

  budget(window: string | undefined): Meter {
    const known = this.meters.find((meter) => meter.kind === 'b' && meter.window === window);
    if (known !== undefined) return known;
    const boundsAt = (nowMs: number) => {
      if (window === undefined) return always;
      const { timezone, budgetResetTime } = this.#host.calendar();
      return budgetWindow(nowMs, window, timezone, budgetResetTime);
    };
    const meter = new Meter('b', `budget:${window ?? 'total'}`, boundsAt, window);
    this.meters.push(meter);
    return meter;
  }

  /** Makes the counters that limits ask for and that not every holder has. */
  metersOf({ budgets = [], requestsInTotal }: Limits): readonly Meter[] {
    for (const { window } of budgets) this.budget(window);
    if (requestsInTotal !== undefined) this.inTotal();
    return this.meters;
  }

  /**
   * Gives back what is idle, tells what is not told yet, renews slots: whatever of it is due.
   *
   * @returns the call of Redis that is under way, if any
   */
  tend(nowMs: number): Promise<void> | undefined {
    if (this.isUntold || this.#isDue(nowMs)) this.#ask();
    return this.#asking;
  }

  /** Used in the minute that is over, and nothing is leased yet of the one that has begun. */
  isToBegin(nowMs: number): boolean {
    if (!this.#host.leasing) return false;
    const calls = this.requests.lately(nowMs);
    return (
      calls > 0 &&
      (this.#begins(this.requests, calls, nowMs) || this.#begins(this.tokens, calls, nowMs))
    );
  }

  /** Leases of the minute that has begun what is kept unused, before a call asks for it. */
  async begin(): Promise<void> {
    this.#ask();
    await this.#asking;
  }

  /** Learns from Redis what has become of the counters, in a call that begins from now on. */
  async refresh(): Promise<void> {
    await this.#asking;
    this.#ask();
    await this.#asking;
  }

  /** Gives back all that is spare. */
  async release(): Promise<void> {
    await this.#asking;
    for (const meter of this.meters) meter.singly = true;
    this.#ask();
    await this.#asking;
  }

  /** Nothing to look after: all that was used has been told, and nothing is spare. */
  isQuiet(nowMs: number): boolean {
    if (this.#asking !== undefined || this.isUntold || this.parallel.spent > 0) return false;
    if (this.isToBegin(nowMs)) return false;
    return this.meters.every(({ endMs, lease, spent }) => endMs <= nowMs || lease === spent);
  }

  /** May be forgotten: a new beginning would know as much. */
  isIdle(nowMs: number): boolean {
    if (this.isTended || !this.isQuiet(nowMs)) return false;
    return this.meters.every(({ endMs, spent }) => endMs <= nowMs || spent === 0);
  }

  #begins(meter: Meter, calls: number, nowMs: number): boolean {
    const { limit, unit } = meter;
    if (limit === undefined || meter.isOpen(nowMs)) return false;
    return meter.keeps(limit, calls, unit, this.#host.live) > 0;
  }

  #isDue(nowMs: number): boolean {
    const calls = this.#host.leasing ? this.requests.lately(nowMs) : 0;
    for (const meter of this.meters) {
      if (isDue(meter, calls, this.#host.live, nowMs)) return true;
    }
    return false;
  }

  #hasToReturn(nowMs: number): boolean {
    for (const meter of this.meters) if (meter.isToReturn(nowMs)) return true;
    return false;
  }

  /** Once the call that found little left is on its way: what it takes to ask is nothing that it need wait for. */
  #askSoon(): void {
    if (this.#isToAsk || this.#asking !== undefined) return;
    this.#isToAsk = true;
    setImmediate(() => {
      this.#isToAsk = false;
      if (this.#host.leasing) this.#ask();
    });
  }

  #ask(): void {
    if (this.#asking !== undefined) return;
    this.#asking = this.#askRedis(this.#host.nowMs()).then(
      (answeredAtMs) => this.#serve(answeredAtMs),
      (error: unknown) => {
        this.#host.failed(error);
        this.#serve(undefined);
      },
    );
  }

  /**
   * One call of Redis: for those who wait, or, when nobody does, to have the leases right.
   *
   * @param nowMs - decides which window of a budget it is, should there be none yet
   * @returns the time of Redis; undefined when Redis may not be believed
   * @throws when there is no answer
   */
  async #askRedis(nowMs: number): Promise<number | undefined> {
    const asked: Asked[] = [];
    const { isUntold } = this;
    try {
      const answer = await this.#call(asked, nowMs);
      const [answeredAtMs, state] = answer;
      if (state === 'stale') throw new Error('overtaken by a later call');
      if (state !== 'window') {
        if (this.#takeIn(asked, answer)) return Number(answeredAtMs);
        forgo(asked);
        return undefined;
      }
      // The window that was named has not begun for Redis yet.
      for (const { meter } of asked) {
        meter.frozen = false;
        if (meter.kind === 'b') meter.enterAgain(Number(answeredAtMs));
      }
      return await this.#askRedis(Number(answeredAtMs));
    } catch (error) {
      // Nobody knows whether what was given back has arrived: it must not be spent.
      forgo(asked);
      this.isUntold ||= isUntold;
      throw error;
    }
  }

  #call(asked: Asked[], nowMs: number): Promise<LeaseAnswer> {
    const host = this.#host;
    const [head, ...behind] = this.#waiters.map(({ need }) => need);
    const isUntold = this.isUntold;
    this.isUntold = false;
    this.#sequence = host.nextSequence();
    if (head !== undefined) this.metersOf(head.scope.limits);
    const calls = host.leasing ? Math.max(this.requests.lately(nowMs), this.#waiters.length) : 0;

    const keys = [this.#spendKey];
    const counters: (string | number)[] = [];
    for (const meter of this.meters) {
      const limit = head === undefined ? meter.limit : meter.limitIn(head.scope.limits);
      const hasNews = meter.isOpen(nowMs) && meter.lease !== meter.spent;
      if (limit === undefined && !hasNews && !isUntold) continue;
      meter.enter(nowMs);

      const need = head === undefined ? 0 : meter.amountIn(head);
      const also = behind.reduce((sum, other) => sum + meter.amountIn(other), 0);
      const unit = Math.max(need, meter.unit);
      const kept = limit === undefined ? 0 : meter.keeps(limit, calls, unit, host.live);
      const isInUse = host.leasing && !meter.isIdle(nowMs);
      const isKept = head === undefined && host.leasing && !meter.singly;
      const spare = Math.max(0, meter.lease - meter.spent);
      const base = meter.spent + (isKept ? Math.min(spare, isInUse ? spare : kept) : 0);
      const ahead = Math.max(kept, isInUse ? meter.recent(nowMs) : 0);
      keys.push(limitKey(this.kind, this.id, meter.counter));
      counters.push(meter.kind, limit ?? '', meter.startMs, meter.endMs, base);
      counters.push(need, also, base - meter.spent, ahead, unit);
      counters.push(meter.setAtMs);
      asked.push({
        meter,
        limit,
        base,
        spent: meter.spent,
        isKnown: meter.sequence > 0 && meter.lease > 0,
      });
      meter.frozen = base < meter.lease;
    }
    return host.run(keys, this.#sequence, head !== undefined, counters);
  }

  /** @returns false when the answer is from a Redis that has lost what it granted */
  #takeIn(asked: readonly Asked[], answer: LeaseAnswer): boolean {
    const [answeredAtMs, runId] = answer;
    const call = {
      sequence: this.#sequence,
      atMs: Number(answeredAtMs),
      nowMs: this.#host.nowMs(),
    };
    let hasForgotten = false;
    asked.forEach((one, index) => {
      const { meter, isKnown } = one;
      const at = answerHead + index * answerPerCounter;
      const numbers = answer.slice(at, at + answerPerCounter).map(Number);
      const [startMs = 0, endMs = 0, lease = 0, base = 0, others = 0, singly = 1, known = 0] =
        numbers;
      const setAtMs = numbers[7] ?? 0;
      if (meter.kind !== 'g' && isKnown && startMs === meter.startMs && known === 0) {
        hasForgotten = true;
      }
      const figures = { startMs, endMs, lease, base, others, singly: singly === 1, setAtMs };
      meter.update(figures, one, call);
    });
    return this.#host.trusts(this, String(runId), hasForgotten);
  }

  /** Answers those in line, as far as the figures tell. */
  #serve(nowMs: number | undefined): void {
    while (this.#waiters.length > 0) {
      const [first] = this.#waiters;
      if (first === undefined) break;
      const outcome = nowMs === undefined ? undefined : this.#judge(first.need, nowMs);
      if (outcome === 'ask') break;
      this.#waiters.shift();
      first.resolve(outcome);
    }
    this.#asking = undefined;
    if (this.#waiters.length > 0) this.#ask();
    else if (this.#host.leasing && this.#hasToReturn(this.#host.nowMs())) this.#ask();
  }

  /** What the figures just received say to a request. */
  #judge(need: Need, nowMs: number): Hold | Refusal | 'ask' {
    const { scope } = need;
    let refusal: Refusal | undefined;
    let isShort = false;
    for (const meter of this.meters) {
      const limit = meter.limitIn(scope.limits);
      if (limit === undefined) continue;
      if (meter.limit !== limit || meter.sequence !== this.#sequence) return 'ask';
      const amount = meter.amountIn(need);
      if (!meter.fits(amount, limit)) {
        const left = limit - meter.others - meter.spent;
        const waitMs = meter.waitMs(limit, nowMs);
        refusal = later(refusal, scope, meter.limitType, limit, left, waitMs);
      } else if (meter.lease - meter.spent < amount && (meter.kind !== 'b' || amount > 0)) {
        isShort = true;
      }
    }
    if (refusal !== undefined) return refusal;
    return isShort ? 'ask' : this.take(scope.limits, need.tokens, need.cost, nowMs);
  }
}

/** Keeps of each lease what was named to Redis, not what Redis may have made of it. */
function forgo(asked: readonly Asked[]): void {
  for (const { meter, base } of asked) {
    meter.lease = Math.min(meter.lease, base);
    meter.frozen = false;
  }
}

function correct(meter: Meter, more: number, startMs: number, nowMs: number): void {
  if (more > 0) meter.charge(more, nowMs);
  else if (more < 0) meter.putBack(-more, startMs);
}

function isLow(meter: Meter, limit: number | undefined): boolean {
  return limit !== undefined && !meter.singly && meter.spare(limit) <= meter.low;
}

/** @param calls - of the holder of late, for which something is kept unused */
function isDue(meter: Meter, calls: number, live: number, nowMs: number): boolean {
  const { kind, limit, lease, spent } = meter;
  const isRenewed = kind === 'g' && limit !== undefined && spent > 0;
  if (isRenewed && meter.endMs - nowMs < slotRenewalMs) return true;
  if (lease === spent || !meter.isOpen(nowMs)) return false;
  // What no limit asks for is told at leisure.
  if (limit === undefined) return meter.isIdle(nowMs);
  if (spent > lease || meter.isToReturn(nowMs)) return true;
  return meter.isIdle(nowMs) && lease - spent > meter.keeps(limit, calls, meter.unit, live);
}
