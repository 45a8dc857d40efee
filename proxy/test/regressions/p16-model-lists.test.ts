import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  adminKey,
  callerKey,
  chatBody,
  keyRecord,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

const limitedKey = 'sk-limited-0123456789abcdef';

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: ['east', 'west'].map((name) => ({
        name,
        keys: [`${name}-key`],
        deployments: [
          { name: 'prod-4o', model: 'gpt-4o' },
          { name: 'embed', model: 'text-embedding-3-small' },
        ],
      })),
    },
    deployments: [
      ...['east', 'west'].map((resourceName) => ({
        resourceName,
        deployment: 'prod-4o',
        model: 'gpt-4o',
        tokensPerMinute: 1000,
        requestsPerMinute: 10,
        facts: {
          mode: 'chat',
          maxInputTokens: 128_000,
          maxOutputTokens: 16_384,
          supports: ['vision', 'prompt_caching', 'function_calling'],
          baseModel: 'azure/gpt-4o',
        },
        prices: { input: 2_500_000, output: 10_000_000, cachedInput: 1_250_000 },
      })),
      { resourceName: 'east', deployment: 'embed', model: 'text-embedding-3-small' },
      { resourceName: 'east', deployment: 'embed', model: 'internal', id: 'hidden' },
      { resourceName: 'west', deployment: '*', model: 'any/*', id: 'any' },
      { resourceName: 'west', deployment: '*', model: 'secret/*', id: 'secret' },
      ...['paused', 'paused-with-fallback', 'paused/*'].map((model) => ({
        resourceName: 'west',
        deployment: 'prod-4o',
        model,
        id: `id-of-${model}`,
        blocked: true,
      })),
    ],
    models: ['internal', 'secret/*'].map((name) => ({ name, hidden: true, accessGroups: [] })),
    router: {
      aliases: { 'gpt-4': { model: 'gpt-4o', hidden: false } },
      fallbacks: { 'paused-with-fallback': ['paused', 'gpt-4o'] },
    },
    keys: [
      keyRecord(),
      keyRecord({ keyId: 'admin', secret: adminKey, role: 'admin' }),
      keyRecord({ keyId: 'limited', secret: limitedKey, models: ['gpt-4o', 'any/thing'] }),
    ],
  });
});
afterAll(() => gateway.close());

async function get(path: string, key = callerKey) {
  const response = await gateway.call(path, undefined, { key });
  expect(response.status).toBe(200);
  return (await response.json()) as { data: Record<string, unknown>[] };
}

function ids({ data }: { data: Record<string, unknown>[] }): unknown[] {
  return data.map(({ id }) => id);
}

describe('the list of models', () => {
  it('is that of the key, under every path that clients ask', async () => {
    for (const path of [
      '/v1/models',
      '/models',
      '/openai/v1/models',
      '/openai/models?api-version=2024-10-21',
    ]) {
      expect(ids(await get(path))).toEqual([
        'gpt-4o',
        'text-embedding-3-small',
        'paused-with-fallback',
        'gpt-4',
      ]);
    }
    expect(ids(await get('/v1/models', limitedKey))).toEqual(['gpt-4o', 'gpt-4', 'any/thing']);
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: callerKey });
    expect((await client.models.retrieve('gpt-4o')).id).toBe('gpt-4o');
    await expect(client.models.retrieve('internal')).rejects.toMatchObject({ status: 404 });
  });

  it('has an entry by name for what a wildcard stands for, of keys that may call it', async () => {
    const statusOf = async (path: string, key = callerKey) =>
      (await gateway.call(path, undefined, { key })).status;
    for (const name of ['any/prod-4o', 'any/of/more', 'any%2Fthing']) {
      const entry = (await get(`/v1/models/${name}`)) as unknown as { id: string };
      expect(entry).toMatchObject({ id: decodeURIComponent(name), object: 'model' });
      expect(await statusOf(`/utils/model_info?model=${name}`)).toBe(200);
    }
    expect(await statusOf('/v1/models/any/thing', limitedKey)).toBe(200);
    for (const name of ['any/prod-4o', 'internal'])
      expect([name, await statusOf(`/v1/models/${name}`, limitedKey)]).toEqual([name, 404]);
    for (const name of ['any', 'any/*', 'other', 'secret/thing', 'any-id'])
      expect([name, await statusOf(`/v1/models/${name}`)]).toEqual([name, 404]);
  });

  it('leaves out what operators have paused, unless a fallback answers', async () => {
    for (const [name, status, listed] of [
      ['paused', 503, 404],
      ['paused/thing', 503, 404],
      ['paused-with-fallback', 200, 200],
    ] as const) {
      const answer = await gateway.call('/v1/chat/completions', chatBody(name, 'hi'));
      expect([name, answer.status]).toEqual([name, status]);
      const entry = await gateway.call(`/v1/models/${name}`);
      expect([name, entry.status]).toEqual([name, listed]);
    }
    // Whoever is to put it back into service must find it.
    expect(await get('/v1/model/info')).toMatchObject({
      data: expect.arrayContaining([expect.objectContaining({ model_name: 'paused' })]),
    });
  });

  it.each([
    '//v1/models',
    '/v1//models/',
    '/v1/models//gpt-4o',
    '/v1/models/gpt-4o/',
    '//v2/model/info?size=1',
    '//health/',
    '/health//readiness',
  ])('does not mind the slashes of %s', async (path) => {
    // `gateway.call` puts it behind the address: a URL of its own would take the first two for a host.
    expect((await gateway.call(path, undefined, { key: callerKey })).status).toBe(200);
  });

  it('is answered from memory, without a call upstream', async () => {
    const before = gateway.simulator.requests().length;
    for (let index = 0; index < 50; index += 1) await get('/v1/model/info');
    expect(gateway.simulator.requests()).toHaveLength(before);
  });
});

