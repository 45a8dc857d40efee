import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { describe, expect, it } from 'vitest';
import { bridged, contextOf, dataOf, fixture } from '../../test/fixtures/bridge/replay.ts';
import type { GatewayError } from '../errors.ts';
import { completionsOverChat } from './completions-chat.ts';

function requestOf(body: JsonObject): JsonObject {
  return completionsOverChat.request({ model: 'm', prompt: 'Once', ...body }, contextOf(body)).body;
}

function streamOf(name: string, request: JsonObject = { prompt: 'Once' }): (JsonObject | string)[] {
  const bytes = Buffer.from(fixture('chat', name));
  return dataOf(bridged(completionsOverChat, contextOf(request), [bytes]));
}

describe('a request', () => {
  it('becomes one user message with the parameters that both have', () => {
    const shared = {
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0,
      top_p: 1,
      n: 2,
      stop: ['\n'],
      seed: 1,
      frequency_penalty: 1,
      presence_penalty: 1,
      logit_bias: { '1': 2 },
      user: 'u',
    };
    expect(requestOf({ ...shared, max_tokens: 9, logprobs: 3 })).toEqual({
      model: 'm',
      ...shared,
      messages: [{ role: 'user', content: 'Once' }],
      max_completion_tokens: 9,
      logprobs: true,
      top_logprobs: 3,
    });
    expect(requestOf({ prompt: ['Once'], echo: false, best_of: 1, suffix: null })).toEqual({
      model: 'm',
      messages: [{ role: 'user', content: 'Once' }],
    });
  });

  it.each<[string, JsonValue]>([
    ['prompt', ['a', 'b']],
    ['prompt', [1, 2, 3]],
    ['prompt', null],
    ['echo', true],
    ['best_of', 3],
    ['suffix', 'end'],
  ])('is refused by name: %s', (name, value) => {
    expect(() => requestOf({ [name]: value })).toThrow(
      expect.objectContaining({
        code: 'bridge_unsupported',
        param: name,
      } satisfies Partial<GatewayError>),
    );
  });
});

describe('a whole answer', () => {
  it('is text, with usage and the log probabilities in completions’ lists', () => {
    const content = [
      {
        token: 'He',
        logprob: -0.1,
        bytes: null,
        top_logprobs: [{ token: 'He', logprob: -0.1, bytes: null }],
      },
      { token: 'llo', logprob: -0.2, bytes: null, top_logprobs: [] },
    ];
    const chat = {
      choices: [
        { index: 0, message: { content: 'Hello' }, logprobs: { content }, finish_reason: 'length' },
        { index: 1, message: { content: null, refusal: 'No.' }, finish_reason: 'tool_calls' },
      ],
      usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
    };
    expect(completionsOverChat.response(chat, contextOf({}))).toEqual({
      id: 'cmpl-r1',
      object: 'text_completion',
      created: 1794301200,
      model: 'alias',
      choices: [
        {
          text: 'Hello',
          index: 0,
          logprobs: {
            tokens: ['He', 'llo'],
            token_logprobs: [-0.1, -0.2],
            top_logprobs: [{ He: -0.1 }, {}],
            text_offset: [0, 2],
          },
          finish_reason: 'length',
        },
        { text: 'No.', index: 1, logprobs: null, finish_reason: 'stop' },
      ],
      usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
    });
    expect(() => completionsOverChat.response({}, contextOf({}))).toThrow('The upstream failed');
  });
});

describe('a stream', () => {
  it('is chunks of text, usage for those who asked, and [DONE]', () => {
    const events = streamOf('text', { prompt: 'Once', stream_options: { include_usage: true } });
    expect(events.at(-1)).toBe('[DONE]');
    expect(events.at(-2)).toMatchObject({ choices: [], usage: { prompt_tokens: 51 } });
    const choices = (events.slice(0, -2) as JsonObject[]).map(
      (chunk) => (chunk.choices as { text: string; finish_reason: string | null }[])[0],
    );
    expect(choices.map((choice) => choice?.text).join('')).toBe(
      'Air molecules scatter blue light. Ø🌍',
    );
    expect(choices.at(-1)?.finish_reason).toBe('stop');
    expect(JSON.stringify(streamOf('text'))).not.toContain('usage');
  });

  it('always tells why it ended', () => {
    for (const name of ['no-finish-reason', 'no-done']) {
      const events = streamOf(name);
      expect(events.at(-1)).toBe('[DONE]');
      expect(events.at(-2)).toMatchObject({ choices: [{ finish_reason: 'stop' }] });
    }
  });

  it.each(['cut', 'error-midway', 'error-flat'])(
    'that broke ends in an error without [DONE]: %s',
    (name) => {
      expect(streamOf(name).at(-1)).toHaveProperty('error.message');
    },
  );
});
