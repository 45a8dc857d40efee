import { once } from 'node:events';
import {
  createServer,
  request,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { routes } from '@aigateway/control-plane/routes';
import { routeList } from '@aigateway/proxy/app';
import type { GatewayError } from '@aigateway/proxy/errors';
import { createContext } from '@aigateway/proxy/upstream/transport';
import express, { type ErrorRequestHandler } from 'express';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../smoke/free-port.ts';
import { rawSocket } from '../../proxy/test/raw-socket.ts';
import {
  hasRedisServer,
  startRedis,
  type RedisServer,
} from '../../proxy/test/servers/redis-server.ts';
import { makeCertificates, type Certificates } from '../../proxy/test/upstream/certificates.ts';
import { startConnectProxy, type ConnectProxy } from '../../proxy/test/upstream/connect-proxy.ts';
import { startServer } from '../../proxy/test/upstream/server.ts';
import { startTlsFront, type TlsFront } from '../../proxy/test/upstream/tls-front.ts';
import { forwardManagement, type ForwardOptions } from '../src/forward.ts';
import { GatewayProcess } from './gateway-process.ts';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function listen(server: Server): Promise<string> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** An application that forwards to a server which answers in some way; what it has itself answers "own". */
async function forwarder(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  { trustedHops = 0, silenceMs = 60_000, path = '' } = {},
): Promise<{ url: string; failures: GatewayError[] }> {
  const target = (await listen(createServer(answer))) + path;
  return forwarderTo(target, { trustedHops, silenceMs });
}

async function forwarderTo(
  target: string,
  options: Partial<ForwardOptions>,
): Promise<{ url: string; failures: GatewayError[] }> {
  const failures: GatewayError[] = [];
  const answerFailure: ErrorRequestHandler = (error: GatewayError, _request, response, _next) => {
    failures.push(error);
    response.status(error.status).set(error.headers).json(error.envelope());
  };
  const app = express();
  app.use(forwardManagement({ target, trustedHops: 0, silenceMs: 60_000, ...options }));
  app.use((_request, response) => void response.status(404).send('own'));
  app.use(answerFailure);
  return { url: await listen(createServer(app)), failures };
}

function echo(asked: IncomingMessage, response: ServerResponse): void {
  const { method, url, headers } = asked;
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ method, url, headers }));
}

type Echo = { method: string; url: string; headers: Record<string, string> };

