import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { describe, expect, it } from 'vitest';
import { GatewayError } from '../errors.ts';
import { chatRequest } from './responses-chat-request.ts';

function bodyOf(request: JsonObject): JsonObject {
  return chatRequest({ model: 'm', input: 'Hi', ...request }).body;
}

function droppedOf(request: JsonObject): readonly string[] {
  return chatRequest({ model: 'm', input: 'Hi', ...request }).dropped;
}

function messagesOf(input: JsonValue): JsonValue | undefined {
  return bodyOf({ input }).messages;
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

const call = { type: 'function_call', call_id: 'c1', name: 'read', arguments: '{"a":1}' };
const output = { type: 'function_call_output', call_id: 'c1', output: 'one' };
const chatCall = { id: 'c1', type: 'function', function: { name: 'read', arguments: '{"a":1}' } };

describe('input', () => {
  it('becomes messages, instructions first', () => {
    expect(bodyOf({ instructions: 'Be brief.' }).messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi' },
    ]);
  });

  it('may come as bare items without a type', () => {
    expect(
      messagesOf([
        { role: 'system', content: 'Be brief.' },
        { role: 'developer', content: [{ type: 'input_text', text: 'And kind.' }] },
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: 'Hello.' },
      ]),
    ).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'system', content: 'And kind.' },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello.' },
    ]);
  });

  it('keeps several texts, images and files', () => {
    const content = [
      { type: 'input_text', text: 'a' },
      { type: 'input_image', image_url: 'https://example.org/a.png', detail: 'original' },
      { type: 'input_file', file_id: 'file-1' },
      { type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,AAAA' },
    ];
    expect(messagesOf([{ type: 'message', role: 'user', content }])).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'image_url', image_url: { url: 'https://example.org/a.png', detail: 'high' } },
          { type: 'file', file: { file_id: 'file-1' } },
          {
            type: 'file',
            file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,AAAA' },
          },
        ],
      },
    ]);
  });

  it('joins text and calls of one turn, with the results right behind', () => {
    const second = { ...call, call_id: 'c2' };
    expect(
      messagesOf([
        { role: 'user', content: 'Hi' },
        { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAAA-invented' },
        {
          type: 'message',
          id: 'msg_1',
          role: 'assistant',
          content: [{ type: 'output_text', text: 'Reading.', annotations: [] }],
        },
        call,
        second,
        output,
        { role: 'user', content: 'Hurry.' },
        { ...output, call_id: 'c2', output: 'two' },
        { role: 'assistant', content: [{ type: 'refusal', refusal: 'No.' }] },
      ]),
    ).toEqual([
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Reading.', tool_calls: [chatCall, { ...chatCall, id: 'c2' }] },
      { role: 'tool', tool_call_id: 'c1', content: 'one' },
      { role: 'tool', tool_call_id: 'c2', content: 'two' },
      { role: 'user', content: 'Hurry.' },
      { role: 'assistant', content: null, refusal: 'No.' },
    ]);
  });

  it('pairs results with calls in turn when ids repeat', () => {
    expect(messagesOf([call, output, call, { ...output, output: 'two' }])).toEqual([
      { role: 'assistant', content: null, tool_calls: [chatCall] },
      { role: 'tool', tool_call_id: 'c1', content: 'one' },
      { role: 'assistant', content: null, tool_calls: [chatCall] },
      { role: 'tool', tool_call_id: 'c1', content: 'two' },
    ]);
  });

  it('shows images of a result in a message of their own', () => {
    const parts = [
      { type: 'input_text', text: 'screen' },
      { type: 'input_image', image_url: 'data:image/png;base64,AAAA', detail: 'auto' },
    ];
    expect(messagesOf([call, { ...output, output: parts }])).toEqual([
      { role: 'assistant', content: null, tool_calls: [chatCall] },
      {
        role: 'tool',
        tool_call_id: 'c1',
        content: 'screen\nSee the attachment in the next message.',
      },
      {
        role: 'user',
        content: [
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA', detail: 'auto' } },
        ],
      },
    ]);
  });

  it('loses work done upstream in earlier turns, and says so', () => {
    const { body, dropped } = chatRequest({
      input: [
        { type: 'reasoning', id: 'rs_1', summary: [] },
        { type: 'web_search_call', id: 'ws_1', status: 'completed' },
        { role: 'user', content: 'Hi' },
      ],
    });
    expect(body.messages).toEqual([{ role: 'user', content: 'Hi' }]);
    expect(dropped).toEqual(['input[].reasoning', 'input[].web_search_call']);
  });

  it.each<[string, JsonObject]>([
    ['a reference', { type: 'item_reference', id: 'msg_1' }],
    ['a reference without type', { id: 'msg_1' }],
    ['a compacted conversation', { type: 'compaction', encrypted_content: 'x' }],
    ['an unknown item', { type: 'shell_call', call_id: 'c1', action: {} }],
    ['an unknown role', { role: 'narrator', content: 'x' }],
    ['an image by id', { role: 'user', content: [{ type: 'input_image', file_id: 'file-1' }] }],
    [
      'a file by URL',
      { role: 'user', content: [{ type: 'input_file', file_url: 'https://example.org/a' }] },
    ],
    ['audio', { role: 'user', content: [{ type: 'input_audio', input_audio: {} }] }],
    ['an unknown part', { role: 'user', content: [{ type: 'hologram' }] }],
  ])('is refused by name with %s', (_, item) => {
    expect(refusedParam({ input: [item] })).toBe('input');
  });

  it('must be there', () => {
    expect(() => chatRequest({ model: 'm' })).toThrow('input must be a string or an array');
  });
});

