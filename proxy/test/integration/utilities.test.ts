import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  adminKey,
  callerKey,
  keyRecord,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

const limitedKey = 'sk-limited-0123456789abcdef';
const elsewhereKey = 'sk-elsewhere-0123456789abcdef';

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: [
        {
          name: 'east',
          keys: ['east-key'],
          deployments: [
            { name: 'gpt-4o', model: 'gpt-4o' },
            { name: 'text-embedding-3-small', model: 'text-embedding-3-small' },
          ],
        },
      ],
    },
    deployments: [
      {
        resourceName: 'east',
        deployment: 'gpt-4o',
        model: 'priced',
        dialect: 'v1',
        facts: { mode: 'chat', baseModel: 'azure/gpt-4o', maxInputTokens: 128_000 },
        prices: {
          input: 2_500_000,
          output: 10_000_000,
          cachedInput: 1_250_000,
          tiers: { priority: { input: 5_000_000, output: 20_000_000 } },
        },
        headers: { 'x-own': 'header-secret' },
        defaults: { temperature: 0.1, metadata: 'body-secret' },
      },
      {
        resourceName: 'east',
        deployment: 'gpt-4o',
        id: 'chat-only',
        model: 'chat-only',
        operations: ['chat'],
        family: 'reasoning',
        drop: ['seed'],
        facts: { mode: 'chat' },
      },
      {
        resourceName: 'east',
        deployment: 'text-embedding-3-small',
        model: 'vectors',
        facts: { mode: 'embedding' },
      },
      {
        resourceName: 'east',
        deployment: '*',
        id: 'wild',
        model: 'wild/*',
        litellmModel: 'azure/wild/*',
        coolDownMs: 60_000,
      },
    ],
    keys: [
      keyRecord(),
      keyRecord({ keyId: 'admin', secret: adminKey, role: 'admin' }),
      keyRecord({ keyId: 'limited', secret: limitedKey, models: ['vectors'] }),
      keyRecord({ keyId: 'elsewhere', secret: elsewhereKey, credential: 'of-no-origin-here' }),
    ],
  });
});
afterAll(() => gateway.close());

// oxlint-disable-next-line typescript/no-explicit-any -- answers are read member by member, as clients do
type Body = any;

async function post(path: string, body: unknown, key = callerKey) {
  const response = await gateway.call(path, body, { key });
  const answer = (await response.json()) as Body;
  return { status: response.status, body: answer, headers: response.headers };
}

async function get(path: string, key = callerKey) {
  const response = await gateway.call(path, undefined, { key });
  return { status: response.status, body: (await response.json()) as Body };
}

