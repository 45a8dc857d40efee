import { budgetWindow } from '@aigateway/contract/duration';
import type { LimitScope, Limits, ScopeKind } from '@aigateway/contract/limits';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Clock, Limiter, Refusal, Reservation } from '../../src/ports.ts';
import type { BudgetCalendar } from '../../src/stores/memory/limiter.ts';

/** Noon of a Saturday, UTC: the start of a minute, twelve hours before the day's end, nine days before the month's. */
const noon = Date.UTC(2026, 10, 21, 12);

/** A clock that moves when told to. */
export class ManualClock implements Clock {
  #nowMs: number;

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }
}

export type LimiterUnderTest = {
  limiter: Limiter;
  /** Sets what a holder has spent, as the management API does. */
  setSpend: (kind: ScopeKind, id: string, nanoUsd: number) => void | Promise<void>;
  close?: () => Promise<void>;
};

export type LimiterConformance = {
  /** Makes a limiter without history; budgets on the UTC calendar unless another is given. */
  create: (clock: Clock, calendar?: BudgetCalendar) => LimiterUnderTest | Promise<LimiterUnderTest>;
  /**
   * True when the limiter grants all that a limit allows and knows every figure. One that spends slices of a limit may refuse
   * what lies in somebody else's slice: it is held to strictness alone.
   */
  exact: boolean;
  /** Schedules to try against the plain ledger; 1000 unless given. */
  schedules?: number;
};

/**
 * Windows of budgets, as LiteLLM aligns them: window, time zone, time of reset, the beginning of one and its end. Whole days and months
 * begin at the time of reset; clocks that are set forward or back make them an hour shorter or longer.
 */
const boundaries: readonly (readonly [string, string, string, from: string, to: string])[] = [
  ['30s', 'UTC', '00:00', '2026-11-21T01:00:30Z', '2026-11-21T01:01:00Z'],
  ['1h', 'UTC', '06:30', '2026-11-21T01:00:00Z', '2026-11-21T02:00:00Z'],
  ['hourly', 'Asia/Kolkata', '00:00', '2026-11-21T00:30:00Z', '2026-11-21T01:30:00Z'],
  // The hour that comes twice is two hours.
  ['1h', 'America/New_York', '00:00', '2026-11-01T06:00:00Z', '2026-11-01T07:00:00Z'],
  // A day of 23.5 hours ends with half an hour.
  ['1h', 'Australia/Lord_Howe', '00:00', '2026-10-04T12:30:00Z', '2026-10-04T13:00:00Z'],
  ['24h', 'UTC', '00:00', '2026-11-22T00:00:00Z', '2026-11-23T00:00:00Z'],
  ['1d', 'Africa/Johannesburg', '06:00', '2026-11-22T04:00:00Z', '2026-11-23T04:00:00Z'],
  ['1d', 'Pacific/Kiritimati', '00:00', '2026-12-31T10:00:00Z', '2027-01-01T10:00:00Z'],
  ['24h', 'Europe/Berlin', '00:00', '2027-03-27T23:00:00Z', '2027-03-28T22:00:00Z'],
  ['24h', 'Europe/Berlin', '00:00', '2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z'],
  // 02:30 does not exist on that day: 03:30 does.
  ['1d', 'Europe/Berlin', '02:30', '2027-03-28T01:30:00Z', '2027-03-29T00:30:00Z'],
  // 02:30 is there twice: the first counts.
  ['1d', 'Europe/Berlin', '02:30', '2026-10-25T00:30:00Z', '2026-10-26T01:30:00Z'],
  ['7d', 'UTC', '00:00', '2026-11-23T00:00:00Z', '2026-11-30T00:00:00Z'],
  ['weekly', 'Europe/Berlin', '08:00', '2027-03-22T07:00:00Z', '2027-03-29T06:00:00Z'],
  // Counted from a Monday.
  ['10d', 'UTC', '00:00', '2026-11-27T00:00:00Z', '2026-12-07T00:00:00Z'],
  ['30d', 'UTC', '00:00', '2026-12-01T00:00:00Z', '2027-01-01T00:00:00Z'],
  ['1mo', 'UTC', '00:00', '2027-02-01T00:00:00Z', '2027-03-01T00:00:00Z'],
  ['1mo', 'UTC', '00:00', '2028-02-01T00:00:00Z', '2028-03-01T00:00:00Z'],
  ['monthly', 'UTC', '23:59', '2027-04-01T23:59:00Z', '2027-05-01T23:59:00Z'],
  ['1mo', 'Europe/Berlin', '06:00', '2027-03-01T05:00:00Z', '2027-04-01T04:00:00Z'],
  ['1mo', 'America/New_York', '00:00', '2026-12-01T05:00:00Z', '2027-01-01T05:00:00Z'],
  ['3mo', 'UTC', '00:00', '2026-10-01T00:00:00Z', '2027-01-01T00:00:00Z'],
];

