import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  noCredential,
  ownUpstream,
  responsesBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { startServer, type TestServer } from '../upstream/server.ts';

let gateway: GatewayUnderTest;
const upstreams: TestServer[] = [];
afterEach(async () => {
  await gateway.close();
  for (const upstream of upstreams.splice(0)) await upstream.close();
});

const message = 'Rate limit reached for hidden-name at https://secret-host.example.internal.';
const answer = {
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'well' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
};

/** Upstreams in the order of their levels that answer every POST with status 200 and one of these. */
async function start(...bodies: object[]): Promise<void> {
  const deployments = await Promise.all(
    bodies.map(async (body, priority) => {
      const upstream = await startServer((request: IncomingMessage, response: ServerResponse) => {
        request.resume();
        response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
      });
      upstreams.push(upstream);
      return ownUpstream(upstream.origin, 'hidden-name', { model: 'public', priority });
    }),
  );
  gateway = await startGatewayUnderTest({
    deployments,
    credentials: [noCredential(...upstreams.map(({ origin }) => origin))],
    router: { retries: 1, maxAttempts: 2 },
    pipeline: { longestWaitMs: 0 },
  });
}

const ask = () => gateway.call('/v1/chat/completions', chatBody('public', 'hi'));

describe('a whole answer of status 200 that is an error', () => {
  it.each([
    ['an object', { error: { message, code: 429 } }],
    ['a text', { error: message }],
  ])('is a failure that another deployment makes good: %s', async (_, failed) => {
    await start(failed, answer);
    const response = await ask();
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual(answer);
    expect(gateway.usage[0]).toMatchObject({
      outcome: 'completed',
      attempts: [{ reason: 'rate_limited' }, { reason: 'answered' }],
    });
  });

  it('is told by its status where nobody else is left, without names and hosts, and costs nothing', async () => {
    await start({ error: { message, code: 429 } });
    const response = await ask();
    expect(response.status).toBe(429);
    const text = await response.text();
    expect(text).toContain('Rate limit reached for public');
    expect(text).not.toMatch(/hidden-name|secret-host/);
    expect(gateway.usage[0]).toMatchObject({ outcome: 'failed', costNanoUsd: 0 });
    expect(gateway.usage[0]?.tokens).toMatchObject({ input: 0, output: 0 });
  });

  it('is told apart from an answer that says something of errors', async () => {
    const response = { object: 'response', status: 'completed', error: null, output: [] };
    for (const [path, body, whole] of [
      ['/v1/chat/completions', chatBody('public', 'hi'), { ...answer, error: { message: 'x' } }],
      ['/v1/responses', responsesBody('public', 'hi', { store: false }), response],
    ] as const) {
      await start(whole);
      const got = await gateway.call(path, body);
      expect([got.status, await got.json()]).toEqual([200, whole]);
      await gateway.close();
    }
    await start(answer);
  });
});
