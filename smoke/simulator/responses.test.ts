import OpenAI from 'openai';
import type { ResponseInputItem, ResponseStreamEvent } from 'openai/resources/responses/responses';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { collect, eventsOf, exchange } from './exchange.ts';
import type { JsonObject } from './json.ts';
import { startSimulator } from './simulator.ts';
import type { Simulator } from './simulator.ts';

let simulator: Simulator;
let now: number;

beforeEach(async () => {
  now = 1_794_301_200_000;
  const deployments = [
    { name: 'chat', model: 'gpt-4o' },
    { name: 'codex', model: 'gpt-5.3-codex' },
  ];
  simulator = await startSimulator({
    clock: { now: () => now },
    config: {
      resources: [
        { name: 'east', keys: ['k'], deployments },
        { name: 'west', keys: ['k'], deployments },
      ],
      background: { queuedMs: 1000, runMs: 5000 },
    },
  });
});

afterEach(async () => {
  await simulator.close();
});

function client(resource = 'east'): OpenAI {
  return new OpenAI({
    baseURL: `${simulator.resourceUrl(resource)}/openai/v1`,
    apiKey: 'k',
    maxRetries: 0,
  });
}

async function types(stream: AsyncIterable<ResponseStreamEvent>): Promise<string[]> {
  return (await collect(stream)).map((event) => event.type.replace('response.', ''));
}

const tool = {
  type: 'function' as const,
  name: 'weather',
  strict: true,
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
};

describe('a streamed response', () => {
  it('sends the events of a text answer in order, numbered from 0', async () => {
    const stream = await client().responses.create({ model: 'chat', input: 'x', stream: true });
    const events = await collect(stream);
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index));
    expect(events.map((event) => event.type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ]);
    const last = events.at(-1);
    if (last?.type !== 'response.completed') throw new Error('not completed');
    expect(last.response).toMatchObject({
      status: 'completed',
      model: 'chat',
      usage: { input_tokens: 8 },
    });
  });

  it('sends reasoning with encrypted content, then the call', async () => {
    const stream = await client().responses.create({
      model: 'codex',
      input: 'Oslo',
      stream: true,
      store: false,
      include: ['reasoning.encrypted_content'],
      tools: [tool],
      tool_choice: { type: 'function', name: 'weather' },
    });
    expect(await types(stream)).toEqual([
      'created',
      'in_progress',
      'output_item.added',
      'output_item.done',
      'output_item.added',
      'function_call_arguments.delta',
      'function_call_arguments.done',
      'output_item.done',
      'completed',
    ]);
  });

  it('leaves out the argument deltas on command', async () => {
    const stream = await client().responses.create({
      model: 'chat',
      input: '[SIM:tool weather] [SIM:done-only]',
      stream: true,
      tools: [tool],
    });
    const seen = await types(stream);
    expect(seen).toContain('function_call_arguments.done');
    expect(seen).not.toContain('function_call_arguments.delta');
  });

  it('ends without [DONE] and with response.incomplete when the maximum is reached', async () => {
    const { text } = await exchange(`${simulator.resourceUrl('east')}/openai/v1/responses`, {
      headers: { 'api-key': 'k' },
      json: { model: 'chat', input: '[SIM:tokens 100]', stream: true, max_output_tokens: 16 },
    });
    expect(text).not.toContain('[DONE]');
    expect(eventsOf(text).at(-1)).toMatchObject({
      type: 'response.incomplete',
      response: {
        status: 'incomplete',
        incomplete_details: { reason: 'max_output_tokens' },
        usage: { output_tokens: 16 },
      },
    });
  });

  it('gives a reasoning summary when asked', async () => {
    const stream = await client().responses.create({
      model: 'codex',
      input: 'x',
      stream: true,
      reasoning: { summary: 'auto' },
    });
    expect(await types(stream)).toEqual(
      expect.arrayContaining(['reasoning_summary_text.delta', 'reasoning_summary_part.done']),
    );
  });

  it('calls custom and namespaced tools', async () => {
    const response = await client().responses.create({
      model: 'codex',
      input: '[SIM:tool patch text of the patch] [SIM:tool inner]',
      tools: [
        { type: 'web_search' },
        { type: 'custom', name: 'patch' },
        {
          type: 'namespace',
          name: 'box',
          description: 'a box',
          tools: [
            { type: 'function', name: 'inner', parameters: { type: 'object', properties: {} } },
          ],
        },
      ],
    });
    expect(response.output.slice(1)).toMatchObject([
      { type: 'custom_tool_call', name: 'patch', input: 'text of the patch' },
      { type: 'function_call', name: 'inner', namespace: 'box', arguments: '{}' },
    ]);
  });
});