/**
 * What every limiter promises, whichever way it counts. A new implementation is trusted once this suite passes against it.
 */
export function describeLimiter(
  name: string,
  { create, exact, schedules: numRuns = 1000 }: LimiterConformance,
): void {
  const withLimiter =
    (
      test: (
        limiter: Limiter,
        clock: ManualClock,
        setSpend: LimiterUnderTest['setSpend'],
      ) => Promise<void>,
      { startMs = noon, calendar }: { startMs?: number; calendar?: BudgetCalendar } = {},
    ) =>
    async () => {
      const clock = new ManualClock(startMs);
      const { limiter, setSpend, close } = await create(clock, calendar);
      try {
        await test(limiter, clock, setSpend);
      } finally {
        await close?.();
      }
    };

  describe(`${name}: requests`, () => {
    it(
      'grants as many as the limit in a minute and names the holder of the limit that ran out',
      withLimiter(async (limiter) => {
        const key = scope('api_key', { requestsPerMinute: 3 });
        for (let call = 0; call < 3; call += 1) granted(await reserve(limiter, [key]));
        const refusal = refused(await reserve(limiter, [key]));
        expect(refusal).toMatchObject({
          scope: key,
          limitType: 'requests',
          limit: 3,
          remaining: 0,
        });
      }),
    );

    it(
      'counts on whole minutes of the clock and tells when the next begins',
      withLimiter(async (limiter, clock) => {
        const key = scope('api_key', { requestsPerMinute: 1 });
        clock.advance(45_000);
        granted(await reserve(limiter, [key]));
        expect(refused(await reserve(limiter, [key])).retryAfterMs).toBe(15_000);
        clock.advance(14_999);
        expect(refused(await reserve(limiter, [key])).retryAfterMs).toBe(1);
        clock.advance(1);
        granted(await reserve(limiter, [key]));
      }),
    );

    it(
      'does not return a request when its call ends',
      withLimiter(async (limiter) => {
        const key = scope('api_key', { requestsPerMinute: 1 });
        granted(await reserve(limiter, [key])).settle({ tokens: 0, costNanoUsd: 0 });
        expect(refused(await reserve(limiter, [key])).limitType).toBe('requests');
      }),
    );

    it(
      'a limit of zero admits nothing, and promises nothing',
      withLimiter(async (limiter) => {
        for (const limits of [
          { requestsPerMinute: 0 },
          { tokensPerMinute: 0 },
          { parallelRequests: 0 },
          { budgets: [{ maxNanoUsd: 0, window: '1d' }] },
        ]) {
          const refusal = refused(await reserve(limiter, [scope('team', limits)], 1, 1));
          expect(refusal.retryAfterMs).toBe(Number.POSITIVE_INFINITY);
        }
      }),
    );
  });

  describe(`${name}: tokens`, () => {
    it(
      'reserves the estimate: parallel calls cannot overshoot',
      withLimiter(async (limiter) => {
        const key = scope('api_key', { tokensPerMinute: 1000 });
        const answers = await Promise.all(
          Array.from({ length: 100 }, async () => reserve(limiter, [key], 100)),
        );
        const grants = answers.filter((answer) => !('refused' in answer));
        expect(grants.length).toBeLessThanOrEqual(10);
        if (exact) expect(grants.length).toBe(10);
      }),
    );

    it(
      'returns what a call left over, within the minute',
      withLimiter(async (limiter) => {
        const key = scope('api_key', { tokensPerMinute: 1000 });
        const reservation = granted(await reserve(limiter, [key], 1000));
        refused(await reserve(limiter, [key], 990));
        reservation.settle({ tokens: 10, costNanoUsd: 0 });
        expect(await reserve(limiter, [key], 990)).not.toHaveProperty('refused');
      }),
    );

    it(
      'does not return to a minute what an earlier one had granted',
      withLimiter(async (limiter, clock) => {
        const key = scope('api_key', { tokensPerMinute: 1000 });
        const early = granted(await reserve(limiter, [key], 1000));
        clock.advance(60_000);
        granted(await reserve(limiter, [key], 1000));
        early.settle({ tokens: 0, costNanoUsd: 0 });
        expect(await reserve(limiter, [key], 1)).toHaveProperty('refused');
      }),
    );

    it(
      'charges what a call took beyond its estimate',
      withLimiter(async (limiter, clock) => {
        const key = scope('api_key', { tokensPerMinute: 1000 });
        const early = granted(await reserve(limiter, [key], 100));
        clock.advance(60_000);
        early.settle({ tokens: 700, costNanoUsd: 0 });
        refused(await reserve(limiter, [key], 401));
        expect(await reserve(limiter, [key], 400)).not.toHaveProperty('refused');
      }),
    );

    it(
      'admits one call larger than the limit to an untouched minute, and no second',
      withLimiter(async (limiter, clock) => {
        const key = scope('api_key', { tokensPerMinute: 1000 });
        granted(await reserve(limiter, [key], 5000));
        const refusal = refused(await reserve(limiter, [key], 5000));
        expect(refusal).toMatchObject({ limitType: 'tokens', limit: 1000, remaining: 0 });
        clock.advance(refusal.retryAfterMs);
        granted(await reserve(limiter, [key], 5000));
      }),
    );
  });

  describe(`${name}: parallel requests`, () => {
    it(
      'holds a slot until the call ends, over minutes',
      withLimiter(async (limiter, clock) => {
        const key = scope('api_key', { parallelRequests: 2 });
        const first = granted(await reserve(limiter, [key]));
        granted(await reserve(limiter, [key]));
        clock.advance(600_000);
        const refusal = refused(await reserve(limiter, [key]));
        expect(refusal).toMatchObject({
          limitType: 'max_parallel_requests',
          limit: 2,
          remaining: 0,
        });
        expect(refusal.retryAfterMs).toBeGreaterThan(0);
        first.settle({ tokens: 0, costNanoUsd: 0 });
        granted(await reserve(limiter, [key]));
      }),
    );

    it(
      'frees one slot for one call, however often it is settled',
      withLimiter(async (limiter) => {
        const key = scope('api_key', { parallelRequests: 2, tokensPerMinute: 1000 });
        const first = granted(await reserve(limiter, [key], 500));
        granted(await reserve(limiter, [key], 500));
        first.settle({ tokens: 0, costNanoUsd: 0 });
        first.settle({ tokens: 0, costNanoUsd: 0 });
        granted(await reserve(limiter, [key], 500));
        expect(await reserve(limiter, [key])).toHaveProperty('refused');
      }),
    );
  });

  describe(`${name}: budgets`, () => {
    it(
      'reserves money and settles to the real cost',
      withLimiter(async (limiter) => {
        const team = scope('team', { budgets: [{ maxNanoUsd: 1000, window: '1d' }] });
        const reservation = granted(await reserve(limiter, [team], 0, 800));
        const refusal = refused(await reserve(limiter, [team], 0, 300));
        expect(refusal).toMatchObject({
          scope: team,
          limitType: 'budget',
          limit: 1000,
          remaining: 200,
        });
        reservation.settle({ tokens: 0, costNanoUsd: 700 });
        granted(await reserve(limiter, [team], 0, 300));
        refused(await reserve(limiter, [team], 0, 1));
      }),
    );

    it(
      'starts anew with the calendar window and says when that is',
      withLimiter(async (limiter, clock) => {
        const daily = scope('user', { budgets: [{ maxNanoUsd: 10, window: '1d' }] });
        const monthly = scope('team', { budgets: [{ maxNanoUsd: 10, window: '1mo' }] });
        const hoursMs = 3_600_000;
        granted(await reserve(limiter, [daily], 0, 10));
        granted(await reserve(limiter, [monthly], 0, 10));
        expect(refused(await reserve(limiter, [daily], 0, 1)).retryAfterMs).toBe(12 * hoursMs);
        expect(refused(await reserve(limiter, [monthly], 0, 1)).retryAfterMs).toBe(
          (9 * 24 + 12) * hoursMs,
        );
        clock.advance(12 * hoursMs);
        granted(await reserve(limiter, [daily], 0, 10));
        refused(await reserve(limiter, [monthly], 0, 1));
      }),
    );

    it(
      'neither returns to a window what an earlier one had granted, nor forgives it an excess',
      withLimiter(async (limiter, clock) => {
        const key = scope('api_key', { budgets: [{ maxNanoUsd: 100, window: '1h' }] });
        const frugal = granted(await reserve(limiter, [key], 0, 40));
        const lavish = granted(await reserve(limiter, [key], 0, 40));
        clock.advance(3_600_000);
        granted(await reserve(limiter, [key], 0, 50));
        frugal.settle({ tokens: 0, costNanoUsd: 0 });
        expect(refused(await reserve(limiter, [key], 0, 51)).remaining).toBe(50);
        clock.advance(3_600_000);
        lavish.settle({ tokens: 0, costNanoUsd: 70 });
        expect(refused(await reserve(limiter, [key], 0, 71)).remaining).toBe(70);
        expect(await reserve(limiter, [key], 0, 70)).not.toHaveProperty('refused');
      }),
    );

    it(
      'sets right later what a call was charged, whoever charged it',
      withLimiter(async (limiter, clock) => {
        const key = scope('api_key', { budgets: [{ maxNanoUsd: 100, window: '1h' }] });
        const correct = (moreNanoUsd: number, startedAt: number) =>
          limiter.correct({ scopes: [key, key], moreNanoUsd, startedAt });
        granted(await reserve(limiter, [key], 0, 90)).settle({ tokens: 0, costNanoUsd: 90 });
        await correct(-80, noon);
        expect(refused(await reserve(limiter, [key], 0, 91)).remaining).toBe(90);
        await correct(5, noon);
        expect(refused(await reserve(limiter, [key], 0, 91)).remaining).toBe(85);
        // Never below nothing.
        await correct(-1000, noon);
        granted(await reserve(limiter, [key], 0, 100)).settle({ tokens: 0, costNanoUsd: 100 });
        refused(await reserve(limiter, [key], 0, 1));

        clock.advance(3_600_000);
        granted(await reserve(limiter, [key], 0, 40)).settle({ tokens: 0, costNanoUsd: 40 });
        await correct(-30, noon);
        expect(refused(await reserve(limiter, [key], 0, 61)).remaining).toBe(60);
        await correct(10, noon);
        expect(refused(await reserve(limiter, [key], 0, 61)).remaining).toBe(50);
      }),
    );

    it(
      'never resets a budget without a window',
      withLimiter(async (limiter, clock) => {
        const key = scope('api_key', { budgets: [{ maxNanoUsd: 10 }] });
        granted(await reserve(limiter, [key], 0, 10));
        clock.advance(400 * 24 * 3_600_000);
        expect(refused(await reserve(limiter, [key], 0, 1)).retryAfterMs).toBe(
          Number.POSITIVE_INFINITY,
        );
      }),
    );

    it(
      'keeps several budgets of one holder apart',
      withLimiter(async (limiter, clock) => {
        const key = scope('api_key', {
          budgets: [
            { maxNanoUsd: 10, window: '1h' },
            { maxNanoUsd: 15, window: '1d' },
          ],
        });
        granted(await reserve(limiter, [key], 0, 10));
        expect(refused(await reserve(limiter, [key], 0, 5)).limit).toBe(10);
        clock.advance(3_600_000);
        granted(await reserve(limiter, [key], 0, 5));
        expect(refused(await reserve(limiter, [key], 0, 5)).limit).toBe(15);
      }),
    );

    it(
      'holds the tighter of two budgets with the same window',
      withLimiter(async (limiter) => {
        const key = scope('api_key', {
          budgets: [
            { maxNanoUsd: 20, window: '1h' },
            { maxNanoUsd: 10, window: '1h' },
          ],
        });
        granted(await reserve(limiter, [key], 0, 6));
        expect(await reserve(limiter, [key], 0, 5)).toHaveProperty('refused');
        granted(await reserve(limiter, [key], 0, 4));
      }),
    );

    it(
      'lets calls without a price pass an exhausted budget, and still charges what they turn out to cost',
      withLimiter(async (limiter) => {
        const key = scope('api_key', { budgets: [{ maxNanoUsd: 10, window: '1d' }] });
        const free = granted(await reserve(limiter, [key], 0, 0));
        free.settle({ tokens: 0, costNanoUsd: 10 });
        refused(await reserve(limiter, [key], 0, 1));
        expect(await reserve(limiter, [key], 0, 0)).not.toHaveProperty('refused');
      }),
    );
  });

  describe(`${name}: requests in total`, () => {
    const key = scope('api_key', { requestsInTotal: 3 });

    it(
      'are never granted anew, and what they cost or how they end makes no difference',
      withLimiter(async (limiter, clock, setSpend) => {
        for (let call = 0; call < 3; call += 1) {
          granted(await reserve(limiter, [key], 10, 10)).settle({ tokens: 0, costNanoUsd: 0 });
          clock.advance(3_600_000);
        }
        await setSpend('api_key', 'api_key-1', 0);
        expect(refused(await reserve(limiter, [key]))).toMatchObject({
          scope: key,
          limitType: 'requests',
          limit: 3,
          remaining: 0,
          retryAfterMs: Number.POSITIVE_INFINITY,
        });
        granted(await reserve(limiter, [scope('api_key', { requestsInTotal: 4 })]));
        refused(await reserve(limiter, [scope('api_key', { requestsInTotal: 4 })]));
      }),
    );

    it(
      'are not taken by calls that another limit refuses',
      withLimiter(async (limiter) => {
        const team = scope('team', { requestsPerMinute: 1 });
        granted(await reserve(limiter, [team]));
        for (let call = 0; call < 5; call += 1) refused(await reserve(limiter, [key, team]));
        for (let call = 0; call < 3; call += 1) granted(await reserve(limiter, [key]));
        expect(refused(await reserve(limiter, [key])).remaining).toBe(0);
      }),
    );

    it(
      'are refused where there are none',
      withLimiter(async (limiter) => {
        const none = scope('api_key', { requestsInTotal: 0 });
        expect(refused(await reserve(limiter, [none])).remaining).toBe(0);
      }),
    );
  });

  describe(`${name}: spend that is set`, () => {
    const key = scope('api_key', { budgets: [{ maxNanoUsd: 100, window: '1h' }] });
    const inTotal = scope('api_key', { budgets: [{ maxNanoUsd: 100 }] });
    const both = scope('api_key', {
      budgets: [{ maxNanoUsd: 100, window: '1h' }, { maxNanoUsd: 100 }],
    });

    it(
      'is where every budget of the holder begins anew, whatever was granted before',
      withLimiter(async (limiter, clock, setSpend) => {
        granted(await reserve(limiter, [both], 0, 100));
        clock.advance(1000);
        await setSpend('api_key', 'api_key-1', 70);
        for (const one of [key, inTotal]) {
          expect(refused(await reserve(limiter, [one], 0, 31)).remaining).toBe(30);
        }
        granted(await reserve(limiter, [both], 0, 30));
        clock.advance(3_600_000);
        granted(await reserve(limiter, [key], 0, 100));
        refused(await reserve(limiter, [inTotal], 0, 1));
      }),
    );

    it(
      'takes nothing back of calls that began before it, and counts what they take beyond their estimate',
      withLimiter(async (limiter, clock, setSpend) => {
        const frugal = granted(await reserve(limiter, [key], 0, 40));
        const lavish = granted(await reserve(limiter, [key], 0, 40));
        clock.advance(1000);
        await setSpend('api_key', 'api_key-1', 0);
        granted(await reserve(limiter, [key], 0, 50));
        frugal.settle({ tokens: 0, costNanoUsd: 0 });
        expect(refused(await reserve(limiter, [key], 0, 51)).remaining).toBe(50);
        lavish.settle({ tokens: 0, costNanoUsd: 60 });
        expect(refused(await reserve(limiter, [key], 0, 31)).remaining).toBe(30);
      }),
    );

    it(
      'is not set right by what turns out about calls before it, but for what is charged on top',
      withLimiter(async (limiter, clock, setSpend) => {
        const startedAt = clock.now();
        const correct = (moreNanoUsd: number) =>
          limiter.correct({ scopes: [key], moreNanoUsd, startedAt });
        granted(await reserve(limiter, [key], 0, 90)).settle({ tokens: 0, costNanoUsd: 90 });
        clock.advance(1000);
        await setSpend('api_key', 'api_key-1', 20);
        granted(await reserve(limiter, [key], 0, 10)).settle({ tokens: 0, costNanoUsd: 10 });
        await correct(-90);
        expect(refused(await reserve(limiter, [key], 0, 71)).remaining).toBe(70);
        await correct(5);
        expect(refused(await reserve(limiter, [key], 0, 71)).remaining).toBe(65);
      }),
    );
  });

  describe(`${name}: the calendar of budgets`, () => {
    it.each(boundaries)(
      '%s in %s at %s: begins anew at %s, and again at %s',
      async (window, timezone, budgetResetTime, from, to) => {
        const [fromMs, toMs] = [Date.parse(from), Date.parse(to)];
        const test = withLimiter(
          async (limiter, clock) => {
            const key = scope('api_key', { budgets: [{ maxNanoUsd: 10, window }] });
            granted(await reserve(limiter, [key], 0, 10));
            expect(refused(await reserve(limiter, [key], 0, 1)).retryAfterMs).toBe(1);
            clock.advance(1);
            granted(await reserve(limiter, [key], 0, 10));
            expect(refused(await reserve(limiter, [key], 0, 1)).retryAfterMs).toBe(toMs - fromMs);
            clock.advance(toMs - fromMs - 1);
            refused(await reserve(limiter, [key], 0, 1));
            clock.advance(1);
            granted(await reserve(limiter, [key], 0, 10));
          },
          { startMs: fromMs - 1, calendar: { timezone, budgetResetTime } },
        );
        await expect(test()).resolves.toBeUndefined();
      },
    );
  });

  describe(`${name}: several holders`, () => {
    it(
      'grants all or none: a refusal takes nothing from anybody',
      withLimiter(async (limiter) => {
        const key = scope('api_key', {
          requestsPerMinute: 2,
          tokensPerMinute: 100,
          parallelRequests: 2,
        });
        const team = scope('team', { tokensPerMinute: 50 });
        granted(await reserve(limiter, [key, team], 50));
        for (let call = 0; call < 5; call += 1) {
          expect(refused(await reserve(limiter, [key, team], 50)).scope).toEqual(team);
        }
        granted(await reserve(limiter, [key], 50));
      }),
    );

    it(
      'names the refusal that lasts longest: before its end the request cannot pass',
      withLimiter(async (limiter) => {
        const key = scope('api_key', { requestsPerMinute: 1 });
        const team = scope('team', { budgets: [{ maxNanoUsd: 10, window: '1d' }] });
        granted(await reserve(limiter, [key, team], 0, 10));
        const refusal = refused(await reserve(limiter, [key, team], 0, 10));
        expect(refusal).toMatchObject({ scope: team, limitType: 'budget' });
        expect(refusal.retryAfterMs).toBe(12 * 3_600_000);
      }),
    );

    it(
      'keeps holders of the same id but of another kind apart, and shares one between requests',
      withLimiter(async (limiter) => {
        const limits = { requestsPerMinute: 1 };
        granted(await reserve(limiter, [scope('user', limits, 'x')]));
        granted(await reserve(limiter, [scope('team', limits, 'x')]));
        expect(await reserve(limiter, [scope('user', limits, 'x')])).toHaveProperty('refused');
      }),
    );

    it(
      'counts a holder once that is named twice',
      withLimiter(async (limiter) => {
        const tag = scope('tag', { requestsPerMinute: 2, parallelRequests: 2 });
        granted(await reserve(limiter, [tag, tag]));
        granted(await reserve(limiter, [tag, tag]));
        expect(await reserve(limiter, [tag, tag])).toHaveProperty('refused');
      }),
    );

    it(
      'a changed limit takes effect at once and keeps what was used',
      withLimiter(async (limiter) => {
        const before = scope('api_key', { requestsPerMinute: 2 });
        const raised = scope('api_key', { requestsPerMinute: 3 });
        const lowered = scope('api_key', { requestsPerMinute: 1 });
        granted(await reserve(limiter, [before]));
        granted(await reserve(limiter, [before]));
        refused(await reserve(limiter, [before]));
        granted(await reserve(limiter, [raised]));
        expect(refused(await reserve(limiter, [lowered]))).toMatchObject({
          limit: 1,
          remaining: 0,
        });
      }),
    );

    it(
      'grants without limit what has none',
      withLimiter(async (limiter) => {
        const reservation = granted(await reserve(limiter, [scope('user', {})], 1e9, 1e15));
        expect(reservation.standing).toEqual({});
        granted(await reserve(limiter, []));
      }),
    );
  });

  it(
    `${name}: the standing shows the tightest of all limits`,
    withLimiter(async (limiter, clock) => {
      clock.advance(20_000);
      const key = scope('api_key', { requestsPerMinute: 10, tokensPerMinute: 1000 });
      const team = scope('team', { requestsPerMinute: 5, tokensPerMinute: 100_000 });
      const first = granted(await reserve(limiter, [key, team], 400)).standing;
      const second = granted(await reserve(limiter, [team, key], 100)).standing;
      for (const standing of [first, second]) {
        expect(standing.requests).toMatchObject({ limit: 5, resetMs: 40_000 });
        expect(standing.tokens).toMatchObject({ limit: 1000, resetMs: 40_000 });
      }
      expect(first.requests?.remaining).toBeLessThanOrEqual(4);
      expect(first.tokens?.remaining).toBeLessThanOrEqual(600);
      if (exact) expect(second.requests?.remaining).toBe(3);
      if (exact) expect(second.tokens?.remaining).toBe(500);
    }),
  );

  it(`${name}: ${exact ? 'decides as a plain ledger does' : 'never grants what a plain ledger would refuse'}, on any schedule`, async () => {
    const schedules = fc.asyncProperty(
      fc.array(stepWith(exact ? anyLimits : allLimits), {
        minLength: 1,
        maxLength: 60,
        size: 'max',
      }),
      async (steps) => {
        await withLimiter((limiter, clock) => compareToLedger(limiter, clock, steps, exact))();
      },
    );
    await expect(fc.assert(schedules, { numRuns })).resolves.toBeUndefined();
  });
}

