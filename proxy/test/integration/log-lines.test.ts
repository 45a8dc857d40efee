import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  keyRecord,
  noCredential,
  ownUpstream,
  startGatewayUnderTest,
  stillClock,
  type GatewaySpec,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest | undefined;
let upstream: Server | undefined;
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
  upstream?.close();
  upstream = undefined;
});

type Line = Record<string, unknown>;

const page = readFileSync(new URL('../../../docs/reference/logs.md', import.meta.url), 'utf8');

const canary = 'canary-of-a-prompt';
const upstreamKey = 'canary-upstream-key';
const clock = stillClock();

async function start(spec: Partial<GatewaySpec> = {}): Promise<GatewayUnderTest> {
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: ['east', 'west'].map((name) => ({
        name,
        region: `${name}us2`,
        keys: [`${upstreamKey}-${name}`],
        deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }],
      })),
    },
    deployments: [
      { resourceName: 'east', deployment: 'gpt-4o', priority: 1 },
      { resourceName: 'west', deployment: 'gpt-4o', priority: 2 },
    ],
    router: { coolDownMs: 30_000 },
    ports: { clock },
    ...spec,
  });
  return gateway;
}

/** A gateway whose one deployment refuses every call with what is given. */
async function startBefore(
  refusal: () => { status: number; message: string },
): Promise<GatewayUnderTest> {
  upstream = createServer((request, response) => {
    request.resume().on('end', () => {
      // What warms a connection up is no call.
      const { status, message } =
        request.method === 'POST' ? refusal() : { status: 404, message: '' };
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: { message } }));
    });
  });
  await once(upstream.listen(0, '127.0.0.1'), 'listening');
  const origin = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  return start({
    deployments: [ownUpstream(origin, 'gpt-4o')],
    credentials: [noCredential(origin)],
    router: { retries: 0 },
  });
}

async function ask(under: GatewayUnderTest, model = 'gpt-4o'): Promise<Response> {
  const response = await under.call('/v1/chat/completions', chatBody(model, canary));
  await response.text();
  return response;
}

/** Ends the gateway, so that everything is written, checks every line, and gives those of one event. */
async function linesOf(under: GatewayUnderTest, event: string): Promise<Line[]> {
  gateway = undefined;
  await under.close();
  const text = under.log();
  for (const secret of [canary, upstreamKey]) expect(text.includes(secret)).toBe(false);
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
  for (const name of lines.flatMap((line) => Object.keys(line))) {
    expect(page).toContain(`\`${name}\``);
  }
  return lines.filter((line) => line['event'] === event);
}

describe('a failed attempt', () => {
  it('names the host and the cause of a connection that was not made', async () => {
    const origins = ['http://127.0.0.1:1', 'http://nowhere.invalid:80'];
    const under = await start({
      deployments: origins.map((origin, index) =>
        ownUpstream(origin, 'gpt-4o', { id: `own-${index}`, priority: index + 1 }),
      ),
      credentials: [noCredential(...origins)],
    });
    const response = await ask(under);
    expect(response.status).toBe(502);
    const lines = await linesOf(under, 'attempt');
    expect(lines[0]).toMatchObject({
      level: 'warn',
      requestId: response.headers.get('x-request-id'),
      deployment: 'own-0',
      origin: 'http://127.0.0.1:1',
      status: 0,
      reason: 'unreachable',
      cause: { code: 'ECONNREFUSED', message: expect.stringContaining('127.0.0.1:1') },
    });
    expect(lines[1]).toMatchObject({ origin: origins[1], reason: 'unreachable' });
    expect(JSON.stringify(lines[1]?.['cause'])).toMatch(/ENOTFOUND|EAI_AGAIN/);
  });

  it('has the words with which a key was refused', async () => {
    const under = await start();
    under.simulator.fault({ kind: 'error', error: '401-invalid-key', resource: 'east' });
    await ask(under);
    const lines = await linesOf(under, 'attempt');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      deployment: 'east-gpt-4o',
      origin: under.simulator.url,
      status: 401,
      reason: 'auth',
      cause: { name: 'refusal', code: '401' },
    });
    expect(JSON.stringify(lines[0]?.['cause'])).toContain('Access denied');
  });

  it('is one line a second in a storm, with the number of those left out', async () => {
    const under = await startBefore(() => ({ status: 503, message: 'down for maintenance' }));
    await Promise.all(Array.from({ length: 20 }, () => ask(under)));
    clock.advance(1_000);
    await ask(under);
    const lines = await linesOf(under, 'attempt');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({
      status: 503,
      reason: 'unavailable',
      cause: { name: 'refusal', message: 'down for maintenance' },
    });
    expect(lines[0]).not.toHaveProperty('omitted');
    expect(lines[1]).toMatchObject({ omitted: 19 });
  });

  it('has the cause for which a stream broke off', async () => {
    const under = await start();
    const content = `${canary} [SIM:fault cut 2]`;
    const body = chatBody('gpt-4o', content, { stream: true });
    const response = await under.call('/v1/chat/completions', body);
    expect(await response.text()).toContain('stream_interrupted');
    const lines = await linesOf(under, 'attempt');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ status: 200, reason: 'interrupted' });
    expect(lines[0]?.['cause']).toMatchObject({ code: expect.any(String) });
  });

  it('has no line for a mistake of the caller, nor a word that quotes it', async () => {
    const answers = [
      { status: 400, message: `Invalid '${canary}'` },
      { status: 500, message: `Cannot read "${canary}" here` },
      { status: 400, message: `API version not supported: ${canary}` },
    ];
    const under = await startBefore(() => answers.shift() ?? { status: 500, message: '' });
    for (let index = 0; index < 3; index += 1) await ask(under);
    const lines = await linesOf(under, 'attempt');
    expect(lines.map(({ reason }) => reason)).toEqual(['unavailable', 'api_version']);
    expect(lines[0]?.['cause']).toEqual({ name: 'refusal', message: 'Cannot read … here' });
    expect(lines[1]).not.toHaveProperty('cause');
  });
});

