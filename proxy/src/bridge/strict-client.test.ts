import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JsonObject } from '@aigateway/contract/records';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bridged, contextOf, dataOf, fixture } from '../../test/fixtures/bridge/replay.ts';
import type { Bridge } from './bridge.ts';
import { chatOverResponses } from './chat-responses.ts';
import { responsesOverChat } from './responses-chat.ts';

// The vendor's own client checks order, identity and completeness of every event: what it takes, others take.

let served = '';
let server: Server;
let client: OpenAI;

beforeAll(async () => {
  server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(served);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  client = new OpenAI({ apiKey: 'none', baseURL: `http://127.0.0.1:${port}/v1`, maxRetries: 0 });
});

afterAll(async () => {
  server.closeAllConnections();
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
});

function serve(
  bridge: Bridge,
  operation: 'chat' | 'responses',
  name: string,
  request: JsonObject,
): void {
  served = bridged(bridge, contextOf(request), [Buffer.from(fixture(operation, name))]);
}

async function chatAnswer(name: string): Promise<OpenAI.ChatCompletion> {
  const request = { messages: [], stream: true, stream_options: { include_usage: true } };
  serve(chatOverResponses, 'responses', name, request);
  const stream = client.chat.completions.stream({
    model: 'alias',
    messages: [{ role: 'user', content: 'Hi' }],
    stream_options: { include_usage: true },
  });
  return await stream.finalChatCompletion();
}

async function response(name: string): Promise<OpenAI.Responses.Response> {
  serve(responsesOverChat, 'chat', name, { input: 'Hi', stream: true });
  return await client.responses.stream({ model: 'alias', input: 'Hi' }).finalResponse();
}

const oslo = '{"city":"Oslo"}';
const saoPaulo = '{"city":"São Paulo 🌧","days":3}';

describe('the chat client on a responses stream', () => {
  it.each([
    'tool-deltas-only',
    'tool-done-only',
    'tool-item-done-only',
    'tool-completed-only',
    'tool-deltas-and-done',
    'tool-partial-deltas',
    'tool-deltas-before-name',
  ])('reads whole arguments: %s', async (name) => {
    const { choices, usage } = await chatAnswer(name);
    expect(choices[0]?.message.tool_calls).toMatchObject([
      { id: 'call_A1', type: 'function', function: { name: 'get_weather', arguments: oslo } },
    ]);
    expect(choices[0]?.finish_reason).toBe('tool_calls');
    expect(usage).toMatchObject({
      prompt_tokens: 51,
      completion_tokens: 40,
      prompt_tokens_details: { cached_tokens: 32 },
      completion_tokens_details: { reasoning_tokens: 25 },
    });
  });

  it('keeps interleaved parallel calls apart', async () => {
    const { choices } = await chatAnswer('tool-interleaved');
    expect(choices[0]?.message.tool_calls).toMatchObject([
      { id: 'call_A1', function: { arguments: oslo } },
      { id: 'call_B2', function: { arguments: saoPaulo } },
    ]);
  });

  it('reads an object where the model gave no arguments', async () => {
    const { choices } = await chatAnswer('tool-empty-arguments');
    expect(choices[0]?.message.tool_calls).toMatchObject([{ function: { arguments: '{}' } }]);
  });

  it('reads custom tool calls', async () => {
    const { choices } = await chatAnswer('custom-tool');
    expect(choices[0]?.message.tool_calls).toMatchObject([
      {
        type: 'custom',
        custom: { name: 'apply_patch', input: '*** Begin Patch\n*** End Patch\n' },
      },
    ]);
  });

  it('reads text, reasoning and calls of one answer', async () => {
    const { choices } = await chatAnswer('reasoning-message-tool');
    const deltas = dataOf(served).map(
      (chunk) => (chunk as { choices?: { delta?: JsonObject }[] }).choices?.[0],
    );
    expect(
      deltas
        .map((choice) => (choice?.delta?.reasoning_content as string | undefined) ?? '')
        .join(''),
    ).toBe('**Plan** look it up\n\nthen answer');
    expect(choices[0]?.message).toMatchObject({
      content: 'I will check.',
      tool_calls: [{ id: 'call_A1' }],
    });
  });

  it.each([
    ['text', { content: 'Air molecules scatter blue light. Ø🌍', refusal: null }, 'stop'],
    ['no-created', { content: 'Hello' }, 'stop'],
    ['refusal', { content: null, refusal: "I can't help with that." }, 'stop'],
    ['two-messages-citation', { content: 'Let me search.\n\nFound it.' }, 'stop'],
  ])('reads %s', async (name, message, reason) => {
    const { choices, model, id } = await chatAnswer(name);
    expect(choices).toMatchObject([{ message, finish_reason: reason }]);
    expect({ model, id }).toEqual({ model: 'alias', id: 'chatcmpl-r1' });
  });

  it.each([
    ['incomplete-length', 'length'],
    ['incomplete-filter', 'content_filter'],
  ])('learns why an answer is incomplete: %s', async (name, reason) => {
    serve(chatOverResponses, 'responses', name, { messages: [], stream: true });
    const stream = await client.chat.completions.create({
      model: 'alias',
      messages: [],
      stream: true,
    });
    const reasons: (string | null | undefined)[] = [];
    for await (const chunk of stream) reasons.push(chunk.choices[0]?.finish_reason);
    expect(reasons.at(-1)).toBe(reason);
  });

  it.each([
    ['failed', 'The model failed to generate a response.'],
    ['error-nested', 'Rate limit is exceeded. Try again in 7 seconds.'],
    ['error-flat', 'The server had an error.'],
    ['cut', 'The upstream stopped in the middle of its answer.'],
  ])('raises an error instead of ending quietly: %s', async (name, message) => {
    await expect(chatAnswer(name)).rejects.toThrow(message);
  });

  it.each([
    'text',
    'tool-interleaved',
    'tool-empty-arguments',
    'custom-tool',
    'reasoning-message-tool',
    'refusal',
    'two-messages-citation',
  ])('accumulates to what the whole answer says: %s', async (name) => {
    const streamed = await chatAnswer(name);
    const terminal = dataOf(fixture('responses', name)).at(-1) as { response: JsonObject };
    const whole = chatOverResponses.response(terminal.response, contextOf({ messages: [] }));
    const { choices, ...rest } = structuredClone(streamed) as unknown as JsonObject;
    const [choice] = choices as JsonObject[];
    const message = choice?.message as JsonObject;
    // The client's own addition.
    delete message.parsed;
    // It keeps the last piece only of members it does not know.
    if (message.reasoning_content !== undefined)
      message.reasoning_content = '**Plan** look it up\n\nthen answer';
    for (const call of (message.tool_calls ?? []) as JsonObject[]) {
      if (call.function) delete (call.function as JsonObject).parsed_arguments;
    }
    expect({ ...rest, choices }).toEqual({ ...whole });
  });
});

