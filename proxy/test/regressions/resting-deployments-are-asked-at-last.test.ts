import { afterEach, expect, it } from 'vitest';
import { startGatewayUnderTest, type GatewayUnderTest } from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

it('asks a deployment that rests for old failures before it gives up on a request', async () => {
  const deployments = [{ name: 'gpt-4o', model: 'gpt-4o' }];
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: ['east', 'west'].map((name) => ({ name, keys: [`${name}-key`], deployments })),
    },
    deployments: ['east', 'west'].map((resourceName) => ({ resourceName, deployment: 'gpt-4o' })),
    router: { coolDownMs: 60_000, retries: 0 },
  });
  const chat = () =>
    gateway.call('/v1/chat/completions', {
      model: 'gpt-4o',
      messages: [{ role: 'user', content: 'hi' }],
    });
  const broken = (resource: string) =>
    gateway.simulator.fault({ kind: 'error', error: '500-internal', resource });
  const first = broken('east');
  for (let call = 0; call < 12; call += 1) expect((await chat()).status).toBe(200);
  first.remove();
  broken('west');
  for (let call = 0; call < 12; call += 1) expect((await chat()).status).toBe(200);
});

it('takes out what a model without reasoning cannot encrypt, as Codex asks for it of every model', async () => {
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: [
        { name: 'east', keys: ['east-key'], deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }] },
      ],
    },
    deployments: [{ resourceName: 'east', deployment: 'gpt-4o' }],
  });
  const ask = () =>
    gateway.call('/v1/responses', {
      model: 'gpt-4o',
      input: 'hi',
      store: false,
      include: ['reasoning.encrypted_content'],
    });
  const response = await ask();
  expect(response.status).toBe(200);
  expect(response.headers.get('x-aigateway-changes')).toContain('-include');
  const calls = gateway.simulator.counters().total.calls;
  expect((await ask()).status).toBe(200);
  expect(gateway.simulator.counters().total.calls).toBe(calls + 1);
});