describe('model info', () => {
  it('has complete rows only, as Roo Code wants them', async () => {
    const { data } = await get('/v1/model/info');
    expect(data.length).toBeGreaterThan(3);
    for (const row of data) {
      expect(row).toMatchObject({
        model_name: expect.stringMatching(/./),
        litellm_params: { model: expect.stringMatching(/./) },
        model_info: { id: expect.stringMatching(/./), supports_vision: expect.any(Boolean) },
      });
    }
    expect(data[0]).toMatchObject({
      model_name: 'gpt-4o',
      model_info: {
        mode: 'chat',
        max_input_tokens: 128_000,
        max_output_tokens: 16_384,
        max_tokens: 16_384,
        input_cost_per_token: 0.0000025,
        output_cost_per_token: 0.00001,
        cache_read_input_token_cost: 0.00000125,
        supports_vision: true,
        supports_prompt_caching: true,
        supports_reasoning: false,
      },
    });
  });

  it('is of one deployment where its id is asked for', async () => {
    const { data } = await get('/v1/model/info');
    const { id } = (data[0] as { model_info: { id: string } }).model_info;
    const one = await get(`/v1/model/info?litellm_model_id=${id}`);
    expect(one.data.length).toBeGreaterThan(0);
    for (const row of one.data) expect(row).toMatchObject({ model_info: { id } });
    const unknown = '/v1/model/info?litellm_model_id=no-such-id';
    expect((await gateway.call(unknown, undefined, { key: callerKey })).status).toBe(404);
  });

  it('comes page by page where the dashboard asks, and says how many there are', async () => {
    const names = (rows: Record<string, unknown>[]) => rows.map((row) => row['model_name']);
    const whole = await get('/v1/model/info');
    const first = await get('/v2/model/info');
    expect(first).toEqual({
      data: whole.data,
      total_count: whole.data.length,
      current_page: 1,
      total_pages: 1,
      size: 50,
    });
    const paged: Record<string, unknown>[] = [];
    for (let page = 1; page <= whole.data.length; page += 1) {
      const { data, ...rest } = await get(`/v2/model/info?page=${page}&size=1`);
      expect(rest).toMatchObject({ current_page: page, total_pages: whole.data.length, size: 1 });
      paged.push(...data);
    }
    expect(paged).toEqual(whole.data);
    expect(await get('/v2/model/info?page=9')).toMatchObject({ data: [], current_page: 9 });

    expect(names((await get('/v2/model/info?model=gpt-4')).data)).toEqual(['gpt-4', 'gpt-4']);
    expect(names((await get('/v2/model/info?search=EMBED')).data)).toEqual([
      'text-embedding-3-small',
    ]);
    const { id } = (whole.data[0] as { model_info: { id: string } }).model_info;
    const one = await get(`/v2/model/info?modelId=${id}&model=gpt-4o`);
    expect(one).toMatchObject({ total_count: 1, data: [{ model_info: { id } }] });
    expect(await get('/v2/model/info?modelId=hidden')).toMatchObject({ total_count: 0 });
    for (const wrong of ['page=0', 'page=two', 'size=0', 'size=1001', 'size=1&size=2']) {
      const refused = await gateway.call(`/v2/model/info?${wrong}`, undefined, { key: callerKey });
      expect([wrong, refused.status]).toEqual([wrong, 400]);
    }
  });

  it('shows hosts to administrators alone, and credentials to nobody', async () => {
    const { origin } = new URL(gateway.simulator.url);
    expect(JSON.stringify(await get('/v1/model/info'))).not.toContain(origin);
    const admins = JSON.stringify(await get('/v1/model/info', adminKey));
    expect(admins).toContain(origin);
    expect(admins).not.toContain('east-key');
  });

  it('sums the limits of a group', async () => {
    const { data } = await get('/model_group/info?model_group=gpt-4o');
    expect(data).toMatchObject([
      {
        model_group: 'gpt-4o',
        providers: ['azure'],
        tpm: 2000,
        rpm: 20,
        max_input_tokens: 128_000,
      },
    ]);
  });
});

describe('health', () => {
  it('with a key lists deployments by what calls have shown, in the form of LiteLLM', async () => {
    const response = await gateway.call('/health');
    expect(await response.json()).toMatchObject({ healthy_count: 9, unhealthy_count: 0 });
  });
});
