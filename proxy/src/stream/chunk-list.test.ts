import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChunkList } from './chunk-list.ts';

function listOf(chunks: readonly Buffer[]): ChunkList {
  const list = new ChunkList();
  for (const chunk of chunks) list.push(chunk);
  return list;
}

describe('ChunkList', () => {
  it('gives the bytes back in their order, whatever the sizes of the chunks', () => {
    const sizes = fc.array(fc.oneof(fc.constant(1), fc.nat(2000)), { maxLength: 40 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 80 }), (some, times) => {
        const chunks = Array.from({ length: times }, () => some)
          .flat()
          .map((size, index) => Buffer.alloc(size, index % 256));
        const list = listOf(chunks);
        expect(list.bytes().equals(Buffer.concat(chunks))).toBe(true);
        expect(list.size).toBe(Buffer.concat(chunks).length);
      }),
    );
  });

  it('does not copy a body that came in one piece', () => {
    const chunk = Buffer.from('{}');
    expect(listOf([chunk]).bytes()).toBe(chunk);
  });
});
