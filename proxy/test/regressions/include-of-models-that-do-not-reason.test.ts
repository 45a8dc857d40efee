import { afterEach, expect, it } from 'vitest';
import { startGatewayUnderTest, type GatewayUnderTest } from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

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
