import OpenAI, { AzureOpenAI } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { collect } from './exchange.ts';
import { embeddingVector } from './operations/embeddings.ts';
import { startSimulator } from './simulator.ts';
import type { Simulator } from './simulator.ts';

let simulator: Simulator;
let v1: OpenAI;
let classic: AzureOpenAI;

beforeAll(async () => {
  simulator = await startSimulator({
    config: {
      resources: [
        {
          name: 'east',
          keys: ['key-one', 'key-two'],
          deployments: [
            { name: 'chat', model: 'gpt-4o' },
            { name: 'think', model: 'gpt-5' },
            { name: 'codex', model: 'gpt-5.3-codex' },
            { name: 'instruct', model: 'gpt-35-turbo-instruct' },
            { name: 'embed', model: 'text-embedding-3-small' },
          ],
        },
      ],
    },
  });
  v1 = new OpenAI({
    baseURL: `${simulator.resourceUrl('east')}/openai/v1`,
    apiKey: 'key-one',
    maxRetries: 0,
  });
  classic = new AzureOpenAI({
    endpoint: simulator.resourceUrl('east'),
    apiKey: 'key-two',
    apiVersion: '2025-04-01-preview',
    maxRetries: 0,
  });
});

afterAll(async () => {
  await simulator.close();
});

const weather = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 1 } },
  required: ['city', 'days'],
  additionalProperties: false,
};

describe('chat completions', () => {
  it('answers both clients alike, naming resource, deployment and what was said', async () => {
    for (const client of [v1, classic]) {
      const answer = await client.chat.completions.create({
        model: 'chat',
        messages: [{ role: 'user', content: 'Wie spät ist es?' }],
      });
      expect(answer.choices[0]?.message.content).toMatch(
        /^\[east\/chat [0-9a-f]{8}\] You said: Wie spät ist es\?$/,
      );
      expect(answer.model).toBe('gpt-4o-2024-11-20');
      expect(answer.usage).toMatchObject({
        prompt_tokens: 11,
        completion_tokens: 12,
        total_tokens: 23,
      });
    }
  });

  it('streams the same text it answers at once', async () => {
    const body = {
      model: 'chat',
      messages: [{ role: 'user' as const, content: 'Grüße 👋🏽 an alle' }],
    };
    const whole = await v1.chat.completions.create(body);
    const stream = await v1.chat.completions.create({
      ...body,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await collect(stream);
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(
      whole.choices[0]?.message.content,
    );
    expect(chunks[0]).toMatchObject({ choices: [], prompt_filter_results: [{ prompt_index: 0 }] });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage });
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop');
  });

  it('sends a usage chunk only when it was asked for', async () => {
    const stream = await classic.chat.completions.create({
      model: 'chat',
      stream: true,
      messages: [{ role: 'user', content: 'Hi' }],
    });
    const chunks = await collect(stream);
    expect(chunks.filter((chunk) => chunk.usage !== undefined)).toEqual([]);
    expect(chunks.filter((chunk) => chunk.choices.length === 0)).toHaveLength(1);
  });

  it('calls a tool when it must, and talks once it has the result', async () => {
    const tools = [
      { type: 'function' as const, function: { name: 'weather', parameters: weather } },
    ];
    const asked = { role: 'user' as const, content: 'Oslo?' };
    const first = await v1.chat.completions.create({
      model: 'chat',
      messages: [asked],
      tools,
      tool_choice: 'required',
    });
    const [choice] = first.choices;
    expect(choice?.finish_reason).toBe('tool_calls');
    const made = choice?.message.tool_calls?.[0];
    if (choice === undefined || made?.type !== 'function') throw new Error('no call');
    expect(JSON.parse(made.function.arguments)).toEqual({ city: 'city', days: 1 });

    const second = await v1.chat.completions.create({
      model: 'chat',
      tools,
      tool_choice: 'required',
      messages: [asked, choice.message, { role: 'tool', tool_call_id: made.id, content: 'rain' }],
    });
    expect(second.choices[0]?.message.content).toContain('The tool returned: rain');
  });

  it('streams parallel calls in fragments that add up', async () => {
    const tools = ['one', 'two'].map((name) => ({
      type: 'function' as const,
      function: { name, parameters: weather },
    }));
    const runner = v1.chat.completions.stream({
      model: 'chat',
      tools,
      messages: [{ role: 'user', content: '[SIM:tool two {"city":"Ås","days":2}] [SIM:tool one]' }],
    });
    const final = await runner.finalChatCompletion();
    expect(
      final.choices[0]?.message.tool_calls?.map(
        (made) =>
          made.type === 'function' && [made.function.name, JSON.parse(made.function.arguments)],
      ),
    ).toEqual([
      ['two', { city: 'Ås', days: 2 }],
      ['one', { city: 'city', days: 1 }],
    ]);
  });

  it('obeys allowed_tools and a single call at a time', async () => {
    const tools = ['one', 'two'].map((name) => ({
      type: 'function' as const,
      function: { name, parameters: weather },
    }));
    const answer = await v1.chat.completions.create({
      model: 'chat',
      tools,
      parallel_tool_calls: false,
      tool_choice: {
        type: 'allowed_tools',
        allowed_tools: {
          mode: 'required',
          tools: [{ type: 'function', function: { name: 'two' } }],
        },
      },
      messages: [{ role: 'user', content: '[SIM:tool two] [SIM:parallel 3]' }],
    });
    expect(answer.choices[0]?.message.tool_calls).toHaveLength(1);
    expect(answer.choices[0]?.message.tool_calls?.[0]).toMatchObject({ function: { name: 'two' } });
  });

  it('answers JSON that satisfies the schema', async () => {
    const answer = await v1.chat.completions.create({
      model: 'chat',
      messages: [{ role: 'user', content: 'Oslo' }],
      response_format: { type: 'json_schema', json_schema: { name: 'weather', schema: weather } },
    });
    expect(JSON.parse(answer.choices[0]?.message.content ?? '')).toEqual({ city: 'city', days: 1 });
  });

  it('gives reasoning tokens by effort and keeps half of a small maximum for the answer', async () => {
    const ask = async (extra: object) =>
      await v1.chat.completions.create({
        model: 'think',
        messages: [{ role: 'user', content: '[SIM:tokens 50]' }],
        ...extra,
      });
    const full = await ask({ reasoning_effort: 'high' });
    expect(full.usage).toMatchObject({
      completion_tokens: 178,
      completion_tokens_details: { reasoning_tokens: 128 },
    });
    const short = await ask({ max_completion_tokens: 40 });
    expect(short.usage).toMatchObject({
      completion_tokens: 40,
      completion_tokens_details: { reasoning_tokens: 20 },
    });
    expect(short.choices[0]?.finish_reason).toBe('length');
  });

  it('refuses on command, in a stream as well', async () => {
    const stream = v1.chat.completions.stream({
      model: 'chat',
      messages: [{ role: 'user', content: '[SIM:refuse]' }],
    });
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]?.message.refusal).toContain('cannot assist');
  });

  it('gives as many choices as asked for', async () => {
    const answer = await v1.chat.completions.create({
      model: 'chat',
      n: 3,
      messages: [{ role: 'user', content: 'x' }],
    });
    expect(answer.choices.map((choice) => choice.index)).toEqual([0, 1, 2]);
  });
});

