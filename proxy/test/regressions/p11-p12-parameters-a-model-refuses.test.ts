import type { JsonObject } from '@aigateway/contract/records';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  adminKey,
  chatBody,
  readEvents,
  responsesBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
beforeEach(async () => {
  const deployments = [
    { name: 'gpt-4o', model: 'gpt-4o' },
    { name: 'gpt-5', model: 'gpt-5' },
    { name: 'o3', model: 'o3' },
    { name: 'chat-only', model: 'gpt-4' },
    { name: 'codex', model: 'gpt-5.3-codex' },
    { name: 'instruct', model: 'gpt-35-turbo-instruct' },
    { name: 'toolless', model: 'gpt-4o', refusedParameters: ['tools', 'response_format'] },
    {
      name: 'picky',
      model: 'gpt-4o',
      refusedParameters: ['parallel_tool_calls', 'seed', 'stream_options.include_usage'],
    },
  ];
  gateway = await startGatewayUnderTest({
    simulator: { resources: [{ name: 'east', keys: ['k'], deployments }] },
    deployments: deployments.map(({ name }) => ({ resourceName: 'east', deployment: name })),
  });
});
afterEach(() => gateway.close());

/** Bodies of the model calls that were answered, oldest first. */
function answeredBodies(): JsonObject[] {
  return gateway.simulator
    .requests()
    .filter(({ status, method }) => method === 'POST' && status === 200)
    .map(({ body }) => body as JsonObject);
}

function refusals(): number {
  return gateway.simulator.requests().filter(({ status }) => status === 400).length;
}

const limits = ['max_tokens', 'max_completion_tokens', 'max_output_tokens'];

type Case = { path: string; body: JsonObject; field: string; upstream: string[] };

const chat = '/v1/chat/completions';
const responses = '/v1/responses';
const cases: Case[] = [
  ...['gpt-4o', 'chat-only'].flatMap((model) =>
    ['max_tokens', 'max_completion_tokens'].map((field) => ({
      path: chat,
      body: chatBody(model, 'x'),
      field,
      upstream: [field],
    })),
  ),
  ...['gpt-5', 'o3'].flatMap((model) =>
    ['max_tokens', 'max_completion_tokens'].map((field) => ({
      path: chat,
      body: chatBody(model, 'x'),
      field,
      upstream: ['max_completion_tokens'],
    })),
  ),
  ...['gpt-4o', 'gpt-5', 'codex'].flatMap((model) =>
    limits.map((field) => ({
      path: responses,
      body: responsesBody(model, 'x'),
      field,
      upstream: ['max_output_tokens'],
    })),
  ),
  ...['max_tokens', 'max_completion_tokens'].map((field) => ({
    path: chat,
    body: chatBody('codex', 'x'),
    field,
    upstream: ['max_output_tokens'],
  })),
  {
    path: responses,
    body: responsesBody('chat-only', 'x'),
    field: 'max_output_tokens',
    upstream: ['max_tokens', 'max_completion_tokens'],
  },
  {
    path: '/v1/completions',
    body: { model: 'instruct', prompt: 'x' },
    field: 'max_tokens',
    upstream: ['max_tokens'],
  },
];

describe('the maximum of output tokens', () => {
  it.each(cases)(
    'keeps its value under the name the model takes: $path $body.model $field',
    async ({ path, body, field, upstream }) => {
      for (let call = 0; call < 2; call += 1) {
        const seenRefusals = refusals();
        const response = await gateway.call(path, { ...body, [field]: 321 });
        expect(response.status).toBe(200);
        await response.text();
        const sent = answeredBodies().at(-1) ?? {};
        const names = limits.filter((name) => name in sent);
        expect(names).toHaveLength(1);
        expect(upstream).toContain(names[0]);
        expect(sent[names[0] ?? '']).toBe(321);
        if (names[0] !== field) {
          expect(response.headers.get('x-aigateway-changes')).toMatch(/max_|>/);
        }
        // What one refusal taught is known to the next call.
        if (call === 1) expect(refusals()).toBe(seenRefusals);
      }
    },
  );

  it('is sent once where a caller names it twice', async () => {
    const response = await gateway.call(
      chat,
      chatBody('gpt-5', 'x', { max_tokens: 100, max_completion_tokens: 200 }),
    );
    expect(response.status).toBe(200);
    expect(answeredBodies().at(-1)).toMatchObject({ max_completion_tokens: 200 });
    expect(answeredBodies().at(-1)).not.toHaveProperty('max_tokens');
  });
});

describe('a value that a model does not take', () => {
  const sampling: [string, unknown][] = [
    ['temperature', 0],
    ['temperature', 0.2],
    ['top_p', 0.5],
    ['presence_penalty', 1],
    ['frequency_penalty', 1],
    ['logprobs', true],
  ];

  it.each(sampling)('is left out, which is named, and remembered: %s %s', async (name, value) => {
    for (let call = 0; call < 3; call += 1) {
      const response = await gateway.call(chat, { ...chatBody('gpt-5', 'x'), [name]: value });
      expect(response.status).toBe(200);
      expect(response.headers.get('x-aigateway-changes')).toContain(`-${name}`);
      expect(answeredBodies().at(-1)).not.toHaveProperty(name);
      await response.text();
    }
    expect(refusals()).toBeLessThanOrEqual(1);
  });

  it.each(sampling)('is passed on to a model that takes it: %s %s', async (name, value) => {
    const response = await gateway.call(chat, { ...chatBody('gpt-4o', 'x'), [name]: value });
    expect(response.status).toBe(200);
    expect(answeredBodies().at(-1)).toMatchObject({ [name]: value });
    expect(response.headers.get('x-aigateway-changes')).toBeNull();
  });

  it('is left out after the bridge, too', async () => {
    const response = await gateway.call(chat, chatBody('codex', 'x', { temperature: 0 }));
    expect(response.status).toBe(200);
    expect(answeredBodies().at(-1)).not.toHaveProperty('temperature');
  });
});

