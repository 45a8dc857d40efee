import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ProxyOptions } from '../../src/config.ts';
import {
  callerKey,
  chatBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { rawSocket, type RawSocket } from '../raw-socket.ts';

const maxBodyBytes = 100_000;
let gateway: GatewayUnderTest;
/** Does not wait for what comes late. */
let impatient: GatewayUnderTest;
beforeAll(async () => {
  const start = (limits: Partial<ProxyOptions>) =>
    startGatewayUnderTest({
      deployments: [{ resourceName: 'simulator', deployment: 'gpt-4o' }],
      pipeline: { maxBodyBytes },
      options: { maxHeaderBytes: 8192, ...limits },
    });
  gateway = await start({});
  impatient = await start({ headersTimeoutMs: 300, requestTimeoutMs: 600 });
});
afterAll(() => Promise.all([gateway.close(), impatient.close()]));

const opened: RawSocket[] = [];
afterEach(() => {
  for (const socket of opened.splice(0)) socket.destroy();
});

async function connect({ url } = gateway): Promise<RawSocket> {
  const socket = await rawSocket(url);
  opened.push(socket);
  return socket;
}

function head(...lines: string[]): string {
  return ['POST /v1/chat/completions HTTP/1.1', 'host: gateway', ...lines, '', ''].join('\r\n');
}

const authorization = `authorization: Bearer ${callerKey}`;
const json = 'content-type: application/json';
const valid = JSON.stringify(chatBody('gpt-4o', 'hi'));

function upstreamCalls(): number {
  return gateway.simulator.requests().filter(({ method }) => method === 'POST').length;
}

/** Status and error of the one answer in raw bytes. */
function answerIn(text: string): { status: number; code: unknown; text: string } {
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
  const body = text.slice(text.indexOf('\r\n\r\n') + 4);
  const { error } = JSON.parse(body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1)) as {
    error: { code: unknown };
  };
  return { status, code: error.code, text };
}

