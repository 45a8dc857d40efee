import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { budgetWindow, durationMs, isTimeZone, parseDuration, parseResetTime } from './duration.ts';

const at = (text: string) => Date.parse(text);
const show = (window: { startMs: number; endMs: number }) =>
  [window.startMs, window.endMs].map((ms) => new Date(ms).toISOString());

describe('parseDuration', () => {
  it.each([
    ['30s', { unit: 'second', count: 30 }],
    ['5m', { unit: 'second', count: 300 }],
    ['1h', { unit: 'second', count: 3600 }],
    ['hourly', { unit: 'second', count: 3600 }],
    ['24h', { unit: 'day', count: 1 }],
    ['1440m', { unit: 'day', count: 1 }],
    ['daily', { unit: 'day', count: 1 }],
    ['7d', { unit: 'day', count: 7 }],
    ['1w', { unit: 'day', count: 7 }],
    ['weekly', { unit: 'day', count: 7 }],
    ['30d', { unit: 'month', count: 1 }],
    ['1mo', { unit: 'month', count: 1 }],
    [' Monthly ', { unit: 'month', count: 1 }],
    ['90d', { unit: 'day', count: 90 }],
    ['3mo', { unit: 'month', count: 3 }],
  ])('reads %s', (text, expected) => {
    expect(parseDuration(text)).toEqual(expected);
  });

  it.each(['', '0d', '1y', '1', 'd', '-1d', '1.5h', '1 d', '1dd', 'yearly', '99999999w', '999mo'])(
    'refuses %j',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );
});

it('gives the length of a key’s life in exact milliseconds', () => {
  expect(durationMs('90d')).toBe(90 * 86_400_000);
  expect(durationMs('60s')).toBe(60_000);
  expect(durationMs('1mo')).toBe(30 * 86_400_000);
  expect(durationMs('soon')).toBeUndefined();
});

it('reads times of day from 00:00 to 23:59 only', () => {
  expect(parseResetTime('09:30')).toEqual({ hour: 9, minute: 30 });
  expect(parseResetTime('24:00')).toBeUndefined();
  expect(parseResetTime('9')).toBeUndefined();
});

it('knows IANA time zones', () => {
  expect(isTimeZone('Africa/Johannesburg')).toBe(true);
  expect(isTimeZone('Mars/Olympus')).toBe(false);
});

describe('budgetWindow', () => {
  // Saturday
  const now = at('2026-11-21T01:00:07Z');
  it.each([
    ['30s', '2026-11-21T01:00:00.000Z', '2026-11-21T01:00:30.000Z'],
    ['5m', '2026-11-21T01:00:00.000Z', '2026-11-21T01:05:00.000Z'],
    ['1h', '2026-11-21T01:00:00.000Z', '2026-11-21T02:00:00.000Z'],
    ['12h', '2026-11-21T00:00:00.000Z', '2026-11-21T12:00:00.000Z'],
    ['24h', '2026-11-21T00:00:00.000Z', '2026-11-22T00:00:00.000Z'],
    ['7d', '2026-11-16T00:00:00.000Z', '2026-11-23T00:00:00.000Z'],
    ['weekly', '2026-11-16T00:00:00.000Z', '2026-11-23T00:00:00.000Z'],
    ['30d', '2026-11-01T00:00:00.000Z', '2026-12-01T00:00:00.000Z'],
    ['monthly', '2026-11-01T00:00:00.000Z', '2026-12-01T00:00:00.000Z'],
    ['3mo', '2026-10-01T00:00:00.000Z', '2027-01-01T00:00:00.000Z'],
  ])('aligns %s to the calendar in UTC', (window, start, end) => {
    expect(show(budgetWindow(now, window))).toEqual([start, end]);
  });

  it('starts days at the reset time of the time zone', () => {
    expect(show(budgetWindow(now, '1d', 'Africa/Johannesburg', '06:00'))).toEqual([
      '2026-11-20T04:00:00.000Z',
      '2026-11-21T04:00:00.000Z',
    ]);
  });

  it('stays in last month until the reset time of the first', () => {
    expect(show(budgetWindow(at('2026-12-01T05:00:00Z'), '1mo', 'UTC', '08:00'))).toEqual([
      '2026-11-01T08:00:00.000Z',
      '2026-12-01T08:00:00.000Z',
    ]);
  });

  it('makes a 25 hour day when clocks go back', () => {
    const { startMs, endMs } = budgetWindow(at('2026-10-25T12:00:00Z'), '1d', 'Europe/Berlin');
    expect(endMs - startMs).toBe(25 * 3_600_000);
  });

  it('always holds the instant, and windows join without gap or overlap', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: at('2000-01-01T00:00:00Z'), max: at('2060-01-01T00:00:00Z') }),
        fc.oneof(
          fc.constantFrom('hourly', 'daily', 'weekly', 'monthly'),
          fc
            .tuple(fc.integer({ min: 1, max: 100 }), fc.constantFrom('s', 'm', 'h', 'd', 'w', 'mo'))
            .map(([count, unit]) => `${count}${unit}`),
        ),
        fc.constantFrom(
          'UTC',
          'Europe/Berlin',
          'America/New_York',
          'Asia/Kolkata',
          'Australia/Lord_Howe',
          // Zones that have set their clocks forward at midnight, and one that has left out a day.
          'America/Sao_Paulo',
          'Africa/Cairo',
          'Pacific/Apia',
        ),
        fc.constantFrom('00:00', '02:30', '12:00', '23:59'),
        (nowMs, window, timezone, resetTime) => {
          const current = budgetWindow(nowMs, window, timezone, resetTime);
          expect(current.startMs).toBeLessThanOrEqual(nowMs);
          expect(current.endMs).toBeGreaterThan(nowMs);
          expect(budgetWindow(current.startMs, window, timezone, resetTime)).toEqual(current);
          expect(budgetWindow(current.endMs - 1, window, timezone, resetTime)).toEqual(current);
          const before = budgetWindow(current.startMs - 1, window, timezone, resetTime);
          expect(before.endMs).toBe(current.startMs);
          const next = budgetWindow(current.endMs, window, timezone, resetTime);
          expect(next.startMs).toBe(current.endMs);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('refuses what the configuration would have refused', () => {
    expect(() => budgetWindow(now, '1y')).toThrow(RangeError);
    expect(() => budgetWindow(now, '1d', 'Mars/Olympus')).toThrow(RangeError);
    expect(() => budgetWindow(now, '1d', 'UTC', '25:00')).toThrow(RangeError);
  });
});
