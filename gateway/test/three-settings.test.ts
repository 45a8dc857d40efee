import { configure } from '@aigateway/contract/compile';
import type { Environment } from '@aigateway/contract/environment-config';
import type { Proxy } from '@aigateway/proxy/proxy';
import { startSimulator, type Simulator } from '@aigateway/smoke/simulator/simulator';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startWith } from '../src/start.ts';

const key = 'sk-caller-0123456789abcdef';

let simulator: Simulator;
let proxy: Proxy | undefined;

beforeEach(async () => {
  simulator = await startSimulator();
});

afterEach(async () => {
  await proxy?.drain();
  proxy = undefined;
  await simulator.close();
});

/** A gateway from three settings and no file; more of the environment where a test names it. */
async function start(more: Environment = {}): Promise<string> {
  const environment = {
    AZURE_OPENAI_URL: simulator.resourceUrl('simulator'),
    AZURE_OPENAI_API_KEY: 'simulated-key',
    PROXY_API_KEY: key,
    AIGATEWAY_PROFILE: 'development',
    AIGATEWAY_PORT: '0',
    AIGATEWAY_OPS_PORT: '0',
    ...more,
  };
  const compiled = configure(undefined, environment);
  expect(compiled.problems).toEqual([]);
  const secret = { current: 'test-secret-of-at-least-32-bytes-length' };
  proxy = await startWith(
    compiled.records,
    { compiled, environment, secret, version: '0.0.0-test' },
    {},
  );
  return proxy.url;
}

async function post(url: string, body: object, authorization = `Bearer ${key}`): Promise<number> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  await response.arrayBuffer();
  return response.status;
}

/** Paths and queries of what reached the resource, without the resource's own part. */
function upstreamUrls(): string[] {
  const calls = simulator.requests().filter(({ method }) => method === 'POST');
  return calls.map(({ url }) => url.replace('/simulator', ''));
}

describe('three settings and no file', () => {
  it('reach any deployment of the resource by its name', async () => {
    const url = await start();
    expect(await post(`${url}/v1/responses`, { model: 'gpt-5', input: 'hello' })).toBe(200);
    expect(
      await post(`${url}/v1/embeddings`, { model: 'text-embedding-3-large', input: 'a' }),
    ).toBe(200);
    expect(upstreamUrls()).toEqual(['/openai/v1/responses', '/openai/v1/embeddings']);
  });

  it.each<[string, (resource: string) => Environment, string[]]>([
    ['the model of calls without one', () => ({}), ['gpt-5.3-codex']],
    [
      'embeddings',
      () => ({ AIGATEWAY_EMBEDDINGS_DEPLOYMENT: 'text-embedding-3-small' }),
      ['text-embedding-3-small', 'gpt-5.3-codex'],
    ],
    [
      'the deployment of the address',
      (resource) => ({ AZURE_OPENAI_URL: `${resource}/openai/deployments/gpt-4o` }),
      ['gpt-4o'],
    ],
  ])('list what is known by name: %s', async (_, more, names) => {
    const url = await start(more(simulator.resourceUrl('simulator')));
    const response = await fetch(`${url}/v1/models`, {
      headers: { authorization: `Bearer ${key}` },
    });
    const list = (await response.json()) as { data: { id: string }[] };
    expect(list.data.map(({ id }) => id)).toEqual(names);
  });

  it('call responses and embeddings each by its own dated version, on the classic paths', async () => {
    const url = await start({
      AIGATEWAY_RESPONSES_MODEL: 'gpt-5.3-codex',
      AIGATEWAY_RESPONSES_API_VERSION: '2025-04-01-preview',
      AIGATEWAY_EMBEDDINGS_DEPLOYMENT: 'text-embedding-3-small',
      AIGATEWAY_EMBEDDINGS_API_VERSION: '2024-10-21',
    });
    expect(await post(`${url}/v1/responses`, { input: 'hello' })).toBe(200);
    expect(await post(`${url}/v1/embeddings`, { input: 'hello' })).toBe(200);
    expect(upstreamUrls()).toEqual([
      '/openai/responses?api-version=2025-04-01-preview',
      '/openai/deployments/text-embedding-3-small/embeddings?api-version=2024-10-21',
    ]);
    expect(simulator.requests()).toContainEqual(
      expect.objectContaining({
        body: expect.objectContaining({ model: 'gpt-5.3-codex' }) as unknown,
      }),
    );
  });

  it("take the deployment and version of a call's whole URL for their defaults", async () => {
    const resource = simulator.resourceUrl('simulator');
    const url = await start({
      AZURE_OPENAI_URL: `${resource}/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21`,
    });
    const messages = [{ role: 'user', content: 'hello' }];
    expect(await post(`${url}/v1/chat/completions`, { messages })).toBe(200);
    expect(upstreamUrls()).toEqual([
      '/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21',
    ]);
  });

  it('let nobody in without the key', async () => {
    const url = await start();
    const body = { model: 'gpt-4o', input: 'hello' };
    expect(await post(`${url}/v1/responses`, body, '')).toBe(401);
    expect(await post(`${url}/v1/responses`, body, 'Bearer simulated-key')).toBe(401);
    expect(upstreamUrls()).toEqual([]);
  });
});
