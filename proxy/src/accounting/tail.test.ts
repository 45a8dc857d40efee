import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Tail } from './tail.ts';

describe('tail', () => {
  it('is the end of what passed, at least as long as asked for and at most one chunk longer', () => {
    const chunk = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 300 }), fc.nat({ max: 200 }), (chunks, minBytes) => {
        const tail = new Tail(minBytes);
        for (const piece of chunks) tail.push(piece);
        const all = Buffer.concat(chunks);
        const bytes = tail.bytes();
        expect(tail.seenBytes).toBe(all.length);
        expect(bytes).toEqual(all.subarray(all.length - bytes.length));
        expect(bytes.length).toBeGreaterThanOrEqual(Math.min(minBytes, all.length));
        expect(bytes.length).toBeLessThanOrEqual(minBytes + 40);
      }),
    );
  });

  it('hands out a lone chunk itself, not a copy', () => {
    const tail = new Tail();
    const chunk = Buffer.from('{}');
    tail.push(chunk);
    expect(tail.bytes()).toBe(chunk);
  });
});
