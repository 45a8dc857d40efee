import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  adminKey,
  startGatewayUnderTest,
  type CallInit,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;

beforeEach(async () => {
  const names = ['gpt-4o', 'gpt-4o-mini', 'gpt-5', 'gpt-5.3-codex'];
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: [
        {
          name: 'east',
          keys: ['east-key'],
          deployments: names.map((name) => ({ name, model: name })),
        },
      ],
    },
    deployments: [{ resourceName: 'east', deployment: '*', model: '*', id: 'any' }],
  });
});
afterEach(() => gateway.close());

function chat(model: string, more: object = {}, init?: CallInit): Promise<Response> {
  const messages = [{ role: 'user', content: 'hi' }];
  return gateway.call('/v1/chat/completions', { model, messages, ...more }, init);
}

it('rest each by itself: one that is full takes no other away', async () => {
  gateway.simulator.fault({ kind: 'error', error: '429-day-long', deployment: 'gpt-4o', times: 1 });
  expect((await chat('gpt-4o')).status).toBe(429);
  expect((await chat('gpt-4o')).status).toBe(429);
  expect((await chat('gpt-4o-mini')).status).toBe(200);
  const answer = await gateway.call('/health', undefined, { key: adminKey });
  const health = (await answer.json()) as {
    unhealthy_endpoints: { model: string }[];
  };
  expect(health.unhealthy_endpoints.map(({ model }) => model)).toEqual(['azure/gpt-4o']);
  expect(await gateway.metrics()).toMatch(/aigateway_deployment_state\{deployment="any"[^}]*\} 2/);
});

it('teach nothing about each other: what one refuses, another still takes', async () => {
  const before = await chat('gpt-4o', { temperature: 0 });
  const bridged = await chat('gpt-5.3-codex');
  expect(bridged.headers.get('x-aigateway-changes')).toContain('chat>responses');
  const repaired = await chat('gpt-5', { temperature: 0, max_tokens: 9 });
  expect(repaired.headers.get('x-aigateway-changes')).toContain('-temperature');
  const after = await chat('gpt-4o', { temperature: 0 });
  expect(after.headers.get('x-aigateway-changes')).toBe(before.headers.get('x-aigateway-changes'));
});

it('are named to the administrator as they were asked for', async () => {
  const answer = await chat('gpt-4o', {}, { key: adminKey });
  expect(answer.headers.get('x-litellm-model-name')).toBe('azure/gpt-4o');
});
