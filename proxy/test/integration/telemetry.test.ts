import { afterEach, describe, expect, it } from 'vitest';
import {
  adminKey,
  callerKey,
  chatBody,
  keyRecord,
  responsesBody,
  startGatewayUnderTest,
  type GatewaySpec,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
let isClosed = false;
afterEach(async () => {
  if (!isClosed) await gateway.close();
  isClosed = false;
});

async function start(spec: Partial<GatewaySpec> = {}) {
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: ['east', 'west'].map((name) => ({
        name,
        region: `${name}us2`,
        keys: [`canary-upstream-key-${name}`],
        deployments: [
          { name: 'gpt-4o', model: 'gpt-4o' },
          { name: 'codex', model: 'gpt-5.3-codex' },
        ],
      })),
    },
    deployments: ['east', 'west'].map((resourceName, index) => ({
      resourceName,
      deployment: 'gpt-4o',
      priority: index,
      prices: { input: 1_000_000, output: 2_000_000 },
    })),
    router: { coolDownMs: 60_000 },
    ...spec,
  });
}

async function call(content: string, extra: object = {}, headers: Record<string, string> = {}) {
  const response = await gateway.call(
    '/v1/chat/completions',
    { ...chatBody('gpt-4o', content), ...extra },
    { headers },
  );
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Ends the gateway, so that everything is written, and gives its log line by line. */
async function logLines(): Promise<Record<string, unknown>[]> {
  await gateway.close();
  isClosed = true;
  return gateway
    .log()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('the log', () => {
  it('has one line of JSON for every call, with what is needed to find and to count it', async () => {
    await start();
    const answer = await call('hello', { user: 'end "user"\n1' });
    await call('hello', { stream: true });
    await gateway.call('/v1/chat/completions', chatBody('nobody', 'x'));
    await gateway.call('/v1/models', undefined, { key: 'sk-wrong' });
    const lines = await logLines();
    for (const line of lines) {
      expect(line).toMatchObject({ level: expect.any(String), time: expect.any(String) });
      expect(Number.isNaN(Date.parse(String(line['time'])))).toBe(false);
    }
    const calls = lines.filter(({ requestId }) => requestId !== undefined);
    expect(calls.map(({ status }) => status)).toEqual([200, 200, 404, 401]);
    const { 0: first } = calls;
    expect(first).toMatchObject({
      requestId: answer.headers.get('x-request-id'),
      model: 'gpt-4o',
      keyId: 'caller',
      outcome: 'completed',
    });
    expect(calls[2]).toMatchObject({ code: 'model_not_found', keyId: 'caller' });
    expect(calls[3]).toMatchObject({ code: 'invalid_api_key' });
  });

  it('names cause, status and deployment of what failed, by the id that the caller was given', async () => {
    await start();
    gateway.simulator.fault({
      kind: 'error',
      error: '503-unavailable',
      resource: 'east',
      times: 1,
    });
    const answer = await call('x', {}, { 'x-request-id': 'my-own-request-1' });
    expect(answer.headers.get('x-request-id')).toBe('my-own-request-1');
    expect(answer.headers.get('x-litellm-call-id')).toBe('my-own-request-1');
    const upstream = gateway.simulator.requests().filter(({ method }) => method === 'POST');
    expect(upstream.map(({ headers }) => headers['x-ms-client-request-id'])).toEqual([
      'my-own-request-1',
      'my-own-request-1',
    ]);
    const line = (await logLines()).find(({ requestId }) => requestId === 'my-own-request-1');
    expect(JSON.stringify(line)).toContain('"status":503');
    expect(JSON.stringify(line)).toContain('east-gpt-4o');
  });

  it("has Azure's own id of what failed, and so have its callers: its support asks for nothing else", async () => {
    await start();
    gateway.simulator.fault({ kind: 'error', error: '503-unavailable' });
    const refused = await call('x', { num_retries: 0 });
    expect(refused.status).toBe(503);
    const id = refused.headers.get('apim-request-id') ?? '';
    expect(id).toMatch(/^[\w-]{36}$/);
    expect(refused.headers.get('x-ms-deployment-name')).toBeNull();
    expect(gateway.log()).toContain(`"upstreamRequestId":"${id}"`);
  });

  it('takes no id that could forge a line', async () => {
    await start();
    for (const id of ['short', 'x'.repeat(200), 'a b c d e f g h', 'id","level":"fatal']) {
      const { headers } = await call('x', {}, { 'x-request-id': id });
      expect(headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/);
    }
  });

  it('changes its level while running', async () => {
    await start({ options: { logLevel: 'silent' } });
    const { logger } = gateway.proxy;
    logger.warn('first');
    gateway.proxy.setLogLevel('warn');
    logger.info('second');
    logger.warn('third');
    gateway.proxy.setLogLevel('debug');
    logger.debug('fourth');
    const messages = (await logLines()).map(({ msg }) => msg);
    expect(messages.filter((message) => message !== undefined)).toEqual(['third', 'fourth']);
  });
});

describe('a router of models', () => {
  it('is recorded with the model that it chose, and charged for both', async () => {
    await start({
      simulator: {
        resources: [
          {
            name: 'east',
            keys: ['canary-upstream-key-east'],
            deployments: [{ name: 'router', model: 'model-router' }],
          },
        ],
      },
      deployments: [
        {
          resourceName: 'east',
          deployment: 'router',
          model: 'gpt-4o',
          prices: { input: 140_000, output: 0, isSurcharge: true },
        },
      ],
    });
    const { status } = await call('[SIM:tokens 1000]');
    expect(status).toBe(200);
    await gateway.until(() => gateway.usage.length === 1);
    const [record] = gateway.usage;
    expect(record).toMatchObject({ model: 'gpt-4o', servedModel: 'gpt-4.1-mini-2025-04-14' });
    const { input, output } = record?.tokens ?? { input: Number.NaN, output: Number.NaN };
    // gpt-4.1-mini: 0.40 and 1.60 dollars for a million tokens, its choice 0.14.
    expect(record?.costNanoUsd).toBe((input * (400_000 + 140_000) + output * 1_600_000) / 1000);
  });
});

describe('what nobody may read', () => {
  it('is in no log, metric, usage record or foreign header, whatever goes wrong', async () => {
    const canary = 'canary-of-a-prompt';
    await start();
    const faults = [
      '',
      '[SIM:block-prompt]',
      '[SIM:fault error 500-internal]',
      '[SIM:fault error 401-invalid-key]',
      '[SIM:fault error 502-html]',
      '[SIM:fault reset before-headers]',
      '[SIM:fault cut 2]',
      '[SIM:fault stream-error 1]',
      '[SIM:fault error 404-deployment-not-found]',
    ];
    for (const fault of faults) {
      for (const stream of [true, false]) {
        const { text } = await call(`${canary} ${fault}`, { stream, user: 'end-user' });
        expect(text).not.toMatch(/canary-upstream-key|simulated-key/);
        gateway.proxy.update(gateway.records);
      }
    }
    await gateway.call('/v1/chat/completions', `{"model":"gpt-4o","messages":"${canary}`, {});
    await gateway.call('/v1/chat/completions', {
      model: 'gpt-4o',
      [canary]: canary,
      messages: canary,
    });
    await gateway.call(
      '/v1/responses',
      responsesBody('gpt-4o', canary, { previous_response_id: 'resp_x' }),
    );
    await gateway.call(`/v1/nowhere?key=${callerKey}`, { canary });
    await gateway.call('/v1/chat/completions', chatBody('gpt-4o', canary), {
      key: `${callerKey}-typo`,
    });
    const metrics = await gateway.metrics();
    const usage = JSON.stringify(gateway.usage);
    await logLines();
    for (const sink of [gateway.log(), metrics, usage]) {
      for (const secret of [canary, callerKey, adminKey, 'canary-upstream-key']) {
        expect(sink.includes(secret)).toBe(false);
      }
    }
  });
});

describe('the metrics', () => {
  it('tell durations, outcomes, tokens, cost and the state of every deployment', async () => {
    await start();
    await call('hello');
    await call('hello', { stream: true });
    await call('[SIM:block-prompt]');
    gateway.simulator.fault({ kind: 'error', error: '401-invalid-key', resource: 'east' });
    for (let index = 0; index < 3; index += 1) await call('hello');
    await gateway.call('/v1/models', undefined, { key: 'sk-wrong' });
    const text = await gateway.metrics();
    for (const name of [
      'aigateway_requests_total',
      'aigateway_request_duration_seconds_bucket',
      'aigateway_tokens_total',
      'aigateway_refused_total',
      'aigateway_upstream_attempts_total',
      'aigateway_process_cpu_seconds_total',
      'aigateway_process_resident_memory_bytes',
      'aigateway_nodejs_eventloop_lag_seconds',
    ]) {
      expect(text).toContain(`${name}`);
    }
    expect(text).toMatch(/deployment_state\{[^}]*"east-gpt-4o"[^}]*region="eastus2"[^}]*\} 2/);
    expect(text).toMatch(/deployment_state\{[^}]*"west-gpt-4o"[^}]*\} 0/);
    expect(text).toMatch(/refused_total\{code="invalid_api_key"\} 1/);
    const input = gateway.usage.reduce((sum, { tokens }) => sum + tokens.input, 0);
    expect(text).toMatch(new RegExp(`tokens_total\\{[^}]*kind="input"[^}]*\\} ${input}\n`));
  });

  it("tell the same by LiteLLM's names", async () => {
    await start();
    await call('hello');
    await call('[SIM:block-prompt]');
    gateway.simulator.fault({ kind: 'error', error: '401-invalid-key', resource: 'east' });
    for (let index = 0; index < 3; index += 1) await call('hello');
    const text = await gateway.metrics();
    const sum = (name: string) =>
      [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce(
        (total, [, value]) => total + Number(value),
        0,
      );
    const attempts = gateway.usage.flatMap((record) => record.attempts);
    const ok = attempts.filter(({ status }) => status === 200).length;
    expect(sum('litellm_proxy_total_requests_metric_total')).toBe(gateway.usage.length);
    expect(sum('litellm_proxy_failed_requests_metric_total')).toBe(1);
    expect(sum('litellm_total_tokens_metric_total')).toBe(
      gateway.usage.reduce((total, { tokens }) => total + tokens.input + tokens.output, 0),
    );
    expect(sum('litellm_request_total_latency_metric_count')).toBe(gateway.usage.length);
    expect(sum('litellm_deployment_total_requests_total')).toBe(attempts.length);
    expect(sum('litellm_deployment_success_responses_total')).toBe(ok);
    expect(sum('litellm_deployment_failure_responses_total')).toBe(attempts.length - ok);
    expect(text).toMatch(/litellm_deployment_state\{model_id="east-gpt-4o"[^}]*\} 2/);
  });

  it('have labels that no caller can multiply', async () => {
    await start({
      deployments: [{ resourceName: 'east', deployment: '*', model: 'any/*', id: 'any' }],
      keys: [keyRecord()],
    });
    const series = async () =>
      (await gateway.metrics())
        .split('\n')
        .filter((line) => /^(?:litellm|aigateway)_(?!nodejs).*\{/.test(line)).length;
    const invent = async (from: number, to: number) => {
      for (let index = from; index < to; index += 1) {
        await call('x', {
          model: `any/invented-${index}`,
          user: `user-${index}`,
          tags: [`tag-${index}`],
        });
        const method = index % 2 === 0 ? 'GET' : 'DELETE';
        await gateway.call(`/v1/nowhere-${index}`, undefined, { method });
      }
    };
    await call('x', { model: 'any/gpt-4o' });
    await invent(0, 4);
    const before = await series();
    await invent(4, 34);
    expect(await series()).toBe(before);
    expect(await gateway.metrics()).not.toContain('invented-');
    expect(await gateway.metrics()).not.toContain('user-1');
  });
});
