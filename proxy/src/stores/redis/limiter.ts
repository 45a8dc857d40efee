import { randomUUID } from 'node:crypto';
import { limitKey, liveProxiesKey, spendSetsKey } from '@aigateway/contract/channels';
import { limitsKnownFrom, type KnownOfLimits } from '@aigateway/contract/limits-known';
import {
  isLimited,
  parallelRetryMs,
  type LimitScope,
  type ScopeKind,
} from '@aigateway/contract/limits';
import type { Cluster, Redis } from 'ioredis';
import { GatewayError } from '../../errors.ts';
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
import type { BudgetCalendar } from '../memory/limiter.ts';
import { later } from '../refusals.ts';
import { heartbeatScript, leaseScript, refundScript } from './lease-script.ts';
import { minuteOf, type Meter } from './meter.ts';
import {
  ScopeLease,
  slotLifeMs,
  type Hold,
  type LeaseAnswer,
  type LeaseHost,
  type Need,
  type Outcome,
} from './scope-lease.ts';

/** What happens while Redis is away. */
export type WithoutRedis =
  /** Each proxy grants its share: the limit divided by the number of proxies last known. */
  | 'local'
  /** What is limited is refused with 503 once leases are spent. */
  | 'closed';

export type LimiterEvent =
  | { type: 'redis_away'; error: Error }
  | { type: 'redis_back' }
  /** The server is not the one that granted what is leased, or has forgotten it. */
  | { type: 'redis_lost_data' };

export type RedisLimiterOptions = {
  /** A client that has an error listener and does not queue commands while it is not connected. */
  redis: Redis | Cluster;
  withoutRedis: WithoutRedis;
  /** A steady clock; it need not be right, only run evenly. The process's own unless given. */
  clock?: Clock;
  /** `clock`: Redis takes the time from this proxy's clock, for tests that move it. */
  timeOf?: 'redis' | 'clock';
  /** Asked at the start of each budget window; undefined, like the option left out, is midnight UTC. */
  calendar?: () => BudgetCalendar | undefined;
  /** A process before this one may have granted something within the last minute: a Redis that knows of nothing has lost it. */
  grantedOfLate?: boolean;
  /** The number of proxies that is assumed at least. */
  replicas?: number;
  /** An answer that takes longer counts as none. */
  answerMs?: number;
  /** How often leases are looked after; 0 leaves it to {@link RedisLimiter.tend}. */
  tendMs?: number;
  onEvent?: (event: LimiterEvent) => void;
};

/** Admission over all proxies that share a Redis. */
export interface RedisLimiter extends Limiter {
  /** Proxies that are alive, this one among them. */
  readonly live: number;
  /** Redis does not answer. */
  readonly isAway: boolean;
  /** Calls of Redis so far, heartbeats among them. */
  readonly roundTrips: number;
  /** Number of holders of limits that are remembered. */
  readonly size: number;
  /** Says that this proxy is alive, and looks after its leases: returns what is idle, tells what is not told yet. */
  tend(): Promise<void>;
  /** Returns all that is leased. */
  close(): Promise<void>;
}

const utcMidnight: BudgetCalendar = { timezone: 'UTC', budgetResetTime: '00:00' };
const heartbeatMs = 1000;

/** Holders that are asked for at the same time when a minute begins, and in one round of looking after: the heartbeat must not wait long. */
const beginsAtOnce = 16;
const beginsAtMost = 1000;

/** A proxy that has not been heard of for so long is dead. */
const proxyLifeMs = 5000;

/** After an absence every proxy has noticed by then that Redis is back, and has told what it spent meanwhile. */
const returnMs = 2 * heartbeatMs;

/** How long a measured difference of clocks is held against worse measurements. */
const offsetLifeMs = 10_000;

