import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bridged, contextOf, fixture } from '../../test/fixtures/bridge/replay.ts';
import { chatOverResponses } from './chat-responses.ts';
import { responsesOverChat } from './responses-chat.ts';

const fixtures = new URL('../../test/fixtures/bridge/', import.meta.url);

function names(operation: 'chat' | 'responses'): string[] {
  return readdirSync(new URL(`${operation}/`, fixtures))
    .filter((file) => file.endsWith('.sse') && !file.endsWith('.bridged.sse'))
    .map((file) => file.slice(0, -'.sse'.length));
}

const directions = [
  {
    operation: 'responses' as const,
    bridge: chatOverResponses,
    request: { messages: [], stream: true, stream_options: { include_usage: true } },
  },
  {
    operation: 'chat' as const,
    bridge: responsesOverChat,
    request: { input: 'Hi', stream: true, tools: [{ type: 'function', name: 'get_weather' }] },
  },
];

describe.each(directions)('a $operation stream', ({ operation, bridge, request }) => {
  const context = contextOf(request);

  it.each(names(operation))('is bridged as recorded: %s', async (name) => {
    const text = bridged(bridge, context, [Buffer.from(fixture(operation, name))]);
    await expect(text).toMatchFileSnapshot(
      new URL(`${operation}/${name}.bridged.sse`, fixtures).pathname,
    );
  });

  it.each(names(operation))('gives the same events however its bytes are split: %s', (name) => {
    const bytes = Buffer.from(fixture(operation, name));
    const whole = bridged(bridge, context, [bytes]);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 40 }), (cuts) => {
        const places = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        const chunks = places.slice(1).map((end, i) => bytes.subarray(places[i], end));
        expect(bridged(bridge, context, chunks)).toBe(whole);
      }),
      { numRuns: 30 },
    );
    const single = [...bytes].map((byte) => Buffer.from([byte]));
    expect(bridged(bridge, context, single)).toBe(whole);
  });

  it.each(names(operation))('ends in exactly one way wherever it is cut: %s', (name) => {
    const blocks = fixture(operation, name).split(/(?<=\n\n)/);
    for (let kept = 0; kept <= blocks.length; kept += 1) {
      const text = bridged(bridge, context, [Buffer.from(blocks.slice(0, kept).join(''))]);
      const endings = text.match(
        /^data: \[DONE\]$|^data: \{"error":|^event: error$|^event: response\.(completed|incomplete)$/gm,
      );
      expect(endings).toHaveLength(1);
      expect(text.endsWith('\n\n')).toBe(true);
    }
  });
});