function scope(kind: ScopeKind, limits: Limits, id = `${kind}-1`): LimitScope {
  return { kind, id, label: id, limits };
}

async function reserve(
  limiter: Limiter,
  scopes: readonly LimitScope[],
  tokens = 0,
  costNanoUsd = 0,
): Promise<Reservation | Refusal> {
  return limiter.reserve({ scopes, tokens, costNanoUsd });
}

function granted(answer: Reservation | Refusal): Reservation {
  if ('refused' in answer) throw new Error(`refused: ${JSON.stringify(answer)}`);
  return answer;
}

function refused(answer: Reservation | Refusal): Refusal {
  if (!('refused' in answer)) throw new Error('granted');
  return answer;
}

type Step =
  | { do: 'wait'; ms: number }
  | { do: 'reserve'; holders: number[]; limits: Limits[]; tokens: number; costNanoUsd: number }
  | { do: 'settle'; which: number; tokens: number; costNanoUsd: number };

const amount = fc.nat({ max: 120 });
const limitKinds = {
  requestsPerMinute: fc.nat({ max: 6 }),
  tokensPerMinute: fc.nat({ max: 200 }),
  parallelRequests: fc.nat({ max: 4 }),
  requestsInTotal: fc.nat({ max: 20 }),
  // Of two budgets with one window the tighter holds; which of the two a refusal names is nobody's concern.
  budgets: fc.uniqueArray(
    fc.record(
      { maxNanoUsd: fc.nat({ max: 200 }), window: fc.constantFrom('30s', '5m', '1h') },
      { requiredKeys: ['maxNanoUsd'] },
    ),
    { maxLength: 2, selector: ({ window }) => window },
  ),
};

