import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../../smoke/free-port.ts';
import type { UpstreamAnswerHeaders } from '../../src/upstream/headers.ts';
import {
  createTransport,
  type Transport,
  type TransportControls,
  type TransportError,
  type TransportHandler,
  type TransportOptions,
  type TransportRequest,
} from '../../src/upstream/transport.ts';
import { makeCertificates, type Certificates } from './certificates.ts';
import { startConnectProxy } from './connect-proxy.ts';
import { startServer, type TestServer } from './server.ts';

const started: { close(): Promise<unknown> }[] = [];

afterEach(async () => {
  // Servers first: a call still under way would keep its transport open.
  for (const item of started.splice(0).toReversed()) await item.close();
});

function transportWith(options: Partial<TransportOptions> = {}): Transport {
  const transport = createTransport({ keepAliveMs: 60_000, connectTimeoutMs: 5000, ...options });
  started.unshift(transport);
  return transport;
}

async function serve(listener: RequestListener): Promise<TestServer> {
  const server = await startServer(listener);
  started.push(server);
  return server;
}

type Outcome = {
  status: number | undefined;
  headers: UpstreamAnswerHeaders;
  body: Buffer;
  error: TransportError | undefined;
  /** Calls of `onEnd` and `onError`. */
  ends: number;
};

/** Collects a call; `events` tells of headers and data as they come. */
class Collector implements TransportHandler {
  readonly events = new EventEmitter();
  readonly outcome: Outcome = {
    status: undefined,
    headers: {},
    body: Buffer.alloc(0),
    error: undefined,
    ends: 0,
  };
  readonly done: Promise<Outcome>;
  controls: TransportControls | undefined;
  #finish: () => void = () => {};

  constructor() {
    this.done = new Promise((resolve) => {
      this.#finish = () => resolve(this.outcome);
    });
  }

  onHeaders(status: number, headers: UpstreamAnswerHeaders, controls: TransportControls): void {
    Object.assign(this.outcome, { status, headers });
    this.controls = controls;
    this.events.emit('headers');
  }

  onData(chunk: Buffer): void {
    this.outcome.body = Buffer.concat([this.outcome.body, chunk]);
    this.events.emit('data');
  }

  onEnd(): void {
    this.outcome.ends += 1;
    this.#finish();
  }

  onError(error: TransportError): void {
    this.outcome.ends += 1;
    this.outcome.error = error;
    this.#finish();
  }
}

function requestOf(change: Partial<TransportRequest> = {}): TransportRequest {
  return {
    method: 'POST',
    path: '/openai/v1/chat/completions',
    headers: ['content-type', 'application/json'],
    body: Buffer.from('{}'),
    headersTimeoutMs: 20_000,
    bodyTimeoutMs: 20_000,
    ...change,
  };
}

function send(transport: Transport, origin: string, change: Partial<TransportRequest> = {}) {
  const collector = new Collector();
  const controls = transport.dispatch(origin, requestOf(change), collector);
  return { collector, controls };
}