describe('stored responses', () => {
  it('continue a conversation in their own resource only', async () => {
    const first = await client().responses.create({ model: 'chat', input: 'one' });
    const next = await client().responses.create({
      model: 'chat',
      input: 'two',
      previous_response_id: first.id,
    });
    expect(next.usage?.input_tokens).toBeGreaterThan(first.usage?.input_tokens ?? 0);
    await expect(
      client('west').responses.create({
        model: 'chat',
        input: 'two',
        previous_response_id: first.id,
      }),
    ).rejects.toMatchObject({
      status: 400,
      code: 'previous_response_not_found',
      param: 'previous_response_id',
    });
    await expect(client('west').responses.retrieve(first.id)).rejects.toMatchObject({
      status: 404,
    });
    expect(await client().responses.retrieve(first.id)).toMatchObject({
      id: first.id,
      output_text: first.output_text,
    });
  });

  it('list the items of the whole conversation, newest first', async () => {
    const first = await client().responses.create({ model: 'chat', input: 'one' });
    const next = await client().responses.create({
      model: 'chat',
      input: 'two',
      previous_response_id: first.id,
    });
    const items = await collect(client().responses.inputItems.list(next.id, { limit: 2 }));
    expect(items.map((item) => item.type === 'message' && item.content[0])).toMatchObject([
      { text: 'two' },
      { text: first.output_text },
      { text: 'one' },
    ]);
  });

  it('are gone when deleted, expired or never stored', async () => {
    const stored = await client().responses.create({ model: 'chat', input: 'one' });
    const kept = await client().responses.create({ model: 'chat', input: 'one' });
    const unstored = await client().responses.create({ model: 'chat', input: 'one', store: false });
    await client().responses.delete(stored.id);
    now += 30 * 24 * 3_600_000;
    for (const { id } of [stored, kept, unstored]) {
      await expect(client().responses.retrieve(id)).rejects.toMatchObject({ status: 404 });
    }
  });

  it('lend their items to references in their own resource only', async () => {
    const first = await client().responses.create({ model: 'codex', input: 'one' });
    const references = first.output.map(({ id }) => ({
      type: 'item_reference' as const,
      id: id ?? '',
    }));
    const input: ResponseInputItem[] = [...references, { role: 'user', content: 'two' }];
    await expect(client().responses.create({ model: 'codex', input })).resolves.toMatchObject({
      status: 'completed',
    });
    await expect(client('west').responses.create({ model: 'codex', input })).rejects.toMatchObject({
      status: 404,
      param: 'input',
      message: expect.stringMatching(
        /^404 Item with id 'rs_\w+' not found\. Items are not persisted/,
      ),
    });
  });

  it('stay invisible for a while when so configured', async () => {
    const slow = await startSimulator({
      clock: { now: () => now },
      config: {
        itemVisibilityDelayMs: 100,
        resources: [
          { name: 'east', keys: ['k'], deployments: [{ name: 'chat', model: 'gpt-4o' }] },
        ],
      },
    });
    const openai = new OpenAI({ baseURL: `${slow.url}/openai/v1`, apiKey: 'k', maxRetries: 0 });
    try {
      const { id } = await openai.responses.create({ model: 'chat', input: 'one' });
      await expect(openai.responses.retrieve(id)).rejects.toMatchObject({ status: 404 });
      now += 100;
      await expect(openai.responses.retrieve(id)).resolves.toMatchObject({ id });
    } finally {
      await slow.close();
    }
  });
});