describe('forwarding of management paths', () => {
  it('takes what the registry of the control plane declares and nothing that a proxy has itself', async () => {
    const { url } = await forwarder(echo);
    const statusOf = async (method: string, path: string): Promise<number> =>
      (await fetch(url + path, { method })).status;
    for (const { method, paths } of routes)
      for (const path of paths)
        expect(await statusOf(method.toUpperCase(), path.replaceAll(/:\w+/g, 'an-id'))).toBe(200);
    const taken: string[] = [];
    for (const { method, path } of routeList())
      if ((await statusOf(method, path.replaceAll(/:\w+/g, 'an-id'))) !== 404) taken.push(path);
    // Both planes answer these, a proxy before it would forward them.
    expect(taken).toEqual(['/health/latest', '/health/history']);
    for (const [method, path] of [
      ['POST', '/no/such/path'],
      ['GET', '/manage/tokens/..%2f..%2finternal'],
      ['GET', '/manage/tokens/%2e%2e'],
    ] as const)
      expect(await statusOf(method, path)).toBe(404);
    const wrong = await fetch(`${url}/key/generate`);
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST']);
  });

  it('passes credentials and the id on, and the caller, below the path of the control plane', async () => {
    const { url } = await forwarder(echo, { trustedHops: 1, path: '/manager' });
    const answer = await fetch(`${url}/key/info?key=a%2Fb`, {
      headers: {
        authorization: 'Bearer sk-one',
        'x-litellm-api-key': 'sk-two',
        'x-forwarded-for': '6.6.6.6, 203.0.113.9',
        'x-request-id': 'an-id-of-the-caller',
      },
    });
    const seen = (await answer.json()) as Echo;
    expect(seen).toMatchObject({ method: 'GET', url: '/manager/key/info?key=a%2Fb' });
    expect(seen.headers).toMatchObject({
      authorization: 'Bearer sk-one',
      'x-litellm-api-key': 'sk-two',
      'x-request-id': 'an-id-of-the-caller',
      'x-forwarded-for': '6.6.6.6, 203.0.113.9, 203.0.113.9',
    });
    expect(seen.headers['host']).not.toBe(new URL(url).host);
  });

  it('keeps to itself what holds for one connection, in both directions', async () => {
    const { url } = await forwarder((asked, response) => {
      response.setHeader('connection', 'close, x-inner');
      response.setHeader('keep-alive', 'timeout=1');
      response.setHeader('proxy-authenticate', 'Basic');
      response.setHeader('x-inner', '1');
      response.setHeader('x-outer', '1');
      echo(asked, response);
    });
    const socket = await rawSocket(url);
    socket.write(
      [
        'GET /key/list HTTP/1.1',
        'host: a',
        'connection: close, x-named',
        'x-named: 1',
        'te: trailers',
        'keep-alive: timeout=5',
        'proxy-authorization: Basic YTpi',
        'x-other: 1',
        '',
        '',
      ].join('\r\n'),
    );
    const [head = '', body = ''] = (await socket.closed()).split('\r\n\r\n');
    const { headers } = JSON.parse(
      body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1),
    ) as Echo;
    for (const name of ['x-named', 'te', 'keep-alive', 'proxy-authorization'])
      expect(headers).not.toHaveProperty(name);
    expect(headers['x-other']).toBe('1');
    expect(head).toMatch(/x-outer: 1/i);
    expect(head).not.toMatch(/x-inner|proxy-authenticate|timeout=1/i);
  });

  it('carries bodies piece by piece, both ways', async () => {
    const { url } = await forwarder((asked, response) => {
      asked.pipe(response);
    });
    const call = request(`${url}/key/delete`, { method: 'POST' });
    call.write('first');
    const [answer] = (await once(call, 'response')) as [IncomingMessage];
    const pieces = answer.iterator();
    expect(String((await pieces.next()).value)).toBe('first');
    call.end('second');
    expect(String((await pieces.next()).value)).toBe('second');
    expect(await pieces.next()).toMatchObject({ done: true });
  });

  it('asks for a body that its caller holds back', async () => {
    const { url } = await forwarder((asked, response) => {
      expect(asked.headers.expect).toBeUndefined();
      asked.pipe(response);
    });
    servers.at(-1)?.on('checkContinue', (asked, response) => {
      servers.at(-1)?.emit('request', asked, response);
    });
    const call = request(`${url}/key/delete`, {
      method: 'POST',
      headers: { expect: '100-continue' },
    });
    call.flushHeaders();
    await once(call, 'continue');
    call.end('held back');
    const [answer] = (await once(call, 'response')) as [IncomingMessage];
    expect(String((await once(answer, 'data'))[0])).toBe('held back');
  });

  it('follows no redirect and shows nobody where it leads', async () => {
    const paths: (string | undefined)[] = [];
    const { url, failures } = await forwarder((asked, response) => {
      paths.push(asked.url);
      response.writeHead(307, { location: 'http://inner.example/key/list' });
      response.end('see http://inner.example');
    });
    const answer = await fetch(`${url}/key/list`, { redirect: 'manual' });
    expect(answer.status).toBe(503);
    expect(answer.headers.get('location')).toBeNull();
    expect(await answer.text()).not.toContain('inner.example');
    expect(paths).toEqual(['/key/list']);
    expect(failures.map(({ code }) => code)).toEqual(['control_plane_unavailable']);
  });

  it('waits for an answer that does not begin as long as it is told to, once', async () => {
    let calls = 0;
    const { url, failures } = await forwarder(() => void (calls += 1), { silenceMs: 50 });
    const answer = await fetch(`${url}/key/generate`, { method: 'POST', body: '{}' });
    expect(answer.status).toBe(503);
    expect(calls).toBe(1);
    expect(failures).toHaveLength(1);
  });

  it('ends an answer that stops in its middle, and does not take it for whole', async () => {
    const { url, failures } = await forwarder(
      (_asked, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.write('{"half":');
      },
      { silenceMs: 1000 },
    );
    const answer = await fetch(`${url}/key/list`);
    await expect(answer.text()).rejects.toThrow('terminated');
    expect(failures).toEqual([]);
  });

  it('lets go of a call whose caller has left', async () => {
    const arrived = Promise.withResolvers<ServerResponse>();
    const { url, failures } = await forwarder((_asked, response) => arrived.resolve(response));
    const leaving = new AbortController();
    const call = fetch(`${url}/key/list`, { signal: leaving.signal });
    const open = await arrived.promise;
    const closed = once(open, 'close');
    leaving.abort();
    await expect(call).rejects.toThrow('aborted');
    await closed;
    expect(failures).toEqual([]);
  });
});