/** undici frees a connection one turn of the event loop after its answer. */
async function freed(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

async function call(
  transport: Transport,
  origin: string,
  change: Partial<TransportRequest> = {},
): Promise<Outcome> {
  const outcome = await send(transport, origin, change).collector.done;
  await freed();
  return outcome;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  return Buffer.concat(await request.toArray());
}

describe('a call', () => {
  it('carries method, path, headers and a body of 1 MB byte for byte, both ways', async () => {
    const body = randomBytes(1024 * 1024);
    let seen:
      | { method: string | undefined; url: string | undefined; headers: IncomingMessage['headers'] }
      | undefined;
    const server = await serve((request, response) => {
      void bodyOf(request).then((received) => {
        seen = { method: request.method, url: request.url, headers: request.headers };
        response.setHeader('x-sha', createHash('sha256').update(received).digest('hex'));
        response.writeHead(201).end(received);
      });
    });
    const outcome = await call(transportWith(), server.origin, {
      path: '/a?b=c',
      headers: ['X-A', '1'],
      body,
    });

    expect(seen).toMatchObject({
      method: 'POST',
      url: '/a?b=c',
      headers: { 'x-a': '1', host: `127.0.0.1:${server.port}` },
    });
    expect(seen?.headers['content-length']).toBe(String(body.length));
    expect(outcome.status).toBe(201);
    expect(outcome.headers['x-sha']).toBe(createHash('sha256').update(body).digest('hex'));
    expect(outcome.body.equals(body)).toBe(true);
    expect(outcome).toMatchObject({ error: undefined, ends: 1 });
  });

  it('follows no redirect', async () => {
    let calls = 0;
    const server = await serve((_, response) => {
      calls += 1;
      response.writeHead(307, { location: '/elsewhere' }).end();
    });
    expect(await call(transportWith(), server.origin)).toMatchObject({
      status: 307,
      error: undefined,
    });
    expect(calls).toBe(1);
  });

  it('hears of the final answer only, not of informational ones', async () => {
    const server = await serve((_, response) => {
      response.writeEarlyHints({ link: '</a>; rel=preload' });
      response.end('done');
    });
    const outcome = await call(transportWith(), server.origin);
    expect(outcome.status).toBe(200);
    expect(outcome.body.toString()).toBe('done');
  });

  it('stops reading while paused, and goes on where it stopped', async () => {
    const size = 32 * 1024 * 1024;
    let answer: ServerResponse | undefined;
    const server = await serve((_, response) => {
      answer = response;
      response.write(Buffer.alloc(size, 1));
      response.end();
    });
    const { collector } = send(transportWith(), server.origin);
    collector.events.once('data', () => collector.controls?.pause());
    await once(collector.events, 'data');
    // Several turns of the loop, in which an unpaused reader would have gone on.
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(collector.outcome.body.length).toBeLessThan(1024 * 1024);
    expect(answer?.writableLength).toBeGreaterThan(0);

    const parts: number[] = [];
    collector.onData = (chunk: Buffer) => parts.push(chunk.length);
    const before = collector.outcome.body.length;
    collector.controls?.resume();
    await collector.done;
    expect(parts.reduce((sum, length) => sum + length, before)).toBe(size);
  });

  it('cannot wake another call of its connection once it has ended', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/first') response.end('x');
      else response.end(Buffer.alloc(4 * 1024 * 1024));
    });
    const transport = transportWith();
    const first = send(transport, server.origin, { path: '/first' });
    await first.collector.done;
    await freed();
    const second = send(transport, server.origin, { path: '/second' });
    second.collector.events.once('headers', () => second.collector.controls?.pause());
    await once(second.collector.events, 'headers');
    const received = second.collector.outcome.body.length;
    first.controls.pause();
    first.controls.resume();
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(second.collector.outcome.body.length).toBe(received);
    second.controls.resume();
    expect((await second.collector.done).body.length).toBe(4 * 1024 * 1024);
    expect(transport.stats()[server.origin]?.opened).toBe(1);
  });
});