/** What no limit asks for is counted at leisure by limiters that are not exact. */
const anyLimits: fc.Arbitrary<Limits> = fc.record(limitKinds, { requiredKeys: [] });
const allLimits: fc.Arbitrary<Limits> = fc.record(limitKinds);

const stepWith = (limits: fc.Arbitrary<Limits>): fc.Arbitrary<Step> =>
  fc.oneof(
    fc.record({
      do: fc.constant('wait' as const),
      ms: fc.oneof(fc.nat({ max: 2000 }), fc.nat({ max: 90_000 })),
    }),
    fc.record({
      do: fc.constant('reserve' as const),
      holders: fc.uniqueArray(fc.nat({ max: 2 }), { maxLength: 3 }),
      limits: fc.array(limits, { minLength: 3, maxLength: 3 }),
      tokens: amount,
      costNanoUsd: amount,
    }),
    fc.record({
      do: fc.constant('settle' as const),
      which: fc.nat({ max: 12 }),
      tokens: amount,
      costNanoUsd: amount,
    }),
  );

type LedgerEntry = {
  atMs: number;
  holders: readonly number[];
  /** Windows of budgets that each holder had when the entry was made. */
  windows: ReadonlyMap<number, ReadonlySet<string>>;
  limited: ReadonlySet<number>;
  /** Holders whose requests in total were limited then: others' are not counted. */
  inTotal: ReadonlySet<number>;
  tokens: number;
  costNanoUsd: number;
  settled?: { atMs: number; tokens: number; costNanoUsd: number };
  reservation: Reservation;
};

