import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  chatBody,
  startGatewayUnderTest,
  stillClock,
  type GatewaySpec,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { startServer, type TestServer } from '../upstream/server.ts';

const lifetimeMs = 60_000;
const variables = ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER'] as const;

let gateway: GatewayUnderTest;
let clock: ReturnType<typeof stillClock>;
let previous: (string | undefined)[];

/** The library finds the issuer once for the whole process: it stays at one address, and the simulator behind it changes. */
let issuer: TestServer;
/** While it is pending the issuer answers nobody. */
let issuing: Promise<void> | undefined;

beforeAll(async () => {
  issuer = await startServer((request, response) => {
    const answer = async () => {
      await issuing;
      const token = await fetch(gateway.simulator.url + (request.url ?? ''), {
        headers: { 'x-identity-header': String(request.headers['x-identity-header']) },
      });
      response.writeHead(token.status, { 'content-type': 'application/json' });
      response.end(await token.text());
    };
    void answer();
  });
  previous = variables.map((name) => process.env[name]);
  process.env['IDENTITY_ENDPOINT'] = `${issuer.origin}/msi/token`;
  process.env['IDENTITY_HEADER'] = 'simulated-identity-header';
});
afterEach(() => gateway.close());
afterAll(async () => {
  for (const [index, name] of variables.entries()) {
    const value = previous[index];
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  await issuer.close();
});

/** Each start has an identity of its own: Microsoft's library keeps one cache for the whole process. */
let identities = 0;

async function start(spec: Partial<GatewaySpec> & { roles?: string[]; keyAuth?: boolean } = {}) {
  clock = stillClock();
  identities += 1;
  const clientId = `00000000-0000-4000-8000-0000000001${String(identities).padStart(2, '0')}`;
  const resources = ['east', 'west'];
  const { roles, keyAuth = true, ...rest } = spec;
  // The origin is known when the simulator runs, the records before: so the credential comes with an update.
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: resources.map((name) => ({
        name,
        keys: [`${name}-key`],
        keyAuth,
        deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }],
      })),
      identity: {
        tokenLifetimeSeconds: lifetimeMs / 1000,
        identities: [{ clientId, ...(roles !== undefined && { resources: roles }) }],
      },
    },
    deployments: resources.map((resourceName, index) => ({
      resourceName,
      deployment: 'gpt-4o',
      priority: index,
    })),
    ports: { clock },
    router: { coolDownMs: 0, retries: 0 },
    ...rest,
  });
  gateway.proxy.update({
    ...gateway.records,
    deployments: gateway.records.deployments.map((record) => ({
      ...record,
      credential: 'identity',
    })),
    credentials: [
      {
        id: 'identity',
        method: { kind: 'managed-identity', clientId },
        origins: [gateway.simulator.url],
      },
    ],
  });
}

async function call(): Promise<number> {
  const response = await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x'));
  await response.text();
  return response.status;
}

function tokens(): number {
  return gateway.simulator.requests().filter(({ url }) => url.startsWith('/msi/token')).length;
}

function refusals(): number {
  return gateway.simulator
    .requests()
    .filter(({ operation, status }) => operation?.startsWith('chat') && status === 401).length;
}

