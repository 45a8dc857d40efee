import { afterEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  readEvents,
  responsesBody,
  startGatewayUnderTest,
  type GatewaySpec,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

function start(spec: Partial<GatewaySpec> = {}) {
  return startGatewayUnderTest({
    simulator: {
      resources: ['east', 'west'].map((name) => ({
        name,
        keys: [`${name}-key`],
        deployments: [
          { name: 'secret-deployment', model: 'gpt-4o' },
          { name: 'codex', model: 'gpt-5.3-codex' },
        ],
      })),
    },
    deployments: [
      ...['east', 'west'].map((resourceName) => ({
        resourceName,
        deployment: 'secret-deployment',
        model: 'gpt-4o',
      })),
      { resourceName: 'west', deployment: 'codex', operations: ['responses'] as const },
    ],
    ...spec,
  });
}

function posts(): number {
  return gateway.simulator.requests().filter(({ method }) => method === 'POST').length;
}

const prompts = [
  ['/v1/chat/completions', chatBody('gpt-4o', '[SIM:block-prompt violence]')],
  ['/v1/chat/completions', chatBody('gpt-4o', '[SIM:block-prompt jailbreak]', { stream: true })],
  ['/v1/responses', responsesBody('gpt-4o', '[SIM:block-prompt hate]')],
  ['/v1/responses', responsesBody('gpt-4o', '[SIM:block-prompt hate]', { stream: true })],
  ['/v1/chat/completions', chatBody('codex', '[SIM:block-prompt violence]')],
] as const;

describe('a blocked prompt', () => {
  it.each(prompts)('is a 400 in the form of OpenAI, tried once: %s %o', async (path, body) => {
    gateway = await start();
    const response = await gateway.call(path, body);
    expect(response.status).toBe(400);
    const text = await response.text();
    const { error } = JSON.parse(text) as { error: Record<string, unknown> };
    expect(Object.keys(error).toSorted()).toEqual(['code', 'message', 'param', 'type']);
    expect(error).toMatchObject({ code: 'content_filter', type: 'invalid_request_error' });
    expect(error['message']).toContain('content management policy');
    expect(text).not.toMatch(/secret-deployment|east|west|127\.0\.0\.1/);
    expect(posts()).toBe(1);
    expect(gateway.usage[0]).toMatchObject({
      outcome: 'rejected',
      usageSource: 'none',
      status: 400,
    });
    expect(gateway.usage[0]?.attempts).toMatchObject([{ reason: 'content_filter' }]);
    expect(await gateway.metrics()).toMatch(/aigateway_\w+\{[^}]*outcome="rejected"/);
  });

  it('is counted by itself, and apart from other mistakes of callers', async () => {
    gateway = await start();
    for (const [path, body] of prompts) await gateway.call(path, body);
    await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x', { temperature: 9 }));
    const counted = [
      ...(await gateway.metrics()).matchAll(
        /^aigateway_upstream_attempts_total\{.*status="400",reason="(\w+)"\} (\d+)$/gm,
      ),
    ];
    const total = (reason: string) =>
      counted.reduce((sum, [, name, count]) => (name === reason ? sum + Number(count) : sum), 0);
    expect([total('content_filter'), total('bad_request')]).toEqual([prompts.length, 1]);
  });

  it('shows category and severity where the switch says so', async () => {
    gateway = await start({ settings: { sanitiseContentFilter: false } });
    const response = await gateway.call(
      '/v1/chat/completions',
      chatBody('gpt-4o', '[SIM:block-prompt violence]'),
    );
    const text = await response.text();
    expect(text).toContain('"violence":{');
    expect(text).toContain('"filtered":true');
  });

  it('goes to another model only where that is configured by name', async () => {
    gateway = await start({
      router: { fallbacks: { 'gpt-4o': ['codex'] }, contentPolicyFallbacks: {} },
    });
    const body = chatBody('gpt-4o', 'x [SIM:block-prompt]');
    expect((await gateway.call('/v1/chat/completions', body)).status).toBe(400);
    expect(posts()).toBe(1);
    gateway.proxy.update({
      ...gateway.records,
      router: { ...gateway.records.router, contentPolicyFallbacks: { 'gpt-4o': ['codex'] } },
    });
    // The fallback's filter finds the same; what counts is that it was asked.
    expect((await gateway.call('/v1/chat/completions', body)).status).toBe(400);
    expect(posts()).toBe(3);
  });
});

describe('a blocked answer', () => {
  it('keeps its finish reason, stream and whole', async () => {
    gateway = await start();
    const whole = await gateway.call(
      '/v1/chat/completions',
      chatBody('gpt-4o', '[SIM:block-output]'),
    );
    expect(whole.status).toBe(200);
    expect(await whole.json()).toMatchObject({ choices: [{ finish_reason: 'content_filter' }] });
    const events = await readEvents(
      await gateway.call(
        '/v1/chat/completions',
        chatBody('gpt-4o', '[SIM:block-output]', { stream: true }),
      ),
    );
    expect(events.some(({ data }) => data.includes('"finish_reason":"content_filter"'))).toBe(true);
    expect(events.at(-1)?.data).toBe('[DONE]');
    expect(gateway.usage.every(({ outcome }) => outcome === 'completed')).toBe(true);
  });

  it('is an incomplete response, stream and whole, and over the bridge', async () => {
    gateway = await start();
    const whole = await gateway.call(
      '/v1/responses',
      responsesBody('gpt-4o', '[SIM:block-output]'),
    );
    expect(await whole.json()).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'content_filter' },
    });
    const events = await readEvents(
      await gateway.call(
        '/v1/responses',
        responsesBody('gpt-4o', '[SIM:block-output]', { stream: true }),
      ),
    );
    expect(events.at(-1)?.event).toBe('response.incomplete');
    const bridged = await gateway.call(
      '/v1/chat/completions',
      chatBody('codex', '[SIM:block-output]'),
    );
    expect(await bridged.json()).toMatchObject({ choices: [{ finish_reason: 'content_filter' }] });
  });

  it('of the asynchronous filter is passed on as it comes', async () => {
    gateway = await start();
    const events = await readEvents(
      await gateway.call(
        '/v1/chat/completions',
        chatBody('gpt-4o', '[SIM:async-filter]', { stream: true }),
      ),
    );
    expect(events.some(({ data }) => data.includes('content_filter_offsets'))).toBe(true);
    expect(events.at(-1)?.data).toBe('[DONE]');
  });
});
