import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  responsesBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
beforeEach(async () => {
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: [
        {
          name: 'east',
          keys: ['k'],
          deployments: [
            { name: 'gpt-5', model: 'gpt-5' },
            { name: 'codex', model: 'gpt-5.3-codex' },
          ],
        },
      ],
    },
    deployments: [
      { resourceName: 'east', deployment: 'gpt-5' },
      { resourceName: 'east', deployment: 'codex', operations: ['responses'] },
    ],
  });
});
afterEach(() => gateway.close());

const cases = [
  ['/v1/chat/completions', chatBody('gpt-5', 'think [SIM:reasoning 777]')],
  ['/v1/chat/completions', chatBody('gpt-5', 'think [SIM:reasoning 777]', { stream: true })],
  ['/v1/responses', responsesBody('gpt-5', 'think [SIM:reasoning 777]')],
  ['/v1/responses', responsesBody('gpt-5', 'think [SIM:reasoning 777]', { stream: true })],
  ['/v1/chat/completions', chatBody('codex', 'think [SIM:reasoning 777]')],
  ['/v1/chat/completions', chatBody('codex', 'think [SIM:reasoning 777]', { stream: true })],
] as const;

describe('reasoning tokens', () => {
  it.each(cases)('are counted as the upstream counts them: %s %o', async (path, body) => {
    await (await gateway.call(path, body)).text();
    const [record] = gateway.usage;
    const { total } = gateway.simulator.counters();
    expect(record).toMatchObject({
      usageSource: 'measured',
      tokens: { reasoning: 777, input: total.promptTokens, output: total.completionTokens },
    });
    expect(record?.tokens.output).toBeGreaterThan(777);
  });
});
