import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ResponseReader } from './response-reader.ts';

const fixed = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx: y\r\n\r\nhello';
const chunked = 'HTTP/1.1 429 Too Many\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n';
const empty = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n';
const none = 'HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n';

describe('reading the end of responses', () => {
  it('finds each end and status however the bytes are split', () => {
    const responses = [fixed, chunked, empty, none, fixed];
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sizes) => {
        const reader = new ResponseReader();
        let turn = 0;
        const seen = responses.map((response) => {
          const ends: number[] = [];
          for (let at = 0; at < response.length;) {
            const size = sizes[turn++ % sizes.length]!;
            if (reader.push(Buffer.from(response.slice(at, at + size)))) ends.push(at + size);
            at += size;
          }
          expect(ends.map((end) => end >= response.length)).toEqual([true]);
          expect(reader.bytes).toBe(response.length);
          return reader.status;
        });
        expect(seen).toEqual([200, 429, 200, 204, 200]);
      }),
    );
  });

  it('refuses a response whose end only the closing of the connection shows', () => {
    expect(() => new ResponseReader().push(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'))).toThrow(
      /without a length/,
    );
  });
});
