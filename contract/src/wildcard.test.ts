import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entryFor, filledBy, matchesPattern } from './wildcard.ts';

describe('the entry for a name', () => {
  it.each([
    ['gpt-4o', 'gpt-4o'],
    ['gpt-4o-mini', 'gpt-4o*'],
    ['gpt-4.1', 'gpt-4*'],
    ['GPT-4.1', '*'],
  ])('of %s is the most specific: %s', (name, entry) => {
    expect(entryFor(['*', 'gpt-4*', 'gpt-4o*', 'gpt-4o'], name)).toBe(entry);
  });

  it('is none where nothing matches', () => {
    expect(entryFor(['gpt-4*', 'o3'], 'o4-mini')).toBeUndefined();
  });
});

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
