import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { exchange } from './exchange.ts';
import type { Exchange } from './exchange.ts';
import { startSimulator } from './simulator.ts';
import type { Simulator } from './simulator.ts';

let simulator: Simulator;

beforeAll(async () => {
  simulator = await startSimulator({
    config: {
      resources: [
        {
          name: 'east',
          region: 'swedencentral',
          keys: ['k'],
          deployments: [
            { name: 'chat', model: 'gpt-4o' },
            { name: 'small', model: 'gpt-4o', contextWindow: 100 },
            {
              name: 'picky',
              model: 'gpt-4o',
              refusedParameters: ['stream_options.include_usage', 'parallel_tool_calls'],
            },
            { name: 'o4', model: 'o4-mini' },
            { name: 'codex', model: 'gpt-5.3-codex' },
            { name: 'embed', model: 'text-embedding-3-small' },
            { name: 'ada', model: 'text-embedding-ada-002' },
          ],
        },
        { name: 'west', keys: ['w'], deployments: [{ name: 'chat', model: 'gpt-4o' }] },
      ],
    },
  });
});

afterAll(async () => {
  await simulator.close();
});

const user = { role: 'user', content: 'hi' };

async function send(
  path: string,
  json?: unknown,
  headers: Record<string, string> = {},
): Promise<Exchange> {
  return await exchange(`${simulator.url}${path}`, {
    json,
    headers: { 'api-key': 'k', ...headers },
  });
}

async function chat(
  body: object,
  deployment = 'chat',
  version = '2025-04-01-preview',
): Promise<Exchange> {
  return await send(`/openai/deployments/${deployment}/chat/completions?api-version=${version}`, {
    messages: [user],
    ...body,
  });
}

async function responses(body: object): Promise<Exchange> {
  return await send('/openai/v1/responses', { model: 'chat', input: 'hi', ...body });
}

const NOT_FOUND = { status: 404, body: { error: { code: '404', message: 'Resource not found' } } };

describe('paths and versions', () => {
  it.each([
    ['an unknown path', '/openai/v1/unknown'],
    ['operations that come later', '/openai/v1/audio/speech'],
    ['no version', '/openai/deployments/chat/chat/completions'],
    ['an unknown version', '/openai/deployments/chat/chat/completions?api-version=2031-01-01'],
    [
      'a retired version',
      '/openai/deployments/chat/chat/completions?api-version=2023-03-15-preview',
    ],
    [
      'responses below a deployment',
      '/openai/deployments/chat/responses?api-version=2025-04-01-preview',
    ],
    ['responses before their time', '/openai/responses?api-version=2024-10-21'],
    ['chat beside its deployment', '/openai/chat/completions?api-version=2024-10-21'],
    ['double slashes', '/openai//v1/chat/completions'],
    ['a doubled prefix', '/openai/openai/v1/chat/completions'],
    ['a bad escape', '/openai/deployments/%E0%A4%A/chat/completions?api-version=2024-10-21'],
    ['an unknown resource prefix', '/north/openai/v1/chat/completions'],
  ])('answer 404 to %s', async (_, path) => {
    expect(await send(path, { model: 'chat', messages: [user] })).toMatchObject(NOT_FOUND);
  });

  it('refuse a dated version on v1 and take preview', async () => {
    const body = { model: 'chat', messages: [user] };
    expect(await send('/openai/v1/chat/completions?api-version=2024-10-21', body)).toMatchObject({
      status: 400,
      body: { error: { code: 'BadRequest', message: 'API version not supported' } },
    });
    expect((await send('/openai/v1/chat/completions?api-version=preview', body)).status).toBe(200);
    expect((await send('/api/projects/p/openai/v1/chat/completions', body)).status).toBe(200);
    expect(
      (await send('/api/projects/p/openai/v1/chat/completions?api-version=v1', body)).status,
    ).toBe(400);
  });

  it('refuse models and features newer than the version', async () => {
    expect(await chat({}, 'o4', '2024-06-01')).toMatchObject({
      status: 400,
      body: {
        error: {
          code: 'BadRequest',
          message: 'Model o4-mini is enabled only for api versions 2024-12-01-preview and later',
        },
      },
    });
    const schema = { type: 'json_schema', json_schema: { name: 'x', schema: {} } };
    expect(await chat({ response_format: schema }, 'chat', '2024-06-01')).toMatchObject({
      body: {
        error: {
          message:
            'response_format value as json_schema is enabled only for api versions 2024-08-01-preview and later',
        },
      },
    });
    expect((await chat({ response_format: schema }, 'chat', '2024-10-21')).status).toBe(200);
    expect(
      (await chat({ stream: true, stream_options: { include_usage: true } }, 'chat', '2024-06-01'))
        .status,
    ).toBe(400);
  });

  it('select the resource by host name, and none for an unknown subdomain', async () => {
    const body = { model: 'chat', messages: [user] };
    const at = async (host: string, key: string) =>
      await send('/openai/v1/chat/completions', body, { host, 'api-key': key });
    expect((await at('west.openai.azure.com', 'w')).headers['x-ms-region']).toBe('East US 2');
    expect((await at('west.services.ai.azure.com:443', 'w')).status).toBe(200);
    expect(
      (await at('swedencentral.api.cognitive.microsoft.com', 'k')).headers['x-ms-region'],
    ).toBe('Sweden Central');
    expect(await at('north.openai.azure.com', 'k')).toMatchObject({
      status: 404,
      body: { error: { message: 'Subdomain does not map to a resource.' } },
    });
  });

  it('tell an unknown deployment', async () => {
    expect(await chat({}, 'nowhere')).toMatchObject({
      status: 404,
      body: { error: { code: 'DeploymentNotFound' } },
    });
  });

  it('find deployments whatever their case', async () => {
    expect((await chat({}, 'CHAT')).headers['x-ms-deployment-name']).toBe('chat');
  });
});