describe('a managed identity', () => {
  it('is asked once for many callers, and no key is ever sent', async () => {
    await start();
    expect(await Promise.all(Array.from({ length: 20 }, call))).toEqual(
      Array.from({ length: 20 }, () => 200),
    );
    expect(tokens()).toBe(1);
    for (const { headers, operation } of gateway.simulator.requests()) {
      if (operation !== 'chat.completions') continue;
      expect(headers['api-key']).toBeUndefined();
      expect(headers['authorization']).toMatch(/^Bearer eyJ/);
    }
  });

  it('is asked again before its token of a minute ends, over five minutes without a refusal', async () => {
    await start();
    for (let elapsed = 0; elapsed < 300_000; elapsed += 10_000) {
      expect(await call()).toBe(200);
      // A refresh happens behind the call that finds it due.
      const asked = tokens();
      await gateway.until(() => gateway.simulator.counters().inFlight === 0 && tokens() >= asked);
      clock.advance(10_000);
    }
    expect(refusals()).toBe(0);
    expect(tokens()).toBeGreaterThanOrEqual(5);
    expect(tokens()).toBeLessThanOrEqual(16);
  });

  it('is replaced once when the upstream refuses its token, which the caller never sees', async () => {
    await start();
    expect(await call()).toBe(200);
    clock.advance(15_000);
    // Every token issued so far is void.
    gateway.simulator.reset();
    expect(await call()).toBe(200);
    expect(refusals()).toBe(1);
    expect(tokens()).toBe(1);
    expect(gateway.usage.at(-1)?.attempts).toMatchObject([
      { status: 401, reason: 'auth' },
      { status: 200 },
    ]);
  });

  it('serves through an outage of its issuer for as long as its token lasts', async () => {
    await start();
    expect(await call()).toBe(200);
    const outage = gateway.simulator.fault({
      kind: 'error',
      error: '401-token-invalid',
      operation: 'token',
    });
    for (let elapsed = 0; elapsed < 50_000; elapsed += 10_000) {
      clock.advance(10_000);
      expect(await call()).toBe(200);
    }
    await gateway.until(() => gateway.log().includes('refresh_failed'));
    clock.advance(20_000);
    const refused = await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x'));
    expect(refused.status).toBe(502);
    expect(await refused.json()).toMatchObject({ error: { code: 'upstream_auth' } });
    // Only an administrator can help: SDKs retry a 502 unless they are told.
    expect(refused.headers.get('x-should-retry')).toBe('false');
    outage.remove();
    clock.advance(10_000);
    expect(await call()).toBe(200);
  });

  it('without a role on one resource is served by another, and its token is not thrown away for it', async () => {
    await start({ roles: ['west'] });
    for (let index = 0; index < 5; index += 1) {
      expect(await call()).toBe(200);
      clock.advance(11_000);
    }
    expect(gateway.usage.every(({ deploymentId }) => deploymentId === 'west-gpt-4o')).toBe(true);
    expect(tokens()).toBeLessThanOrEqual(3);
  });

  it('is waited for by callers who are still there: for one who left nothing is sent', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    issuing = promise;
    await start();
    const leave = new AbortController();
    const left = gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x'), {
      signal: leave.signal,
    });
    const stayed = call();
    await gateway.until(() => gateway.proxy.meter.counts.inFlight === 2);
    leave.abort();
    await expect(left).rejects.toThrow('aborted');
    await gateway.until(
      () => gateway.usage.length === 1 || gateway.proxy.meter.counts.inFlight === 2,
    );
    resolve();
    issuing = undefined;
    expect(await stayed).toBe(200);
    await gateway.until(() => gateway.usage.length === 2);
    const calls = gateway.simulator
      .requests()
      .filter(({ operation }) => operation === 'chat.completions');
    expect(calls).toHaveLength(1);
    expect(gateway.usage.map(({ outcome }) => outcome).toSorted()).toEqual([
      'aborted',
      'completed',
    ]);
  });

  it('falls back to no key when it cannot be had', async () => {
    await start();
    gateway.simulator.fault({ kind: 'error', error: '401-token-invalid', operation: 'token' });
    expect(await call()).toBe(502);
    const calls = gateway.simulator
      .requests()
      .filter(({ operation }) => operation === 'chat.completions');
    expect(calls).toEqual([]);
  });
});

describe('a key where the resource takes none', () => {
  it('is a failure of the deployment, said plainly to the administrator alone', async () => {
    clock = stillClock();
    gateway = await startGatewayUnderTest({
      simulator: {
        resources: [
          {
            name: 'east',
            keys: ['east-key'],
            keyAuth: false,
            deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }],
          },
        ],
      },
      deployments: [{ resourceName: 'east', deployment: 'gpt-4o' }],
    });
    const response = await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x'));
    expect(response.status).toBe(502);
    const text = await response.text();
    expect(text).toContain('"code":"upstream_auth"');
    expect(text).not.toMatch(/disabled|resource|east/i);
    const seen = gateway.simulator
      .requests()
      .filter(({ operation }) => operation === 'chat.completions');
    expect(seen).toHaveLength(1);
    expect(seen[0]?.headers['authorization']).toBeUndefined();
  });
});
