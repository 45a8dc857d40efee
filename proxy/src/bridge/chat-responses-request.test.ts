import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { describe, expect, it } from 'vitest';
import { GatewayError } from '../errors.ts';
import { responsesRequest } from './chat-responses-request.ts';

const hello: JsonObject[] = [{ role: 'user', content: 'Hi' }];

function bodyOf(request: JsonObject): JsonObject {
  return responsesRequest({ model: 'm', messages: hello, ...request }).body;
}

function droppedOf(request: JsonObject): readonly string[] {
  return responsesRequest({ model: 'm', messages: hello, ...request }).dropped;
}

function inputOf(messages: JsonValue): JsonValue | undefined {
  return bodyOf({ messages }).input;
}

function refusedParam(request: JsonObject): string | null {
  try {
    bodyOf(request);
  } catch (error) {
    expect(error).toBeInstanceOf(GatewayError);
    const { code, status, param } = error as GatewayError;
    expect({ code, status }).toEqual({ code: 'bridge_unsupported', status: 400 });
    return param;
  }
  return 'nothing was refused';
}

describe('messages', () => {
  it('become input items in their order, roles kept', () => {
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'developer', content: [{ type: 'text', text: 'And kind.' }] },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello.' },
      { role: 'user', content: [{ type: 'text', text: 'Ø🌍' }] },
    ];
    expect(inputOf(messages)).toEqual([
      { type: 'message', role: 'system', content: 'Be brief.' },
      { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'And kind.' }] },
      { type: 'message', role: 'user', content: 'Hi' },
      { type: 'message', role: 'assistant', content: 'Hello.' },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Ø🌍' }] },
    ]);
  });

  it('keep images and files', () => {
    const content = [
      { type: 'image_url', image_url: { url: 'https://example.org/a.png', detail: 'low' } },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
      { type: 'file', file: { file_id: 'file-1' } },
      { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,AAAA' } },
    ];
    expect(inputOf([{ role: 'user', content }])).toEqual([
      {
        type: 'message',
        role: 'user',
        content: [
          { type: 'input_image', image_url: 'https://example.org/a.png', detail: 'low' },
          { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'auto' },
          { type: 'input_file', file_id: 'file-1' },
          {
            type: 'input_file',
            filename: 'a.pdf',
            file_data: 'data:application/pdf;base64,AAAA',
          },
        ],
      },
    ]);
  });

  it('keep calls and results of earlier turns, without item ids', () => {
    const messages = [
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 'c1', type: 'function', function: { name: 'read', arguments: '{"a":1}' } },
          { id: 'c2', type: 'custom', custom: { name: 'patch', input: '*** Begin' } },
        ],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'one' },
      { role: 'tool', tool_call_id: 'c2', content: [{ type: 'text', text: 'two' }] },
      { role: 'assistant', content: 'Done.', refusal: 'No more.' },
    ];
    expect(inputOf(messages)).toEqual([
      { type: 'function_call', call_id: 'c1', name: 'read', arguments: '{"a":1}' },
      { type: 'custom_tool_call', call_id: 'c2', name: 'patch', input: '*** Begin' },
      { type: 'function_call_output', call_id: 'c1', output: 'one' },
      { type: 'custom_tool_call_output', call_id: 'c2', output: 'two' },
      {
        type: 'message',
        role: 'assistant',
        content: [
          { type: 'output_text', text: 'Done.' },
          { type: 'refusal', refusal: 'No more.' },
        ],
      },
    ]);
  });

  it('keep results of several parts apart, images among them', () => {
    const content = [
      { type: 'text', text: 'a' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
    ];
    expect(inputOf([{ role: 'tool', tool_call_id: 'c1', content }])).toEqual([
      {
        type: 'function_call_output',
        call_id: 'c1',
        output: [
          { type: 'input_text', text: 'a' },
          { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'auto' },
        ],
      },
    ]);
  });

  it('pair the functions of old clients with their results', () => {
    const messages = [
      { role: 'assistant', content: null, function_call: { name: 'read', arguments: '{}' } },
      { role: 'function', name: 'read', content: 'one' },
      { role: 'assistant', content: null, function_call: { name: 'read', arguments: '{}' } },
      { role: 'function', name: 'read', content: 'two' },
    ];
    expect(inputOf(messages)).toMatchObject([
      { type: 'function_call', call_id: 'call_function_1', name: 'read' },
      { type: 'function_call_output', call_id: 'call_function_1', output: 'one' },
      { type: 'function_call', call_id: 'call_function_2', name: 'read' },
      { type: 'function_call_output', call_id: 'call_function_2', output: 'two' },
    ]);
  });

  it('lose only what responses have no place for, and say so', () => {
    const messages = [
      {
        role: 'user',
        name: 'anna',
        content: [{ type: 'text', text: 'Hi', cache_control: { type: 'ephemeral' } }],
      },
      { role: 'assistant', content: 'Hello.', reasoning_content: 'hm' },
    ];
    const { body, dropped } = responsesRequest({ messages });
    expect(JSON.stringify(body)).not.toMatch(/anna|cache_control|hm/);
    expect(dropped).toEqual([
      'messages[].name',
      'messages[].content[].cache_control',
      'messages[].reasoning_content',
    ]);
  });

  it.each<[string, JsonObject]>([
    [
      'audio in',
      {
        role: 'user',
        content: [{ type: 'input_audio', input_audio: { data: 'AA', format: 'wav' } }],
      },
    ],
    ['audio of an earlier answer', { role: 'assistant', content: null, audio: { id: 'audio_1' } }],
    ['an unknown part', { role: 'user', content: [{ type: 'hologram' }] }],
    ['an unknown role', { role: 'narrator', content: 'x' }],
  ])('are refused by name with %s', (_, message) => {
    expect(refusedParam({ messages: [message] })).toBe('messages');
  });

  it('must be an array', () => {
    expect(() => bodyOf({ messages: 'Hi' })).toThrow('messages must be an array');
  });
});

