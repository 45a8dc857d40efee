import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bridged, contextOf, dataOf, fixture } from '../../test/fixtures/bridge/replay.ts';
import { responsesOverChat } from './responses-chat.ts';

const request = { input: 'Hi', stream: true };

function completionOf(
  message: JsonObject,
  members: JsonObject = {},
  finishReason = 'stop',
): JsonObject {
  return {
    id: 'chatcmpl-up',
    object: 'chat.completion',
    model: 'gpt-4o-2024-11-20',
    prompt_filter_results: [{ prompt_index: 0, content_filter_results: {} }],
    choices: [
      {
        index: 0,
        message: { role: 'assistant', ...message },
        finish_reason: finishReason,
        content_filter_results: {},
      },
    ],
    ...members,
  };
}

function responseOf(completion: JsonObject, callerRequest: JsonObject = request): JsonObject {
  return responsesOverChat.response(completion, contextOf(callerRequest));
}

function eventsOf(text: string, callerRequest: JsonObject = request): JsonObject[] {
  return dataOf(
    bridged(responsesOverChat, contextOf(callerRequest), [Buffer.from(text)]),
  ) as JsonObject[];
}

function sse(chunks: JsonValue[]): string {
  return [...chunks.map((chunk) => JSON.stringify(chunk)), '[DONE]']
    .map((data) => `data: ${data}\n\n`)
    .join('');
}

describe('a whole answer', () => {
  it('is a response with what the caller asked for repeated in it', () => {
    const asked = {
      input: 'Hi',
      instructions: 'Be brief.',
      metadata: { a: 'b' },
      reasoning: { effort: 'low' },
      store: true,
      text: { verbosity: 'low' },
      tools: [{ type: 'web_search' }],
    };
    const usage = {
      prompt_tokens: 10,
      completion_tokens: 7,
      total_tokens: 17,
      prompt_tokens_details: { cached_tokens: 4, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 5 },
    };
    const response = responseOf(
      completionOf({ content: 'Hello' }, { usage, service_tier: 'flex' }),
      asked,
    );
    expect(response).toMatchObject({
      id: 'resp_r1',
      object: 'response',
      created_at: 1794301200,
      status: 'completed',
      model: 'alias',
      output: [
        {
          id: 'msg_r1_0',
          type: 'message',
          status: 'completed',
          role: 'assistant',
          content: [{ type: 'output_text', text: 'Hello', annotations: [], logprobs: [] }],
        },
      ],
      instructions: 'Be brief.',
      metadata: { a: 'b' },
      reasoning: { effort: 'low', summary: null },
      store: false,
      text: { format: { type: 'text' }, verbosity: 'low' },
      tools: [{ type: 'web_search' }],
      service_tier: 'flex',
      usage: {
        input_tokens: 10,
        input_tokens_details: { cached_tokens: 4 },
        output_tokens: 7,
        output_tokens_details: { reasoning_tokens: 5 },
        total_tokens: 17,
      },
    });
  });

  it.each([
    ['length', 'max_output_tokens'],
    ['content_filter', 'content_filter'],
  ])('is incomplete after %s', (finishReason, reason) => {
    expect(responseOf(completionOf({ content: 'Hel' }, {}, finishReason))).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason },
      output: [{ status: 'incomplete' }],
    });
  });

  it('gives tools back under the names the caller has for them', () => {
    const asked = {
      input: 'Hi',
      tools: [
        {
          type: 'namespace',
          name: 'mcp__files__',
          description: 'd',
          tools: [{ type: 'function', name: 'read' }],
        },
        { type: 'custom', name: 'apply_patch' },
      ],
    };
    const calls = [
      { id: 'c1', type: 'function', function: { name: 'mcp__files__read', arguments: '{}' } },
      {
        id: 'c2',
        type: 'function',
        function: { name: 'apply_patch', arguments: '{"input":"*** x"}' },
      },
    ];
    expect(
      responseOf(completionOf({ content: null, tool_calls: calls }, {}, 'tool_calls'), asked)
        .output,
    ).toEqual([
      {
        id: 'fc_r1_0',
        type: 'function_call',
        status: 'completed',
        call_id: 'c1',
        name: 'read',
        namespace: 'mcp__files__',
        arguments: '{}',
      },
      {
        id: 'ctc_r1_1',
        type: 'custom_tool_call',
        status: 'completed',
        call_id: 'c2',
        name: 'apply_patch',
        input: '*** x',
      },
    ]);
  });

  it('reads the old form of a call', () => {
    const message = { content: null, function_call: { name: 'read', arguments: '{"a":1}' } };
    expect(responseOf(completionOf(message, {}, 'function_call')).output).toMatchObject([
      { type: 'function_call', call_id: 'call_r1_0', name: 'read', arguments: '{"a":1}' },
    ]);
  });

  it('that is an error is not taken for an empty answer', () => {
    expect(() => responseOf({ error: { code: 'overloaded', message: 'secret' } })).toThrow(
      'The upstream failed: overloaded.',
    );
  });
});

