import { describe, expect, it } from 'vitest';
import { median, quantile, slope } from './statistics.ts';

describe('statistics of windows', () => {
  it('takes the nearest rank for a quantile and does not reorder its input', () => {
    const values = [5, 1, 4, 2, 3];
    expect([0, 0.5, 0.9, 1].map((share) => quantile(values, share))).toEqual([1, 3, 5, 5]);
    expect(values).toEqual([5, 1, 4, 2, 3]);
    expect(() => quantile([], 0.5)).toThrow(RangeError);
  });

  it('takes the mean of the two middle values of an even number', () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([9, 1, 5])).toBe(5);
    expect(() => median([])).toThrow(RangeError);
  });

  it('finds the slope of a line through its points', () => {
    expect(slope([0, 1, 2, 3].map((x) => ({ x, y: 7 - 2 * x })))).toBeCloseTo(-2);
    expect(() => slope([{ x: 1, y: 1 }])).toThrow(RangeError);
  });
});