describe('encrypted reasoning', () => {
  it('is read by its own resource and refused by another', async () => {
    const first = await client().responses.create({
      model: 'codex',
      input: 'one',
      store: false,
      include: ['reasoning.encrypted_content'],
    });
    const input = [...first.output, { role: 'user', content: 'two' }] as ResponseInputItem[];
    await expect(
      client().responses.create({ model: 'codex', input, store: false }),
    ).resolves.toMatchObject({ status: 'completed' });
    await expect(
      client('west').responses.create({ model: 'codex', input, store: false }),
    ).rejects.toMatchObject({
      status: 400,
      code: 'invalid_encrypted_content',
      message: expect.stringMatching(
        /^400 The encrypted content gAAA\.\.\.\S\S could not be verified\./,
      ),
    });
  });

  it('must be stored here when it comes without its content', async () => {
    const input: ResponseInputItem[] = [
      { type: 'reasoning', id: 'rs_elsewhere', summary: [] },
      { role: 'user', content: 'x' },
    ];
    await expect(client().responses.create({ model: 'codex', input })).rejects.toMatchObject({
      status: 404,
    });
  });
});

describe('background responses', () => {
  it('are queued, then run, then complete, by the clock', async () => {
    const { id, status } = await client().responses.create({
      model: 'chat',
      input: 'long',
      background: true,
    });
    expect(status).toBe('queued');
    const statusNow = async () => (await client().responses.retrieve(id)).status;
    expect(await statusNow()).toBe('queued');
    now += 1000;
    expect(await statusNow()).toBe('in_progress');
    now += 5000;
    expect(await client().responses.retrieve(id)).toMatchObject({
      status: 'completed',
      output_text: expect.stringContaining('long'),
    });
  });

  it('can be cancelled until they are over', async () => {
    const create = async () =>
      (await client().responses.create({ model: 'chat', input: 'x', background: true })).id;
    const [early, late] = [await create(), await create()];
    now += 2000;
    expect((await client().responses.cancel(early)).status).toBe('cancelled');
    now += 10_000;
    expect((await client().responses.retrieve(early)).status).toBe('cancelled');
    expect((await client().responses.cancel(late)).status).toBe('completed');
    const direct = await client().responses.create({ model: 'chat', input: 'x' });
    await expect(client().responses.cancel(direct.id)).rejects.toMatchObject({ status: 400 });
  });

  it('stream on from any event', async () => {
    const stream = await client().responses.create({
      model: 'chat',
      input: 'x',
      background: true,
      stream: true,
    });
    const iterator = stream[Symbol.asyncIterator]();
    const created = await iterator.next();
    if (created.done === true || created.value.type !== 'response.created')
      throw new Error('not created');
    const { id } = created.value.response;
    now += 10_000;
    const rest = await client().responses.retrieve(id, { stream: true, starting_after: 1 });
    const events = await collect(rest);
    expect(events[0]).toMatchObject({ type: 'response.in_progress', sequence_number: 2 });
    expect(events.at(-1)?.type).toBe('response.completed');
    stream.controller.abort();
  });

  it('need the store', async () => {
    await expect(
      client().responses.create({ model: 'chat', input: 'x', background: true, store: false }),
    ).rejects.toMatchObject({ status: 400, param: 'background' });
  });
});

describe('the sub-operations', () => {
  it('compact a conversation into exactly one item that only this resource can read', async () => {
    const compacted = await client().responses.compact({ model: 'codex', input: 'a long story' });
    expect(compacted.output).toMatchObject([
      { type: 'compaction', encrypted_content: expect.stringMatching(/^gAAAA/) },
    ]);
    const input = [...compacted.output, { role: 'user', content: 'go on' }] as ResponseInputItem[];
    await expect(client().responses.create({ model: 'codex', input })).resolves.toMatchObject({
      status: 'completed',
    });
    await expect(client('west').responses.create({ model: 'codex', input })).rejects.toMatchObject({
      code: 'invalid_encrypted_content',
    });
  });

  it('compact inside an ordinary call when the input ends in a trigger', async () => {
    const { body } = await exchange(`${simulator.resourceUrl('east')}/openai/v1/responses`, {
      headers: { 'api-key': 'k' },
      json: {
        model: 'codex',
        input: [{ role: 'user', content: 'story' }, { type: 'compaction_trigger' }],
      },
    });
    expect((body['output'] as JsonObject[]).map((item) => item['type'])).toEqual(['compaction']);
  });

  it('count input tokens as the call itself does', async () => {
    const input = 'How long is this?';
    const counted = await client().responses.inputTokens.count({
      model: 'chat',
      input,
      tools: [tool],
    });
    const created = await client().responses.create({ model: 'chat', input, tools: [tool] });
    expect(counted.input_tokens).toBe(created.usage?.input_tokens);
  });
});