describe('tools', () => {
  const parameters = { type: 'object', properties: { a: { type: 'string' } } };

  it.each([
    [undefined, false],
    [null, false],
    [false, false],
    [true, true],
  ])('are flat, and strict only when asked to be: %s', (strict, expected) => {
    const definition: JsonObject = { name: 'f', description: 'd', parameters };
    if (strict !== undefined) definition.strict = strict;
    expect(bodyOf({ tools: [{ type: 'function', function: definition }] }).tools).toEqual([
      { type: 'function', name: 'f', description: 'd', parameters, strict: expected },
    ]);
  });

  it('of the custom kind keep their grammar', () => {
    const grammar = { syntax: 'lark', definition: 'start: "a"' };
    const tool = { type: 'custom', custom: { name: 'p', format: { type: 'grammar', grammar } } };
    expect(bodyOf({ tools: [tool] }).tools).toEqual([
      { type: 'custom', name: 'p', format: { type: 'grammar', ...grammar } },
    ]);
  });

  it.each<[JsonValue, JsonValue]>([
    ['auto', 'auto'],
    ['none', 'none'],
    ['required', 'required'],
    [
      { type: 'function', function: { name: 'f' } },
      { type: 'function', name: 'f' },
    ],
    [
      { type: 'custom', custom: { name: 'p' } },
      { type: 'custom', name: 'p' },
    ],
    [
      {
        type: 'allowed_tools',
        allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'f' } }] },
      },
      { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'f' }] },
    ],
  ])('are chosen as the caller chose: %j', (choice, expected) => {
    expect(bodyOf({ tool_choice: choice }).tool_choice).toEqual(expected);
  });

  it('under their old name are tools as well, one call at a time', () => {
    const request = { functions: [{ name: 'f', parameters }], function_call: { name: 'f' } };
    expect(bodyOf(request)).toMatchObject({
      tools: [{ type: 'function', name: 'f', parameters, strict: false }],
      tool_choice: { type: 'function', name: 'f' },
      parallel_tool_calls: false,
    });
    expect(bodyOf(request)).not.toHaveProperty('functions');
  });

  it('that chat does not have are left out and named', () => {
    const request = {
      tools: [{ type: 'file_search', vector_store_ids: ['vs_1'] }, { type: 'xyz' }],
    };
    expect(bodyOf(request)).not.toHaveProperty('tools');
    expect(droppedOf(request)).toEqual(['tools[].file_search', 'tools[].unknown']);
  });

  it('include web search where the options ask for it', () => {
    const options = {
      search_context_size: 'low',
      user_location: { type: 'approximate', approximate: { country: 'NO' } },
    };
    expect(bodyOf({ web_search_options: options }).tools).toEqual([
      {
        type: 'web_search',
        search_context_size: 'low',
        user_location: { type: 'approximate', country: 'NO' },
      },
    ]);
  });
});

