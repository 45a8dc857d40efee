import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { estimateTokens, firstTokens, pieces } from './tokens.ts';

describe('tokens', () => {
  it('cut a text into pieces that add up, none of them through a character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 9 }), (text, size) => {
        const cut = pieces(text, size);
        expect(cut.join('')).toBe(text);
        expect(cut.every((piece) => piece.isWellFormed())).toBe(true);
        expect(cut.slice(0, -1).every((piece) => Array.from(piece).length === size)).toBe(true);
      }),
    );
  });

  it('are a quarter of the code points, rounded up', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(estimateTokens(text)).toBe(Math.ceil(Array.from(text).length / 4));
      }),
    );
  });

  it('limit a text to at most as many', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(20), (text, limit) => {
        expect(estimateTokens(firstTokens(text, limit))).toBe(
          Math.min(limit, estimateTokens(text)),
        );
      }),
    );
  });
});
