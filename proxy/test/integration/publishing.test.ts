import OpenAI, { AzureOpenAI } from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import {
  keyRecord,
  callerKey,
  chatBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

const deployments = [{ resourceName: 'simulator', deployment: 'gpt-4o' }];
const origin = 'https://app.example';

async function preflight(from: string) {
  return fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'OPTIONS',
    headers: {
      origin: from,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    },
  });
}

function corsHeaders(headers: Headers): string[] {
  return [...headers.keys()].filter((name) => name.startsWith('access-control-'));
}

describe('browsers', () => {
  it('are let in from nowhere unless configured', async () => {
    gateway = await startGatewayUnderTest({ deployments });
    const asked = await preflight(origin);
    expect(asked.status).toBeGreaterThanOrEqual(400);
    expect(corsHeaders(asked.headers)).toEqual([]);
    const answer = await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x'), {
      headers: { origin },
    });
    expect(answer.status).toBe(200);
    expect(corsHeaders(answer.headers)).toEqual([]);
  });

  it('are let in from the configured origins alone, without cookies', async () => {
    gateway = await startGatewayUnderTest({ deployments, options: { corsOrigins: [origin] } });
    const asked = await preflight(origin);
    expect(asked.status).toBe(204);
    expect(asked.headers.get('access-control-allow-origin')).toBe(origin);
    expect(asked.headers.get('access-control-allow-headers')).toContain('authorization');
    expect(asked.headers.get('access-control-allow-credentials')).toBeNull();
    expect(corsHeaders((await preflight('https://evil.example')).headers)).toEqual([]);
    for (const stream of [true, false]) {
      const answer = await gateway.call(
        '/v1/chat/completions',
        chatBody('gpt-4o', 'x', { stream }),
        {
          headers: { origin },
        },
      );
      expect(answer.status).toBe(200);
      expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
      expect(answer.headers.get('vary')).toContain('origin');
      await answer.text();
    }
    const refused = await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x'), {
      headers: { origin },
      key: 'sk-wrong',
    });
    expect(refused.status).toBe(401);
    expect(refused.headers.get('access-control-allow-origin')).toBe(origin);
  });
});

describe('a base path', () => {
  it('stands before every path, for OpenAI and Azure clients', async () => {
    const routedKey = 'sk-routed-0123456789abcdef';
    gateway = await startGatewayUnderTest({
      deployments,
      keys: [
        keyRecord(),
        keyRecord({ keyId: 'routed', secret: routedKey, routes: ['/v1/chat/*'] }),
      ],
      options: { basePath: '/ai/gateway' },
    });
    const base = `${gateway.url}/ai/gateway`;
    const openai = new OpenAI({ baseURL: `${base}/v1`, apiKey: callerKey, maxRetries: 0 });
    const azure = new AzureOpenAI({
      endpoint: base,
      apiKey: callerKey,
      apiVersion: '2024-10-21',
      maxRetries: 0,
    });
    for (const client of [openai, azure]) {
      const answer = await client.chat.completions.create({
        model: 'gpt-4o',
        messages: [{ role: 'user', content: 'based' }],
      });
      expect(answer.choices[0]?.message.content).toContain('based');
    }
    expect((await openai.models.list()).data).toHaveLength(1);
    for (const [path, status] of [
      ['/v1/chat/completions', 200],
      ['/v1/responses', 403],
    ] as const) {
      const body = chatBody('gpt-4o', 'a list of paths does not hold the base path');
      const answer = await gateway.call(`/ai/gateway${path}`, body, { key: routedKey });
      expect(answer.status).toBe(status);
    }
    expect((await fetch(`${base}/health/liveliness`)).status).toBe(200);
    expect((await gateway.call('/ai/gatewayx/v1/models')).status).toBe(404);
  });
});

describe('a path that the configuration adds', () => {
  it('answers the operation it means, and nothing beside it is opened', async () => {
    const extraRoutes = [{ path: '/legacy/ask', operation: 'chat' }] as const;
    gateway = await startGatewayUnderTest({ deployments, settings: { extraRoutes } });
    const ask = (path: string, key?: string) =>
      gateway.call(path, chatBody('gpt-4o', 'x'), key === undefined ? {} : { key });
    const answer = await ask('/legacy/ask');
    expect(await answer.json()).toMatchObject({ object: 'chat.completion' });
    expect((await ask('/legacy/ask', 'nobody')).status).toBe(401);
    expect((await gateway.call('/legacy/ask')).status).toBe(404);
    for (const path of ['/legacy', '/legacy/ask/more', '/v1/legacy/ask', '/LEGACY/ask'])
      expect((await ask(path)).status).toBe(404);
    expect(gateway.simulator.requests().filter(({ method }) => method === 'POST')).toHaveLength(1);
  });
});

describe('the ops port', () => {
  it('answers probes and metrics without a key, and nothing else', async () => {
    gateway = await startGatewayUnderTest({ deployments });
    const { opsUrl = '' } = gateway.proxy;
    for (const path of ['/livez', '/readyz', '/metrics']) {
      expect((await fetch(opsUrl + path)).status).toBe(200);
      expect((await fetch(gateway.url + path)).status).toBe(404);
    }
    expect((await fetch(`${opsUrl}/v1/models`)).status).toBe(404);
    expect((await fetch(`${opsUrl}/metrics`, { method: 'POST' })).status).toBe(405);
  });
});
