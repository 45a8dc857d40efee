import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SseEvent } from '../bridge/bridge.ts';
import { EventTooLongError, formatSseEvent, maxEventBytes, SseParser } from './sse.ts';

function parse(chunks: Buffer[]): SseEvent[] {
  const events: SseEvent[] = [];
  const parser = new SseParser((event) => events.push(event));
  for (const chunk of chunks) parser.push(chunk);
  parser.end();
  return events;
}

function split(bytes: Buffer, cuts: number[]): Buffer[] {
  const points = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted(
    (a, b) => a - b,
  );
  return points.slice(1).map((point, index) => bytes.subarray(points[index], point));
}

describe('SseParser', () => {
  it('reads names, joined data lines and ignores comments', () => {
    const text = ': ping\n\nevent: a\ndata: 1\ndata: 2\n\ndata:x\nid: 7\n\n: end\n\n';
    expect(parse([Buffer.from(text)])).toEqual([
      { event: 'a', data: '1\n2' },
      { event: '', data: 'x' },
    ]);
  });

  it('gives a last event whose blank line is missing', () => {
    expect(parse([Buffer.from('data: [DONE]')])).toEqual([{ event: '', data: '[DONE]' }]);
  });

  it('gives the same events for any split and any line end', () => {
    const event = fc.record({
      event: fc.constantFrom('', 'response.created', 'error'),
      data: fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify({ text })),
    });
    fc.assert(
      fc.property(
        fc.array(event),
        fc.array(fc.nat()),
        fc.constantFrom('\n', '\r\n', '\r'),
        (events, cuts, lineEnd) => {
          const text = events.map(formatSseEvent).join('').replaceAll('\n', lineEnd);
          expect(parse(split(Buffer.from(text), cuts))).toEqual(events);
        },
      ),
    );
  });

  it('reads a line that comes in many pieces in one pass', () => {
    const events: SseEvent[] = [];
    const parser = new SseParser((event) => events.push(event));
    const piece = Buffer.alloc(4096, 'x');
    parser.push(Buffer.from('data: '));
    for (let count = 0; count < 10_000; count += 1) parser.push(piece);
    parser.push(Buffer.from('\n\n'));
    expect(events.map(({ data }) => data.length)).toEqual([40_960_000]);
  });

  it.each([
    ['one line', 'x'],
    ['many lines', `data: ${'x'.repeat(100)}\n`],
  ])('gives an event up that never ends: %s', (_, text) => {
    const parser = new SseParser(() => {});
    const piece = Buffer.from(text.repeat(1_000_000 / text.length));
    const pushes = Math.ceil(maxEventBytes / piece.length) + 10;
    expect(() => {
      for (let count = 0; count < pushes; count += 1) parser.push(piece);
    }).toThrow(EventTooLongError);
  });
});
