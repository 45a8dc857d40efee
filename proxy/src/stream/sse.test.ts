import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SseEvent } from '../bridge/bridge.ts';
import { formatSseEvent, SseParser } from './sse.ts';

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
});