describe('capabilities', () => {
  it.each([
    [
      'chat on a codex model',
      async () => await chat({}, 'codex'),
      'chatCompletion',
      'gpt-5.3-codex',
    ],
    [
      'chat on embeddings',
      async () => await chat({}, 'embed'),
      'chatCompletion',
      'text-embedding-3-small',
    ],
    [
      'embeddings on chat',
      async () => await send('/openai/v1/embeddings', { model: 'chat', input: 'x' }),
      'embeddings',
      'gpt-4o',
    ],
  ])('refuse %s', async (_, ask, label, model) => {
    expect(await ask()).toMatchObject({
      status: 400,
      body: {
        error: {
          code: 'OperationNotSupported',
          message: expect.stringContaining(
            `The ${label} operation does not work with the specified model, ${model}.`,
          ),
        },
      },
    });
  });

  it.each([
    [
      { max_tokens: 5 },
      'max_tokens',
      'unsupported_parameter',
      "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    ],
    [
      { temperature: 0 },
      'temperature',
      'unsupported_value',
      "'temperature' does not support 0 with this model. Only the default (1) value is supported.",
    ],
    [{ top_p: 0.5 }, 'top_p', 'unsupported_parameter', "'top_p' is not supported with this model."],
    [{ presence_penalty: 1 }, 'presence_penalty', 'unsupported_parameter', 'not supported'],
    [{ frequency_penalty: 1 }, 'frequency_penalty', 'unsupported_parameter', 'not supported'],
    [{ logprobs: true }, 'logprobs', 'unsupported_parameter', 'not supported'],
  ])('of reasoning models refuse %o', async (body, param, code, message) => {
    expect(await chat(body, 'o4')).toMatchObject({
      status: 400,
      body: {
        error: {
          param,
          code,
          type: 'invalid_request_error',
          message: expect.stringContaining(message),
        },
      },
    });
    expect((await chat(body)).status).toBe(200);
  });

  it('of reasoning models accept the default temperature', async () => {
    expect((await chat({ temperature: 1 }, 'o4')).status).toBe(200);
  });

  it('can refuse more per deployment', async () => {
    expect(
      await chat({ stream: true, stream_options: { include_usage: true } }, 'picky'),
    ).toMatchObject({
      status: 400,
      body: { error: { param: 'stream_options.include_usage', code: 'unsupported_parameter' } },
    });
  });

  it('refuse reasoning settings on models that do not reason', async () => {
    expect((await responses({ reasoning: { effort: 'low' } })).body).toMatchObject({
      error: { param: 'reasoning.effort' },
    });
    expect((await responses({ include: ['reasoning.encrypted_content'] })).body).toMatchObject({
      error: { param: 'include' },
    });
  });

  it('refuse prompts longer than the context window', async () => {
    const long = 'x'.repeat(1000);
    expect(await chat({ messages: [{ role: 'user', content: long }] }, 'small')).toMatchObject({
      status: 400,
      body: {
        error: {
          code: 'context_length_exceeded',
          param: 'messages',
          message:
            "This model's maximum context length is 100 tokens. However, your messages resulted in 257 tokens. Please reduce the length of the messages.",
        },
      },
    });
    expect(await responses({ model: 'small', input: long })).toMatchObject({
      status: 400,
      body: { error: { code: 'context_length_exceeded', param: 'input' } },
    });
  });
});

describe('unknown parameters', () => {
  it.each([
    ['top_k', { top_k: 5 }],
    ['enable_thinking', { enable_thinking: true }],
    ['thinking', { thinking: { type: 'enabled' } }],
    ['messages[0].reasoning_content', { messages: [{ ...user, reasoning_content: 'x' }] }],
    [
      'messages[0].content[0].cache_control',
      {
        messages: [
          {
            role: 'user',
            content: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }],
          },
        ],
      },
    ],
    ['stream_options.x', { stream: true, stream_options: { x: 1 } }],
  ])('of chat are refused: %s', async (path, body) => {
    expect(await chat(body)).toMatchObject({
      status: 400,
      body: {
        error: { message: `Unknown parameter: '${path}'.`, param: path, code: 'unknown_parameter' },
      },
    });
  });

  it.each([
    ['stream_options.include_usage', { stream: true, stream_options: { include_usage: true } }],
    ['top_k', { top_k: 5 }],
    [
      'input[0].content[0].cache_control',
      {
        input: [{ role: 'user', content: [{ type: 'input_text', text: 'x', cache_control: {} }] }],
      },
    ],
    ['input[0].tool_calls', { input: [{ role: 'assistant', content: 'x', tool_calls: [] }] }],
  ])('of responses are refused: %s', async (path, body) => {
    expect(await responses(body)).toMatchObject({
      status: 400,
      body: { error: { message: `Unknown parameter: '${path}'.`, code: 'unknown_parameter' } },
    });
  });

  it('of embeddings are refused', async () => {
    expect(
      (await send('/openai/v1/embeddings', { model: 'embed', input: 'x', truncate: true })).body,
    ).toMatchObject({
      error: { code: 'unknown_parameter', param: 'truncate' },
    });
  });

  it('that moved are told where', async () => {
    expect((await responses({ messages: [user] })).body).toMatchObject({
      error: {
        code: 'unsupported_parameter',
        message:
          "Unsupported parameter: 'messages'. In the Responses API, this parameter has moved to 'input'. Try again with the new parameter.",
      },
    });
  });
});