/** The two scripts, as ioredis puts them on a client. */
type Scripts = {
  aigatewayLease(keyCount: number, ...args: (string | number)[]): Promise<LeaseAnswer>;
  aigatewayRefund(keyCount: number, ...args: (string | number)[]): Promise<[number]>;
  aigatewayHeartbeat(
    keyCount: number,
    ...args: (string | number)[]
  ): Promise<[number, string, number]>;
};

class LeasingLimiter implements RedisLimiter, LeaseHost {
  readonly #redis: Scripts;
  readonly #client: Redis | Cluster;
  readonly #isCluster: boolean;
  readonly #options: RedisLimiterOptions;
  readonly #clock: Clock;
  readonly #answerMs: number;
  readonly #proxyId = randomUUID();
  readonly #kinds = new Map<ScopeKind, Map<string, ScopeLease>>();
  readonly #sweeps = new Map<ScopeKind, Iterator<[string, ScopeLease]>>();
  readonly #tended = new Set<ScopeLease>();
  readonly #servers = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #tending: Promise<void> | undefined;
  #heartbeatAtMs = Number.NEGATIVE_INFINITY;
  /** Time of Redis up to which spend that was set is known; undefined before the first beat. */
  #setsSeenMs: number | undefined;
  /** What Redis has not been told yet of what it has lost. */
  #known: KnownOfLimits;
  #live: number;
  #roundTrips = 0;
  #sequence = 0;
  #isAway = false;
  #isClosed = false;
  /** Since when Redis does not decide, and until when after it came back. */
  #apartSinceMs = 0;
  #apartUntilMs = 0;
  #offsetMs = 0;
  #offsetTripMs = Number.POSITIVE_INFINITY;
  #offsetAtMs = 0;