describe('connections', () => {
  it('are reused by calls that follow each other, and shared by none at once', async () => {
    const waiting: ServerResponse[] = [];
    const arrivals = new EventEmitter();
    const server = await serve((request, response) => {
      if (request.url !== '/wait') return void response.end();
      waiting.push(response);
      arrivals.emit('arrived');
    });
    const transport = transportWith();
    for (let at = 0; at < 5; at += 1) await call(transport, server.origin, { path: '/' });
    expect(server.connections()).toBe(1);

    const parallel = Array.from({ length: 8 }, () =>
      send(transport, server.origin, { path: '/wait' }),
    );
    while (waiting.length < 8) await once(arrivals, 'arrived');
    expect(transport.stats()[server.origin]).toEqual({
      connected: 8,
      idle: 0,
      running: 8,
      pending: 0,
      opened: 8,
    });
    for (const response of waiting) response.end();
    await Promise.all(parallel.map(({ collector }) => collector.done));
    expect(server.connections()).toBe(8);
  });

  it('do not stall when they were idle', async () => {
    const server = await serve((request, response) => {
      request.resume().on('end', () => response.end('{}'));
    });
    const script = fileURLToPath(new URL('idle-reuse.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [script, server.origin, '30']);
    // The stall this looks for hits nearly every call; a busy machine may delay one or two.
    const { stalls, opened } = JSON.parse(stdout) as { stalls: number; opened: number };
    expect(stalls).toBeLessThan(10);
    expect(opened).toBe(1);
  });

  it('are open before the first call once warmed', async () => {
    const server = await serve((_, response) => response.writeHead(404).end());
    const dead = `http://127.0.0.1:${await freePort()}`;
    const transport = transportWith();
    await transport.warm([server.origin, dead]);
    expect(transport.stats()[server.origin]).toMatchObject({ connected: 1, opened: 1 });
    expect(transport.stats()[dead]).toMatchObject({ connected: 0, opened: 0 });
    await call(transport, server.origin);
    expect(server.connections()).toBe(1);
  });

  it('are closed once the calls under way have ended; later calls end at once', async () => {
    let finish = (): void => {};
    const server = await serve((_, response) => {
      response.write('a');
      finish = () => response.end('b');
    });
    const transport = transportWith();
    const { collector } = send(transport, server.origin);
    await once(collector.events, 'data');
    const closed = transport.close();
    expect(await call(transport, server.origin)).toMatchObject({
      error: { kind: 'request' },
      ends: 1,
    });
    expect(await call(transport, 'http://127.0.0.1:1')).toMatchObject({
      error: { kind: 'request' },
      ends: 1,
    });
    finish();
    await closed;
    expect((await collector.done).body.toString()).toBe('ab');
  });
});

describe('aborting', () => {
  it('before there is a connection sends nothing', async () => {
    let calls = 0;
    const server = await serve((_, response) => {
      calls += 1;
      response.end();
    });
    const transport = transportWith();
    const { collector, controls } = send(transport, server.origin);
    controls.abort();
    expect(collector.outcome).toMatchObject({ error: { kind: 'aborted' }, ends: 1 });
    await call(transport, server.origin);
    expect(calls).toBe(1);
  });

  it.each(['before the answer', 'in the middle of the answer'])(
    '%s closes the upstream connection',
    async (when) => {
      const arrived = new EventEmitter();
      const server = await serve((request, response) => {
        if (when !== 'before the answer') response.write('data: 1\n\n');
        arrived.emit('request', request);
      });
      const { collector, controls } = send(transportWith(), server.origin);
      const [request] = (await once(arrived, 'request')) as [IncomingMessage];
      if (when !== 'before the answer') await once(collector.events, 'data');
      const closed = once(request.socket, 'close');
      controls.abort();
      controls.abort();
      expect(collector.outcome).toMatchObject({
        error: { kind: 'aborted', reusedSocket: false },
        ends: 1,
      });
      await closed;
    },
  );

  it('from inside the handler is heard once', async () => {
    const server = await serve((_, response) => response.end('x'.repeat(100_000)));
    const transport = transportWith();
    const { collector } = send(transport, server.origin);
    collector.events.once('data', () => collector.controls?.abort());
    expect(await collector.done).toMatchObject({ error: { kind: 'aborted' }, ends: 1 });
    expect(await call(transport, server.origin)).toMatchObject({ status: 200, error: undefined });
  });
});

describe('failures', () => {
  /** Speaks bytes instead of HTTP. */
  async function serveRaw(onRequest: (socket: Socket, request: number) => void): Promise<string> {
    const sockets = new Set<Socket>();
    let requests = 0;
    const server = createTcpServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('data', () => onRequest(socket, (requests += 1)));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    started.push({
      close: async () => {
        const closed = once(server, 'close');
        server.close();
        for (const socket of sockets) socket.destroy();
        await closed;
      },
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const complete = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

  it('tells a refused connection', async () => {
    const nobody = `http://127.0.0.1:${await freePort()}`;
    expect(await call(transportWith(), nobody)).toMatchObject({
      error: { kind: 'connect', reusedSocket: false },
      ends: 1,
    });
  });

  it('tells a name that does not exist', async () => {
    expect(await call(transportWith(), 'http://nowhere.invalid')).toMatchObject({
      error: { kind: 'connect' },
      ends: 1,
    });
  });

  it('tells a reused connection that died before any byte of the answer, and a new one then serves', async () => {
    const origin = await serveRaw((socket, request) => {
      if (request === 2) socket.destroy();
      else socket.write(complete);
    });
    const transport = transportWith();
    expect(await call(transport, origin)).toMatchObject({ error: undefined });
    expect(await call(transport, origin)).toMatchObject({
      error: { kind: 'reset', reusedSocket: true },
      ends: 1,
    });
    expect(await call(transport, origin)).toMatchObject({ error: undefined });
    expect(transport.stats()[origin]?.opened).toBe(2);
  });

  it('tells a new connection that died apart from a reused one', async () => {
    const origin = await serveRaw((socket) => socket.destroy());
    const transport = transportWith();
    for (let at = 0; at < 2; at += 1) {
      expect(await call(transport, origin)).toMatchObject({
        error: { kind: 'reset', reusedSocket: false },
        ends: 1,
      });
    }
  });

  it('does not offer to repeat a call whose answer had begun', async () => {
    const origin = await serveRaw((socket, request) => {
      if (request === 1) socket.write(complete);
      else socket.end('HTTP/1.1 200 OK\r\nconte');
    });
    const transport = transportWith();
    await call(transport, origin);
    expect(await call(transport, origin)).toMatchObject({
      error: { kind: 'reset', reusedSocket: false },
    });
  });

  it('never takes a cut answer for a complete one', async () => {
    const origin = await serveRaw((socket, request) => {
      const head = request === 1 ? 'content-length: 10' : 'transfer-encoding: chunked';
      const body = request === 1 ? 'half' : '4\r\nhalf\r\n';
      socket.end(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n${body}`);
    });
    const transport = transportWith();
    for (let at = 0; at < 2; at += 1) {
      const outcome = await call(transport, origin);
      expect(outcome.body.toString()).toBe('half');
      expect(outcome).toMatchObject({ status: 200, error: { kind: 'reset' }, ends: 1 });
    }
  });

  it('tells what is not HTTP', async () => {
    const origin = await serveRaw((socket) => socket.end('SSH-2.0-OpenSSH\r\n'));
    expect(await call(transportWith(), origin)).toMatchObject({
      error: { kind: 'protocol' },
      ends: 1,
    });
  });

  it('tells headers that do not come, and a body that stops', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/body') response.write('a');
    });
    const transport = transportWith();
    expect(await call(transport, server.origin, { headersTimeoutMs: 30 })).toMatchObject({
      error: { kind: 'headers-timeout', reusedSocket: false },
      ends: 1,
    });
    expect(
      await call(transport, server.origin, { path: '/body', bodyTimeoutMs: 30 }),
    ).toMatchObject({
      status: 200,
      error: { kind: 'body-timeout', reusedSocket: false },
      ends: 1,
    });
  });

  it.each<[string, Partial<TransportRequest>]>([
    ['a header that would split the request', { headers: ['x', 'a\r\nb: c'] }],
    ['a path with a space', { path: '/a b' }],
    ['half a header', { headers: ['x'] }],
  ])('refuses %s', async (_, change) => {
    const server = await serve((_request, response) => response.end());
    expect(await call(transportWith(), server.origin, change)).toMatchObject({
      error: { kind: 'request' },
      ends: 1,
    });
  });

  it('tells an origin that is none', async () => {
    expect(await call(transportWith(), 'nonsense')).toMatchObject({
      error: { kind: 'request' },
      ends: 1,
    });
  });

  it.each(['onHeaders', 'onData'] as const)(
    'ends a call whose %s throws, and goes on',
    async (method) => {
      const server = await serve((_, response) => response.end('x'));
      const transport = transportWith();
      const collector = new Collector();
      collector[method] = () => {
        throw new Error('a bug');
      };
      transport.dispatch(server.origin, requestOf(), collector);
      expect(await collector.done).toMatchObject({
        error: { kind: 'handler', reusedSocket: false },
        ends: 1,
      });
      expect(await call(transport, server.origin)).toMatchObject({ status: 200, error: undefined });
    },
  );
});

describe('over TLS', () => {
  let certificates: Certificates;
  beforeAll(() => {
    certificates = makeCertificates(['upstream.test', '127.0.0.1']);
  });
  afterAll(() => certificates.remove());

  async function serveSecurely(listener: RequestListener): Promise<TestServer> {
    const server = await startServer(listener, certificates);
    started.push(server);
    return server;
  }

  async function startProxy(answer?: string) {
    const { server: proxy, seen } = await startConnectProxy(answer);
    started.push(proxy);
    return { proxy, seen };
  }

  it('trusts the certificates it was given, besides the usual ones', async () => {
    const server = await serveSecurely((_, response) => response.end('secure'));
    const trusting = transportWith({ caCertificates: [certificates.ca] });
    expect((await call(trusting, server.origin)).body.toString()).toBe('secure');
    expect(await call(transportWith(), server.origin)).toMatchObject({
      error: { kind: 'connect' },
      ends: 1,
    });
  });

  it('speaks HTTP/1.1', async () => {
    let version: string | undefined;
    const server = await serveSecurely((request, response) => {
      version = request.httpVersion;
      response.end();
    });
    await call(transportWith({ caCertificates: [certificates.ca] }), server.origin);
    expect(version).toBe('1.1');
  });

  it('goes through the proxy’s tunnel, keeps it open, and shows the proxy its password alone', async () => {
    const server = await serveSecurely((request, response) => response.end(request.headers.host));
    const { proxy, seen } = await startProxy();
    const transport = transportWith({
      proxyUrl: `http://user:p%40ss@127.0.0.1:${proxy.port}`,
      caCertificates: [certificates.ca],
    });
    const origin = `https://upstream.test:${server.port}`;
    for (let at = 0; at < 3; at += 1) {
      expect((await call(transport, origin)).body.toString()).toBe(`upstream.test:${server.port}`);
    }
    expect(seen).toEqual([
      {
        target: `upstream.test:${server.port}`,
        authorization: `Basic ${Buffer.from('user:p@ss').toString('base64')}`,
      },
    ]);
  });

  it('goes past the proxy for NO_PROXY and loopback, and for plain http', async () => {
    const secure = await serveSecurely((_, response) => response.end());
    const plain = await serve((_, response) => response.end());
    const { proxy, seen } = await startProxy();
    const transport = transportWith({
      proxyUrl: proxy.origin,
      noProxy: '.invalid',
      caCertificates: [certificates.ca],
    });
    expect(await call(transport, secure.origin)).toMatchObject({ status: 200 });
    expect(await call(transport, plain.origin)).toMatchObject({ status: 200 });
    expect(await call(transport, 'https://direct.invalid')).toMatchObject({
      error: { kind: 'connect' },
    });
    expect(seen).toEqual([]);
  });

  it.each([
    ['refuses', 'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n', 'connect'],
    ['breaks', 'nonsense\r\n\r\n', 'connect'],
    ['says nothing', '', 'connect-timeout'],
  ])('ends the call when the proxy %s', async (_, answer, kind) => {
    const { proxy } = await startProxy(answer);
    const transport = transportWith({
      proxyUrl: proxy.origin,
      connectTimeoutMs: answer === '' ? 50 : 5000,
    });
    expect(await call(transport, 'https://upstream.test')).toMatchObject({
      error: { kind },
      ends: 1,
    });
  });
});
