import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  readEvents,
  responsesBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
beforeEach(async () => {
  gateway = await startGatewayUnderTest({
    deployments: [
      { resourceName: 'simulator', deployment: 'gpt-4o' },
      { resourceName: 'simulator', deployment: 'gpt-5.3-codex' },
    ],
  });
});
afterEach(() => gateway.close());

function sentBody(): Record<string, unknown> {
  return gateway.simulator.requests().at(-1)?.body as Record<string, unknown>;
}

describe('what the gateway adds to a request', () => {
  it('is nothing on responses', async () => {
    for (const stream of [true, false]) {
      const body = responsesBody('gpt-4o', 'x', { stream });
      const response = await gateway.call('/v1/responses', body);
      expect(response.status).toBe(200);
      expect(response.headers.get('x-aigateway-changes')).toBeNull();
      await response.text();
      expect(sentBody()).toEqual(body);
    }
  });

  it('is nothing on a chat without a stream, and on embeddings', async () => {
    const body = chatBody('gpt-4o', 'x');
    await (await gateway.call('/v1/chat/completions', body)).text();
    expect(sentBody()).toEqual(body);
  });

  it('is the wish for usage on a chat stream, and named', async () => {
    const body = chatBody('gpt-4o', 'x', {
      stream: true,
      stream_options: { include_obfuscation: false },
    });
    const response = await gateway.call('/v1/chat/completions', body);
    await response.text();
    expect(sentBody()).toEqual({
      ...body,
      stream_options: { include_obfuscation: false, include_usage: true },
    });
    expect(response.headers.get('x-aigateway-changes')).toBe('+stream_options.include_usage');
  });
});

describe('a chat stream', () => {
  it('has a choice in every chunk, unless the caller asked for usage', async () => {
    const events = await readEvents(
      await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x', { stream: true })),
    );
    expect(events.length).toBeGreaterThan(2);
    for (const { data } of events.slice(0, -1)) {
      expect((JSON.parse(data) as { choices: unknown[] }).choices).not.toHaveLength(0);
    }
  });

  it("keeps Azure's first chunk where the setting says so, byte for byte", async () => {
    gateway.proxy.update({
      ...gateway.records,
      settings: { ...gateway.records.settings, cleanChatStream: false },
    });
    const events = await readEvents(
      await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x', { stream: true })),
    );
    expect(events[0]?.data).toContain('prompt_filter_results');
  });

  it('ends with the usage chunk where the setting says so', async () => {
    gateway.proxy.update({
      ...gateway.records,
      settings: { ...gateway.records.settings, alwaysIncludeStreamUsage: true },
    });
    const events = await readEvents(
      await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x', { stream: true })),
    );
    expect(events.at(-2)?.data).toContain('"usage":{');
  });
});

describe('usage', () => {
  const cases = ['gpt-4o', 'gpt-5.3-codex'].flatMap((model) => [
    { path: '/v1/chat/completions', body: chatBody(model, 'count me') },
    { path: '/v1/chat/completions', body: chatBody(model, 'count me', { stream: true }) },
    {
      path: '/v1/chat/completions',
      body: chatBody(model, 'count me', { stream: true, stream_options: { include_usage: true } }),
    },
    { path: '/v1/responses', body: responsesBody(model, 'count me') },
    { path: '/v1/responses', body: responsesBody(model, 'count me', { stream: true }) },
  ]);

  it.each(cases)("is the upstream's truth: $path $body", async ({ path, body }) => {
    // Twice, so that the second prompt comes from the upstream's cache.
    const long = JSON.stringify(body).replace('count me', 'count me '.repeat(1500));
    for (let call = 0; call < 2; call += 1) await (await gateway.call(path, long)).text();
    const { total } = gateway.simulator.counters();
    const sum = (kind: 'input' | 'output' | 'cachedInput' | 'reasoning') =>
      gateway.usage.reduce((all, { tokens }) => all + tokens[kind], 0);
    expect(gateway.usage.map(({ usageSource }) => usageSource)).toEqual(['measured', 'measured']);
    expect(sum('input')).toBe(total.promptTokens);
    expect(sum('output')).toBe(total.completionTokens);
    expect(sum('cachedInput')).toBe(total.cachedTokens);
    expect(sum('reasoning')).toBe(total.reasoningTokens);
    expect(total.cachedTokens).toBeGreaterThan(1000);
  });
});
