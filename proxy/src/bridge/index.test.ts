import type { JsonObject, Operation } from '@aigateway/contract/records';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bridged, contextOf, dataOf, fixture } from '../../test/fixtures/bridge/replay.ts';
import { chatOverResponses } from './chat-responses.ts';
import { compose } from './compose.ts';
import { bridgeFor, reachable } from './index.ts';
import { responsesOverChat } from './responses-chat.ts';

describe('the way to another operation', () => {
  it.each<[Operation, Operation[]]>([
    ['chat', ['chat', 'responses']],
    ['responses', ['responses', 'chat']],
    ['completions', ['completions', 'chat', 'responses']],
    ['embeddings', ['embeddings']],
  ])('leads from %s to %j', (from, expected) => {
    expect(reachable(from)).toEqual(expected);
    for (const to of expected.slice(1)) expect(bridgeFor(from, to)).toMatchObject({ from, to });
    expect(bridgeFor(from, from)).toBeUndefined();
  });
});

describe('completions over responses', () => {
  const bridge = bridgeFor('completions', 'responses')!;
  const request = { model: 'm', prompt: 'Once', max_tokens: 3, stop: ['\n'], echo: false };

  it('translates the request through both steps and names what either lost', () => {
    const { body, dropped } = bridge.request(request, contextOf(request));
    expect(body).toEqual({
      model: 'm',
      input: [{ type: 'message', role: 'user', content: 'Once' }],
      store: false,
      max_output_tokens: 16,
    });
    expect(dropped).toEqual(['stop']);
    expect(() => bridge.request({ ...request, n: 2 }, contextOf(request))).toThrow(
      'cannot carry n',
    );
  });

  it('translates whole answers and streams alike', () => {
    const events = dataOf(fixture('responses', 'text')) as JsonObject[];
    const whole = bridge.response(events.at(-1)!.response as JsonObject, contextOf(request));
    expect(whole).toMatchObject({
      object: 'text_completion',
      choices: [{ text: 'Air molecules scatter blue light. Ø🌍', finish_reason: 'stop' }],
    });
    const asked = { ...request, stream: true, stream_options: { include_usage: true } };
    const text = bridged(bridge, contextOf(asked), [Buffer.from(fixture('responses', 'text'))]);
    const chunks = dataOf(text);
    expect(chunks.at(-1)).toBe('[DONE]');
    expect(chunks.at(-2)).toMatchObject({ choices: [], usage: whole.usage });
  });

  it('passes an interruption on as exactly one error', () => {
    const text = bridged(bridge, contextOf(request), [Buffer.from(fixture('responses', 'cut'))]);
    expect(text.match(/"error"/g)).toHaveLength(1);
    expect(text).not.toContain('[DONE]');
  });
});

describe('there and back', () => {
  const roundTrip = compose(chatOverResponses, responsesOverChat);

  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 });
  const image = fc.record({
    type: fc.constant('image_url'),
    image_url: fc.record({ url: fc.webUrl(), detail: fc.constantFrom('low', 'high', 'auto') }),
  });
  const part = fc.oneof(fc.record({ type: fc.constant('text'), text }), image);
  const user = fc.record({
    role: fc.constant('user'),
    content: fc.oneof(text, fc.array(part, { minLength: 2, maxLength: 3 })),
  });
  const system = fc.record({ role: fc.constant('system'), content: text });
  // An answer right before a call is one turn of the assistant's in a response, so the two come back as one message.
  const speech = fc.tuple(fc.record({ role: fc.constant('assistant'), content: text }), user);
  const turn = fc
    .record({
      content: fc.option(text),
      results: fc.array(text, { minLength: 1, maxLength: 3 }),
      key: fc.uuid(),
    })
    .map(({ content, results, key }) => [
      {
        role: 'assistant',
        content,
        tool_calls: results.map((_, index) => ({
          id: `${key}${index}`,
          type: 'function',
          function: { name: 'read', arguments: '{}' },
        })),
      },
      ...results.map((result, index) => ({
        role: 'tool',
        tool_call_id: `${key}${index}`,
        content: result,
      })),
    ]);
  const conversation = fc
    .array(fc.oneof(user, system, speech, turn), { maxLength: 8 })
    .map((entries) => entries.flat() as JsonObject[]);

  it('keeps every conversation as it is', () => {
    fc.assert(
      fc.property(conversation, (messages) => {
        const request = { model: 'm', messages };
        const { body, dropped } = roundTrip.request(request, contextOf(request));
        expect(body.messages).toEqual(messages);
        expect(dropped).toEqual([]);
      }),
    );
  });

  it('keeps tools, their choice, formats and limits', () => {
    const request = {
      model: 'm',
      messages: [],
      tools: [
        { type: 'function', function: { name: 'f', parameters: { type: 'object' }, strict: true } },
      ],
      tool_choice: { type: 'function', function: { name: 'f' } },
      parallel_tool_calls: false,
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'n', schema: {}, strict: true },
      },
      max_completion_tokens: 100,
      reasoning_effort: 'low',
      verbosity: 'low',
      temperature: 0,
    };
    expect(roundTrip.request(request, contextOf(request)).body).toEqual(request);
  });

  it('keeps answers, streamed or whole', () => {
    const request = {
      model: 'm',
      messages: [],
      stream: true,
      stream_options: { include_usage: true },
    };
    for (const name of ['text', 'refusal', 'reasoning', 'tool-interleaved', 'length', 'filtered']) {
      const there = bridged(responsesOverChat, contextOf({ input: '' }), [
        Buffer.from(fixture('chat', name)),
      ]);
      const expected = bridged(chatOverResponses, contextOf(request), [Buffer.from(there)]);
      const composed = bridged(roundTrip, contextOf(request), [Buffer.from(fixture('chat', name))]);
      expect(composed).toBe(expected);
      expect(composed).toContain('[DONE]');
    }
  });
});
