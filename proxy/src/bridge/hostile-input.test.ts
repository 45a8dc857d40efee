import { readdirSync } from 'node:fs';
import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contextOf, fixture, parseEvents } from '../../test/fixtures/bridge/replay.ts';
import { GatewayError } from '../errors.ts';
import { operationOf, type Capability } from '../operations/capability.ts';
import type { SseEvent } from './bridge.ts';
import { bridgeFor } from './index.ts';

const routes: readonly [Capability, Capability, 'chat' | 'responses'][] = [
  ['chat', 'responses', 'responses'],
  ['responses', 'chat', 'chat'],
  ['completions', 'chat', 'chat'],
  ['completions', 'responses', 'responses'],
  ['responses.compact', 'responses', 'responses'],
  ['responses.compact', 'chat', 'chat'],
  ['responses.compaction_trigger', 'responses', 'responses'],
  ['responses.compaction_trigger', 'chat', 'chat'],
];

const requests: JsonObject[] = [
  {
    model: 'm',
    messages: [
      { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://example.org' } }] },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'f' } }],
      },
      { role: 'tool', tool_call_id: 'c', content: [{ type: 'text', text: 'a' }] },
    ],
    tools: [{ type: 'function', function: { name: 'f', parameters: {} } }],
    tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [] } },
    response_format: { type: 'json_schema', json_schema: { name: 'n' } },
    stream_options: { include_usage: true },
  },
  {
    model: 'm',
    input: [
      { role: 'user', content: [{ type: 'input_text', text: 'a' }] },
      { type: 'function_call', call_id: 'c', name: 'f', namespace: 'n', arguments: '{}' },
      { type: 'function_call_output', call_id: 'c', output: [{ type: 'input_text', text: 'a' }] },
    ],
    tools: [{ type: 'namespace', name: 'n', tools: [{ type: 'custom', name: 'f', format: {} }] }],
    tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'custom', name: 'f' }] },
    reasoning: { effort: 'low' },
    text: { format: { type: 'json_schema' } },
    include: [],
  },
  { model: 'm', prompt: ['a'], logprobs: 1 },
];

/** The value with one place in it, chosen by `steps`, replaced. */
function replaced(value: JsonValue, steps: readonly number[], by: JsonValue): JsonValue {
  const [step, ...rest] = steps;
  if (step === undefined || typeof value !== 'object' || value === null) return by;
  const copy = structuredClone(value) as { [key: string]: JsonValue };
  const keys = Object.keys(copy);
  if (keys.length === 0) return by;
  const key = keys[step % keys.length]!;
  copy[key] = replaced(copy[key]!, rest, by);
  return copy;
}

const anything = fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<JsonValue>;
const place = fc.array(fc.nat(20), { maxLength: 6 });

describe.each(routes)('%s over %s', (from, to, upstream) => {
  const bridge = bridgeFor(from, to)!;
  const folder = new URL(`../../test/fixtures/bridge/${upstream}/`, import.meta.url);
  const streams = readdirSync(folder)
    .filter((file) => file.endsWith('.sse') && !file.endsWith('.bridged.sse'))
    .map((file) => parseEvents([Buffer.from(fixture(upstream, file.slice(0, -'.sse'.length)))]));

  it('survives any event of any shape and still ends in exactly one way', () => {
    const edit = fc.record({ at: fc.nat(30), place, by: anything });
    fc.assert(
      fc.property(
        fc.constantFrom(...streams),
        fc.array(edit, { maxLength: 4 }),
        (events, edits) => {
          const stream = bridge.stream(contextOf(requests.find((request) => fits(from, request))!));
          let text = '';
          for (const event of edited(events, edits)) text += stream.push(event);
          text += stream.end();
          expect(stream.finished).toBe(true);
          expect(stream.end()).toBe('');
          const endings = text.match(
            /^data: \[DONE\]$|^data: \{"error":|^event: error$|^event: response\.(completed|incomplete)$/gm,
          );
          expect(endings).toHaveLength(1);
        },
      ),
      { numRuns: 400 },
    );
  });

  it('refuses what it cannot make sense of in the words of the error table, and never otherwise', () => {
    const request = requests.find((candidate) => fits(from, candidate))!;
    fc.assert(
      fc.property(place, anything, (steps, by) => {
        const changed = replaced(request, steps.length === 0 ? [0] : steps, by) as JsonObject;
        const seen: unknown[] = [];
        try {
          seen.push(bridge.request(changed, contextOf(changed)));
        } catch (error) {
          seen.push(error);
        }
        if (seen[0] instanceof Error) expect(seen[0]).toBeInstanceOf(GatewayError);
        else expect(seen).toHaveLength(1);
      }),
      { numRuns: 400 },
    );
  });
});

function fits(from: Capability, request: JsonObject): boolean {
  return (
    { chat: 'messages', responses: 'input', completions: 'prompt', embeddings: '' }[
      operationOf(from)
    ] in request
  );
}

function edited(
  events: readonly SseEvent[],
  edits: readonly { at: number; place: number[]; by: JsonValue }[],
): SseEvent[] {
  const copy = [...events];
  for (const { at, place: steps, by } of edits) {
    const index = at % copy.length;
    const event = copy[index]!;
    if (!event.data.startsWith('{')) continue;
    let data: JsonValue;
    try {
      data = JSON.parse(event.data) as JsonValue;
    } catch {
      // A fixture that was cut inside an event.
      continue;
    }
    copy[index] = { ...event, data: JSON.stringify(replaced(data, steps, by)) };
  }
  return copy;
}