describe('a parameter that one deployment alone refuses', () => {
  it('is learned from its refusal, one repair for each, and known from then on', async () => {
    const body = chatBody('picky', 'x', { parallel_tool_calls: true, seed: 7, temperature: 0.4 });
    const first = await gateway.call(chat, body);
    expect(first.status).toBe(200);
    expect(first.headers.get('x-aigateway-changes')).toContain('-parallel_tool_calls');
    expect(first.headers.get('x-aigateway-changes')).toContain('-seed');
    expect(refusals()).toBe(2);
    const second = await gateway.call(chat, body);
    expect(second.status).toBe(200);
    expect(refusals()).toBe(2);
    expect(answeredBodies().at(-1)).toMatchObject({ temperature: 0.4 });
    const elsewhere = await gateway.call(chat, { ...body, model: 'gpt-4o' });
    await elsewhere.text();
    expect(answeredBodies().at(-1)).toMatchObject({ parallel_tool_calls: true, seed: 7 });
  });

  it('is not asked for again when it was the gateway that asked: usage of streams', async () => {
    for (let call = 0; call < 2; call += 1) {
      const events = await readEvents(
        await gateway.call(chat, chatBody('picky', 'x', { stream: true })),
      );
      expect(events.at(-1)?.data).toBe('[DONE]');
    }
    expect(refusals()).toBe(1);
    expect(gateway.usage.map(({ usageSource }) => usageSource)).toEqual(['estimated', 'estimated']);
  });

  it('is never left out when it says what is asked for', async () => {
    for (const [name, value] of [
      ['tools', [{ type: 'function', function: { name: 'f' } }]],
      ['response_format', { type: 'json_object' }],
    ] as const) {
      for (let call = 0; call < 2; call += 1) {
        const response = await gateway.call(chat, {
          ...chatBody('toolless', 'answer in json'),
          [name]: value,
        });
        expect(response.status).toBe(400);
        expect(await response.json()).toMatchObject({ error: { param: name } });
      }
    }
    expect(answeredBodies()).toEqual([]);
  });

  it('is the caller’s to hear of where repairs are switched off', async () => {
    gateway.proxy.update({
      ...gateway.records,
      settings: { ...gateway.records.settings, repairParameters: false },
    });
    const response = await gateway.call(chat, chatBody('picky', 'x', { seed: 7 }));
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { param: 'seed', code: 'unsupported_parameter' },
    });
  });
});

describe('a field that Azure does not know', () => {
  it('is left out after one refusal, named and remembered', async () => {
    const body = chatBody('gpt-4o', 'x', { brand_new_field: { a: 1 } });
    const first = await gateway.call(chat, body);
    expect(first.status).toBe(200);
    expect(first.headers.get('x-aigateway-changes')).toContain('-brand_new_field');
    await gateway.call(chat, body);
    expect(refusals()).toBe(1);
  });

  it('costs a caller of many of them a bounded number of tries, and nobody else anything', async () => {
    const extra = Object.fromEntries(
      Array.from({ length: 40 }, (_, index) => [`junk_${index}`, 1]),
    );
    const response = await gateway.call(chat, chatBody('gpt-4o', 'x', extra));
    expect(response.status).toBe(400);
    expect(gateway.usage[0]?.attempts.length).toBeLessThanOrEqual(12);
    expect((await gateway.call(chat, chatBody('gpt-4o', 'x'))).status).toBe(200);
  });
});

describe('what was learned', () => {
  const learnedOf = async (deployment: string, key?: string) => {
    const answer = await gateway.call('/health', undefined, key === undefined ? {} : { key });
    const { healthy_endpoints: rows } = (await answer.json()) as {
      healthy_endpoints: { model: string; learned?: unknown }[];
    };
    return rows.find(({ model }) => model === `azure/${deployment}`)?.learned;
  };

  it('is shown to administrators, and to nobody else', async () => {
    expect(await learnedOf('picky', adminKey)).toBeUndefined();
    await gateway.call(chat, chatBody('picky', 'x', { seed: 7 }));
    await gateway.call(chat, chatBody('codex', 'x', { max_tokens: 50 }));
    await gateway.call(responses, responsesBody('chat-only', 'x'));
    expect(await learnedOf('picky', adminKey)).toEqual({
      unsupported: [],
      changes: { chat: ['-seed'] },
    });
    expect(await learnedOf('codex', adminKey)).toEqual({ unsupported: ['chat'], changes: {} });
    expect(await learnedOf('chat-only', adminKey)).toEqual({
      unsupported: ['responses'],
      changes: {},
    });
    expect(await learnedOf('gpt-4o', adminKey)).toBeUndefined();
    expect(await learnedOf('picky')).toBeUndefined();
  });
});
