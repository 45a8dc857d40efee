import { afterEach, describe, expect, it } from 'vitest';
import { chatBody, startGatewayUnderTest, type GatewayUnderTest } from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

function start(...names: string[]) {
  return startGatewayUnderTest({
    simulator: {
      resources: [
        {
          name: 'east',
          keys: ['east-key'],
          deployments: [
            { name: 'codex', model: 'gpt-5.3-codex' },
            { name: 'gpt-4o', model: 'gpt-4o' },
          ],
        },
      ],
    },
    deployments: names.map((deployment, priority) => ({
      resourceName: 'east',
      deployment,
      model: 'mixed',
      priority,
      operations: [deployment === 'codex' ? 'responses' : 'chat'],
    })),
  });
}

/** Two answers at once are what the Responses API does not have. */
const twoAnswers = chatBody('mixed', 'hi', { n: 2 });

describe('a group of deployments that answer different operations', () => {
  it('serves by another what the bridge to one cannot carry', async () => {
    gateway = await start('codex', 'gpt-4o');
    const response = await gateway.call('/v1/chat/completions', twoAnswers);
    expect(response.status).toBe(200);
    expect(((await response.json()) as { choices: unknown[] }).choices).toHaveLength(2);
    expect(gateway.usage[0]).toMatchObject({ deploymentId: 'east-gpt-4o' });
  });

  it('uses the bridge first where it can, by the order of the levels', async () => {
    gateway = await start('codex', 'gpt-4o');
    await (await gateway.call('/v1/chat/completions', chatBody('mixed', 'hi'))).text();
    expect(gateway.usage[0]).toMatchObject({ deploymentId: 'east-codex' });
  });

  it('says what cannot be carried where no other is left', async () => {
    gateway = await start('codex');
    const response = await gateway.call('/v1/chat/completions', twoAnswers);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { code: 'bridge_unsupported', param: 'n' },
    });
    expect(gateway.simulator.requests().filter(({ method }) => method === 'POST')).toEqual([]);
  });
});
