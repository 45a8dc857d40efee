import { startSimulator, type Simulator } from '@aigateway/smoke/simulator/simulator';
import OpenAI, { APIError, AzureOpenAI } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApiManagement, type ApiManagement } from './api-management.ts';
import { GatewayProcess } from './gateway-process.ts';

const [team, other] = ['subscription-of-team', 'subscription-of-another'] as const;
const [teamKey, otherKey] = ['sk-gateway-key-of-team-01', 'sk-gateway-key-of-another'] as const;
const upstream = 'subscription-of-gateway';
const azureKey = 'simulated-key';

let simulator: Simulator;
/** Between the gateway and Azure. */
let behind: ApiManagement;
/** Between callers and the gateway. */
let front: ApiManagement;
let gateway: GatewayProcess;

beforeAll(async () => {
  simulator = await startSimulator();
  const serviceUrl = simulator.resourceUrl('simulator');
  behind = await startApiManagement([
    { suffix: '/models', serviceUrl, subscriptions: { [upstream]: { 'api-key': azureKey } } },
    {
      suffix: '/limited',
      serviceUrl,
      subscriptions: { [upstream]: { 'api-key': azureKey } },
      calls: 0,
    },
  ]);
  const deployment = (model: string, suffix: string, level: number) => ({
    model_name: model,
    litellm_params: {
      model: 'azure/gpt-4o',
      api_base: `${behind.url}${suffix}/openai/deployments/gpt-4o/chat/completions`,
      api_version: '2024-10-21',
      api_key: upstream,
      order: level,
    },
  });
  gateway = new GatewayProcess(['--port', '0', '--role', 'proxy'], {
    AIGATEWAY_SECRET: 'a-root-secret-of-more-than-thirty-two-bytes',
    AIGATEWAY_HOST: '127.0.0.1',
    AIGATEWAY_CONFIG_TEXT: JSON.stringify({
      model_list: [
        deployment('gpt-4o', '/models', 1),
        deployment('spilled', '/limited', 1),
        deployment('spilled', '/models', 2),
      ],
      virtual_keys: [
        { key: teamKey, key_alias: 'team' },
        { key: otherKey, key_alias: 'another', rpm_limit: 1 },
      ],
      aigateway_settings: { base_path: '/ai', trusted_hops: 1, allow_insecure_upstream: true },
    }),
  });
  const url = await gateway.url();
  const subscriptions = {
    [team]: { 'x-gateway-key': teamKey },
    [other]: { 'x-gateway-key': otherKey },
  };
  front = await startApiManagement([
    { suffix: '/ai', serviceUrl: `${url}/ai`, subscriptions },
    { suffix: '/plain', serviceUrl: url, subscriptions },
  ]);
});
afterAll(async () => {
  await gateway.stop();
  await front.close();
  await behind.close();
  await simulator.close();
});

const client = (suffix = '/ai', subscription: string = team) =>
  new OpenAI({
    baseURL: `${front.url}${suffix}/v1`,
    apiKey: 'what-the-client-asks-for',
    defaultHeaders: { 'Ocp-Apim-Subscription-Key': subscription },
    maxRetries: 0,
  });
const hello = {
  model: 'gpt-4o',
  messages: [{ role: 'user' as const, content: 'Hello' }],
};

describe('behind API Management', () => {
  it.each(['/ai', '/plain'])(
    'serves an API published under %s, whether or not the backend has the path too',
    async (suffix) => {
      const { data } = await client(suffix).models.list();
      expect(data.map(({ id }) => id).toSorted()).toEqual(['gpt-4o', 'spilled']);
      const answer = await client(suffix).chat.completions.create(hello);
      expect(answer.choices[0]?.message.content).toBeTruthy();
      const stream = await client(suffix).chat.completions.create({ ...hello, stream: true });
      let chunks = 0;
      for await (const _ of stream) chunks += 1;
      expect(chunks).toBeGreaterThan(2);
    },
  );

  it('takes the SDK for Azure, whose api-key is the subscription’s', async () => {
    const azure = new AzureOpenAI({
      endpoint: `${front.url}/ai`,
      apiKey: team,
      apiVersion: '2024-10-21',
      maxRetries: 0,
    });
    const answer = await azure.chat.completions.create(hello);
    expect(answer.choices[0]?.message.content).toBeTruthy();
  });

  it('knows callers by the key that a policy gives each subscription, with limits of their own', async () => {
    // One a minute: of three, one is refused, wherever a minute begins.
    const ends = [];
    for (let at = 0; at < 3; at += 1)
      ends.push(
        await client('/ai', other)
          .chat.completions.create(hello)
          .catch((error: unknown) => error),
      );
    const refused = ends.find((end) => end instanceof APIError);
    expect([refused?.status, refused?.code]).toEqual([429, 'rate_limit_exceeded']);
    const headers = refused?.headers as Headers | undefined;
    expect(headers?.get('retry-after')).toMatch(/^\d+$/);
    await expect(client('/ai', 'unknown').chat.completions.create(hello)).rejects.toMatchObject({
      status: 401,
    });
    expect((await client().chat.completions.create(hello)).model).toBeTruthy();
  });

  it('logs the caller that API Management saw, and no key of it', async () => {
    const from = { headers: { 'x-forwarded-for': '203.0.113.9' } };
    await client().chat.completions.create(hello, from);
    const listed = await fetch(`${front.url}/ai/v1/models?subscription-key=${team}`);
    expect(listed.status).toBe(200);
    await gateway.until(/"client":"127\.0\.0\.1"/);
    expect(gateway.output).not.toContain('203.0.113.9');
    for (const key of [team, other, teamKey, otherKey, upstream])
      expect(gateway.output + gateway.errors).not.toContain(key);
  });
});

describe('in front of API Management', () => {
  it('reaches Azure with the key of its subscription, and hands on none of its callers', async () => {
    await client().chat.completions.create(hello);
    const calls = simulator.requests().filter(({ method }) => method === 'POST');
    expect(calls.length).toBeGreaterThan(0);
    for (const { headers, url } of calls) {
      expect(url).toContain('/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21');
      expect(headers['api-key']).toBe(azureKey);
      for (const name of ['authorization', 'x-gateway-key', 'ocp-apim-subscription-key'])
        expect(headers).not.toHaveProperty(name);
    }
  });

  it('goes to the next level when a policy there has no calls left', async () => {
    const { data, response } = await client()
      .chat.completions.create({ ...hello, model: 'spilled' })
      .withResponse();
    expect(data.choices[0]?.message.content).toBeTruthy();
    expect(response.headers.get('x-litellm-attempted-retries')).not.toBeNull();
    await gateway.until(/"status":429,"reason":"rate_limited"[^\n]*"reason":"answered"/);
  });
});