describe('a stream', () => {
  it('counts its events without a gap and names each twice alike', () => {
    for (const name of ['text', 'reasoning', 'tool-interleaved', 'error-midway']) {
      const text = bridged(responsesOverChat, contextOf(request), [
        Buffer.from(fixture('chat', name)),
      ]);
      const events = dataOf(text) as JsonObject[];
      expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index));
      const named = [...text.matchAll(/^event: (.*)$/gm)].map(([, type]) => type);
      expect(events.map(({ type }) => type)).toEqual(named);
    }
  });

  it('opens nothing on a chunk that only tells of a filter', () => {
    const stream = responsesOverChat.stream(contextOf(request));
    const data = JSON.stringify({ choices: [], id: '', prompt_filter_results: [] });
    expect(stream.push({ event: '', data })).toBe('');
  });

  it('gives the input of a custom tool in one piece once its wrapping is complete', () => {
    const pieces = ['{"inp', 'ut":"*** ', 'x\\n"}'];
    const chunks = pieces.map((piece, index) => ({
      choices: [
        {
          index: 0,
          delta: {
            tool_calls: [
              {
                index: 0,
                ...(index === 0 ? { id: 'c1' } : {}),
                function: { ...(index === 0 ? { name: 'apply_patch' } : {}), arguments: piece },
              },
            ],
          },
        },
      ],
    }));
    const events = eventsOf(sse(chunks), {
      ...request,
      tools: [{ type: 'custom', name: 'apply_patch' }],
    });
    const told = events.filter(({ type }) => (type as string).includes('custom_tool_call_input'));
    expect(told).toMatchObject([{ delta: '*** x\n' }, { input: '*** x\n' }]);
  });

  it('that holds nothing at all is an interruption, with or without [DONE]', () => {
    const interrupted = [
      { type: 'response.created', response: { status: 'in_progress' } },
      { type: 'response.failed', response: { error: { code: 'stream_interrupted' } } },
      { type: 'error', error: { code: 'stream_interrupted' } },
    ];
    expect(eventsOf('')).toMatchObject(interrupted);
    expect(eventsOf(sse([]))).toMatchObject(interrupted);
  });

  it('grows to what the whole answer says, however it is cut into chunks', () => {
    const pieces = fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 }), {
      maxLength: 5,
    });
    const calls = fc.array(fc.record({ name: fc.constantFrom('f', 'g'), args: pieces }), {
      maxLength: 3,
    });
    const reasons = fc.constantFrom('stop', 'length', 'content_filter', 'tool_calls');
    const schedule = fc.infiniteStream(fc.nat());
    fc.assert(
      fc.property(
        pieces,
        pieces,
        calls,
        reasons,
        schedule,
        (reasoning, text, called, reason, order) => {
          const message: JsonObject = {
            reasoning_content: reasoning.join(''),
            content: text.join(''),
            tool_calls: called.map(({ name, args }, index) => ({
              id: `c${index}`,
              type: 'function',
              function: { name, arguments: args.join('') },
            })),
          };
          const usage = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 };
          const deltas: JsonObject[] = [
            { role: 'assistant', content: '' },
            ...reasoning.map((piece) => ({ reasoning_content: piece })),
            ...text.map((piece) => ({ content: piece })),
            ...called.map(({ name }, index) => ({
              tool_calls: [
                { index, id: `c${index}`, type: 'function', function: { name, arguments: '' } },
              ],
            })),
          ];
          const queues = called.map(({ args }) => [...args]);
          while (queues.some((queue) => queue.length > 0)) {
            const index = order.next().value % queues.length;
            const piece = queues[index]?.shift();
            if (piece !== undefined)
              deltas.push({ tool_calls: [{ index, function: { arguments: piece } }] });
          }
          const chunks = [
            ...deltas.map((delta) => ({ choices: [{ index: 0, delta, finish_reason: null }] })),
            { choices: [{ index: 0, delta: {}, finish_reason: reason }] },
            { choices: [], usage },
          ];
          const events = eventsOf(sse(chunks));
          expect(events.at(-1)?.response).toEqual(
            responseOf(completionOf(message, { usage }, reason)),
          );
        },
      ),
      { numRuns: 200 },
    );
  });
});
