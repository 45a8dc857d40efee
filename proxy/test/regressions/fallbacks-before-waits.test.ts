import { afterEach, describe, expect, it } from 'vitest';
import { chatBody, startGatewayUnderTest, type GatewayUnderTest } from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

const models = ['gpt-4o', 'gpt-4o-mini'];

async function start(): Promise<void> {
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: ['east', 'west'].map((name) => ({
        name,
        keys: [`${name}-key`],
        deployments: models.map((model) => ({ name: model, model })),
      })),
    },
    deployments: [
      { resourceName: 'east', deployment: 'gpt-4o' },
      { resourceName: 'west', deployment: 'gpt-4o' },
      { resourceName: 'east', deployment: 'gpt-4o-mini' },
    ],
    router: { fallbacks: { 'gpt-4o': ['gpt-4o-mini'] } },
    pipeline: { longestWaitMs: 20_000 },
  });
}

const throttled = (deployment: string, retryAfterMs: number, times: number) =>
  gateway.simulator.fault({ kind: 'rate-limit', form: 'ms', deployment, retryAfterMs, times });

async function call(extra: Parameters<typeof chatBody>[2] = {}) {
  const response = await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'hi', extra));
  const deployment = /\[\w+\/([^\s]+)/.exec(await response.text())?.[1];
  return { status: response.status, deployment };
}

function calls(deployment: string): number {
  const { by } = gateway.simulator.counters();
  return ['east', 'west'].reduce(
    (sum, resource) => sum + (by[`${resource}/${deployment}/chat.completions`]?.calls ?? 0),
    0,
  );
}

describe('a model whose deployments all rest for a while that could be waited for', () => {
  // Whoever waited would be answered by the model itself.
  it('leaves the call to its fallback', async () => {
    await start();
    throttled('gpt-4o', 10_000, 2);
    expect(await call()).toEqual({ status: 200, deployment: 'gpt-4o-mini' });
    expect(await call()).toEqual({ status: 200, deployment: 'gpt-4o-mini' });
    expect([calls('gpt-4o'), calls('gpt-4o-mini')]).toEqual([2, 2]);
  });

  it('is waited for by a caller who wants no fallback', async () => {
    await start();
    throttled('gpt-4o', 100, 2);
    expect(await call({ disable_fallbacks: true })).toEqual({ status: 200, deployment: 'gpt-4o' });
    expect(calls('gpt-4o-mini')).toBe(0);
  });

  it('is waited for where the fallback rests as well', async () => {
    await start();
    throttled('gpt-4o-mini', 60_000, 1);
    const direct = await gateway.call('/v1/chat/completions', chatBody('gpt-4o-mini', 'hi'));
    expect(direct.status).toBe(429);
    throttled('gpt-4o', 100, 2);
    expect(await call()).toEqual({ status: 200, deployment: 'gpt-4o' });
    expect([calls('gpt-4o'), calls('gpt-4o-mini')]).toEqual([3, 1]);
  });

  it('is waited for once its fallback has failed', async () => {
    await start();
    throttled('gpt-4o', 100, 2);
    throttled('gpt-4o-mini', 60_000, 1);
    expect(await call()).toEqual({ status: 200, deployment: 'gpt-4o' });
    expect([calls('gpt-4o'), calls('gpt-4o-mini')]).toEqual([3, 1]);
  });
});
