import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { announcedWaitMs } from './announced-wait.ts';

const now = Date.parse('2026-11-10T09:00:00Z');

describe('announcedWaitMs', () => {
  it.each<[string, Record<string, string>, string, number | null]>([
    ['nothing', {}, 'no', null],
    ['milliseconds', { 'retry-after-ms': '1480' }, '', 1480],
    ['seconds', { 'retry-after': '2' }, '', 2000],
    ['zero', { 'retry-after-ms': '0' }, '', 0],
    [
      'the precise one of two that differ by rounding',
      { 'retry-after': '7', 'retry-after-ms': '6810' },
      '',
      6810,
    ],
    [
      'the longer one of two that differ',
      { 'retry-after': '60', 'retry-after-ms': '10' },
      '',
      60_000,
    ],
    [
      'the text when it is longer',
      { 'retry-after': '1' },
      'Please retry after 30 seconds.',
      30_000,
    ],
    [
      'the header when it is longer',
      { 'retry-after': '40' },
      'Please retry after 30 seconds.',
      40_000,
    ],
    ['a day at most', { 'retry-after': '999999' }, '', 86_400_000],
    [
      'a date by the answer’s own clock',
      { 'retry-after': 'Tue, 10 Nov 2026 10:00:30 GMT', date: 'Tue, 10 Nov 2026 10:00:00 GMT' },
      '',
      30_000,
    ],
    ['a date by ours', { 'retry-after': 'Tue, 10 Nov 2026 09:00:05 GMT' }, '', 5000],
    ['a date that has passed', { 'retry-after': 'Tue, 10 Nov 2026 08:00:00 GMT' }, '', 0],
    ['nonsense', { 'retry-after': 'soon', 'retry-after-ms': '-5' }, 'retry after tea', null],
    ['compound text', {}, 'Please try again in 6m0s.', 360_000],
    ['fractions', {}, 'Please try again in 11.054s. Visit x', 11_054],
    ['milliseconds in text', {}, 'Try again in 250ms', 250],
    ['milliseconds in words', {}, 'Try again in 250 milliseconds', 250],
    ['a bare number', {}, 'retry after 5.', 5000],
    ['the longest of several', {}, 'Try again in 5 seconds. Retry after 2 minutes.', 120_000],
    ['an unknown unit', {}, 'retry after 5 tokens', null],
    [
      'an exhausted limit’s reset',
      { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '6m0s' },
      '',
      360_000,
    ],
    [
      'no reset of a limit with something left',
      { 'x-ratelimit-remaining-tokens': '5', 'x-ratelimit-reset-tokens': '10' },
      '',
      null,
    ],
    [
      'the later of two resets',
      { 'x-ratelimit-reset-tokens': '10', 'x-ratelimit-reset-requests': '20' },
      '',
      20_000,
    ],
    [
      'the announcement rather than a reset',
      { 'retry-after': '1', 'x-ratelimit-reset-tokens': '50' },
      '',
      1000,
    ],
  ])('reads %s', (_, headers, message, expected) => {
    expect(announcedWaitMs(headers, message, now)).toBe(expected);
  });

  it('is null or between nothing and a day for any text', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string().map((tail) => `retry after ${tail}`),
    );
    fc.assert(
      fc.property(text, text, (header, message) => {
        const wait = announcedWaitMs(
          { 'retry-after': header, 'retry-after-ms': header, 'x-ratelimit-reset-tokens': header },
          message,
          now,
        );
        expect(wait === null || (Number.isInteger(wait) && wait >= 0 && wait <= 86_400_000)).toBe(
          true,
        );
      }),
    );
  });
});
