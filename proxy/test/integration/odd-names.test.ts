import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGatewayUnderTest, type GatewayUnderTest } from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;

beforeAll(async () => {
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: [
        { name: 'east', keys: ['east-key'], deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }] },
      ],
    },
    deployments: [
      { resourceName: 'east', deployment: '*', model: '*', id: 'any' },
      {
        resourceName: 'east',
        deployment: 'gpt-4o',
        model: 'größtes Modell',
        id: 'größe',
        operations: ['chat'],
        drop: ['metadata.größe→'],
      },
    ],
  });
});
afterAll(() => gateway.close());

describe('a name that no header may hold', () => {
  it('is answered all the same, percent-encoded in the headers', async () => {
    const response = await gateway.call('/v1/chat/completions', {
      model: 'größtes Modell',
      messages: [{ role: 'user', content: 'hi' }],
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-litellm-model-group')).toBe(
      encodeURIComponent('größtes Modell'),
    );
    expect(response.headers.get('x-litellm-model-id')).toBe(encodeURIComponent('größe'));
  });

  it.each([false, true])('may be that of a parameter, stream %s', async (stream) => {
    const response = await gateway.call('/v1/chat/completions', {
      model: 'größtes Modell',
      messages: [{ role: 'user', content: 'hi' }],
      metadata: { 'größe→': '1' },
      stream,
    });
    await response.text();
    expect(response.status).toBe(200);
    const change = encodeURIComponent('-metadata.größe→');
    expect(response.headers.get('x-aigateway-changes')).toContain(change);
  });

  it('may be that of a model whose input is counted', async () => {
    const path = '/v1/responses/input_tokens';
    const response = await gateway.call(path, { model: 'größtes Modell', input: 'hi' });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-litellm-model-group')).toBe(
      encodeURIComponent('größtes Modell'),
    );
  });

  it('splits no answer and no log line when a caller makes it up', async () => {
    const response = await gateway.call('/v1/chat/completions', {
      model: 'gpt-4o\r\nx-injected: 1\r\n\r\n{"forged":true}',
      messages: [{ role: 'user', content: 'hi' }],
    });
    expect(response.status).toBe(404);
    expect(response.headers.get('x-injected')).toBeNull();
    await expect.poll(() => gateway.log()).toContain('x-injected');
    const lines = gateway.log().trim().split('\n');
    for (const line of lines) expect(() => JSON.parse(line) as unknown).not.toThrow();
    expect(await gateway.metrics()).not.toContain('injected');
  });
});