describe('malformed requests', () => {
  it.each([
    ['no messages', { messages: undefined }, 'missing_required_parameter', 'messages'],
    ['a wrong type', { temperature: 'hot' }, 'invalid_type', 'temperature'],
    ['a value out of range', { temperature: 3 }, 'integer_above_maximum_value', 'temperature'],
    [
      'an unknown role',
      { messages: [{ role: 'robot', content: 'x' }] },
      'invalid_value',
      'messages[0].role',
    ],
    [
      'an unknown part',
      { messages: [{ role: 'user', content: [{ type: 'input_text', text: 'x' }] }] },
      'invalid_value',
      'messages[0].content[0].type',
    ],
    [
      'a flat tool',
      { tools: [{ type: 'function', name: 'x' }] },
      'missing_required_parameter',
      'tools[0].function',
    ],
    ['a hosted tool', { tools: [{ type: 'web_search' }] }, 'invalid_value', 'tools[0].type'],
  ])('of chat are refused: %s', async (_, body, code, param) => {
    expect(await chat(body)).toMatchObject({
      status: 400,
      body: { error: { code, param } },
    });
  });

  it('of chat are refused: stream_options without a stream', async () => {
    expect(await chat({ stream_options: { include_usage: true } })).toMatchObject({
      status: 400,
      body: { error: { param: 'stream_options' } },
    });
  });

  it('of chat are refused: tool messages without their call, and calls without their result', async () => {
    const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } };
    expect(
      (await chat({ messages: [user, { role: 'tool', tool_call_id: 'call_1', content: 'x' }] }))
        .status,
    ).toBe(400);
    expect(
      (
        await chat({
          messages: [user, { role: 'assistant', content: null, tool_calls: [call] }, user],
        })
      ).body,
    ).toMatchObject({
      error: { message: expect.stringContaining('did not have response messages: call_1') },
    });
  });

  it.each([
    [
      'a nested tool',
      { tools: [{ type: 'function', function: { name: 'x' } }] },
      "Missing required parameter: 'tools[0].name'.",
    ],
    [
      'a part of the wrong side',
      { input: [{ role: 'assistant', content: [{ type: 'input_text', text: 'x' }] }] },
      "Invalid value: 'input_text'. Supported values are: 'output_text', 'refusal'.",
    ],
    [
      'an output without its call',
      { input: [{ type: 'function_call_output', call_id: 'c', output: 'x' }] },
      'No tool call found for function call output with call_id c.',
    ],
    [
      'a call without its output',
      { input: [{ type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' }] },
      'No tool output found for function call c.',
    ],
    [
      'an id of the wrong kind',
      {
        input: [{ type: 'function_call', id: 'call_1', call_id: 'c', name: 'f', arguments: '{}' }],
      },
      "Invalid 'input[0].id': 'call_1'. Expected an ID that begins with 'fc'.",
    ],
    [
      'a maximum below 16',
      { max_output_tokens: 1 },
      "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 1 instead.",
    ],
    [
      'a tool nobody offered',
      { tool_choice: { type: 'function', name: 'x' } },
      "Tool choice 'x' not found in 'tools' parameter.",
    ],
  ])('of responses are refused: %s', async (_, body, message) => {
    expect(await responses(body)).toMatchObject({ status: 400, body: { error: { message } } });
  });

  it('with a strict schema that is not closed or complete are refused', async () => {
    const open = {
      type: 'object',
      properties: { a: { type: 'object', properties: {} } },
      required: ['a'],
      additionalProperties: false,
    };
    const partial = {
      type: 'object',
      properties: { a: { type: 'string' } },
      required: [],
      additionalProperties: false,
    };
    const tool = { name: 'f', parameters: open, strict: true };
    expect((await chat({ tools: [{ type: 'function', function: tool }] })).body).toMatchObject({
      error: {
        code: 'invalid_function_parameters',
        message:
          "Invalid schema for function 'f': In context=('properties', 'a'), 'additionalProperties' is required to be supplied and to be false.",
      },
    });
    expect((await responses({ tools: [{ type: 'function', ...tool }] })).status).toBe(400);
    expect((await responses({ tools: [{ type: 'function', ...tool, strict: null }] })).status).toBe(
      200,
    );
    const format = {
      type: 'json_schema',
      json_schema: { name: 'x', schema: partial, strict: true },
    };
    expect((await chat({ response_format: format })).body).toMatchObject({
      error: { param: 'response_format', message: expect.stringContaining("Missing 'a'.") },
    });
    expect(
      (
        await responses({
          text: { format: { type: 'json_schema', name: 'x', schema: partial, strict: true } },
        })
      ).status,
    ).toBe(400);
  });

  it('are refused when they are no JSON', async () => {
    const response = await fetch(`${simulator.url}/openai/v1/chat/completions`, {
      method: 'POST',
      headers: { 'api-key': 'k', 'content-type': 'application/json' },
      body: '{"model":',
    });
    expect(response.status).toBe(400);
    const text = await fetch(`${simulator.url}/openai/v1/chat/completions`, {
      method: 'POST',
      headers: { 'api-key': 'k' },
      body: '{}',
    });
    expect(text.status).toBe(415);
  });

  it('of embeddings are refused: empty texts, too many, too long, shortened where the model cannot', async () => {
    const embed = async (body: object) =>
      (await send('/openai/v1/embeddings', { model: 'embed', ...body })).status;
    expect(await embed({ input: [''] })).toBe(400);
    expect(await embed({ input: [] })).toBe(400);
    expect(await embed({ input: Array.from({ length: 2049 }, () => 'x') })).toBe(400);
    expect(await embed({ input: 'x'.repeat(40_000) })).toBe(400);
    expect(await embed({ model: 'ada', input: 'x', dimensions: 10 })).toBe(400);
    expect(await embed({ input: [1, 2, 3] })).toBe(200);
    expect(await embed({ input: [[1], [2]] })).toBe(200);
  });
});

describe('custom headers', () => {
  it('are refused beyond ten, without a body', async () => {
    const custom = (count: number) =>
      Object.fromEntries(
        Array.from({ length: count }, (_, index) => [`x-stainless-${String(index)}`, '1']),
      );
    const body = { model: 'chat', messages: [user] };
    expect((await send('/openai/v1/chat/completions', body, custom(10))).status).toBe(200);
    expect(await send('/openai/v1/chat/completions', body, custom(11))).toMatchObject({
      status: 431,
      text: '',
    });
  });
});

describe('the content filter', () => {
  it('blocks prompts in the words of each operation', async () => {
    const blocked = { messages: [{ role: 'user', content: '[SIM:block-prompt]' }] };
    expect(await chat(blocked)).toMatchObject({
      status: 400,
      body: {
        error: {
          code: 'content_filter',
          param: 'prompt',
          type: null,
          status: 400,
          innererror: {
            code: 'ResponsibleAIPolicyViolation',
            content_filter_result: { jailbreak: { filtered: true, detected: true } },
          },
        },
      },
    });
    const response = await responses({ input: '[SIM:block-prompt violence]' });
    expect(response).toMatchObject({
      status: 400,
      body: {
        error: {
          code: 'content_filter',
          type: 'invalid_request_error',
          content_filters: [{ blocked: true, source_type: 'prompt' }],
        },
      },
    });
    expect(response.text).not.toContain('innererror');
  });

  it('cuts answers, with status 200', async () => {
    expect(
      (await chat({ messages: [{ role: 'user', content: '[SIM:block-output]' }] })).body,
    ).toMatchObject({
      choices: [
        {
          finish_reason: 'content_filter',
          message: { content: 'The first part' },
          content_filter_results: { violence: { filtered: true } },
        },
      ],
    });
    expect((await responses({ input: '[SIM:block-output]' })).body).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'content_filter' },
      content_filters: [{ blocked: false }, { blocked: true, source_type: 'completion' }],
    });
  });

  it('says when it did not run', async () => {
    expect(
      (await chat({ messages: [{ role: 'user', content: '[SIM:filter-down]' }] })).body,
    ).toMatchObject({
      choices: [{ content_filter_results: { error: { code: 'content_filter_error' } } }],
    });
  });

  it('annotates late in its asynchronous mode', async () => {
    const { text } = await chat({
      stream: true,
      messages: [{ role: 'user', content: '[SIM:async-filter]' }],
    });
    expect(text.indexOf('content_filter_offsets')).toBeGreaterThan(0);
    expect(text.lastIndexOf('content_filter_offsets')).toBeGreaterThan(
      text.indexOf('"finish_reason":"stop"'),
    );
  });
});

describe('normal answers', () => {
  it("carry Azure's headers", async () => {
    const { headers } = await send(
      '/openai/v1/chat/completions',
      { model: 'chat', messages: [user] },
      { 'x-ms-client-request-id': 'mine' },
    );
    expect(headers).toMatchObject({
      'x-ms-region': 'Sweden Central',
      'x-ms-deployment-name': 'chat',
      'x-ms-client-request-id': 'mine',
      'x-ratelimit-limit-requests': '60000',
      'apim-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'x-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });
});