  constructor(options: RedisLimiterOptions) {
    const { redis } = options;
    redis.defineCommand('aigatewayLease', { lua: leaseScript });
    redis.defineCommand('aigatewayRefund', { lua: refundScript });
    redis.defineCommand('aigatewayHeartbeat', { lua: heartbeatScript });
    this.#redis = redis as unknown as Scripts;
    this.#client = redis;
    this.#known = options.grantedOfLate === true ? 'earlier' : 'nothing';
    this.#isCluster = redis.isCluster;
    this.#options = options;
    this.#clock = options.clock ?? {
      now: () => performance.timeOrigin + performance.now(),
    };
    this.#answerMs = options.answerMs ?? 500;
    this.#live = options.replicas ?? 1;
    const tendMs = options.tendMs ?? 250;
    if (tendMs > 0) {
      this.#timer = setInterval(() => void this.tend(), tendMs);
      this.#timer.unref();
      void this.tend();
    }
  }

  get live(): number {
    return this.#live;
  }

  get isAway(): boolean {
    return this.#isAway;
  }

  get roundTrips(): number {
    return this.#roundTrips;
  }

  get size(): number {
    let size = 0;
    for (const leases of this.#kinds.values()) size += leases.size;
    return size;
  }

  get leasing(): boolean {
    return !this.#isApart(this.nowMs()) && !this.#isClosed;
  }

  nowMs(): number {
    return this.#clock.now() + this.#offsetMs;
  }

  nextSequence(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  calendar(): BudgetCalendar {
    return this.#options.calendar?.() ?? utcMidnight;
  }

  reserve(request: LimitRequest): Reservation | Refusal | Promise<Reservation | Refusal> {
    // Not a number would make every later comparison false, that is: every limit void.
    if (!isAmount(request.tokens) || !isAmount(request.costNanoUsd)) {
      throw new RangeError('an estimate is a finite number, zero or more');
    }
    const tokens = whole(request.tokens);
    const cost = whole(request.costNanoUsd);
    const nowMs = this.nowMs();
    for (const scope of request.scopes) {
      if (!isLimited(scope.limits)) continue;
      const lease = this.#leaseOf(scope, nowMs);
      if (lease.has(scope.limits, tokens, cost, nowMs)) continue;
      if (this.#isApart(nowMs)) return this.#reserveApart(request.scopes, tokens, cost, nowMs);
      if (this.#heartbeatAtMs === Number.NEGATIVE_INFINITY) return this.#reserveAfterBeat(request);
      return this.#reserveAsking(request.scopes, tokens, cost, nowMs);
    }
    return this.#take(request.scopes, tokens, cost, nowMs);
  }

  /**
   * What is charged on top is this proxy's spend. What goes back may be another's, so it comes off what all together were granted.
   *
   * @throws when Redis does not answer
   */
  async correct({ scopes, moreNanoUsd, startedAt }: SpendCorrection): Promise<void> {
    const more = whole(Math.abs(moreNanoUsd));
    const nowMs = this.nowMs();
    const corrected = new Set<Meter>();
    for (const scope of scopes) {
      for (const { window } of scope.limits.budgets ?? []) {
        const lease = this.#leaseOf(scope, nowMs);
        const meter = lease.budget(window);
        if (corrected.has(meter)) continue;
        corrected.add(meter);
        if (moreNanoUsd > 0) {
          meter.charge(more, nowMs);
          if (!lease.isTended) this.watch(lease);
          continue;
        }
        const clock = this.#options.timeOf === 'clock' ? this.#clock.now() : '';
        const key = limitKey(lease.kind, lease.id, meter.counter);
        await this.#call(() => this.#redis.aigatewayRefund(1, key, more, startedAt, clock));
      }
    }
  }

  /** Everything that is needed is there: takes it. */
  #take(
    scopes: readonly LimitScope[],
    tokens: number,
    cost: number,
    nowMs: number,
  ): LeasedReservation {
    const reservation = new LeasedReservation(tokens, cost);
    for (const scope of scopes) {
      if (!isLimited(scope.limits)) continue;
      const lease = this.#leaseOf(scope, nowMs);
      // A holder that is named twice is counted once.
      if (reservation.holds(lease)) continue;
      reservation.add(lease.take(scope.limits, tokens, cost, nowMs), scope, nowMs);
    }
    return reservation;
  }

  /** Whether Redis knows of all that was granted is found out before anything is leased. */
  async #reserveAfterBeat(request: LimitRequest): Promise<Reservation | Refusal> {
    await this.tend();
    return this.reserve(request);
  }

  /** Every holder is asked at the same time; one that refuses undoes what the others granted. */
  async #reserveAsking(
    scopes: readonly LimitScope[],
    tokens: number,
    cost: number,
    nowMs: number,
  ): Promise<Reservation | Refusal> {
    const asked = new Map<ScopeLease, { need: Need; outcome: Outcome | Promise<Outcome> }>();
    for (const scope of scopes) {
      const lease = this.#leaseOf(scope, nowMs);
      if (!isLimited(scope.limits) || asked.has(lease)) continue;
      const need = { scope, tokens, cost };
      const outcome = lease.has(scope.limits, tokens, cost, nowMs)
        ? lease.take(scope.limits, tokens, cost, nowMs)
        : lease.wait(need);
      asked.set(lease, { need, outcome });
    }

    const reservation = new LeasedReservation(tokens, cost);
    const holds: Hold[] = [];
    let refusal: Refusal | undefined;
    let isUnknown = false;
    for (const { need, outcome } of asked.values()) {
      const answer = await outcome;
      if (answer === undefined) isUnknown = true;
      else if ('refused' in answer) refusal = longer(refusal, answer);
      else {
        holds.push(answer);
        reservation.add(answer, need.scope, nowMs);
      }
    }
    if (refusal === undefined && !isUnknown) return reservation;
    for (const hold of holds) hold.lease.putBack(hold, { tokens, cost });
    if (refusal !== undefined) return refusal;
    const laterMs = this.nowMs();
    if (this.#isApart(laterMs)) return this.#reserveApart(scopes, tokens, cost, laterMs);
    // Redis has come back while another holder was waited for.
    return this.reserve({ scopes, tokens, costNanoUsd: cost });
  }

  /**
   * Grants without Redis: what is leased, and this proxy's share of what begins meanwhile.
   *
   * @throws GatewayError `limiter_unavailable` where nothing is to be granted without Redis
   */
  #reserveApart(
    scopes: readonly LimitScope[],
    tokens: number,
    cost: number,
    nowMs: number,
  ): Reservation | Refusal {
    let refusal: Refusal | undefined;
    for (const scope of scopes) {
      if (!isLimited(scope.limits)) continue;
      const lease = this.#leaseOf(scope, nowMs);
      if (lease.has(scope.limits, tokens, cost, nowMs)) continue;
      if (this.#options.withoutRedis === 'closed' && this.#isAway) {
        throw new GatewayError('limiter_unavailable', { retryAfterMs: heartbeatMs });
      }
      for (const meter of lease.metersOf(scope.limits)) {
        const limit = meter.limitIn(scope.limits);
        if (limit === undefined) continue;
        const amount = meter.amountIn({ tokens, cost });
        const share = this.#shareOf(meter, limit, nowMs);
        if (meter.has(amount, limit, nowMs) || fitsShare(meter, amount, limit, share)) continue;
        const left = share - meter.spent;
        const waitMs = waitApartMs(meter, limit, nowMs);
        refusal = later(refusal, scope, meter.limitType, limit, left, waitMs);
      }
    }
    return refusal ?? this.#take(scopes, tokens, cost, nowMs);
  }

  /** What this proxy may have spent of a limit in all, in the present window. */
  #shareOf(meter: Meter, limit: number, nowMs: number): number {
    if (this.#options.withoutRedis === 'closed') return 0;
    meter.enter(nowMs);
    // The minute in which Redis went away: others may have been granted all that is left of it.
    const isOfMinute = meter.kind === 'r' || meter.kind === 't';
    if (isOfMinute && minuteOf(nowMs).startMs <= this.#apartSinceMs) {
      return this.#live === 1 && meter.sequence > 0 ? limit : 0;
    }
    return Math.floor(limit / this.#live);
  }

  async run(
    keys: string[],
    sequence: number,
    take: boolean,
    counters: (string | number)[],
  ): Promise<LeaseAnswer> {
    const clock = this.#options.timeOf === 'clock' ? this.#clock.now() : '';
    const head = [this.#proxyId, sequence, this.#live, clock, take ? 1 : 0, slotLifeMs];
    return this.#call(() => this.#redis.aigatewayLease(keys.length, ...keys, ...head, ...counters));
  }

  trusts(lease: ScopeLease, runId: string, hasForgotten: boolean): boolean {
    const isFirst = lease.runId === undefined;
    lease.runId = runId;
    const isNew = this.#isNewServer(runId);
    // Of a cluster one server after another is met; that it took another's place shows where it has a holder's counters now.
    if (!hasForgotten && (!isNew || (this.#isCluster && isFirst))) return true;
    this.#lostData();
    return false;
  }

  watch(lease: ScopeLease): void {
    lease.isTended = true;
    this.#tended.add(lease);
  }

  tend(): Promise<void> {
    this.#tending ??= this.#tendAll().finally(() => {
      this.#tending = undefined;
    });
    return this.#tending;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#tending;
    this.#isClosed = true;
    if (!this.#isAway) await Promise.all([...this.#tended].map((lease) => lease.release()));
  }

  async #tendAll(): Promise<void> {
    const nowMs = this.nowMs();
    if (this.#isAway || nowMs - this.#heartbeatAtMs >= heartbeatMs) await this.#beat(nowMs);
    if (this.#isAway || this.#isClosed) return;
    const asked: Promise<void>[] = [];
    for (const lease of this.#tended) {
      const asking = lease.tend(nowMs);
      if (asking !== undefined) asked.push(asking);
    }
    await Promise.all(asked);
    await this.#beginMinute(nowMs);
    for (const lease of this.#tended) {
      if (!lease.isQuiet(nowMs)) continue;
      lease.isTended = false;
      this.#tended.delete(lease);
    }
  }

  /** Leases of a new minute for all that were called in the one before, a few at a time: calls go on meanwhile. */
  async #beginMinute(nowMs: number): Promise<void> {
    let begun = 0;
    let asked: Promise<void>[] = [];
    for (const lease of this.#tended) {
      if (!lease.isToBegin(nowMs)) continue;
      asked.push(lease.begin());
      begun += 1;
      if (begun === beginsAtMost) break;
      if (asked.length < beginsAtOnce) continue;
      await Promise.all(asked);
      asked = [];
    }
    await Promise.all(asked);
  }

  async #beat(nowMs: number): Promise<void> {
    const clock = this.#options.timeOf === 'clock' ? this.#clock.now() : '';
    try {
      const [beatMs, runId, live] = await this.#call(() =>
        this.#redis.aigatewayHeartbeat(1, liveProxiesKey, this.#proxyId, clock, proxyLifeMs),
      );
      this.#comeBack();
      if (!this.#isCluster && this.#isNewServer(String(runId))) this.#lostData();
      await this.#learnWhatIsKnown();
      this.#heartbeatAtMs = nowMs;
      // The others are still coming back: until they have, there are as many as there were.
      const least = this.#isApart(this.nowMs()) ? this.#live : (this.#options.replicas ?? 1);
      this.#live = Math.max(least, Number(live));
      await this.#followSets(Number(beatMs));
    } catch {
      // The call has noted that Redis is away; the next beat looks again.
    }
  }

  /** Tells others that data was lost, or learns it from them, also when that was before this proxy began. */
  async #learnWhatIsKnown(): Promise<void> {
    const known = this.#known;
    const clockMs = this.#options.timeOf === 'clock' ? this.#clock.now() : undefined;
    const [redisMs, fromMs] = await this.#call(() => limitsKnownFrom(this.#client, known, clockMs));
    if (this.#known === known) this.#known = 'earlier';
    if (redisMs < fromMs && this.#stayApart(fromMs)) {
      this.#options.onEvent?.({ type: 'redis_lost_data' });
    }
  }

  /** Lets go of what was leased of budgets whose spend was set since it was looked at last. */
  async #followSets(nowMs: number): Promise<void> {
    const since = this.#setsSeenMs;
    this.#setsSeenMs = nowMs;
    if (since === undefined) return;
    this.#roundTrips += 1;
    const names = await inTime(
      this.#client.zrangebyscore(spendSetsKey, since, '+inf'),
      this.#answerMs,
    );
    for (const name of names) {
      const at = name.indexOf(':');
      const lease = this.#kinds.get(name.slice(0, at) as ScopeKind)?.get(name.slice(at + 1));
      if (lease !== undefined) await lease.refresh();
    }
  }

  /** Runs a script in bounded time, and learns what time it is for Redis. */
  async #call<Answer extends readonly (number | string)[]>(
    send: () => Promise<Answer>,
  ): Promise<Answer> {
    this.#roundTrips += 1;
    const sentAtMs = this.#clock.now();
    try {
      const answer = await inTime(send(), this.#answerMs);
      this.#measure(sentAtMs, Number(answer[0]));
      return answer;
    } catch (error) {
      this.failed(error);
      throw error;
    }
  }

  /** Counted from when the question was sent, the time is never behind that of Redis; the quickest answer tells it best. */
  #measure(sentAtMs: number, answeredMs: number): void {
    if (this.#options.timeOf === 'clock') return;
    const nowMs = this.#clock.now();
    const tripMs = nowMs - sentAtMs;
    if (tripMs > this.#offsetTripMs && nowMs - this.#offsetAtMs < offsetLifeMs) return;
    // Redis tells whole milliseconds, rounded down.
    this.#offsetMs = answeredMs + 1 - sentAtMs;
    this.#offsetTripMs = tripMs;
    this.#offsetAtMs = nowMs;
  }

  #isApart(nowMs: number): boolean {
    return this.#isAway || nowMs < this.#apartUntilMs;
  }

  failed(thrown: unknown): void {
    if (this.#isAway) return;
    const nowMs = this.nowMs();
    if (!this.#isApart(nowMs)) this.#apartSinceMs = nowMs;
    this.#isAway = true;
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    this.#options.onEvent?.({ type: 'redis_away', error });
  }

  /**
   * Redis decides again when it knows what was granted without it: shares of a minute are spent for the rest of that minute.
   * Where nothing was granted, it knows everything.
   */
  #comeBack(): void {
    if (!this.#isAway) return;
    const nowMs = this.nowMs();
    if (this.#options.withoutRedis === 'local') {
      const isSameMinute = minuteOf(nowMs).startMs <= this.#apartSinceMs;
      this.#stayApart(isSameMinute ? nowMs + returnMs : minuteOf(nowMs).endMs);
    }
    this.#isAway = false;
    this.#options.onEvent?.({ type: 'redis_back' });
  }

  /** What has been granted of the present minute is known to nobody; of longer windows every proxy tells its part. */
  #lostData(): void {
    // Every holder of limits notices by itself.
    const isNews = this.#stayApart(minuteOf(this.nowMs()).endMs);
    this.#known = 'lost';
    // Others are told with the next beat, which is due now.
    this.#heartbeatAtMs = 0;
    for (const leases of this.#kinds.values()) {
      for (const lease of leases.values()) {
        lease.isUntold = true;
        this.watch(lease);
      }
    }
    if (isNews) this.#options.onEvent?.({ type: 'redis_lost_data' });
  }

  /** Leases nothing until a time of Redis, which this proxy's own may be ahead of. @returns whether that is longer than it was */
  #stayApart(untilMs: number): boolean {
    const nowMs = this.nowMs();
    if (!this.#isApart(nowMs)) this.#apartSinceMs = nowMs;
    const aheadMs = Number.isFinite(this.#offsetTripMs) ? this.#offsetTripMs + 1 : 0;
    const isLonger = untilMs > this.#apartUntilMs;
    this.#apartUntilMs = Math.max(this.#apartUntilMs, untilMs + aheadMs);
    return isLonger;
  }

  #isNewServer(runId: string): boolean {
    if (runId === '' || this.#servers.has(runId)) return false;
    this.#servers.add(runId);
    return this.#servers.size > 1;
  }

  #leaseOf(scope: LimitScope, nowMs: number): ScopeLease {
    let leases = this.#kinds.get(scope.kind);
    if (leases === undefined) this.#kinds.set(scope.kind, (leases = new Map()));
    let lease = leases.get(scope.id);
    if (lease !== undefined) return lease;
    this.#sweep(scope.kind, leases, nowMs);
    leases.set(scope.id, (lease = new ScopeLease(this, scope.kind, scope.id)));
    return lease;
  }

  /** Looks at two holders for every new one and drops the idle ones: what is remembered stays in proportion to what is in use. */
  #sweep(kind: ScopeKind, leases: Map<string, ScopeLease>, nowMs: number): void {
    for (let looks = 0; looks < 2; looks += 1) {
      const next = this.#sweeps.get(kind)?.next();
      if (next === undefined || next.done === true) {
        this.#sweeps.set(kind, leases.entries());
        continue;
      }
      const [id, lease] = next.value;
      if (lease.isIdle(nowMs)) leases.delete(id);
    }
  }
}

class LeasedReservation implements Reservation {
  readonly #tokens: number;
  readonly #cost: number;
  readonly #holds: Hold[] = [];
  #requests: LimitStanding | undefined;
  #tokensLeft: LimitStanding | undefined;
  #settled = false;

  constructor(tokens: number, cost: number) {
    this.#tokens = tokens;
    this.#cost = cost;
  }

  get standing(): RateStanding {
    if (this.#requests === undefined && this.#tokensLeft === undefined) return {};
    return { requests: this.#requests, tokens: this.#tokensLeft };
  }

  holds(lease: ScopeLease): boolean {
    for (const hold of this.#holds) if (hold.lease === lease) return true;
    return false;
  }

  add(hold: Hold, { limits }: LimitScope, nowMs: number): void {
    this.#holds.push(hold);
    const { requests, tokens } = hold.lease;
    this.#requests = tighter(this.#requests, requests, limits.requestsPerMinute, nowMs);
    this.#tokensLeft = tighter(this.#tokensLeft, tokens, limits.tokensPerMinute, nowMs);
  }

  settle(spent: Spent): void {
    if (this.#settled) return;
    this.#settled = true;
    // What is not an amount leaves the estimate as it stands: settling never fails, and never frees by mistake.
    const moreTokens = isAmount(spent.tokens) ? whole(spent.tokens) - this.#tokens : 0;
    const moreCost = isAmount(spent.costNanoUsd) ? whole(spent.costNanoUsd) - this.#cost : 0;
    for (const hold of this.#holds) hold.lease.settle(hold, moreTokens, moreCost);
  }
}

/** The tighter of two standings: what is left counts, of what this proxy knows to be granted. */
function tighter(
  standing: LimitStanding | undefined,
  meter: Meter,
  limit: number | undefined,
  nowMs: number,
): LimitStanding | undefined {
  if (limit === undefined) return standing;
  const remaining = Math.max(0, limit - meter.others - meter.spent);
  if (standing !== undefined && standing.remaining <= remaining) return standing;
  return { limit, remaining, resetMs: Math.max(0, meter.endMs - nowMs) };
}

function longer(first: Refusal | undefined, second: Refusal): Refusal {
  return first !== undefined && first.retryAfterMs >= second.retryAfterMs ? first : second;
}

function fitsShare(meter: Meter, amount: number, limit: number, share: number): boolean {
  if (meter.kind === 'b' && amount === 0) return true;
  return meter.spent < share && meter.spent + amount <= share && meter.fits(amount, limit);
}

/** With the next minute there may be a share, or Redis again. */
function waitApartMs(meter: Meter, limit: number, nowMs: number): number {
  if (limit <= 0) return Number.POSITIVE_INFINITY;
  return meter.kind === 'g' ? parallelRetryMs : minuteOf(nowMs).endMs - nowMs;
}

function isAmount(value: number): boolean {
  return value >= 0 && value < Number.POSITIVE_INFINITY;
}

/** Counters hold whole numbers. */
function whole(amount: number): number {
  return Math.min(Math.ceil(amount), Number.MAX_SAFE_INTEGER);
}

/** @throws when the answer takes longer; it is then ignored */
function inTime<Answer>(answer: Promise<Answer>, withinMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // An answer that came while the process was busy with something else is in time: it is read before the second look.
    const timer = setTimeout(
      () => setImmediate(() => reject(new Error(`no answer within ${withinMs} ms`))),
      withinMs,
    );
    answer.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/**
 * Admission with leases: over all proxies that share a Redis, the sum granted never exceeds a limit.
 *
 * A proxy leases a part of what is left of a window ahead of need, and grants from it without a round trip. The less is left,
 * the smaller the parts; small limits are asked for call by call. Minutes are those of Redis, budgets follow the calendar.
 * What a call takes beyond its estimate is charged afterwards, the only way in which a window can be exceeded.
 *
 * Redis may be away: `reserve` answers in bounded time, as {@link WithoutRedis} says. It may forget: the present minute then
 * counts as granted, and every proxy tells anew what it used of longer windows.
 *
 * `reserve` throws a RangeError for an estimate that is not a finite number of zero or more, and a GatewayError
 * `limiter_unavailable` where nothing is granted without Redis.
 *
 * @param options - the client must not queue commands while it is not connected; it stays the caller's to close
 */
export function createRedisLimiter(options: RedisLimiterOptions): RedisLimiter {
  return new LeasingLimiter(options);
}
