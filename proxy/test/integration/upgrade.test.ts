import { request } from 'node:http';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  callerKey,
  chatBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { rawSocket } from '../raw-socket.ts';

let gateway: GatewayUnderTest;

beforeAll(async () => {
  gateway = await startGatewayUnderTest({
    deployments: [{ resourceName: 'simulator', deployment: 'gpt-4o' }],
  });
});
afterAll(() => gateway.close());

it('answers an attempt at a WebSocket with 426 at once, so that clients go on with POST', async () => {
  const answer = await new Promise<{ status: number; body: string }>((resolve, reject) => {
    const call = request(`${gateway.url}/v1/responses`, {
      headers: {
        authorization: `Bearer ${callerKey}`,
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'openai-beta': 'responses_websockets=2026-02-06',
      },
    });
    call.on('upgrade', () => reject(new Error('upgraded')));
    call.on('error', reject);
    call.on('response', (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    call.end();
  });
  expect(answer.status).toBe(426);
  expect(JSON.parse(answer.body)).toMatchObject({ error: { code: 'upgrade_unsupported' } });
});

it('answers a request that would rather have HTTP/2 as it came, which is what Java sends over plain http', async () => {
  const body = JSON.stringify(chatBody('gpt-4o', 'hi'));
  const socket = await rawSocket(gateway.url);
  socket.write(
    [
      'POST /v1/chat/completions HTTP/1.1',
      'host: gateway',
      'connection: Upgrade, HTTP2-Settings',
      'upgrade: h2c',
      'http2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA',
      `authorization: Bearer ${callerKey}`,
      'content-type: application/json',
      `content-length: ${body.length}`,
      '',
      body,
    ].join('\r\n'),
  );
  expect(await socket.until('You said: hi')).toContain('HTTP/1.1 200');
  socket.destroy();
});