describe('forwarding to a control plane over TLS', () => {
  const ends: (() => Promise<unknown> | void)[] = [];
  let certificates: Certificates;
  beforeAll(() => {
    certificates = makeCertificates(['control.test', '127.0.0.1']);
  });
  afterEach(async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  });
  afterAll(() => certificates.remove());

  /** @returns how a call that is forwarded to a host of the control plane ends, and why it failed */
  async function forwarded(
    host: string,
    options: Pick<ForwardOptions, 'secureContext' | 'proxyUrl'>,
  ): Promise<{ status: number; port: number; cause: string }> {
    const server = await startServer(echo, certificates);
    ends.push(() => server.close());
    const { port } = server;
    const target = `https://${host}:${port}`;
    const { url, failures } = await forwarderTo(target, options);
    const { status } = await fetch(`${url}/key/list`);
    return { status, port, cause: String((failures[0]?.cause as Error | undefined)?.message) };
  }

  it('trusts the authorities it is given, and only with them and the name that was asked for', async () => {
    const secureContext = createContext([certificates.ca]);
    expect((await forwarded('127.0.0.1', { secureContext })).status).toBe(200);
    expect(await forwarded('127.0.0.1', {})).toMatchObject({
      status: 503,
      cause: expect.stringContaining('certificate'),
    });
    expect(await forwarded('localhost', { secureContext })).toMatchObject({
      status: 503,
      cause: expect.stringContaining('altnames'),
    });
  });

  it('goes through a proxy on the way, which alone sees its password', async () => {
    const { server, seen } = await startConnectProxy();
    ends.push(() => server.close());
    const secureContext = createContext([certificates.ca]);
    const proxyUrl = `http://user:p%40ss@127.0.0.1:${server.port}`;
    const { status, port } = await forwarded('control.test', { secureContext, proxyUrl });
    expect(status).toBe(200);
    expect(seen).toEqual([
      {
        target: `control.test:${port}`,
        authorization: `Basic ${Buffer.from('user:p@ss').toString('base64')}`,
      },
    ]);
    // What the proxy's end of the tunnel has is checked no less.
    expect((await forwarded('control.test', { proxyUrl })).status).toBe(503);
  });

  it('fails, without the password in what is logged, when the proxy refuses', async () => {
    const { server } = await startConnectProxy(
      'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n',
    );
    ends.push(() => server.close());
    const proxyUrl = `http://user:p%40ss@127.0.0.1:${server.port}`;
    const { status, cause } = await forwarded('control.test', { proxyUrl });
    expect(status).toBe(503);
    expect(cause).toContain('407');
    expect(cause).not.toMatch(/p%40ss|p@ss/);
  });
});

