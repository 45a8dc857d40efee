import type { JsonObject } from '@aigateway/contract/records';
import { describe, expect, it } from 'vitest';
import { bridged, contextOf, dataOf, fixture } from '../../test/fixtures/bridge/replay.ts';
import { chatOverResponses } from './chat-responses.ts';

const request = { messages: [], stream: true };

function responseOf(output: JsonObject[], members: JsonObject = {}): JsonObject {
  return {
    id: 'resp_up',
    object: 'response',
    status: 'completed',
    model: 'gpt-5.3-codex',
    output,
    content_filters: [{ blocked: false, source_type: 'prompt' }],
    ...members,
  };
}

function choiceOf(response: JsonObject, callerRequest: JsonObject = request): JsonObject {
  const answer = chatOverResponses.response(response, contextOf(callerRequest));
  return (answer.choices as JsonObject[])[0]!;
}

function streamOf(name: string, callerRequest: JsonObject = request): (JsonObject | string)[] {
  return dataOf(
    bridged(chatOverResponses, contextOf(callerRequest), [Buffer.from(fixture('responses', name))]),
  );
}

const text = {
  type: 'message',
  role: 'assistant',
  content: [{ type: 'output_text', text: 'Hello', annotations: [], logprobs: [] }],
};
const call = { type: 'function_call', call_id: 'c1', name: 'read', arguments: '' };

describe('a whole answer', () => {
  it('carries ids of the gateway, the name that was asked for, and usage with its details', () => {
    const usage = {
      input_tokens: 10,
      input_tokens_details: { cached_tokens: 4, cache_write_tokens: 1 },
      output_tokens: 7,
      output_tokens_details: { reasoning_tokens: 5 },
      total_tokens: 17,
    };
    const answer = chatOverResponses.response(
      responseOf([text], { usage, service_tier: 'flex' }),
      contextOf(request),
    );
    expect(answer).toEqual({
      id: 'chatcmpl-r1',
      object: 'chat.completion',
      created: 1794301200,
      model: 'alias',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hello', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: {
        prompt_tokens: 10,
        completion_tokens: 7,
        total_tokens: 17,
        prompt_tokens_details: { cached_tokens: 4, cache_write_tokens: 1 },
        completion_tokens_details: { reasoning_tokens: 5 },
      },
      service_tier: 'flex',
    });
  });

  it('has an object for arguments the model left empty', () => {
    expect(choiceOf(responseOf([call]))).toMatchObject({
      message: {
        content: null,
        tool_calls: [{ id: 'c1', function: { name: 'read', arguments: '{}' } }],
      },
      finish_reason: 'tool_calls',
    });
  });

  it('speaks of a function call to clients that spoke of functions', () => {
    const choice = choiceOf(responseOf([call]), { messages: [], functions: [{ name: 'read' }] });
    expect(choice).toMatchObject({
      message: { content: null, function_call: { name: 'read', arguments: '{}' } },
      finish_reason: 'function_call',
    });
    expect(choice.message).not.toHaveProperty('tool_calls');
  });

  it('shows reasoning where the upstream does', () => {
    const summary = [
      { type: 'summary_text', text: 'a' },
      { type: 'summary_text', text: 'b' },
    ];
    const open = {
      type: 'reasoning',
      summary: [],
      content: [{ type: 'reasoning_text', text: 'c' }],
    };
    expect(
      choiceOf(responseOf([{ type: 'reasoning', summary }, open, text])).message,
    ).toMatchObject({
      reasoning_content: 'a\n\nb\n\nc',
      content: 'Hello',
    });
  });

  it.each([
    ['max_output_tokens', 'length'],
    ['content_filter', 'content_filter'],
  ])('tells why it is incomplete: %s', (reason, expected) => {
    const response = responseOf([text], { status: 'incomplete', incomplete_details: { reason } });
    expect(choiceOf(response).finish_reason).toBe(expected);
  });

  it('carries log probabilities that came unasked', () => {
    const logprobs = [{ token: 'Hello', logprob: -0.1, bytes: [], top_logprobs: [] }];
    const part = { type: 'output_text', text: 'Hello', annotations: [], logprobs };
    expect(choiceOf(responseOf([{ ...text, content: [part] }])).logprobs).toEqual({
      content: logprobs,
      refusal: null,
    });
  });

  it.each([
    [{ status: 'failed', error: { code: 'server_error', message: 'secret' } }, 'server_error'],
    [{ status: 'cancelled' }, 'it gave no answer'],
  ])('that failed is an error, not an empty answer', (members, reason) => {
    expect(() => choiceOf(responseOf([], members))).toThrow(`The upstream failed: ${reason}.`);
  });
});