describe('a session of Codex', () => {
  const shared = {
    model: 'codex',
    instructions: 'You are a coding agent.',
    tools: [
      {
        type: 'function',
        name: 'shell',
        description: 'runs',
        strict: false,
        parameters: {
          type: 'object',
          properties: { command: { type: 'array', items: { type: 'string' } } },
          required: ['command'],
          additionalProperties: false,
        },
      },
      {
        type: 'custom',
        name: 'apply_patch',
        description: 'patches',
        format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' },
      },
      { type: 'web_search', external_web_access: false },
    ],
    parallel_tool_calls: false,
    reasoning: { effort: 'medium', summary: 'auto' },
    text: { verbosity: 'medium' },
    prompt_cache_key: 'session',
  };
  const turn = {
    tool_choice: 'auto',
    stream: true,
    include: ['reasoning.encrypted_content'],
    client_metadata: { installation: 'x' },
  };

  async function send(path: string, body: object): Promise<{ status: number; text: string }> {
    return await exchange(`${simulator.resourceUrl('east')}/openai/v1/${path}`, {
      headers: { 'api-key': 'k' },
      json: { ...shared, ...body },
    });
  }

  it.each([true, false])('runs a tool, continues and compacts, with store %s', async (store) => {
    const asked = {
      type: 'message',
      role: 'user',
      content: [{ type: 'input_text', text: '[SIM:tool shell {"command":["ls"]}]' }],
    };
    const first = await send('responses', { ...turn, store, input: [asked] });
    const completed = eventsOf(first.text).at(-1) as { response: { output: JsonObject[] } };
    const call = completed.response.output.at(-1);
    expect(call).toMatchObject({
      type: 'function_call',
      name: 'shell',
      arguments: '{"command":["ls"]}',
    });
    const history = [
      asked,
      ...completed.response.output,
      { type: 'function_call_output', call_id: call?.['call_id'], output: 'README.md' },
    ];
    const second = await send('responses', { ...turn, store, input: history });
    expect(second.text).toContain('The tool returned: README.md');
    expect(await send('responses/compact', { input: history })).toMatchObject({ status: 200 });
  });
});

describe('one conversation in two spellings', () => {
  it('has one digest and one number of tokens', async () => {
    const parameters = tool.parameters;
    const chat = await client().chat.completions.create({
      model: 'chat',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Oslo?' },
        {
          role: 'assistant',
          content: 'Let me look.',
          tool_calls: [
            {
              id: 'call_1',
              type: 'function',
              function: { name: 'weather', arguments: '{"city":"Oslo"}' },
            },
          ],
        },
        { role: 'tool', tool_call_id: 'call_1', content: 'rain' },
        { role: 'user', content: 'Thanks' },
      ],
      tools: [{ type: 'function', function: { name: 'weather', parameters } }],
    });
    const response = await client().responses.create({
      model: 'chat',
      instructions: 'Be brief.',
      input: [
        { role: 'user', content: [{ type: 'input_text', text: 'Oslo?' }] },
        { role: 'assistant', content: 'Let me look.' },
        { type: 'function_call', call_id: 'call_x', name: 'weather', arguments: '{"city":"Oslo"}' },
        { type: 'function_call_output', call_id: 'call_x', output: 'rain' },
        { role: 'user', content: 'Thanks' },
      ],
      tools: [tool],
    });
    expect(response.output_text).toBe(chat.choices[0]?.message.content);
    expect(response.usage?.input_tokens).toBe(chat.usage?.prompt_tokens);
  });
});
