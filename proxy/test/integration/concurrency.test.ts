import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  noCredential,
  ownUpstream,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { startServer, type TestServer } from '../upstream/server.ts';

let gateway: GatewayUnderTest;
let upstream: TestServer;
afterEach(async () => {
  await gateway.close();
  await upstream.close();
});

const calls = 300;

/** An upstream that answers nobody before all have asked, the last first, each with what it was asked. */
async function startUpstream(): Promise<void> {
  const waiting: (() => void)[] = [];
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    // What warms a connection up is no call.
    if (request.method !== 'POST') {
      response.end('{}');
      return;
    }
    const { messages, stream } = JSON.parse(Buffer.concat(chunks).toString()) as {
      messages: [{ content: string }];
      stream: boolean;
    };
    const { content } = messages[0];
    waiting.push(() => send(response, content, stream));
    if (waiting.length === calls) for (const each of waiting.toReversed()) each();
  };
  upstream = await startServer((request, response) => void answer(request, response));
}

function send(response: ServerResponse, content: string, stream: boolean): void {
  if (!stream) {
    const choices = [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }];
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ choices }));
    return;
  }
  response.setHeader('content-type', 'text/event-stream');
  for (const piece of content.split(/(?<= )/)) {
    const choices = [{ index: 0, delta: { content: piece }, finish_reason: null }];
    response.write(`data: ${JSON.stringify({ choices })}\n\n`);
  }
  response.end('data: [DONE]\n\n');
}

function textOf(answer: string): string {
  const pieces = answer.startsWith('data:')
    ? answer.split('\n\n').flatMap((event) => /^data: (\{.*)/.exec(event)?.[1] ?? [])
    : [answer];
  return pieces
    .map((piece) => JSON.parse(piece) as { choices: [{ [part: string]: { content: string } }] })
    .map(({ choices: [{ delta, message }] }) => (delta ?? message)?.content ?? '')
    .join('');
}

describe('hundreds of calls at once', () => {
  it('wait for nobody, and get each its own answer', async () => {
    await startUpstream();
    gateway = await startGatewayUnderTest({
      deployments: [ownUpstream(upstream.origin, 'm')],
      credentials: [noCredential(upstream.origin)],
    });
    const asked = Array.from({ length: calls }, (_, index) => `words of call ${index} alone`);
    const answers = await Promise.all(
      asked.map(async (content, index) => {
        const body = chatBody('m', content, { stream: index % 2 === 0 });
        const response = await gateway.call('/v1/chat/completions', body);
        return [response.status, textOf(await response.text())];
      }),
    );
    expect(answers).toEqual(asked.map((content) => [200, content]));
    expect(gateway.usage).toHaveLength(calls);
    expect(new Set(gateway.usage.map(({ requestId }) => requestId)).size).toBe(calls);
  });
});