describe("LiteLLM's token counter", () => {
  const path = '/utils/token_counter';
  const messages = [{ role: 'user', content: 'How long is this?' }];
  const upstreamCalls = () =>
    gateway.simulator.requests().filter(({ operation }) => operation === 'responses.input_tokens');

  it('asks a deployment that counts, whatever form the conversation has', async () => {
    const forms = [
      { messages },
      { prompt: 'How long is this?' },
      { prompt: ['How long', 'is this?'] },
      { contents: [{ role: 'user', parts: [{ text: 'How long is this?' }] }] },
    ];
    for (const form of forms) {
      const { status, body } = await post(`${path}?call_endpoint=true`, {
        model: 'priced',
        ...form,
      });
      expect(status).toBe(200);
      expect(body).toMatchObject({
        request_model: 'priced',
        model_used: 'azure/gpt-4o',
        tokenizer_type: 'azure_input_tokens',
        count_source: 'upstream',
      });
      expect(body.total_tokens).toBeGreaterThan(0);
    }
    expect(upstreamCalls()).toHaveLength(forms.length);
    expect(upstreamCalls().every(({ url }) => !url.includes('call_endpoint'))).toBe(true);
  });

  it('counts tools and the system prompt, in the forms of OpenAI and Anthropic', async () => {
    const plain = (await post(path, { model: 'priced', messages })).body.total_tokens;
    const parameters = { type: 'object', properties: { city: { type: 'string' } } };
    const more = [
      { system: 'You are terse. '.repeat(20) },
      { system: [{ type: 'text', text: 'You are terse. '.repeat(20) }] },
      { tools: [{ type: 'function', function: { name: 'weather', parameters } }] },
      { tools: [{ name: 'weather', description: 'The weather', input_schema: parameters }] },
    ];
    for (const extra of more) {
      const { body } = await post(path, { model: 'priced', messages, ...extra });
      expect(body.count_source).toBe('upstream');
      expect(body.total_tokens).toBeGreaterThan(plain);
    }
  });

  it('says that it is an estimate where no deployment counts, and uses nothing', async () => {
    const { status, body, headers } = await post(path, {
      model: 'chat-only',
      messages: [{ role: 'user', content: 'word '.repeat(4000) }],
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({ count_source: 'estimate', tokenizer_type: 'bytes_estimate' });
    expect(body.total_tokens).toBeGreaterThan(4900);
    expect(body.total_tokens).toBeLessThan(5200);
    expect(headers.get('x-aigateway-changes')).toBe('estimated');
    expect(gateway.usage.at(-1)).toMatchObject({ usageSource: 'none', costNanoUsd: 0 });
  });

  it('does so too while a deployment that counts fails', async () => {
    gateway.simulator.fault({
      kind: 'error',
      error: '500-internal',
      operation: 'responses.input_tokens',
    });
    const { status, body } = await post(path, { model: 'priced', messages });
    gateway.simulator.clearFaults();
    expect([status, body.count_source]).toEqual([200, 'estimate']);
  });

  it('refuses a count of nothing, and of a model that the key may not use', async () => {
    for (const model of ['priced', 'chat-only']) {
      const { status, body } = await post(path, { model, text: 'x' });
      expect([status, body.error.code]).toEqual([400, 'invalid_parameter']);
    }
    expect((await post(path, { model: 'priced', messages }, limitedKey)).status).toBe(403);
  });
});

describe('what calls cost', () => {
  it('is estimated for numbers of tokens and requests', async () => {
    const { body } = await post('/cost/estimate', {
      model: 'priced',
      input_tokens: 1000,
      output_tokens: 100,
      cache_read_input_tokens: 400,
      num_requests_per_day: 10,
    });
    // 600 at 2.5, 400 at 1.25 and 100 at 10 dollars a million.
    expect(body).toEqual({
      model: 'priced',
      input_tokens: 1000,
      output_tokens: 100,
      cache_read_input_tokens: 400,
      cache_creation_input_tokens: 0,
      reasoning_tokens: 0,
      num_requests_per_day: 10,
      num_requests_per_month: null,
      cost_per_request: 0.003,
      input_cost_per_request: 0.002,
      output_cost_per_request: 0.001,
      margin_cost_per_request: 0,
      cache_read_cost_per_request: 0.0005,
      cache_creation_cost_per_request: 0,
      reasoning_cost_per_request: 0,
      daily_cost: 0.03,
      daily_input_cost: 0.02,
      daily_output_cost: 0.01,
      daily_margin_cost: 0,
      daily_cache_read_cost: 0.005,
      daily_cache_creation_cost: 0,
      daily_reasoning_cost: 0,
      monthly_cost: null,
      monthly_input_cost: null,
      monthly_output_cost: null,
      monthly_margin_cost: null,
      monthly_cache_read_cost: null,
      monthly_cache_creation_cost: null,
      monthly_reasoning_cost: null,
      input_cost_per_token: 0.0000025,
      output_cost_per_token: 0.00001,
      cache_read_input_token_cost: 0.00000125,
      cache_creation_input_token_cost: 0.0000025,
      output_cost_per_reasoning_token: 0.00001,
      provider: 'azure',
    });
    const even = await post('/cost/estimate', {
      model: 'priced',
      input_tokens: 1000,
      output_tokens: 500,
    });
    // Parts are subtracted as whole numbers: 0.0075 less 0.0025 is not 0.005.
    expect(even.body).toMatchObject({ cost_per_request: 0.0075, output_cost_per_request: 0.005 });
  });

  it('is calculated from an answer, at the price of its service tier, or from messages', async () => {
    const usage = { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 };
    const answer = { model: 'priced', usage };
    const of = async (body: object) => (await post('/spend/calculate', body)).body.cost;
    expect(await of({ completion_response: answer })).toBe(0.0035);
    expect(await of({ completion_response: { ...answer, service_tier: 'priority' } })).toBe(0.007);
    expect(await of({ model: 'priced', completion_response: { ...answer, model: 'gone' } })).toBe(
      0.0035,
    );
    const messages = [{ role: 'user', content: 'x'.repeat(3970) }];
    expect(await of({ model: 'priced', messages })).toBe(0.0025);
  });

  it('is that of the price file for a model which the key does not see', async () => {
    const body = { model: 'priced', input_tokens: 1, output_tokens: 1 };
    expect((await post('/cost/estimate', body, limitedKey)).status).toBe(404);
    const known = { ...body, model: 'azure/gpt-4o', input_tokens: 1_000_000 };
    const { body: listed } = await post('/cost/estimate', known, limitedKey);
    expect(listed.input_cost_per_request).toBeGreaterThan(0);
  });

  it('is refused for what is no number, no answer and no model', async () => {
    const wrong: [string, object, number][] = [
      ['/cost/estimate', { model: 'priced', input_tokens: -1, output_tokens: 1 }, 400],
      [
        '/cost/estimate',
        { model: 'priced', input_tokens: 1, output_tokens: 1, cache_read_input_tokens: 2 },
        400,
      ],
      [
        '/cost/estimate',
        { model: 'priced', input_tokens: 1, output_tokens: 1, reasoning_tokens: 2 },
        400,
      ],
      ['/cost/estimate', { model: 'priced', input_tokens: 1.5, output_tokens: 1 }, 400],
      ['/cost/estimate', { model: 'priced', input_tokens: 1 }, 400],
      ['/cost/estimate', { input_tokens: 1, output_tokens: 1 }, 400],
      ['/cost/estimate', { model: '__proto__', input_tokens: 1, output_tokens: 1 }, 404],
      ['/spend/calculate', { model: 'priced' }, 400],
      ['/spend/calculate', { completion_response: { model: 'priced' } }, 400],
      ['/spend/calculate', { model: 'nowhere', messages: [] }, 404],
    ];
    for (const [path, body, status] of wrong) {
      expect([path, body, (await post(path, body)).status]).toEqual([path, body, status]);
    }
    const huge = { model: 'priced', input_tokens: 1e12, output_tokens: 1e12 };
    expect((await post('/cost/estimate', huge)).body.cost_per_request).toBeGreaterThan(0);
    const list = await gateway.call('/cost/estimate', [1], {});
    expect(list.status).toBe(400);
    const read = await gateway.call('/cost/estimate', undefined, { method: 'GET' });
    expect([read.status, read.headers.get('allow')]).toEqual([405, 'POST']);
  });
});

describe('what is known of a model', () => {
  it('are its facts and prices, as in the list of deployments', async () => {
    const { data } = (await get('/model/info')).body;
    const { body } = await get('/utils/model_info?model=priced');
    expect(body).toEqual(data[0].model_info);
    expect((await get('/utils/model_info?model=priced', limitedKey)).status).toBe(404);
    expect((await get('/utils/model_info')).status).toBe(400);
  });

  it('are the parameters that it takes, without those that its family or deployment does not', async () => {
    const of = async (model: string) =>
      (await get(`/utils/supported_openai_params?model=${model}`)).body.supported_openai_params;
    const priced = await of('priced');
    expect(priced).toEqual(expect.arrayContaining(['temperature', 'seed', 'tools', 'max_tokens']));
    expect(priced).not.toContain('messages');
    const reasoning = await of('chat-only');
    expect(reasoning).toEqual(expect.arrayContaining(['reasoning_effort', 'tools']));
    for (const name of ['temperature', 'top_p', 'seed']) expect(reasoning).not.toContain(name);
    expect(await of('vectors')).toEqual(['dimensions', 'encoding_format', 'user']);
    const { data } = (await get('/model_group/info?model_group=priced')).body;
    expect(data[0].supported_openai_params).toEqual(priced);
    expect((await get('/utils/supported_openai_params?model=no')).status).toBe(404);
  });
});

describe('the request that would go upstream', () => {
  const transform = (callType: string, requestBody: object, key?: string) =>
    post('/utils/transform_request', { call_type: callType, request_body: requestBody }, key);

  it('is shown with its changes, and nothing is sent', async () => {
    const before = gateway.simulator.requests().length;
    const { status, body } = await transform(
      'completion',
      { model: 'chat-only', messages: [], temperature: 0.5, max_tokens: 5, tags: ['x'] },
      adminKey,
    );
    expect(status).toBe(200);
    const { origin } = new URL(gateway.simulator.url);
    expect(body.raw_request_api_base.startsWith(origin)).toBe(true);
    expect(body.raw_request_api_base).toContain('/chat/completions');
    expect(body.raw_request_body).toMatchObject({ messages: [], max_completion_tokens: 5 });
    expect(body.raw_request_body).not.toHaveProperty('tags');
    expect(body.changes).toContain('-tags');
    expect(gateway.simulator.requests()).toHaveLength(before);
  });

  it('shows hosts to administrators alone, and secrets to nobody', async () => {
    const request = { model: 'priced', messages: [] };
    for (const key of [callerKey, adminKey]) {
      const { body } = await transform('acompletion', request, key);
      expect(JSON.stringify(body)).not.toMatch(/header-secret|body-secret|key-/);
      expect(body.raw_request_headers['x-own']).toBe('****');
      expect(body.raw_request_body).toMatchObject({ temperature: '****', metadata: '****' });
      expect(body.raw_request_headers).not.toHaveProperty('api-key');
      expect(body.raw_request_headers).not.toHaveProperty('authorization');
    }
    expect((await transform('completion', request)).body.raw_request_api_base).toBeNull();
  });

  it('is refused as the call itself would be', async () => {
    const messages: unknown[] = [];
    const request = { model: 'priced', messages };
    expect((await transform('completion', request, limitedKey)).status).toBe(403);
    // No deployment is reached with the credential of its project.
    const { body } = await transform('completion', request, elsewhereKey);
    expect(body.error.code).toBe('no_deployment');
    expect((await transform('completion', { model: 'priced', api_base: 'x' })).status).toBe(403);
    expect((await transform('constructor', { model: 'priced' })).status).toBe(400);
    expect((await transform('embedding', { model: 'chat-only', input: 'x' })).body.error.code).toBe(
      'operation_unsupported',
    );
  });
});

describe('how the process and its deployments fare', () => {
  it('is told with a key: readiness, requests under way, the present standing of each deployment', async () => {
    expect((await get('/health/readiness/details')).body).toMatchObject({
      status: 'healthy',
      litellm_version: '0.0.0-test',
      success_callbacks: [],
    });
    expect((await get('/health/backlog')).body).toEqual({ in_flight_requests: 0 });
    const latest = (await get('/health/latest')).body;
    expect(latest.total_models).toBe(4);
    expect(Object.values(latest.latest_health_checks)).toContainEqual(
      expect.objectContaining({ model_name: 'priced', status: 'healthy', error_message: null }),
    );
    expect((await get('/health/latest', limitedKey)).body.total_models).toBe(1);
    for (const path of ['readiness/details', 'backlog', 'latest', 'history']) {
      const response = await gateway.call(`/health/${path}`, undefined, { key: 'sk-unknown' });
      expect([path, response.status]).toEqual([path, 401]);
    }
  });

  it('says nothing of what others asked for behind a wildcard, but to administrators', async () => {
    gateway.simulator.fault({ kind: 'rate-limit', retryAfterMs: 60_000, deployment: 'gpt-4o' });
    await gateway.call('/v1/chat/completions', {
      model: 'wild/gpt-4o',
      messages: [{ role: 'user', content: 'x' }],
    });
    gateway.simulator.clearFaults();
    for (const path of ['/health', '/health/latest', '/health/history']) {
      const { body } = await get(path);
      expect(JSON.stringify(body)).not.toContain('wild/gpt-4o');
    }
    const { body } = await get('/health/history?model=wild/*', adminKey);
    expect(body.total_records).toBeGreaterThan(0);
    expect(JSON.stringify((await get('/health', adminKey)).body)).toContain('wild/gpt-4o');
  });

  it('is remembered: when a deployment began to rest, the newest first', async () => {
    gateway.simulator.fault({ kind: 'rate-limit', retryAfterMs: 60_000, operation: 'embeddings' });
    await gateway.call('/v1/embeddings', { model: 'vectors', input: 'x' });
    gateway.simulator.clearFaults();
    const { body } = await get('/health/history?model=vectors');
    expect(body.health_checks[0]).toMatchObject({
      model_name: 'vectors',
      status: 'unhealthy',
      error_message: 'RateLimitError',
    });
    expect(body).toMatchObject({ limit: 100, offset: 0 });
    expect((await get('/health/history?model=vectors&status_filter=none')).body.total_records).toBe(
      0,
    );
    expect((await get('/health/history?limit=0')).status).toBe(400);
  });
});
