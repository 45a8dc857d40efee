import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventFilter } from './event-filter.ts';
import { EventTooLongError, maxEventBytes } from './sse.ts';

function run(filter: EventFilter, chunks: readonly Buffer[]): string {
  const written = chunks.map((chunk) => filter.push(chunk));
  written.push(filter.end());
  return Buffer.concat(written.filter((bytes) => bytes !== undefined)).toString();
}

function bytewise(text: string): Buffer[] {
  return [...Buffer.from(text)].map((byte) => Buffer.from([byte]));
}

describe('EventFilter', () => {
  it('passes blocks without a needle on as the very bytes that came', () => {
    const filter = new EventFilter(
      (block) => block.includes('drop'),
      () => '',
    );
    const chunk = Buffer.from(': comment\ndata:  odd  spacing\n\n');
    expect(filter.push(chunk)).toEqual(chunk);
  });

  it('drops and replaces only the events that its rewrite names', () => {
    const filter = new EventFilter(
      (block) => block.includes('"usage"'),
      (event) => {
        if (event.data.includes('"usage"')) return '';
        return undefined;
      },
    );
    const text = 'data: {"a":1}\n\ndata: {"usage":1}\n\ndata: [DONE]\n\n';
    expect(run(filter, [Buffer.from(text)])).toBe('data: {"a":1}\n\ndata: [DONE]\n\n');
  });

  it('leaves the events beside one that it rewrites as the bytes that came', () => {
    const filter = new EventFilter(
      (block) => block.includes('needle'),
      (event) => (event.data === 'needle' ? 'data: found\n\n' : undefined),
    );
    const before = ': comment\ndata:  odd  spacing\n\n\n\n';
    const after = 'data:x\n\n\n';
    expect(run(filter, [Buffer.from(`${before}data: needle\n\n${after}`)])).toBe(
      `${before}data: found\n\n${after}`,
    );
  });

  it('gives the same text for any split and for CRLF', () => {
    const text = ['a', 'b', 'needle', 'ü€', 'c']
      .map((data) => `event: e\ndata: ${data}\n\n`)
      .join('');
    const expected = text.replace('event: e\ndata: needle\n\n', 'data: found\n\n');
    const filter = () =>
      new EventFilter(
        (block) => block.includes('needle'),
        (event) => (event.data === 'needle' ? 'data: found\n\n' : undefined),
      );
    expect(run(filter(), bytewise(text))).toBe(expected);
    expect(run(filter(), bytewise(text.replaceAll('\n', '\r\n')))).toBe(expected);
    fc.assert(
      fc.property(fc.nat({ max: text.length }), fc.nat({ max: text.length }), (a, b) => {
        const bytes = Buffer.from(text);
        const [first, second] = [Math.min(a, b), Math.max(a, b)];
        const chunks = [
          bytes.subarray(0, first),
          bytes.subarray(first, second),
          bytes.subarray(second),
        ];
        expect(run(filter(), chunks)).toBe(expected);
      }),
    );
  });

  it('leaves out an event that the end of the stream cut', () => {
    const filter = (line: string) =>
      run(
        new EventFilter(
          () => false,
          () => undefined,
        ),
        bytewise(line),
      );
    expect(filter('data: {"a":1}\n\ndata: {"b"')).toBe('data: {"a":1}\n\n');
    expect(filter('data: {"a":1}\r\n\r\ndata: {"b"')).toBe('data: {"a":1}\n\n');
  });

  it('closes a whole event whose blank line is missing at the end', () => {
    const end = (text: string) =>
      run(
        new EventFilter(
          () => false,
          () => undefined,
        ),
        [Buffer.from(text)],
      );
    expect(end('data: {"a":1}\n\ndata: [DONE]')).toBe('data: {"a":1}\n\ndata: [DONE]\n\n');
    expect(end('event: e\ndata: {"b":1}\n')).toBe('event: e\ndata: {"b":1}\n\n');
  });

  it('joins an event that comes in many pieces in one pass', () => {
    const filter = new EventFilter(
      () => false,
      () => undefined,
    );
    const piece = Buffer.alloc(4096, 'x');
    for (let count = 0; count < 10_000; count += 1) expect(filter.push(piece)).toBeUndefined();
    expect(filter.push(Buffer.from('\n'))).toBeUndefined();
    expect(filter.push(Buffer.from('\n'))).toHaveLength(40_960_002);
  });

  it('gives an event up that never ends', () => {
    const filter = new EventFilter(
      () => false,
      () => undefined,
    );
    const piece = Buffer.from(`data: ${'x'.repeat(1_000_000)}\n`);
    expect(() => {
      for (let sent = 0; sent <= maxEventBytes; sent += piece.length) filter.push(piece);
    }).toThrow(EventTooLongError);
  });
});