describe('a path', () => {
  const attacks = [
    '/v1/chat/completions/../../../openai/deployments/gpt-4o/chat/completions',
    '/v1/./chat/completions',
    '/v1/%2e%2e/chat/completions',
    '/v1/chat%2fcompletions',
    '/v1/chat%5ccompletions',
    '/v1\\chat\\completions',
    '/v1/chat/completions%00',
    '/v1/chat/completions;x=1',
    '/v1/chat/completions/extra',
    '/v1/CHAT/COMPLETIONS',
    '/v1/chat',
    '/v2/chat/completions',
    '/openai/deployments/../chat/completions',
    '/openai/deployments/%2e%2e/chat/completions',
    '/openai/deployments/a%2fb/chat/completions',
    '/openai/deployments/gpt-4o/extensions/chat/completions',
    '/openai/deployments/gpt-4o/files',
    '/v1/files',
    '/v1/fine_tuning/jobs',
    '/v1/assistants',
    '/v1/threads',
    '/v1/images/generations',
    '/v1/audio/speech',
    '/openai/files?api-version=2024-10-21',
    '/_sim/requests',
    '/_sim/reset',
    '/simulator/openai/v1/chat/completions',
    '/east/openai/v1/chat/completions',
    'ftp://127.0.0.1:1/v1/chat/completions',
    'http://127.0.0.1:1/v1/../v1/chat/completions',
    'http:///v1/chat/completions',
    'http://127.0.0.1:1',
    '//127.0.0.1/v1/chat/completions',
    '/v1/responses/../chat/completions',
    '/v1/responses/resp_1/../../models',
    '/v1/responses/resp_1%2fcancel',
    '/v1/responses/resp_1/unknown',
    '*',
  ];

  it.each(attacks)(
    'that is not on the list is answered here and goes nowhere: %s',
    async (path) => {
      const before = upstreamCalls();
      const socket = await connect();
      socket.write(
        `POST ${path} HTTP/1.1\r\nhost: gateway\r\n${authorization}\r\n${json}\r\n` +
          `content-length: ${valid.length}\r\nconnection: close\r\n\r\n${valid}`,
      );
      const { status } = answerIn(await socket.closed());
      expect([400, 404, 405]).toContain(status);
      expect(upstreamCalls()).toBe(before);
    },
  );

  it('takes its own methods only, and says which', async () => {
    for (const [method, path, allow] of [
      ['GET', '/v1/chat/completions', 'POST'],
      ['PUT', '/v1/embeddings', 'POST'],
      ['PATCH', '/v1/responses', 'POST'],
      ['DELETE', '/v1/completions', 'POST'],
      ['PUT', '/v1/responses/resp_1', 'GET, DELETE'],
      ['GET', '/v1/responses/resp_1/cancel', 'POST'],
      ['POST', '/v1/models', 'GET, HEAD'],
      ['DELETE', '/model/info', 'GET, HEAD'],
      ['POST', '/health/readiness', 'GET, HEAD'],
    ] as const) {
      const response = await gateway.call(path, undefined, { method });
      expect(response.status).toBe(405);
      expect(response.headers.get('allow')).toBe(allow);
      expect(await response.json()).toMatchObject({ error: { code: 'method_not_allowed' } });
    }
  });

  it.each([
    ['POST', 'http://elsewhere.example:1/v1/chat/completions'],
    ['POST', 'HTTPS://user@elsewhere.example/v1/chat/completions?api-version=1'],
    ['GET', 'http://elsewhere.example/v1/models'],
    ['GET', 'http://elsewhere.example/health/liveliness'],
  ])(
    'is that of a target in absolute form, whose host is not looked at: %s %s',
    async (method, target) => {
      const before = upstreamCalls();
      const body = method === 'POST' ? valid : '';
      const socket = await connect();
      socket.write(
        `${method} ${target} HTTP/1.1\r\nhost: gateway\r\n${authorization}\r\n${json}\r\n` +
          `content-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
      );
      expect(await socket.closed()).toMatch(/^HTTP\/1\.1 200 OK/);
      expect(upstreamCalls()).toBe(before + (method === 'POST' ? 1 : 0));
    },
  );

  it.each([
    'http:///v1/models',
    'file:///v1/models',
    'ftp://gateway/v1/models',
    '*',
    'http://gateway',
    'http://gateway?api-version=1',
  ])('is not found in a target that has none: %s', async (target) => {
    const socket = await connect();
    socket.write(
      `GET ${target} HTTP/1.1\r\nhost: gateway\r\n${authorization}\r\nconnection: close\r\n\r\n`,
    );
    expect(answerIn(await socket.closed())).toMatchObject({ status: 404, code: 'not_found' });
  });

  it('is logged without the name and password of a target that has none', async () => {
    const socket = await connect();
    const target = 'ftp://name:pass/word@logged/v1/models?key=1';
    socket.write(`GET ${target} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n`);
    await socket.closed();
    await gateway.until(() => gateway.log().includes('"path":"ftp://logged/v1/models"'));
    expect(gateway.log()).not.toContain('word@logged');
  });

  it('is found under doubled slashes and a slash at its end, as clients write it', async () => {
    for (const path of [
      '/v1//chat/completions',
      '/v1/chat/completions/',
      '/v1/v1/chat/completions',
    ]) {
      expect((await gateway.call(path, chatBody('gpt-4o', 'x'))).status).toBe(200);
    }
  });
});

describe('a body', () => {
  it('that says it is too large is refused without being read', async () => {
    const socket = await connect();
    socket.write(head(authorization, json, `content-length: ${maxBodyBytes + 1}`));
    const answer = answerIn(await socket.closed());
    expect(answer).toMatchObject({ status: 413, code: 'body_too_large' });
  });

  it('that grows too large in chunks is refused at the limit', async () => {
    const socket = await connect();
    socket.write(head(authorization, json, 'transfer-encoding: chunked'));
    const chunk = `${(20_000).toString(16)}\r\n${'x'.repeat(20_000)}\r\n`;
    for (let sent = 0; sent <= maxBodyBytes; sent += 20_000) socket.write(chunk);
    expect(answerIn(await socket.closed())).toMatchObject({ status: 413, code: 'body_too_large' });
  });

  it('of exactly the limit is taken', async () => {
    const empty = JSON.stringify(chatBody('gpt-4o', ''));
    const body = JSON.stringify(chatBody('gpt-4o', 'x'.repeat(maxBodyBytes - empty.length)));
    expect(Buffer.byteLength(body)).toBe(maxBodyBytes);
    expect((await gateway.call('/v1/chat/completions', body)).status).toBe(200);
  });

  it.each([
    ['text that is no JSON', 'hello', 400],
    ['half of it', valid.slice(0, -5), 400],
    ['a list', '[]', 400],
    ['a text', '"x"', 400],
    ['nothing', '', 400],
    ['two of them', `${valid}${valid}`, 400],
    ['a byte order mark', `\ufeff${valid}`, 400],
    ['a number for the model', '{"model":7,"messages":[]}', 400],
    ['a word for stream', '{"model":"gpt-4o","stream":"yes","messages":[]}', 400],
    ['a negative limit', '{"model":"gpt-4o","max_tokens":-1,"messages":[]}', 400],
    ['no model', '{"messages":[]}', 404],
  ])('that holds %s is refused with its reason', async (_, body, status) => {
    const before = upstreamCalls();
    const response = await gateway.call('/v1/chat/completions', body, { method: 'POST' });
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({
      error: { message: expect.any(String), type: 'invalid_request_error' },
    });
    expect(upstreamCalls()).toBe(before);
  });

  it.each([
    [{ 'content-type': 'application/x-www-form-urlencoded' }, 'unsupported_media_type'],
    [{ 'content-type': 'multipart/form-data; boundary=x' }, 'unsupported_media_type'],
    [{ 'content-encoding': 'gzip' }, 'unsupported_encoding'],
    [{ 'content-encoding': 'br' }, 'unsupported_encoding'],
  ])('of another kind is refused: %o', async (headers, code) => {
    const response = await gateway.call('/v1/chat/completions', valid, { headers });
    expect(response.status).toBe(415);
    expect(await response.json()).toMatchObject({ error: { code } });
  });

  it.each([
    ['application/json; charset=utf-8', 'identity'],
    ['application/vnd.api+json', 'identity'],
    ['text/plain', 'identity'],
    ['Application/JSON', 'Identity'],
  ])('is JSON under any name that clients give it: %s, %s', async (type, encoding) => {
    const headers = { 'content-type': type, 'content-encoding': encoding };
    expect((await gateway.call('/v1/chat/completions', valid, { headers })).status).toBe(200);
  });

  it('is asked for where the caller waits to be asked', async () => {
    const socket = await connect();
    socket.write(
      head(
        authorization,
        json,
        `content-length: ${valid.length}`,
        'expect: 100-continue',
        'connection: close',
      ),
    );
    await socket.until('HTTP/1.1 100 Continue\r\n\r\n');
    socket.write(valid);
    expect(await socket.closed()).toContain('HTTP/1.1 200 OK');
  });

  it('is not asked for when its headers are enough to refuse it', async () => {
    const socket = await connect();
    socket.write(
      head(
        'authorization: Bearer sk-unknown',
        json,
        'content-length: 999999999',
        'expect: 100-continue',
      ),
    );
    const text = await socket.closed();
    expect(text).toContain('HTTP/1.1 401');
    expect(text).not.toContain('100 Continue');
  });

  it('that ends before its length is no request, and costs nothing', async () => {
    const before = gateway.proxy.meter.counts.admitted;
    const socket = await connect();
    socket.write(head(authorization, json, `content-length: ${valid.length + 50}`) + valid);
    socket.socket.end();
    const text = await socket.closed();
    expect(text).not.toContain('200 OK');
    expect(gateway.proxy.meter.counts.admitted).toBe(before);
  });

  it('that is longer than its length is another request, and no part of this one', async () => {
    const socket = await connect();
    socket.write(
      `${head(authorization, json, `content-length: ${valid.length}`)}${valid}` +
        'GET /health/liveliness HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n',
    );
    const text = await socket.closed();
    expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
    expect(text.indexOf('chat.completion')).toBeLessThan(text.indexOf("I'm alive!"));
  });
});

describe('what is not clean HTTP/1.1', () => {
  const smuggled = 'GET /v1/models HTTP/1.1\r\nhost: gateway\r\n\r\n';

  it.each([
    ['both lengths', ['content-length: 4', 'transfer-encoding: chunked'], `0\r\n\r\n${smuggled}`],
    ['two lengths', ['content-length: 4', 'content-length: 5'], `abcd${smuggled}`],
    ['a length with a sign', ['content-length: +4'], 'abcd'],
    ['an unknown coding', ['transfer-encoding: xchunked'], `0\r\n\r\n${smuggled}`],
    ['chunked not last', ['transfer-encoding: chunked, gzip'], `0\r\n\r\n${smuggled}`],
    ['a folded header', ['x-a: b', ' folded: c', 'content-length: 0'], ''],
    ['a space before the colon', ['content-length : 0'], ''],
    ['a bare line feed', ['x-a: b\nx-b: c', 'content-length: 0'], ''],
    ['no host', [], ''],
  ])('is refused and the connection ends: %s', async (name, lines, body) => {
    const before = upstreamCalls();
    const socket = await connect();
    const start =
      name === 'no host'
        ? `POST /v1/chat/completions HTTP/1.1\r\n${authorization}\r\ncontent-length: 0\r\n\r\n`
        : head(authorization, json, ...lines);
    socket.write(start + body);
    const text = await socket.closed();
    expect(text).toMatch(/^HTTP\/1\.1 (?:400|411|501)/);
    expect(text.match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
    expect(upstreamCalls()).toBe(before);
  });

  it('is refused in the form of every other error', async () => {
    const socket = await connect();
    socket.write('NONSENSE\r\n\r\n');
    expect(answerIn(await socket.closed())).toMatchObject({ status: 400, code: 'invalid_body' });
  });

  const noHost = `POST /v1/chat/completions HTTP/1.1\r\n${authorization}\r\n${json}\r\n`;
  it.each([
    ['without a Host', noHost, 400, 'it has no Host header. Send one'],
    [
      'that expects more than 100-continue',
      `${noHost}host: a\r\nexpect: x\r\n`,
      417,
      '100-continue',
    ],
  ])(
    'is refused with what to change, counted and logged: a request %s',
    async (_, start, status, message) => {
      const before = upstreamCalls();
      const count = async () =>
        Number(/code="invalid_body"[^\n]* (\d+)$/m.exec(await gateway.metrics())?.[1] ?? 0);
      const counted = await count();
      const socket = await connect();
      const id = `a-request-of-${status}`;
      socket.write(
        `${start}x-request-id: ${id}\r\ncontent-length: ${valid.length}\r\n\r\n${valid}`,
      );
      const answer = answerIn(await socket.closed());
      expect(answer).toMatchObject({ status, code: 'invalid_body' });
      expect(answer.text).toContain(message);
      expect(answer.text).toContain(`x-request-id: ${id}`);
      expect(answer.text).toContain('x-aigateway-layer: read');
      expect(answer.text).toContain('content-type: application/json');
      expect(upstreamCalls()).toBe(before);
      expect(await count()).toBe(counted + 1);
      await gateway.until(() => gateway.log().includes(id));
    },
  );

  it('is HTTP/1.0, which has no Host and is served', async () => {
    const socket = await connect();
    socket.write('GET /health/liveliness HTTP/1.0\r\n\r\n');
    expect(await socket.closed()).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  it('is refused where its headers are too large', async () => {
    const socket = await connect();
    socket.write(head(authorization, `x-large: ${'x'.repeat(9000)}`));
    const answer = await socket.closed();
    expect(answerIn(answer)).toMatchObject({ status: 431, code: 'invalid_body' });
    expect(answer).toContain('The request cannot be read: its headers are larger than');
  });

  it('is ended when nothing ever comes', async () => {
    const socket = await connect(impatient);
    expect(answerIn(await socket.closed())).toMatchObject({ status: 408, code: 'request_timeout' });
  });

  it('is ended when its headers never do', async () => {
    const socket = await connect(impatient);
    socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\n${authorization}\r\n`);
    expect(answerIn(await socket.closed())).toMatchObject({ status: 408, code: 'request_timeout' });
  });

  it('is ended when its body never comes', async () => {
    const before = impatient.proxy.meter.counts.admitted;
    const socket = await connect(impatient);
    socket.write(head(authorization, json, 'content-length: 50') + '{"model":');
    expect(answerIn(await socket.closed())).toMatchObject({ status: 408, code: 'request_timeout' });
    expect(impatient.proxy.meter.counts.admitted).toBe(before);
  });

  it('harms nobody else', async () => {
    await expect
      .poll(async () => (await impatient.call('/v1/chat/completions', valid)).status)
      .toBe(200);
  });
});