/** Runs a schedule against the limiter and against sums over everything that ever happened. */
async function compareToLedger(
  limiter: Limiter,
  clock: ManualClock,
  steps: readonly Step[],
  exact: boolean,
): Promise<void> {
  const ledger: LedgerEntry[] = [];

  for (const next of steps) {
    if (next.do === 'wait') {
      clock.advance(next.ms);
      continue;
    }
    if (next.do === 'settle') {
      const entry = ledger[next.which];
      if (entry === undefined) continue;
      const { tokens, costNanoUsd } = next;
      entry.reservation.settle({ tokens, costNanoUsd });
      entry.settled ??= { atMs: clock.now(), tokens, costNanoUsd };
      continue;
    }

    const scopes = next.holders.map((holder) =>
      scope('user', next.limits[holder] ?? {}, `u${holder}`),
    );
    const blocks = next.holders.flatMap((holder) =>
      blocksOf(ledger, holder, next.limits[holder] ?? {}, next, clock.now()),
    );
    const answer = await limiter.reserve({
      scopes,
      tokens: next.tokens,
      costNanoUsd: next.costNanoUsd,
    });

    if (!('refused' in answer)) {
      expect(blocks).toEqual([]);
      const windows = next.holders.map(
        (holder) =>
          [
            holder,
            new Set((next.limits[holder]?.budgets ?? []).map(({ window }) => window ?? '')),
          ] as const,
      );
      const limited = next.holders.filter(
        (holder) => Object.keys(next.limits[holder] ?? {}).length > 0,
      );
      ledger.push({
        atMs: clock.now(),
        holders: next.holders,
        windows: new Map(windows),
        limited: new Set(limited),
        inTotal: new Set(
          next.holders.filter((holder) => next.limits[holder]?.requestsInTotal !== undefined),
        ),
        tokens: next.tokens,
        costNanoUsd: next.costNanoUsd,
        reservation: answer,
      });
      continue;
    }
    if (!exact) continue;
    const longestMs = Math.max(...blocks.map(({ retryAfterMs }) => retryAfterMs));
    // Of limits that stand equally long any may be named.
    expect(blocks.filter(({ retryAfterMs }) => retryAfterMs === longestMs)).toContainEqual({
      id: answer.scope.id,
      limitType: answer.limitType,
      limit: answer.limit,
      remaining: answer.remaining,
      retryAfterMs: answer.retryAfterMs,
    });
  }
}

