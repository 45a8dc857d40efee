import { afterEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  startGatewayUnderTest,
  stillClock,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

describe('what a large maximum costs', () => {
  it('is told for each model, of calls that were answered', async () => {
    gateway = await startGatewayUnderTest({
      simulator: {
        resources: [
          { name: 'east', keys: ['k'], deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }] },
        ],
      },
      deployments: [{ resourceName: 'east', deployment: 'gpt-4o' }],
    });
    const calls = [
      { maximum: 900, prompt: 'x' },
      { maximum: 1, prompt: 'x' },
      { maximum: 900, prompt: '[SIM:block-prompt]' },
    ].map(({ maximum, prompt }) => ({
      maximum,
      body: JSON.stringify(chatBody('gpt-4o', prompt, { max_tokens: maximum })),
    }));
    for (const { body } of calls) await (await gateway.call('/v1/chat/completions', body)).text();
    await gateway.until(() => gateway.usage.length === calls.length);
    expect(gateway.usage.at(-1)).toMatchObject({ usageSource: 'none' });
    const unused = calls.map(({ maximum, body }, index) => {
      const { input = 0, output = 0 } = gateway.usage[index]?.tokens ?? {};
      return Math.max(0, Math.ceil(body.length / 4) + maximum - input - output);
    });
    const [large = 0, small = 0] = unused;
    expect(large).toBeGreaterThan(800);
    expect(await gateway.metrics()).toContain(
      `\naigateway_tokens_unused_total{model="gpt-4o"} ${large + small}\n`,
    );
  });
});

describe('the quota of a deployment', () => {
  it('is used nearly whole without a refusal, by estimating as Azure does', async () => {
    const tpm = 20_000;
    gateway = await startGatewayUnderTest({
      simulator: {
        resources: ['first', 'second'].map((name) => ({
          name,
          keys: ['k'],
          deployments: [{ name: 'gpt-4o', model: 'gpt-4o', quota: { tpm } }],
        })),
      },
      deployments: ['first', 'second'].map((resourceName) => ({
        resourceName,
        deployment: 'gpt-4o',
      })),
      router: { strategy: 'round-robin' },
      ports: { clock: stillClock() },
    });
    // 95 in a hundred of the quota of both, in calls whose maximum is far above their answer.
    const maximum = 900;
    const calls = Math.floor((2 * tpm * 0.95) / (maximum + 20));
    const statuses: number[] = [];
    for (let index = 0; index < calls; index += 1) {
      const response = await gateway.call(
        '/v1/chat/completions',
        chatBody('gpt-4o', 'x', { max_tokens: maximum }),
      );
      await response.text();
      statuses.push(response.status);
    }
    expect(statuses.every((status) => status === 200)).toBe(true);
    const { statuses: upstream } = gateway.simulator.counters().total;
    expect(upstream['429'] ?? 0).toBeLessThanOrEqual(1);
  });
});
