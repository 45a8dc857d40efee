import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { filledBy, matchesPattern } from './wildcard.ts';

describe('patterns', () => {
  const text = fc.stringMatching(/^[ab/.*]{0,12}$/);

  it('match as the equivalent regular expression does', () => {
    fc.assert(
      fc.property(text, fc.stringMatching(/^[ab/.]{0,12}$/), (pattern, name) => {
        const source = pattern
          .split('*')
          .map((part) => part.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&'))
          .join('.*');
        expect(matchesPattern(pattern, name)).toBe(new RegExp(`^${source}$`).test(name));
      }),
      { numRuns: 2_000 },
    );
  });

  it('are filled so that the name comes out again', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (head, tail, middle) => {
        fc.pre(!head.includes('*') && !tail.includes('*'));
        expect(filledBy(`${head}*${tail}`, head + middle + tail)).toBe(middle);
      }),
    );
  });
});