describe("a deployment's rest", () => {
  it.each([
    ['401-invalid-key', 'failures', 'AuthenticationError'],
    ['429-requests-classic', 'rate_limit', 'RateLimitError'],
  ] as const)('begins and ends with one line each (%s)', async (error, reason, lastFailure) => {
    const under = await start();
    under.simulator.fault({ kind: 'error', error, resource: 'east', times: 1 });
    for (let index = 0; index < 3; index += 1) await ask(under);
    clock.advance(120_000);
    for (let index = 0; index < 3; index += 1) await ask(under);
    const lines = await linesOf(under, 'standing');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({
      level: 'warn',
      deployment: 'east-gpt-4o',
      model: 'gpt-4o',
      standing: 'cooling',
      reason,
      lastFailure,
    });
    expect(Date.parse(String(lines[0]?.['until']))).toBeGreaterThan(clock.now() - 120_000);
    expect(lines[1]).toMatchObject({ level: 'info', standing: 'healthy' });
  });
});

describe('a deployment at its own limit', () => {
  it('has one line in each window, which says which limit and until when', async () => {
    const under = await start({
      deployments: [
        {
          resourceName: 'east',
          deployment: 'gpt-4o',
          priority: 1,
          id: 'small',
          requestsPerMinute: 1,
        },
        { resourceName: 'west', deployment: 'gpt-4o', priority: 2 },
      ],
      router: { enforceRateLimits: true },
    });
    for (let call = 0; call < 4; call += 1) expect((await ask(under)).status).toBe(200);
    clock.advance(60_000);
    for (let call = 0; call < 3; call += 1) expect((await ask(under)).status).toBe(200);
    const lines = await linesOf(under, 'limited');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({
      level: 'warn',
      deployment: 'small',
      limit: 'requests',
      scope: 'small',
      until: expect.stringMatching(/:00\.000Z$/),
    });
  });
});

describe('a refused call', () => {
  it('says which path nobody answers, without its query and what looks like a key', async () => {
    const under = await start();
    const paths = [
      '/v1/nowhere?secret=1',
      '/sk-0123456789abcdef/v1/x"y',
      `/${'long/'.repeat(100)}`,
    ];
    for (const path of paths) await under.call(path, {});
    const lines = await linesOf(under, 'refused');
    expect(lines.map(({ path }) => path)).toEqual([
      '/v1/nowhere',
      '/[redacted]/v1/x%22y',
      `/${'long/'.repeat(100)}`.slice(0, 200),
    ]);
  });

  it('says which model was asked for', async () => {
    const under = await start({ keys: [keyRecord({ models: ['gpt-4o'] })] });
    await ask(under, `other${'-x'.repeat(100)}`);
    await ask(under, 'o3');
    const lines = await linesOf(under, 'refused');
    expect(lines.map(({ code, model }) => [code, model])).toEqual([
      ['model_access_denied', `other${'-x'.repeat(100)}`.slice(0, 100)],
      ['model_access_denied', 'o3'],
    ]);
  });

  it('says which limit was hit', async () => {
    const scope = { kind: 'team' as const, id: 'team-1', label: 'team-1' };
    const under = await start({
      keys: [keyRecord({ scopes: [{ ...scope, limits: { requestsPerMinute: 1 } }] })],
    });
    await ask(under);
    await ask(under);
    const lines = await linesOf(under, 'refused');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      code: 'rate_limit_exceeded',
      scope: 'team',
      limitType: 'requests',
      limit: 1,
    });
    expect(lines[0]).not.toHaveProperty('path');
  });
});
