import { afterEach, describe, expect, it } from 'vitest';
import { startGatewayUnderTest, type GatewayUnderTest } from '../gateway-under-test.ts';

const deployments = [
  { name: 'gpt-4o', model: 'gpt-4o' },
  { name: 'gpt-5.3-codex', model: 'gpt-5.3-codex' },
];

async function start(): Promise<GatewayUnderTest> {
  const names = ['east', 'west', 'north'];
  return startGatewayUnderTest({
    simulator: { resources: names.map((name) => ({ name, keys: [`${name}-key`], deployments })) },
    router: { coolDownMs: 500 },
    pipeline: { longestWaitMs: 20_000 },
    deployments: names.flatMap((resourceName) =>
      deployments.map(({ name: deployment }) => ({ resourceName, deployment })),
    ),
  });
}

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

/** One call of each kind in turn; true when it was answered whole. */
async function callOnce(index: number): Promise<boolean> {
  const messages = [{ role: 'user', content: `call ${index}` }];
  const stream = index % 2 === 0;
  const isChat = index % 3 !== 0;
  const response = isChat
    ? await gateway.call('/v1/chat/completions', { model: 'gpt-4o', messages, stream })
    : await gateway.call('/v1/responses', {
        model: 'gpt-5.3-codex',
        input: `call ${index}`,
        stream,
      });
  const text = await response.text();
  const isWhole = !stream || text.includes(isChat ? '[DONE]' : 'response.completed');
  return response.status === 200 && isWhole && text.includes(`call ${index}`);
}

async function load(calls: number, parallel: number): Promise<number> {
  let next = 0;
  let answered = 0;
  const worker = async () => {
    while (next < calls) {
      next += 1;
      if (await callOnce(next)) answered += 1;
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return answered;
}

describe('the service level', () => {
  it('stays whole while one of three resources is gone in the middle of the load', async () => {
    gateway = await start();
    const before = load(120, 8);
    gateway.simulator.fault({ kind: 'reset', at: 'before-headers', resource: 'east' });
    expect(await before).toBe(120);
    expect(await load(120, 8)).toBe(120);
  });

  it('is above 99 % while every resource fails one call in five in one way or another', async () => {
    gateway = await start();
    const faults = [
      { kind: 'error', error: '500-internal' },
      { kind: 'error', error: '502-html' },
      { kind: 'rate-limit', form: 'ms', retryAfterMs: 200 },
      { kind: 'reset', at: 'before-headers' },
      { kind: 'stream-error', retryAfterMs: 200 },
    ] as const;
    for (const fault of faults) gateway.simulator.fault({ ...fault, probability: 0.04 });
    const calls = 200;
    expect(await load(calls, 8)).toBeGreaterThanOrEqual(calls * 0.99);
  });
});
