import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '@aigateway/contract/records';
import { freePort } from '../../../smoke/free-port.ts';
import {
  callerKey,
  chatBody,
  noCredential,
  ownUpstream,
  startGatewayUnderTest,
  type GatewaySpec,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { rawSocket } from '../raw-socket.ts';
import { startServer, type TestServer } from '../upstream/server.ts';

let gateway: GatewayUnderTest;
let upstream: TestServer | undefined;
afterEach(async () => {
  await gateway.close();
  await upstream?.close();
  upstream = undefined;
});

function request(body: JsonObject, ...lines: string[]): string {
  const text = JSON.stringify(body);
  return [
    'POST /v1/chat/completions HTTP/1.1',
    'host: gateway',
    `authorization: Bearer ${callerKey}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(text)}`,
    ...lines,
    '',
    text,
  ].join('\r\n');
}

async function startWith(
  answer: (response: ServerResponse, socket: Socket) => void,
  spec: Partial<GatewaySpec> = {},
) {
  upstream = await startServer((incoming, response) => {
    incoming.resume();
    if (incoming.method === 'GET') response.end();
    else answer(response, incoming.socket);
  });
  gateway = await startGatewayUnderTest({
    deployments: [ownUpstream(upstream.origin, 'm')],
    credentials: [noCredential(upstream.origin)],
    router: { retries: 0 },
    ...spec,
  });
}

function chunk(content: string): string {
  return `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;
}

const finish =
  'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';

describe('the connection of a caller', () => {
  it('carries requests that come before the answers to those before them, in their order', async () => {
    await startWith((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(chunk('x'.repeat(400_000)));
      response.end(finish);
    });
    const socket = await rawSocket(gateway.url);
    const stream = chatBody('m', 'x', { stream: true });
    socket.write(request(stream) + request(stream) + request(stream, 'connection: close'));
    const text = await socket.closed();
    expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(3);
    expect(text.match(/data: \[DONE\]/g)).toHaveLength(3);
    expect(gateway.usage.map(({ outcome }) => outcome)).toEqual([
      'completed',
      'completed',
      'completed',
    ]);
  });

  it('that is closed from its side, even if only for writing, belongs to one who has left', async () => {
    const held: ServerResponse[] = [];
    await startWith((response) => held.push(response));
    const socket = await rawSocket(gateway.url);
    socket.write(request(chatBody('m', 'x')));
    await gateway.until(() => held.length === 1);
    socket.socket.end();
    await gateway.until(() => gateway.usage.length === 1);
    expect(gateway.usage[0]).toMatchObject({ outcome: 'aborted' });
    await gateway.until(() => held.every((response) => response.destroyed));
  });

  it('that is lost with several requests on it ends them all', async () => {
    const held: ServerResponse[] = [];
    await startWith((response) => held.push(response));
    const socket = await rawSocket(gateway.url);
    socket.write(request(chatBody('m', 'x')) + request(chatBody('m', 'y')));
    await gateway.until(() => held.length === 2);
    socket.socket.resetAndDestroy();
    await gateway.until(() => gateway.usage.length === 2);
    expect(gateway.usage.map(({ outcome }) => outcome)).toEqual(['aborted', 'aborted']);
    await gateway.until(() => held.every((response) => response.destroyed));
  });

  it('is kept for further requests after refusals that have read the whole body', async () => {
    await startWith((response) => {
      response.setHeader('content-type', 'application/json');
      response.end('{}');
    });
    const socket = await rawSocket(gateway.url);
    socket.write(
      request(chatBody('unknown', 'x')) +
        request({}) +
        request(chatBody('m', 'x'), 'connection: close'),
    );
    const text = await socket.closed();
    expect([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual([
      '404',
      '404',
      '200',
    ]);
  });
});

describe('a connection to an upstream', () => {
  it('is kept and used again', async () => {
    await startWith((response) => {
      response.setHeader('content-type', 'application/json');
      response.end('{}');
    });
    for (let index = 0; index < 20; index += 1) {
      await (await gateway.call('/v1/chat/completions', chatBody('m', 'x'))).text();
    }
    expect(upstream?.connections()).toBeLessThanOrEqual(2);
  });

  it('that died while it was kept costs the caller nothing, and the deployment neither', async () => {
    let calls = 0;
    await startWith((response, socket) => {
      calls += 1;
      // The second request of a connection meets its end.
      if (calls % 2 === 0) {
        socket.destroy();
        return;
      }
      response.setHeader('content-type', 'application/json');
      response.end('{}');
    });
    for (let index = 0; index < 10; index += 1) {
      expect((await gateway.call('/v1/chat/completions', chatBody('m', 'x'))).status).toBe(200);
    }
    expect(gateway.usage.every(({ attempts }) => attempts.length === 1)).toBe(true);
  });

  it('that cannot be made is a failure to be got elsewhere', async () => {
    const origin = `http://127.0.0.1:${await freePort()}`;
    gateway = await startGatewayUnderTest({
      deployments: [
        ownUpstream(origin, 'm', { priority: 0 }),
        { resourceName: 'simulator', deployment: 'gpt-4o', model: 'm' },
      ],
      credentials: [noCredential(origin)],
    });
    expect((await gateway.call('/v1/chat/completions', chatBody('m', 'x'))).status).toBe(200);
    expect(gateway.usage[0]?.attempts).toMatchObject([
      { status: 0, reason: 'unreachable' },
      { status: 200 },
    ]);
  });

  it('that speaks no HTTP is a failure to be got elsewhere', async () => {
    await startWith((_, socket) => void socket.end('HELLO\r\n\r\n'));
    const response = await gateway.call('/v1/chat/completions', chatBody('m', 'x'));
    expect(response.status).toBe(502);
    expect(await response.text()).not.toContain('HELLO');
  });

  it('may bring an answer with more choices than one, cut after the first: that is not whole', async () => {
    await startWith((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(chunk('first choice'));
      response.write('data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n');
      response.write('data: {"choices":[{"index":1,"delta":{"content":"second"}}]}\n\n', () =>
        response.socket?.resetAndDestroy(),
      );
    });
    const response = await gateway.call(
      '/v1/chat/completions',
      chatBody('m', 'x', { stream: true, n: 2 }),
    );
    const text = await response.text();
    expect(text).toContain('stream_interrupted');
    expect(text).not.toContain('[DONE]');
    expect(gateway.usage[0]).toMatchObject({ outcome: 'interrupted' });
  });
});
