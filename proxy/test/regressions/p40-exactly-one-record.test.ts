import { afterEach, describe, expect, it } from 'vitest';
import {
  callerKey,
  chatBody,
  keyRecord,
  noCredential,
  ownUpstream,
  responsesBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { startServer, type TestServer } from '../upstream/server.ts';

let gateway: GatewayUnderTest;
let upstream: TestServer | undefined;
afterEach(async () => {
  await gateway.close();
  await upstream?.close();
  upstream = undefined;
});

/** An upstream that answers every POST with this, and every GET with nothing. */
async function startAnswering(answer: object | string, type = 'application/json') {
  upstream = await startServer((request, response) => {
    request.resume();
    if (request.method === 'GET') {
      response.end();
      return;
    }
    response.setHeader('content-type', type);
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
  });
  gateway = await startGatewayUnderTest({
    deployments: [
      ownUpstream(upstream.origin, 'm', {
        prices: { input: 1_000_000, output: 2_000_000 },
      }),
    ],
    credentials: [noCredential(upstream.origin)],
  });
}

const message = { role: 'assistant', content: 'x'.repeat(400) };

describe('every admitted request', () => {
  it('has one record, however it ended', async () => {
    gateway = await startGatewayUnderTest({
      simulator: {
        resources: [
          { name: 'east', keys: ['k'], deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }] },
        ],
      },
      deployments: [{ resourceName: 'east', deployment: 'gpt-4o' }],
      router: { retries: 0, coolDownMs: 0 },
    });
    const call = async (content: string, extra = {}) =>
      (await gateway.call('/v1/chat/completions', chatBody('gpt-4o', content, extra))).text();
    await call('fine');
    await call('fine', { stream: true });
    await call('[SIM:block-prompt]');
    await call('[SIM:fault error 500-internal]');
    await call('[SIM:fault error 502-html]');
    await call('[SIM:fault error 504-empty]');
    await call('[SIM:fault stream-error]', { stream: true });
    await call('[SIM:fault stream-error 2]', { stream: true });
    await call('[SIM:fault cut 2]', { stream: true });
    await call('[SIM:fault reset before-headers]');
    await call('[SIM:fault reset mid-body]');
    expect(gateway.usage.map(({ outcome }) => outcome)).toEqual([
      'completed',
      'completed',
      'rejected',
      'failed',
      'failed',
      'failed',
      'failed',
      'interrupted',
      'interrupted',
      'failed',
      'failed',
    ]);
    const metrics = await gateway.metrics();
    expect(metrics).toContain('aigateway_admitted_requests 11\n');
    expect(metrics).toContain('aigateway_settled_requests 11\n');
    expect(metrics).toContain('aigateway_double_settled_requests 0\n');
  });

  it('is none when it was refused before', async () => {
    gateway = await startGatewayUnderTest({
      deployments: [{ resourceName: 'simulator', deployment: 'gpt-4o' }],
    });
    for (const [path, body, key] of [
      ['/v1/chat/completions', chatBody('gpt-4o', 'x'), 'sk-unknown'],
      ['/v1/chat/completions', chatBody('unknown', 'x'), callerKey],
      ['/v1/chat/completions', '{', callerKey],
      ['/v1/nowhere', {}, callerKey],
    ] as const) {
      expect((await gateway.call(path, body, { key })).status).toBeGreaterThanOrEqual(400);
    }
    expect(gateway.usage).toHaveLength(0);
    expect(gateway.proxy.meter.counts.admitted).toBe(0);
  });
});

describe('usage', () => {
  it('that is explicitly zero stays zero', async () => {
    await startAnswering({
      choices: [{ index: 0, message, finish_reason: 'stop' }],
      usage: { prompt_tokens: 7, completion_tokens: 0, total_tokens: 7 },
    });
    await (await gateway.call('/v1/chat/completions', chatBody('m', 'x'))).text();
    expect(gateway.usage[0]).toMatchObject({
      usageSource: 'measured',
      tokens: { input: 7, output: 0 },
      costNanoUsd: 7000,
      unpriced: false,
    });
  });

  it('that is absent is estimated, and says so', async () => {
    await startAnswering({ choices: [{ index: 0, message, finish_reason: 'stop' }] });
    await (await gateway.call('/v1/chat/completions', chatBody('m', 'x'))).text();
    expect(gateway.usage[0]).toMatchObject({ outcome: 'completed', usageSource: 'estimated' });
    expect(gateway.usage[0]?.tokens.output).toBeGreaterThan(50);
  });

  it('that is null is estimated as well', async () => {
    await startAnswering({
      choices: [{ index: 0, message, finish_reason: 'stop' }],
      usage: null,
    });
    await (await gateway.call('/v1/chat/completions', chatBody('m', 'x'))).text();
    expect(gateway.usage[0]?.usageSource).toBe('estimated');
  });

  it('of a response in the background is what it may take, for nothing of it has passed', async () => {
    gateway = await startGatewayUnderTest({
      deployments: [{ resourceName: 'simulator', deployment: 'gpt-5' }],
    });
    const body = responsesBody('gpt-5', 'x', { background: true, max_output_tokens: 5000 });
    await (await gateway.call('/v1/responses', body)).text();
    expect(gateway.usage[0]).toMatchObject({
      outcome: 'completed',
      usageSource: 'estimated',
      tokens: { output: 5000 },
    });
  });

  it('keeps every kind of token that the upstream tells', async () => {
    await startAnswering({
      id: 'resp_1',
      object: 'response',
      status: 'completed',
      model: 'served-2026',
      service_tier: 'priority',
      output: [],
      usage: {
        input_tokens: 100,
        input_tokens_details: { cached_tokens: 60 },
        output_tokens: 50,
        output_tokens_details: { reasoning_tokens: 40 },
        total_tokens: 150,
      },
    });
    await (await gateway.call('/v1/responses', responsesBody('m', 'x'))).text();
    expect(gateway.usage[0]).toMatchObject({
      tokens: { input: 100, cachedInput: 60, output: 50, reasoning: 40 },
      servedModel: 'served-2026',
      serviceTier: 'priority',
    });
  });

  it('names who called: owner, team, end user and tags, and nothing of what was said', async () => {
    gateway = await startGatewayUnderTest({
      deployments: [{ resourceName: 'simulator', deployment: 'gpt-4o' }],
      keys: [keyRecord({ ownerId: 'team-a', teamId: 'team-a', userId: 'u1', tags: ['cost-1'] })],
    });
    const body = chatBody('gpt-4o', 'a secret plan', { user: 'customer-9' });
    await (await gateway.call('/v1/chat/completions', { ...body, tags: ['t1'] })).text();
    expect(gateway.usage[0]).toMatchObject({
      keyId: 'caller',
      ownerId: 'team-a',
      teamId: 'team-a',
      userId: 'u1',
      customerId: 'customer-9',
    });
    expect(JSON.stringify(gateway.usage)).not.toContain('secret plan');
  });
});