describe('tools', () => {
  const parameters = { type: 'object', properties: { a: { type: 'string' } } };
  const read = { type: 'function', name: 'read', description: 'd', parameters };

  it.each([
    [undefined, undefined],
    [null, undefined],
    [false, false],
    [true, true],
  ])('are nested, strictness only where the caller named it: %s', (strict, expected) => {
    const tool: JsonObject = strict === undefined ? read : { ...read, strict };
    const definition: JsonObject = { name: 'read', description: 'd', parameters };
    if (expected !== undefined) definition.strict = expected;
    expect(bodyOf({ tools: [tool] }).tools).toEqual([{ type: 'function', function: definition }]);
  });

  it('that are hosted are left out when nobody forced them', () => {
    const request = {
      tools: [{ type: 'web_search' }, { type: 'image_generation' }, read],
      tool_choice: 'auto',
      parallel_tool_calls: false,
    };
    expect(bodyOf(request)).toMatchObject({ tool_choice: 'auto', parallel_tool_calls: false });
    expect(bodyOf(request).tools).toHaveLength(1);
    expect(droppedOf(request)).toEqual(['tools[].web_search', 'tools[].image_generation']);
  });

  it('take their choice along when none is left, as chat refuses one without the other', () => {
    const body = bodyOf({
      tools: [{ type: 'web_search' }],
      tool_choice: 'auto',
      parallel_tool_calls: true,
    });
    expect(Object.keys(body)).toEqual(['model', 'messages']);
  });

  it.each<[JsonValue]>([
    [{ type: 'web_search_preview' }],
    [{ type: 'mcp', server_label: 's' }],
    [{ type: 'allowed_tools', mode: 'required', tools: [{ type: 'web_search' }] }],
  ])('that are hosted and forced are refused: %j', (choice) => {
    expect(refusedParam({ tools: [{ type: 'web_search' }, read], tool_choice: choice })).toBe(
      'tool_choice',
    );
  });

  it('that are required must exist', () => {
    expect(refusedParam({ tools: [{ type: 'web_search' }], tool_choice: 'required' })).toBe(
      'tool_choice',
    );
  });

  it('can be forced by name', () => {
    const request = { tools: [read], tool_choice: { type: 'function', name: 'read' } };
    expect(bodyOf(request).tool_choice).toEqual({ type: 'function', function: { name: 'read' } });
  });

  it('that are not allowed are not offered', () => {
    const allowed = {
      type: 'allowed_tools',
      mode: 'required',
      tools: [{ type: 'function', name: 'read' }],
    };
    const body = bodyOf({ tools: [read, { ...read, name: 'write' }], tool_choice: allowed });
    expect(body.tools).toMatchObject([{ function: { name: 'read' } }]);
    expect(body.tool_choice).toBe('required');
  });

  it('of a namespace get names of their own, in declarations, history and choice alike', () => {
    const body = bodyOf({
      input: [{ ...call, namespace: 'mcp__files__' }, output],
      tools: [read, { type: 'namespace', name: 'mcp__files__', description: 'd', tools: [read] }],
      tool_choice: { type: 'function', namespace: 'mcp__files__', name: 'read' },
    });
    expect(body.tools).toMatchObject([
      { function: { name: 'read' } },
      { function: { name: 'mcp__files__read' } },
    ]);
    expect(body.messages).toMatchObject([
      { tool_calls: [{ function: { name: 'mcp__files__read' } }] },
      { role: 'tool' },
    ]);
    expect(body.tool_choice).toEqual({ type: 'function', function: { name: 'mcp__files__read' } });
  });

  it('of the custom kind become functions of one string, in history too', () => {
    const grammar = { type: 'grammar', syntax: 'lark', definition: 'start: "a"' };
    const body = bodyOf({
      input: [
        { type: 'custom_tool_call', call_id: 'c1', name: 'apply_patch', input: '*** "x"\n' },
        { type: 'custom_tool_call_output', call_id: 'c1', output: 'ok' },
      ],
      tools: [{ type: 'custom', name: 'apply_patch', description: 'Patches.', format: grammar }],
    });
    expect(body.tools).toMatchObject([
      { type: 'function', function: { name: 'apply_patch', parameters: { required: ['input'] } } },
    ]);
    expect(JSON.stringify(body.tools)).toContain('lark grammar');
    expect(body.messages).toEqual([
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          {
            id: 'c1',
            type: 'function',
            function: { name: 'apply_patch', arguments: JSON.stringify({ input: '*** "x"\n' }) },
          },
        ],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'ok' },
    ]);
  });

  it('that came with the conversation are declared', () => {
    const found = { type: 'tool_search_output', tools: [{ ...read, defer_loading: true }] };
    const body = bodyOf({
      input: [
        { type: 'additional_tools', role: 'developer', tools: [{ ...read, name: 'b' }] },
        found,
      ],
    });
    expect(body.tools).toMatchObject([{ function: { name: 'b' } }, { function: { name: 'read' } }]);
    expect(JSON.stringify(body)).not.toContain('defer_loading');
  });
});

