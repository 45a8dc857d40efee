import { expect, it } from 'vitest';
import { isNearlyExact } from './earlier-use.ts';

const utc = { timezone: 'UTC', budgetResetTime: '00:00' };
const kolkata = { timezone: 'Asia/Kolkata', budgetResetTime: '00:00' };
const used = { kind: 'api_key', id: 'k', usedNanoUsd: 1 } as const;
const at = (text: string) => Date.parse(text);

it.each([
  ['requests in total', { kind: 'api_key', id: 'k', requestsInTotal: 1 } as const, utc, true],
  ['a budget that never resets', used, utc, true],
  ['an hour', { ...used, window: '1h', startMs: at('2026-11-21T10:00:00Z') }, utc, true],
  ['a minute', { ...used, window: '1m', startMs: at('2026-11-21T10:07:00Z') }, utc, false],
  [
    'an hour off the hour',
    { ...used, window: '1h', startMs: at('2026-11-21T10:30:00Z') },
    kolkata,
    false,
  ],
  [
    'a day off the hour',
    { ...used, window: '1d', startMs: at('2026-11-20T18:30:00Z') },
    kolkata,
    true,
  ],
])(
  'of %s the sum of whole hours is or is not told of a window that goes on',
  (_, use, calendar, is) => {
    expect(isNearlyExact(use, calendar)).toBe(is);
  },
);
