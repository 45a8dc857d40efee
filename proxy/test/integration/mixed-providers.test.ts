import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  ownUpstream,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { startServer, type TestServer } from '../upstream/server.ts';

let gateway: GatewayUnderTest;
let premises: TestServer;
let status: number;
let seen: IncomingMessage[];

/** A server on the premises that speaks OpenAI's API and knows nothing of Azure. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  request.resume().on('end', () => {
    if (request.method === 'POST') seen.push(request);
    response.writeHead(status, { 'content-type': 'application/json' });
    const choices = [{ index: 0, message: { role: 'assistant', content: 'of the premises' } }];
    response.end(
      JSON.stringify(status === 200 ? { choices } : { error: { message: 'down', type: 'x' } }),
    );
  });
}

beforeEach(async () => {
  status = 200;
  seen = [];
  premises = await startServer(answer);
  const { deployment, ...own } = ownUpstream(premises.origin, 'llama', {
    model: 'pool',
    credential: 'premises',
  });
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: [
        {
          name: 'east',
          keys: ['azure-key'],
          deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }],
        },
      ],
    },
    deployments: [
      { resourceName: 'east', deployment: 'gpt-4o', model: 'pool' },
      { ...own, deployment },
    ],
    credentials: [
      {
        id: 'premises',
        method: { kind: 'api-key', key: { kind: 'inline', value: 'premises-key' } },
        origins: [premises.origin],
      },
    ],
    router: { strategy: 'round-robin', coolDownMs: 60_000 },
  });
});
afterEach(async () => {
  await gateway.close();
  await premises.close();
});

async function ask(): Promise<string> {
  const response = await gateway.call('/v1/chat/completions', chatBody('pool', 'hello'));
  expect(response.status).toBe(200);
  const { choices } = (await response.json()) as { choices: [{ message: { content: string } }] };
  return choices[0].message.content;
}

const toAzure = () => gateway.simulator.requests().filter(({ method }) => method === 'POST');

describe('one model of Azure and of a server that is not', () => {
  it('is served by both in turn, each by its own path and key', async () => {
    for (let index = 0; index < 10; index += 1) await ask();
    expect([seen.length, toAzure().length]).toEqual([5, 5]);
    for (const { url, headers } of seen) {
      expect(url).toBe('/v1/chat/completions');
      expect(headers['authorization']).toBe('Bearer premises-key');
      expect(headers['api-key']).toBeUndefined();
    }
    for (const { url, headers } of toAzure()) {
      expect(url).toBe('/east/openai/v1/chat/completions');
      expect(headers['api-key']).toBe('azure-key');
      expect(headers['authorization']).toBeUndefined();
    }
  });

  it('is served by either while the other is down', async () => {
    status = 503;
    for (let index = 0; index < 6; index += 1) expect(await ask()).toContain('east/gpt-4o');
    status = 200;
    gateway.simulator.fault({ kind: 'error', error: '503-unavailable' });
    for (let index = 0; index < 6; index += 1) expect(await ask()).toBe('of the premises');
  });
});