describe('parameters', () => {
  it('are carried under their own names', () => {
    const carried = {
      model: 'm',
      temperature: 0,
      top_p: 0.5,
      user: 'u',
      safety_identifier: 's',
      prompt_cache_key: 'k',
      service_tier: 'flex',
      vendor_field: [1],
    };
    expect(bodyOf(carried)).toMatchObject(carried);
    expect(droppedOf(carried)).toEqual([]);
  });

  it('find their places', () => {
    const format = { type: 'json_schema', name: 'n', schema: { type: 'object' }, strict: true };
    const body = bodyOf({
      max_output_tokens: 99,
      reasoning: { effort: 'low', summary: null },
      text: { verbosity: 'low', format },
      include: ['message.output_text.logprobs'],
      top_logprobs: 2,
      stream: true,
      stream_options: { include_obfuscation: false },
    });
    expect(body).toEqual({
      model: 'm',
      stream: true,
      messages: [{ role: 'user', content: 'Hi' }],
      max_completion_tokens: 99,
      reasoning_effort: 'low',
      verbosity: 'low',
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'n', schema: { type: 'object' }, strict: true },
      },
      logprobs: true,
      top_logprobs: 2,
      stream_options: { include_usage: true, include_obfuscation: false },
    });
    expect(bodyOf({ text: { format: { type: 'text' } } })).not.toHaveProperty('response_format');
    expect(bodyOf({ text: { format: { type: 'json_object' } } }).response_format).toEqual({
      type: 'json_object',
    });
  });

  it('that clients send unasked are left out and named', () => {
    const request = {
      store: true,
      metadata: { a: 'b' },
      truncation: 'auto',
      include: ['reasoning.encrypted_content', 'web_search_call.action.sources'],
      reasoning: { effort: 'medium', summary: 'auto' },
      client_metadata: { a: 'b' },
      max_tool_calls: 3,
    };
    expect(droppedOf(request)).toEqual([
      'store',
      'metadata',
      'truncation',
      'client_metadata',
      'max_tool_calls',
      'reasoning.summary',
      'include',
    ]);
    expect(Object.keys(bodyOf(request))).toEqual(['model', 'messages', 'reasoning_effort']);
  });

  it('that ask for nothing are not worth a word', () => {
    const idle = {
      store: false,
      background: false,
      truncation: 'disabled',
      previous_response_id: null,
      conversation: null,
      prompt: null,
      include: [],
      metadata: {},
      reasoning: { effort: null, summary: null },
      text: null,
    };
    expect(droppedOf(idle)).toEqual([]);
    expect(Object.keys(bodyOf(idle))).toEqual(['model', 'messages']);
  });

  it.each<[string, JsonValue]>([
    ['previous_response_id', 'resp_1'],
    ['conversation', { id: 'conv_1' }],
    ['background', true],
    ['prompt', { id: 'pmpt_1' }],
  ])('that need a memory are refused by name: %s', (name, value) => {
    expect(refusedParam({ [name]: value })).toBe(name);
  });

  it('say in the refusal what to do instead, in the words of the error table', () => {
    expect(() => bodyOf({ previous_response_id: 'resp_1' })).toThrow(
      'The model behind this name is reached through chat, which cannot carry previous_response_id: it keeps no responses; send the whole conversation as input.',
    );
  });
});
