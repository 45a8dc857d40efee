import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  keyRecord,
  responsesBody,
  startGatewayUnderTest,
  stillClock,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

const otherKey = 'sk-other-0123456789abcdef';

let gateway: GatewayUnderTest;
beforeEach(async () => {
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: ['east', 'west'].map((name) => ({
        name,
        keys: [`${name}-key`],
        deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }],
      })),
    },
    deployments: [
      { resourceName: 'east', deployment: 'gpt-4o' },
      { resourceName: 'west', deployment: 'gpt-4o' },
      { resourceName: 'west', deployment: 'gpt-4o', model: 'secret', id: 'of-others' },
    ],
    keys: [
      keyRecord({ models: ['gpt-4o'], maxOutputTokens: 100 }),
      keyRecord({ keyId: 'other', secret: otherKey }),
    ],
    router: { retries: 0, coolDownMs: 60_000 },
  });
});
afterEach(() => gateway.close());

describe('a caller who allows no time', () => {
  it('takes no deployment from the others', async () => {
    gateway.simulator.fault({ kind: 'stall', at: 'before-headers', times: 1_000 });
    const body = chatBody('gpt-4o', 'x', { timeout: 0.001 });
    expect((await gateway.call('/v1/chat/completions', body)).status).toBe(504);
    const health = await (await gateway.call('/health', undefined, { key: otherKey })).text();
    expect(JSON.parse(health)).toMatchObject({ healthy_count: 3 });
    expect(health).not.toContain('TimeoutError');
  });
});

describe('a key with a list of models', () => {
  it('is told of the health of these alone', async () => {
    const health = await (await gateway.call('/health')).text();
    expect(health).not.toContain('of-others');
    expect(JSON.parse(health)).toMatchObject({ healthy_count: 2 });
  });
});

describe('the most output that a key may ask for', () => {
  it.each([
    [
      '/v1/chat/completions',
      chatBody('gpt-4o', 'x', { max_completion_tokens: 1, max_tokens: 101 }),
    ],
    [
      '/v1/chat/completions',
      chatBody('gpt-4o', 'x', { max_tokens: 1, max_completion_tokens: 101 }),
    ],
    ['/v1/chat/completions', chatBody('gpt-4o', 'x', { max_output_tokens: 101 })],
    ['/v1/responses', responsesBody('gpt-4o', 'x', { max_output_tokens: 1, max_tokens: 101 })],
  ])('holds by whatever name it is asked for: %s', async (path, body) => {
    const refusal = 'This key may ask for at most 100 output tokens';
    expect(await (await gateway.call(path, body)).text()).toContain(refusal);
    expect(await (await gateway.call(path, body, { key: otherKey })).text()).not.toContain(refusal);
  });
});

describe('the limits of a key or its team for a model', () => {
  const modelLimits = { dear: { requestsPerMinute: 1 } };
  it.each([
    keyRecord({ modelLimits }),
    keyRecord({ scopes: [{ kind: 'team', id: 't', label: 't', limits: {}, modelLimits }] }),
  ])('hold where the caller names the model as its fallback', async (key) => {
    const limited = await startGatewayUnderTest({
      simulator: {
        resources: [
          { name: 'east', keys: ['k'], deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }] },
        ],
      },
      deployments: [
        { resourceName: 'east', deployment: 'missing', model: 'broken' },
        { resourceName: 'east', deployment: 'gpt-4o', model: 'dear' },
      ],
      keys: [key],
      ports: { clock: stillClock() },
    });
    const body = chatBody('broken', 'x', { fallbacks: ['dear'] });
    const statuses: number[] = [];
    for (let call = 0; call < 2; call += 1) {
      const response = await limited.call('/v1/chat/completions', body);
      await response.text();
      statuses.push(response.status);
    }
    expect(statuses).toEqual([200, 429]);
    await limited.close();
  });
});