type Block = Pick<Refusal, 'limitType' | 'limit' | 'remaining' | 'retryAfterMs'> & { id: string };

/** Every limit of one holder that stands against a request, by the ledger. */
function blocksOf(
  ledger: readonly LedgerEntry[],
  holder: number,
  { requestsPerMinute, tokensPerMinute, parallelRequests, requestsInTotal, budgets }: Limits,
  request: { tokens: number; costNanoUsd: number },
  nowMs: number,
): Block[] {
  const blocks: Block[] = [];
  const block = (
    limitType: Refusal['limitType'],
    limit: number,
    used: number,
    retryAfterMs: number,
  ) => {
    const id = `u${holder}`;
    const waitMs = limit > 0 ? retryAfterMs : Number.POSITIVE_INFINITY;
    blocks.push({
      id,
      limitType,
      limit,
      remaining: Math.max(0, limit - used),
      retryAfterMs: waitMs,
    });
  };
  const entries = ledger.filter((entry) => entry.limited.has(holder));
  const minuteStartMs = nowMs - (nowMs % 60_000);
  const minute = { startMs: minuteStartMs, endMs: minuteStartMs + 60_000 };
  const within = (atMs: number, window: { startMs: number; endMs: number }) =>
    atMs >= window.startMs && atMs < window.endMs;

  const requests = entries.filter((entry) => within(entry.atMs, minute)).length;
  if (requestsPerMinute !== undefined && requests + 1 > requestsPerMinute) {
    block('requests', requestsPerMinute, requests, minute.endMs - nowMs);
  }

  /** The estimate counts where it was granted; a rest returns there while it lasts, an excess counts where it came up. */
  const usedIn = (
    window: { startMs: number; endMs: number },
    windowOf: (atMs: number) => number,
    of: 'tokens' | 'costNanoUsd',
    among: readonly LedgerEntry[],
  ) =>
    among.reduce((sum, entry) => {
      const { settled } = entry;
      const more = settled === undefined ? 0 : settled[of] - entry[of];
      const isSame = settled !== undefined && windowOf(settled.atMs) === windowOf(entry.atMs);
      const moreAtMs = more > 0 || isSame ? settled?.atMs : undefined;
      return (
        sum +
        (within(entry.atMs, window) ? entry[of] : 0) +
        (moreAtMs !== undefined && within(moreAtMs, window) ? more : 0)
      );
    }, 0);

  const tokens = usedIn(minute, (atMs) => Math.floor(atMs / 60_000), 'tokens', entries);
  if (tokensPerMinute !== undefined && stands(tokens, request.tokens, tokensPerMinute)) {
    block('tokens', tokensPerMinute, tokens, minute.endMs - nowMs);
  }

  const inFlight = entries.filter((entry) => entry.settled === undefined).length;
  if (parallelRequests !== undefined && inFlight + 1 > parallelRequests) {
    block('max_parallel_requests', parallelRequests, inFlight, 1000);
  }

  const inTotal = entries.filter((entry) => entry.inTotal.has(holder)).length;
  if (requestsInTotal !== undefined && inTotal + 1 > requestsInTotal) {
    block('requests', requestsInTotal, inTotal, Number.POSITIVE_INFINITY);
  }

  for (const { maxNanoUsd, window } of budgets ?? []) {
    const ends = { startMs: Number.NEGATIVE_INFINITY, endMs: Number.POSITIVE_INFINITY };
    const bounds = window === undefined ? ends : budgetWindow(nowMs, window);
    const spent = usedIn(
      bounds,
      (atMs) => (window === undefined ? 0 : budgetWindow(atMs, window).startMs),
      'costNanoUsd',
      entries.filter((entry) => entry.windows.get(holder)?.has(window ?? '')),
    );
    if (request.costNanoUsd > 0 && stands(spent, request.costNanoUsd, maxNanoUsd)) {
      block('budget', maxNanoUsd, spent, bounds.endMs - nowMs);
    }
  }
  return blocks;
}

function stands(used: number, more: number, limit: number): boolean {
  return limit === 0 || used >= limit || (used !== 0 && used + more > limit);
}