describe('the responses client on a chat stream', () => {
  it.each(['tool-deltas', 'tool-whole', 'tool-name-late'])(
    'reads whole arguments: %s',
    async (name) => {
      const { output, status } = await response(name);
      expect(output).toMatchObject([
        {
          type: 'function_call',
          call_id: 'call_A1',
          name: 'get_weather',
          arguments: oslo,
          status: 'completed',
        },
      ]);
      expect(status).toBe('completed');
    },
  );

  it.each(['tool-interleaved', 'tool-same-index'])(
    'keeps parallel calls apart: %s',
    async (name) => {
      const { output } = await response(name);
      expect(output).toMatchObject([
        { call_id: 'call_A1', arguments: oslo },
        { call_id: 'call_B2', arguments: saoPaulo },
      ]);
    },
  );

  it('reads an object where the model gave no arguments', async () => {
    expect((await response('tool-empty-arguments')).output).toMatchObject([{ arguments: '{}' }]);
  });

  it('reads reasoning, text and calls as items in their order', async () => {
    const { output, usage } = await response('reasoning');
    expect(output).toMatchObject([
      { type: 'reasoning', summary: [{ type: 'summary_text', text: '**Plan** look it up' }] },
      { type: 'message', content: [{ type: 'output_text', text: 'I will check.' }] },
      { type: 'function_call', arguments: oslo },
    ]);
    expect(usage).toEqual({
      input_tokens: 51,
      input_tokens_details: { cached_tokens: 32 },
      output_tokens: 40,
      output_tokens_details: { reasoning_tokens: 25 },
      total_tokens: 91,
    });
  });

  it.each([
    ['text', 'Air molecules scatter blue light. Ø🌍', 'completed', null],
    ['citation', 'Found it.', 'completed', null],
    ['no-finish-reason', 'Hello', 'completed', null],
    ['no-done', 'Hello', 'completed', null],
    ['length', 'The first part', 'incomplete', { reason: 'max_output_tokens' }],
    ['filtered', 'The first part', 'incomplete', { reason: 'content_filter' }],
    ['filtered-late', 'The first part', 'incomplete', { reason: 'content_filter' }],
  ])('reads %s', async (name, text, status, details) => {
    const answer = await response(name);
    expect(answer.output_text).toBe(text);
    expect(answer.status).toBe(status);
    expect(answer.incomplete_details).toEqual(details);
  });

  it('reads a refusal as one', async () => {
    expect((await response('refusal')).output).toMatchObject([
      { content: [{ type: 'refusal', refusal: "I can't help with that." }] },
    ]);
  });

  it.each([
    ['error-midway', 'The server had an error while processing your request.'],
    ['error-flat', 'model overloaded'],
    ['cut', 'The upstream stopped in the middle of its answer.'],
  ])('raises an error instead of ending quietly: %s', async (name, message) => {
    await expect(response(name)).rejects.toThrow(message);
  });
});
