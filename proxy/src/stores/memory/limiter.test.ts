import { describe, expect, it } from 'vitest';
import type { LimitScope, Limits, ScopeKind } from '@aigateway/contract/limits';
import { describeLimiter, ManualClock } from '../../../test/conformance/limiter-conformance.ts';
import { createMemoryLimiter } from './limiter.ts';

describeLimiter('memory limiter', {
  create: (clock, calendar) => {
    const limiter = createMemoryLimiter({ clock, calendar: () => calendar });
    return { limiter, setSpend: (...spend) => limiter.setSpend(...spend) };
  },
  exact: true,
});

const noon = Date.UTC(2026, 10, 21, 12);

function scope(kind: ScopeKind, id: string, limits: Limits): LimitScope {
  return { kind, id, label: id, limits };
}

describe('memory limiter', () => {
  it('remembers holders in proportion to those in use, not to those ever seen', () => {
    const clock = new ManualClock(noon);
    const limiter = createMemoryLimiter({ clock });
    for (let minute = 0; minute < 50; minute += 1) {
      for (let user = 0; user < 200; user += 1) {
        const user_ = scope('end_user', `${minute}/${user}`, { requestsPerMinute: 5 });
        const answer = limiter.reserve({ scopes: [user_], tokens: 1, costNanoUsd: 0 });
        if ('settle' in answer) answer.settle({ tokens: 1, costNanoUsd: 0 });
      }
      clock.advance(60_000);
    }
    expect(limiter.size).toBeLessThan(3 * 200);
  });

  it('never forgets a call in flight nor money spent in a window that lasts', () => {
    const clock = new ManualClock(noon);
    const limiter = createMemoryLimiter({ clock });
    const busy = scope('end_user', 'busy', { parallelRequests: 1 });
    const spender = scope('end_user', 'spender', { budgets: [{ maxNanoUsd: 10, window: '30d' }] });
    limiter.reserve({ scopes: [busy, spender], tokens: 0, costNanoUsd: 10 });
    for (let user = 0; user < 1000; user += 1) {
      clock.advance(60_000);
      const passing = scope('end_user', `${user}`, { requestsPerMinute: 5 });
      limiter.reserve({ scopes: [passing], tokens: 0, costNanoUsd: 0 });
    }
    const again = { tokens: 0, costNanoUsd: 1 };
    expect(limiter.reserve({ ...again, scopes: [busy] })).toMatchObject({ refused: true });
    expect(limiter.reserve({ ...again, scopes: [spender] })).toMatchObject({ refused: true });
  });

  it('starts with earlier spend, so that a restart does not hand out a budget anew', () => {
    const clock = new ManualClock(noon);
    const before = createMemoryLimiter({ clock });
    const key = scope('api_key', 'k', {
      budgets: [{ maxNanoUsd: 100, window: '1d' }, { maxNanoUsd: 1000 }],
    });
    before.reserve({ scopes: [key], tokens: 0, costNanoUsd: 90 });

    const after = createMemoryLimiter({ clock });
    for (const { kind, id, budgets } of before.snapshot()) {
      for (const budget of budgets) after.seed({ kind, id, ...budget });
    }
    const call = { scopes: [key], tokens: 0, costNanoUsd: 11 };
    expect(after.reserve(call)).toMatchObject({ refused: true, limit: 100, remaining: 10 });
    clock.advance(86_400_000);
    expect(after.reserve(call)).not.toHaveProperty('refused');
  });

  it('does not take up spend of a window that is over', () => {
    const clock = new ManualClock(noon);
    const limiter = createMemoryLimiter({ clock });
    limiter.seed({
      kind: 'team',
      id: 't',
      window: '1d',
      startMs: noon - 86_400_000,
      usedNanoUsd: 9,
    });
    expect(limiter.snapshot()[0]?.budgets[0]?.usedNanoUsd).toBe(0);
  });

  it('resets budgets at the configured time of the configured zone', () => {
    const clock = new ManualClock(noon);
    let calendar = { timezone: 'Europe/Berlin', budgetResetTime: '15:30' };
    const limiter = createMemoryLimiter({ clock, calendar: () => calendar });
    const key = scope('api_key', 'k', { budgets: [{ maxNanoUsd: 5, window: '1d' }] });
    const call = { scopes: [key], tokens: 0, costNanoUsd: 5 };
    limiter.reserve(call);
    expect(limiter.reserve(call)).toMatchObject({ retryAfterMs: 2.5 * 3_600_000 });
    // A configuration read anew holds from the next window on.
    calendar = { timezone: 'UTC', budgetResetTime: '00:00' };
    clock.advance(2.5 * 3_600_000);
    limiter.reserve(call);
    expect(limiter.reserve(call)).toMatchObject({ retryAfterMs: 9.5 * 3_600_000 });
  });

  it('counts from what the spend was set to, and calls in flight do no harm later', () => {
    const limiter = createMemoryLimiter({ clock: new ManualClock(noon) });
    const key = scope('api_key', 'k', { parallelRequests: 1, budgets: [{ maxNanoUsd: 5 }] });
    const call = { scopes: [key], tokens: 0, costNanoUsd: 5 };
    const first = limiter.reserve(call);
    limiter.setSpend('api_key', 'k', 0);
    expect(limiter.reserve(call)).toMatchObject({ limitType: 'max_parallel_requests' });
    if ('settle' in first) first.settle({ tokens: 0, costNanoUsd: 0 });
    expect(limiter.reserve(call)).not.toHaveProperty('refused');
    expect(limiter.snapshot()[0]?.budgets).toEqual([{ usedNanoUsd: 5 }]);
  });

  it('sets the spend of every window that it lies in, whether it was counted by then or not', () => {
    const clock = new ManualClock(noon);
    const limiter = createMemoryLimiter({ clock });
    const budgets = [{ maxNanoUsd: 10 }, { maxNanoUsd: 10, window: '1d' }];
    const call = { scopes: [scope('api_key', 'k', { budgets })], tokens: 0, costNanoUsd: 3 };
    limiter.setSpend('api_key', 'k', 8);
    expect(limiter.reserve(call)).toMatchObject({ refused: true, remaining: 2 });
    limiter.setSpend('api_key', 'k', 7);
    expect(limiter.reserve(call)).not.toHaveProperty('refused');
    limiter.setSpend('api_key', 'k', 0);
    clock.advance(86_400_000);
    limiter.reserve(call);
    const used = limiter.snapshot()[0]?.budgets.map(({ usedNanoUsd }) => usedNanoUsd);
    expect(used).toEqual([3, 3]);
  });

  it('does not hand out a minute twice when the clock steps back a little', () => {
    const clock = new ManualClock(noon);
    const limiter = createMemoryLimiter({ clock });
    const key = scope('api_key', 'k', { requestsPerMinute: 1 });
    const call = { scopes: [key], tokens: 0, costNanoUsd: 0 };
    limiter.reserve(call);
    clock.advance(-1000);
    expect(limiter.reserve(call)).toMatchObject({ refused: true, retryAfterMs: 60_000 });
  });

  it('follows a clock that was far ahead back to the right time', () => {
    const clock = new ManualClock(noon + 86_400_000);
    const limiter = createMemoryLimiter({ clock });
    const key = scope('api_key', 'k', { requestsPerMinute: 1 });
    const call = { scopes: [key], tokens: 0, costNanoUsd: 0 };
    limiter.reserve(call);
    clock.advance(-86_400_000);
    expect(limiter.reserve(call)).not.toHaveProperty('refused');
    expect(limiter.reserve(call)).toMatchObject({ retryAfterMs: 60_000 });
  });

  it('refuses an estimate that is not an amount and settles one as estimated', () => {
    const limiter = createMemoryLimiter({ clock: new ManualClock(noon) });
    const key = scope('api_key', 'k', { tokensPerMinute: 100 });
    expect(() => limiter.reserve({ scopes: [key], tokens: Number.NaN, costNanoUsd: 0 })).toThrow(
      RangeError,
    );
    const held = limiter.reserve({ scopes: [key], tokens: 60, costNanoUsd: 0 });
    if ('settle' in held) held.settle({ tokens: Number.NaN, costNanoUsd: -1 });
    expect(limiter.snapshot()).toMatchObject([{ tokens: 60, inFlight: 0 }]);
  });
});