describe('parameters', () => {
  it('are carried under their own names', () => {
    const carried = {
      model: 'm',
      stream: true,
      temperature: 0,
      top_p: 0.5,
      parallel_tool_calls: false,
      metadata: { a: 'b' },
      user: 'u',
      safety_identifier: 's',
      prompt_cache_key: 'k',
      service_tier: 'flex',
      top_k: 4,
    };
    expect(bodyOf(carried)).toMatchObject(carried);
    expect(droppedOf(carried)).toEqual([]);
  });

  it('find their places', () => {
    const schema = { type: 'object' };
    const body = bodyOf({
      reasoning_effort: 'low',
      verbosity: 'high',
      response_format: { type: 'json_schema', json_schema: { name: 'n', schema, strict: true } },
      stream_options: { include_usage: true, include_obfuscation: false },
    });
    expect(body).toMatchObject({
      reasoning: { effort: 'low' },
      text: { verbosity: 'high', format: { type: 'json_schema', name: 'n', schema, strict: true } },
      stream_options: { include_obfuscation: false },
    });
    for (const name of ['reasoning_effort', 'verbosity', 'response_format']) {
      expect(body).not.toHaveProperty(name);
    }
    expect(bodyOf({ response_format: { type: 'json_object' } }).text).toEqual({
      format: { type: 'json_object' },
    });
    expect(bodyOf({ stream_options: { include_usage: true } })).not.toHaveProperty(
      'stream_options',
    );
  });

  it.each([
    [{ max_tokens: 100 }, 100],
    [{ max_completion_tokens: 200 }, 200],
    [{ max_tokens: 100, max_completion_tokens: 200 }, 200],
    [{ max_tokens: 1 }, 16],
    [{}, undefined],
    [{ max_tokens: null }, undefined],
  ])('bound the output, never below what Azure takes: %j', (request, expected) => {
    expect(bodyOf(request).max_output_tokens).toBe(expected);
  });

  it('store nothing unless asked to', () => {
    expect(bodyOf({}).store).toBe(false);
    expect(bodyOf({ store: null }).store).toBe(false);
    expect(bodyOf({ store: true }).store).toBe(true);
    expect(bodyOf({})).not.toHaveProperty('include');
  });

  it.each<[string, JsonValue]>([
    ['stop', ['\n']],
    ['seed', 7],
    ['frequency_penalty', 0.5],
    ['presence_penalty', 1],
    ['logit_bias', { '50256': -100 }],
    ['prediction', { type: 'content', content: 'x' }],
  ])('without a counterpart are left out and named: %s', (name, value) => {
    expect(bodyOf({ [name]: value })).not.toHaveProperty(name);
    expect(droppedOf({ [name]: value })).toEqual([name]);
  });

  it('that ask for nothing are not worth a word', () => {
    const idle = {
      n: 1,
      stop: null,
      seed: null,
      frequency_penalty: 0,
      presence_penalty: 0,
      logit_bias: {},
      logprobs: false,
      top_logprobs: 0,
      audio: null,
      modalities: ['text'],
    };
    expect(droppedOf(idle)).toEqual([]);
    expect(Object.keys(bodyOf(idle))).toEqual(['model', 'input', 'store']);
  });

  it.each<[string, JsonValue]>([
    ['n', 2],
    ['logprobs', true],
    ['top_logprobs', 3],
    ['audio', { voice: 'alloy', format: 'wav' }],
    ['modalities', ['text', 'audio']],
  ])('that would change the answer are refused by name: %s', (name, value) => {
    expect(refusedParam({ [name]: value })).toBe(name);
  });

  it('of the other operation do not slip through', () => {
    const smuggled = {
      previous_response_id: 'resp_of_someone',
      conversation: 'conv_1',
      background: true,
    };
    expect(Object.keys(bodyOf(smuggled))).toEqual(['model', 'input', 'store']);
    expect(droppedOf(smuggled)).toEqual(['previous_response_id', 'conversation', 'background']);
  });

  it('of the vendor field "reasoning" go on as far as responses know them', () => {
    const request = { reasoning: { effort: 'high', summary: 'auto', exclude: true } };
    expect(bodyOf(request).reasoning).toEqual({ effort: 'high', summary: 'auto' });
    expect(droppedOf(request)).toEqual(['reasoning']);
  });
});