describe('prompt caching', () => {
  it('counts a long prefix that the deployment has seen before', async () => {
    const system = { role: 'system' as const, content: 'rule '.repeat(2000) };
    const ask = async (content: string) =>
      (
        await v1.chat.completions.create({
          model: 'chat',
          messages: [system, { role: 'user', content }],
        })
      ).usage;
    expect((await ask('one'))?.prompt_tokens_details?.cached_tokens).toBe(0);
    const again = (await ask('two'))?.prompt_tokens_details?.cached_tokens ?? 0;
    expect(again).toBeGreaterThanOrEqual(2432);
    expect(again % 128).toBe(0);
  });
});

describe('completions', () => {
  it('answers instruct models', async () => {
    const answer = await classic.completions.create({
      model: 'instruct',
      prompt: 'Once',
      max_tokens: 50,
    });
    expect(answer.choices[0]?.text).toContain('You said: Once');
  });

  it('streams text', async () => {
    const stream = await v1.completions.create({
      model: 'instruct',
      prompt: 'Once',
      max_tokens: 50,
      stream: true,
    });
    const chunks = await collect(stream);
    expect(chunks.map((chunk) => chunk.choices[0]?.text ?? '').join('')).toContain(
      'You said: Once',
    );
  });
});

describe('embeddings', () => {
  it('gives unit vectors in order, equal for equal texts, in either encoding', async () => {
    const create = async (client: OpenAI, encoding_format: 'float' | 'base64') =>
      await client.embeddings.create({
        model: 'embed',
        input: ['a', 'b', 'a'],
        dimensions: 256,
        encoding_format,
      });
    const float = await create(v1, 'float');
    const base64 = await create(classic, 'base64');
    const vectors = float.data.map((row) => row.embedding);
    expect(float.data.map((row) => row.index)).toEqual([0, 1, 2]);
    expect(vectors[0]).toEqual(vectors[2]);
    expect(vectors[0]).not.toEqual(vectors[1]);
    expect(vectors[0]).toEqual([...embeddingVector('a', 256)]);
    expect(Math.hypot(...(vectors[0] ?? []))).toBeCloseTo(1, 5);
    const decoded = base64.data.map((row) => {
      const bytes = Buffer.from(row.embedding as unknown as string, 'base64');
      return [...new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)];
    });
    expect(decoded).toEqual(vectors);
    expect(float.usage).toEqual({ prompt_tokens: 3, total_tokens: 3 });
  });
});

describe('models', () => {
  it('lists base models, not deployments', async () => {
    const ids = (await collect(v1.models.list())).map((model) => model.id);
    expect(ids).toContain('gpt-4o-2024-11-20');
    expect(ids).not.toContain('chat');
  });
});