describe('a stream', () => {
  it('tells usage to those who asked and to nobody else', () => {
    const asked = streamOf('text', { ...request, stream_options: { include_usage: true } });
    const chunks = asked.slice(0, -1) as JsonObject[];
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 51 } });
    expect(chunks.slice(0, -1).every(({ usage }) => usage === null)).toBe(true);
    for (const chunk of streamOf('text').slice(0, -1)) {
      expect(chunk).not.toHaveProperty('usage');
      expect((chunk as JsonObject).choices).toHaveLength(1);
    }
  });

  it('names the role once, with the first output', () => {
    const deltas = (streamOf('text').slice(0, -1) as JsonObject[]).map(
      ({ choices }) => (choices as JsonObject[])[0]?.delta as JsonObject,
    );
    expect(deltas[0]).toMatchObject({ role: 'assistant' });
    expect(deltas.slice(1).some((delta) => 'role' in delta)).toBe(false);
  });

  it('ends with [DONE], and never after an error', () => {
    expect(streamOf('text').at(-1)).toBe('[DONE]');
    for (const name of ['failed', 'error-nested', 'error-flat', 'cut']) {
      expect(streamOf(name).at(-1)).toHaveProperty('error');
    }
  });

  it('says nothing before there is output, so that another deployment can still take over', () => {
    const stream = chatOverResponses.stream(contextOf(request));
    const created = JSON.stringify({ type: 'response.created', response: {} });
    expect(stream.push({ event: 'response.created', data: created })).toBe('');
    expect(stream.finished).toBe(false);
  });

  it('speaks of one function call to clients that spoke of functions', () => {
    const chunks = streamOf('tool-interleaved', {
      ...request,
      functions: [{ name: 'get_weather' }],
    });
    const choices = (chunks.slice(0, -1) as JsonObject[]).map(
      ({ choices }) => (choices as JsonObject[])[0]!,
    );
    const calls = choices.map(
      ({ delta }) => (delta as JsonObject).function_call as JsonObject | undefined,
    );
    expect(calls.map((called) => (called?.arguments as string | undefined) ?? '').join('')).toBe(
      '{"city":"Oslo"}',
    );
    expect(choices.at(-1)?.finish_reason).toBe('function_call');
    expect(JSON.stringify(chunks)).not.toContain('tool_calls');
  });

  it('takes nothing after its end', () => {
    const stream = chatOverResponses.stream(contextOf(request));
    const data = JSON.stringify({ type: 'response.completed', response: { output: [text] } });
    expect(stream.push({ event: 'response.completed', data })).toContain('[DONE]');
    expect(stream.finished).toBe(true);
    expect(stream.push({ event: 'response.completed', data })).toBe('');
    expect(stream.end()).toBe('');
  });

  it('survives what is no JSON', () => {
    const stream = chatOverResponses.stream(contextOf(request));
    expect(stream.push({ event: '', data: '[DONE]' })).toBe('');
    expect(stream.push({ event: '', data: '{"type":' })).toBe('');
    expect(stream.push({ event: '', data: '"text"' })).toBe('');
    expect(stream.end()).toContain('stream_interrupted');
  });
});