describe.skipIf(!hasRedisServer)('a proxy apart from its control plane', () => {
  const master = 'sk-master-0123456789abcdef';
  let redis: RedisServer;
  let control: GatewayProcess;
  let follower: GatewayProcess;
  let plain: GatewayProcess;
  let secure: GatewayProcess;
  let certificates: Certificates;
  let front: TlsFront;
  let connectProxy: ConnectProxy;
  const key = { authorization: `Bearer ${master}` };

  beforeAll(async () => {
    if (!hasRedisServer) return;
    redis = await startRedis();
    const port = await freePort();
    const start = (role: string, ownPort: number, more: Record<string, string>) =>
      new GatewayProcess(['--port', String(ownPort), '--role', role], {
        AIGATEWAY_SECRET: 'a-root-secret-of-more-than-thirty-two-bytes',
        REDIS_URL: redis.url,
        HOST: '127.0.0.1',
        AIGATEWAY_TRUSTED_HOPS: '1',
        ...more,
      });
    control = start('control-plane', port, {
      LITELLM_MASTER_KEY: master,
      AIGATEWAY_BASE_PATH: '/manager',
    });
    follower = start('proxy', 0, {
      AIGATEWAY_CONTROL_PLANE_URL: `http://127.0.0.1:${port}/manager/`,
    });
    plain = start('proxy', 0, {});
    certificates = makeCertificates(['control.test']);
    front = await startTlsFront(certificates, `http://127.0.0.1:${port}`);
    connectProxy = await startConnectProxy();
    secure = start('proxy', 0, {
      AIGATEWAY_CONTROL_PLANE_URL: `https://control.test:${front.host.split(':')[1]}/manager`,
      AIGATEWAY_CA_FILE: certificates.caFile,
      HTTPS_PROXY: `http://user:secret@127.0.0.1:${connectProxy.server.port}`,
    });
    await Promise.all([control, follower, plain, secure].map((gateway) => gateway.url()));
  });
  afterAll(async () => {
    await Promise.all([control, follower, plain, secure].map((gateway) => gateway?.stop()));
    await connectProxy?.server.close();
    await front?.close();
    certificates?.remove();
    await redis?.stop();
  });

  async function generate(
    gateway: GatewayProcess,
    alias = 'made-through-a-proxy',
  ): Promise<Response> {
    return fetch(`${await gateway.url()}/key/generate`, {
      method: 'POST',
      headers: {
        ...key,
        'content-type': 'application/json',
        'x-request-id': 'an-id-of-the-caller',
        'x-forwarded-for': '6.6.6.6, 203.0.113.9',
      },
      body: JSON.stringify({ key_alias: alias }),
    });
  }

  it('forwards management paths, where it is told to, and answers the others itself', async () => {
    const made = await generate(follower);
    expect(made.status).toBe(200);
    expect(made.headers.get('x-request-id')).toBe('an-id-of-the-caller');
    expect(made.headers.get('cache-control')).toBe('no-store');
    const { key: secret } = (await made.json()) as { key: string };
    await control.until(/"endpoint":"\/key\/generate"/);
    const lines = control.output
      .split('\n')
      .filter((line) => line.includes('"event":"management"'))
      .map((line) => JSON.parse(line) as object);
    expect(lines).toMatchObject([
      { requestId: 'an-id-of-the-caller', client: '203.0.113.9', endpoint: '/key/generate' },
    ]);

    const url = await follower.url();
    const models = await fetch(`${url}/v1/models`, {
      headers: { authorization: `Bearer ${secret}` },
    });
    expect(await models.json()).toMatchObject({ object: 'list' });
    expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: 'healthy' });
    const refused = await fetch(`${url}/key/info`, {
      headers: { authorization: 'Bearer sk-wrong' },
    });
    expect(refused.status).toBe(401);
    expect((await fetch(`${url}/no-such-path`, { headers: key })).status).toBe(404);
    await control.until(/"status":401/);
    expect(control.output).not.toMatch(/"endpoint":"unknown"/);
  });

  it('has no such paths where it is not', async () => {
    const answer = await generate(plain);
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ error: { code: 'not_found' } });
    expect(control.output.match(/"endpoint":"\/key\/generate"/g)).toHaveLength(1);
  });

  it('reaches it over TLS, with an authority of its own and through a proxy', async () => {
    const made = await generate(secure, 'made-over-tls');
    expect(made.status).toBe(200);
    expect(connectProxy.seen.map(({ target }) => target)).toEqual([
      `control.test:${front.host.split(':')[1]}`,
    ]);
    expect(secure.output + secure.errors).not.toContain('secret@');
  });

  it('says 503 while the control plane is away, without its address, and serves on', async () => {
    const controlUrl = await control.url();
    await control.stop();
    const answer = await generate(follower);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('x-request-id')).toBe('an-id-of-the-caller');
    expect(answer.headers.get('retry-after')).toBe('1');
    const text = await answer.text();
    expect(JSON.parse(text)).toMatchObject({
      error: { type: 'internal_server_error', param: null, code: 'control_plane_unavailable' },
    });
    expect(text).not.toContain(new URL(controlUrl).port);
    expect(text).not.toContain('127.0.0.1');
    await follower.until(/"code":"control_plane_unavailable"/);
    expect(follower.output).not.toContain(master);
    expect((await fetch(`${await follower.url()}/health`)).status).toBe(200);
  });
});
