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
