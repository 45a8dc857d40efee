import type { ModelFacts } from '@aigateway/contract/records';
import { afterEach, describe, expect, it } from 'vitest';
import {
  adminKey,
  callerKey,
  chatBody,
  keyRecord,
  noCredential,
  ownUpstream,
  readEvents,
  startGatewayUnderTest,
  stillClock,
  type DeploymentSpec,
  type GatewaySpec,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { startServer, type TestServer } from '../upstream/server.ts';

let gateway: GatewayUnderTest;
let upstream: TestServer | undefined;
afterEach(async () => {
  await gateway.close();
  await upstream?.close();
  upstream = undefined;
});

const names = ['gpt-4o', 'gpt-4o-mini', 'gpt-4.1'];

/** Three models, each in two resources: `east` lies in Sweden, `west` in the United States. */
function start(spec: Partial<GatewaySpec> = {}, contextWindow?: number) {
  return startGatewayUnderTest({
    simulator: {
      recordedRequests: 3000,
      resources: [
        ['east', 'swedencentral'],
        ['west', 'eastus2'],
      ].map(([name = '', region = '']) => ({
        name,
        region,
        keys: [`${name}-key`],
        deployments: names.map((model) => ({
          name: model,
          model,
          ...(contextWindow !== undefined && model === 'gpt-4o' && { contextWindow }),
        })),
      })),
    },
    deployments: names.flatMap((deployment) =>
      ['east', 'west'].map((resourceName): DeploymentSpec => ({ resourceName, deployment })),
    ),
    ...spec,
  });
}

async function call(
  model: string,
  extra: object = {},
  init: { key?: string; headers?: Record<string, string> } = {},
) {
  const content = 'content' in extra ? String(extra.content) : 'hi';
  const { content: _, ...rest } = { content: '', ...extra };
  const response = await gateway.call(
    '/v1/chat/completions',
    { ...chatBody(model, content), ...rest },
    init,
  );
  const text = await response.text();
  const served = /\[(\w+)\/(\S+) /.exec(text);
  return {
    status: response.status,
    text,
    headers: response.headers,
    resource: served?.[1],
    deployment: served?.[2],
  };
}

function count(resource: string, deployment = 'gpt-4o'): number {
  return gateway.simulator.counters().by[`${resource}/${deployment}/chat.completions`]?.calls ?? 0;
}

describe('distribution', () => {
  it('gives each of two equal deployments half of a thousand calls', async () => {
    gateway = await start({ router: { strategy: 'round-robin' } });
    for (let batch = 0; batch < 20; batch += 1) {
      await Promise.all(Array.from({ length: 50 }, () => call('gpt-4o')));
    }
    expect(count('east') + count('west')).toBe(1000);
    expect(Math.abs(count('east') - 500)).toBeLessThanOrEqual(1);
  });

  it('goes by weight', async () => {
    gateway = await start({
      deployments: [
        { resourceName: 'east', deployment: 'gpt-4o', weight: 9 },
        { resourceName: 'west', deployment: 'gpt-4o', weight: 1 },
      ],
      ports: { random: sequence() },
    });
    for (let index = 0; index < 100; index += 1) await call('gpt-4o');
    expect(count('east')).toBeGreaterThan(80);
    expect(count('west')).toBeGreaterThan(3);
  });

  it('prefers the deployment that answers sooner', async () => {
    const clock = stillClock();
    const answered: string[] = [];
    upstream = await startServer((request, response) => {
      request.resume();
      const [, name] = request.url?.split('/') ?? [];
      if (request.method === 'POST') {
        answered.push(name ?? '');
        clock.advance(name === 'far' ? 60 : 1);
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end('data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\ndata: [DONE]\n\n');
    });
    const { origin } = upstream;
    gateway = await startGatewayUnderTest({
      deployments: ['near', 'far'].map((name) =>
        ownUpstream(origin, 'm', {
          id: name,
          resource: { id: name, origin, basePath: `/${name}/v1` },
        }),
      ),
      credentials: [noCredential(origin)],
      router: { strategy: 'latency-based-routing' },
      ports: { clock },
    });
    for (let index = 0; index < 12; index += 1)
      expect((await call('m', { stream: true })).status).toBe(200);
    const timesAnswered = (name: string) => answered.filter((one) => one === name).length;
    expect(timesAnswered('far')).toBeLessThanOrEqual(2);
    expect(timesAnswered('near')).toBeGreaterThanOrEqual(10);
  });

  it('turns to who has quota left before a refusal says so', async () => {
    gateway = await startGatewayUnderTest({
      simulator: {
        resources: ['small', 'large'].map((name) => ({
          name,
          keys: ['k'],
          deployments: [
            {
              name: 'gpt-4o',
              model: 'gpt-4o',
              ...(name === 'small' && { quota: { tpm: 5000, refusedCallsCount: true } }),
            },
          ],
        })),
      },
      deployments: ['small', 'large'].map((resourceName) => ({
        resourceName,
        deployment: 'gpt-4o',
      })),
      router: { strategy: 'round-robin' },
      ports: { clock: stillClock() },
    });
    for (let index = 0; index < 60; index += 1) {
      expect((await call('gpt-4o', { max_tokens: 400 })).status).toBe(200);
    }
    expect(count('small')).toBeGreaterThan(5);
    const { statuses } = gateway.simulator.counters().by['small/gpt-4o/chat.completions'] ?? {};
    expect(statuses?.['429'] ?? 0).toBeLessThanOrEqual(1);
  });

  it('keeps one conversation where its prompt cache is, and lets go when that is away', async () => {
    gateway = await start();
    const seen = new Set<string | undefined>();
    for (let index = 0; index < 8; index += 1) {
      seen.add((await call('gpt-4o', { prompt_cache_key: 'conversation-1' })).resource);
    }
    expect(seen.size).toBe(1);
    const [home = ''] = seen;
    gateway.simulator.fault({ kind: 'error', error: '503-unavailable', resource: home });
    expect((await call('gpt-4o', { prompt_cache_key: 'conversation-1' })).status).toBe(200);
  });
});

describe('a model that fails', () => {
  const router = {
    fallbacks: { 'gpt-4o': ['gpt-4o-mini'], 'gpt-4o-mini': ['gpt-4.1'] },
    retries: 0,
  };
  const down = (...models: string[]) => {
    for (const deployment of models)
      gateway.simulator.fault({ kind: 'error', error: '500-internal', deployment });
  };

  it('is replaced by its fallback, by the fallback of that, and a header says so', async () => {
    gateway = await start({ router });
    down('gpt-4o');
    const first = await call('gpt-4o');
    expect(first).toMatchObject({ status: 200, deployment: 'gpt-4o-mini' });
    expect(first.headers.get('x-litellm-attempted-fallbacks')).toBe('1');
    down('gpt-4o-mini');
    const second = await call('gpt-4o');
    expect(second).toMatchObject({ status: 200, deployment: 'gpt-4.1' });
    expect(second.headers.get('x-litellm-attempted-fallbacks')).toBe('2');
    expect(gateway.usage).toHaveLength(2);
  });

  it('has the fallbacks of the alias that it was asked by, else its own, else those of its pattern', async () => {
    const aliases = {
      quick: { model: 'gpt-4o', hidden: false },
      plain: { model: 'gpt-4o', hidden: false },
    };
    const fallbacks = {
      quick: ['gpt-4.1'],
      'gpt-4o': ['gpt-4o-mini'],
      'any/*': ['gpt-4.1'],
      '*': ['gpt-4o-mini'],
    };
    gateway = await startGatewayUnderTest({
      simulator: {
        resources: [
          {
            name: 'east',
            keys: ['east-key'],
            deployments: ['gpt-4o', 'gpt-4o-mini', 'gpt-4.1'].map((name) => ({
              name,
              model: name,
            })),
          },
        ],
      },
      deployments: [
        ...['gpt-4o', 'gpt-4o-mini', 'gpt-4.1'].map((deployment) => ({
          resourceName: 'east',
          deployment,
        })),
        { resourceName: 'east', deployment: '*', model: 'any/*', id: 'any' },
      ],
      router: { aliases, fallbacks, retries: 0 },
    });
    down('gpt-4o');
    expect((await call('quick')).deployment).toBe('gpt-4.1');
    expect((await call('plain')).deployment).toBe('gpt-4o-mini');
    expect((await call('gpt-4o')).deployment).toBe('gpt-4o-mini');
    expect((await call('any/gpt-4o')).deployment).toBe('gpt-4.1');
  });

  it('is replaced in streams as well', async () => {
    gateway = await start({ router });
    down('gpt-4o');
    const events = await readEvents(
      await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x', { stream: true })),
    );
    expect(JSON.stringify(events)).toContain('gpt-4o-mini');
  });

  it('is not replaced more often than the router allows, nor where the caller forbids it', async () => {
    gateway = await start({ router: { ...router, maxFallbacks: 1 } });
    down('gpt-4o', 'gpt-4o-mini');
    expect((await call('gpt-4o')).status).toBe(500);
    gateway.simulator.clearFaults();
    down('gpt-4o');
    expect((await call('gpt-4o', { disable_fallbacks: true })).status).toBe(500);
    expect(count('east', 'gpt-4.1') + count('west', 'gpt-4.1')).toBe(0);
  });

  it('answers with its own error, not with that of its fallback', async () => {
    gateway = await start({ router });
    gateway.simulator.fault({ kind: 'error', error: '503-unavailable', deployment: 'gpt-4o' });
    down('gpt-4o-mini', 'gpt-4.1');
    expect((await call('gpt-4o')).status).toBe(503);
  });

  it('is replaced by what the request names, if its key may use that', async () => {
    const limitedKey = 'sk-limited-0123456789abcdef';
    gateway = await start({
      router: { retries: 0 },
      keys: [
        keyRecord(),
        keyRecord({ keyId: 'limited', secret: limitedKey, models: ['gpt-4o', 'gpt-4.1'] }),
      ],
    });
    down('gpt-4o');
    const extra = { fallbacks: ['gpt-4o-mini'] };
    expect(await call('gpt-4o', extra)).toMatchObject({ status: 200, deployment: 'gpt-4o-mini' });
    const denied = await call('gpt-4o', extra, { key: limitedKey });
    expect(denied.status).toBe(403);
    expect(JSON.parse(denied.text)).toMatchObject({ error: { param: 'fallbacks' } });
    expect(await call('gpt-4o', { fallbacks: ['gpt-4.1'] }, { key: limitedKey })).toMatchObject({
      status: 200,
      deployment: 'gpt-4.1',
    });
    for (const { body } of gateway.simulator.requests())
      expect(JSON.stringify(body ?? '')).not.toContain('fallbacks');
  });

  it('is replaced where the prompt is too long for it, and only then by that list', async () => {
    gateway = await start(
      { router: { contextWindowFallbacks: { 'gpt-4o': ['gpt-4.1'] }, retries: 0 } },
      50,
    );
    const long = await call('gpt-4o', { content: 'word '.repeat(300) });
    expect(long).toMatchObject({ status: 200, deployment: 'gpt-4.1' });
    down('gpt-4o');
    expect((await call('gpt-4o')).status).toBe(500);
  });

  it('is replaced before it is asked where the configuration knows that it is too short', async () => {
    const facts: ModelFacts = { maxInputTokens: 50 };
    gateway = await start({
      deployments: [
        { resourceName: 'east', deployment: 'gpt-4o', facts },
        { resourceName: 'east', deployment: 'gpt-4.1' },
      ],
      router: { preCallChecks: true, contextWindowFallbacks: { 'gpt-4o': ['gpt-4.1'] } },
    });
    const long = await call('gpt-4o', { content: 'word '.repeat(300) });
    expect(long).toMatchObject({ status: 200, deployment: 'gpt-4.1' });
    expect(count('east')).toBe(0);
  });

  it('is refused with the code that agents shorten their conversations for, where none replaces it', async () => {
    gateway = await start({
      deployments: [
        { resourceName: 'east', deployment: 'gpt-4o', facts: { maxInputTokens: 50, mode: 'chat' } },
      ],
      router: { preCallChecks: true },
    });
    const long = await call('gpt-4o', { content: 'word '.repeat(300) });
    expect(long.status).toBe(400);
    expect(JSON.parse(long.text)).toMatchObject({
      error: { code: 'context_length_exceeded', type: 'invalid_request_error' },
    });
    expect(long.text).toContain('ContextWindowExceededError');
    const embeddings = await gateway.call('/v1/embeddings', { model: 'gpt-4o', input: 'a' });
    expect(embeddings.status).toBe(400);
    expect(await embeddings.json()).toMatchObject({
      error: { code: 'operation_unsupported', type: 'invalid_request_error', param: 'model' },
    });
    expect(count('east')).toBe(0);
  });

  it('is not replaced for a mistake of the caller', async () => {
    gateway = await start({ router });
    expect((await call('gpt-4o', { temperature: 9 })).status).toBe(400);
    expect(count('east', 'gpt-4o-mini') + count('west', 'gpt-4o-mini')).toBe(0);
  });
});

describe('where data may go', () => {
  const europeanKey = 'sk-european-0123456789abcdef';
  const keys = [
    keyRecord(),
    keyRecord({ keyId: 'european', secret: europeanKey, regions: ['eu', 'swedencentral'] }),
  ];

  it('is never left: not by strategy, not by failure, not by fallback', async () => {
    gateway = await start({
      keys,
      router: { retries: 0, coolDownMs: 60_000, fallbacks: { 'gpt-4o': ['gpt-4o-mini'] } },
    });
    for (let index = 0; index < 10; index += 1) {
      expect(await call('gpt-4o', {}, { key: europeanKey })).toMatchObject({ resource: 'east' });
    }
    gateway.simulator.fault({ kind: 'error', error: '500-internal', resource: 'east' });
    for (let index = 0; index < 5; index += 1) {
      expect((await call('gpt-4o', {}, { key: europeanKey })).status).toBeGreaterThanOrEqual(429);
    }
    expect(count('west') + count('west', 'gpt-4o-mini')).toBe(0);
    expect((await call('gpt-4o')).resource).toBe('west');
  });

  it('is said when no deployment lies there', async () => {
    gateway = await start({
      keys,
      deployments: [{ resourceName: 'west', deployment: 'gpt-4o' }],
    });
    const refused = await call('gpt-4o', {}, { key: europeanKey });
    expect(refused.status).toBe(503);
    expect(JSON.parse(refused.text)).toMatchObject({ error: { code: 'no_deployment' } });
    expect(refused.text).toContain('region');
    expect(refused.headers.get('x-should-retry')).toBe('false');
  });
});

describe('tags', () => {
  it('choose the deployments that carry them, else the default ones', async () => {
    gateway = await start({
      deployments: [
        { resourceName: 'east', deployment: 'gpt-4o', tags: ['default'] },
        { resourceName: 'west', deployment: 'gpt-4o', tags: ['paid'] },
      ],
      router: { tagFiltering: true },
    });
    for (let index = 0; index < 5; index += 1) {
      expect((await call('gpt-4o')).resource).toBe('east');
      expect((await call('gpt-4o', { metadata: { tags: ['paid'] } })).resource).toBe('west');
      expect((await call('gpt-4o', {}, { headers: { 'x-litellm-tags': 'paid' } })).resource).toBe(
        'west',
      );
      expect((await call('gpt-4o', { tags: ['unknown'] })).resource).toBe('east');
    }
  });

  it('of headers for spend are recorded in the form of LiteLLM, and choose nothing', async () => {
    gateway = await start({
      deployments: [
        { resourceName: 'east', deployment: 'gpt-4o', tags: [] },
        { resourceName: 'west', deployment: 'gpt-4o', tags: ['paid'] },
      ],
      router: { tagFiltering: true },
      settings: { spendTagHeaders: ['x-team', 'x-other'] },
    });
    const headers = { 'x-team': 'paid', 'x-litellm-tags': 'paid' };
    expect((await call('gpt-4o', {}, { headers })).resource).toBe('west');
    expect(gateway.usage.at(-1)?.tags).toEqual(['paid', 'x-team: paid']);
    const untagged = new Set<string | undefined>();
    for (let index = 0; index < 40; index += 1) {
      untagged.add((await call('gpt-4o', {}, { headers: { 'x-team': 'red' } })).resource);
    }
    expect(untagged).toEqual(new Set(['east', 'west']));
    expect(gateway.usage.at(-1)?.tags).toEqual(['x-team: red']);
  });
});

describe('credentials', () => {
  it('of two projects reach the upstream for their own calls, and no other origin', async () => {
    const keyOne = 'sk-project-one-0123456789';
    const keyTwo = 'sk-project-two-0123456789';
    const foreign: string[] = [];
    upstream = await startServer((request, response) => {
      // Connections are opened ahead of time by a GET.
      if (request.method === 'POST') foreign.push(request.url ?? '');
      response.end('{}');
    });
    gateway = await startGatewayUnderTest({
      simulator: {
        resources: [
          {
            name: 'shared',
            keys: ['key-of-one', 'key-of-two'],
            deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }],
          },
        ],
      },
      deployments: [
        { resourceName: 'shared', deployment: 'gpt-4o' },
        ownUpstream(upstream.origin, 'gpt-4o', { id: 'foreign' }),
      ],
      credentials: [noCredential(upstream.origin)],
      keys: [
        keyRecord({ keyId: 'one', secret: keyOne, credential: 'one' }),
        keyRecord({ keyId: 'two', secret: keyTwo, credential: 'two' }),
      ],
    });
    gateway.proxy.update({
      ...gateway.records,
      credentials: [
        ...gateway.records.credentials,
        ...(['one', 'two'] as const).map((name) => ({
          id: name,
          method: {
            kind: 'api-key' as const,
            key: { kind: 'inline' as const, value: `key-of-${name}` },
          },
          origins: [gateway.simulator.url],
        })),
      ],
    });
    for (let index = 0; index < 6; index += 1) {
      expect((await call('gpt-4o', {}, { key: keyOne })).status).toBe(200);
      expect((await call('gpt-4o', {}, { key: keyTwo })).status).toBe(200);
    }
    const seen = gateway.simulator
      .requests()
      .filter(({ operation }) => operation === 'chat.completions')
      .map(({ headers }) => headers['api-key']);
    expect(seen).toEqual(Array.from({ length: 6 }, () => ['key-of-one', 'key-of-two']).flat());
    expect(foreign).toEqual([]);
  });

  it('are not sent where an upstream points to', async () => {
    const followed: string[] = [];
    const target = await startServer((request, response) => {
      followed.push(request.url ?? '');
      response.end('{}');
    });
    upstream = await startServer((request, response) => {
      request.resume();
      response.writeHead(request.method === 'GET' ? 200 : 307, {
        location: `${target.origin}/v1/stolen`,
      });
      response.end();
    });
    gateway = await startGatewayUnderTest({
      deployments: [
        ownUpstream(upstream.origin, 'redirecting', { credential: 'own' }),
        { resourceName: 'simulator', deployment: 'gpt-4o', model: 'redirecting', priority: 9 },
      ],
      credentials: [
        {
          id: 'own',
          method: { kind: 'api-key', key: { kind: 'inline', value: 'upstream-secret' } },
          origins: [upstream.origin],
        },
      ],
    });
    expect((await call('redirecting')).status).toBe(200);
    expect(gateway.usage[0]?.attempts).toMatchObject([{ status: 307 }, { status: 200 }]);
    expect(followed).toEqual([]);
    await target.close();
  });
});

describe('a whole answer that fails on its way', () => {
  it.each([
    '[SIM:fault reset before-headers on east]',
    '[SIM:fault reset after-headers on east]',
    '[SIM:fault reset mid-body on east]',
    '[SIM:fault error 502-html on east]',
    '[SIM:fault error 504-empty on east]',
    '[SIM:fault error 500-internal on east]',
    '[SIM:fault error 503-unavailable on east]',
    '[SIM:fault error 404-deployment-not-found on east]',
    '[SIM:fault error 403-firewall on east]',
    '[SIM:fault error 403-public-access-disabled on east]',
    '[SIM:fault error 429-no-capacity on east]',
    '[SIM:fault error 429-apim on east]',
  ])('is got elsewhere: %s', async (content) => {
    gateway = await start({
      deployments: [
        { resourceName: 'east', deployment: 'gpt-4o' },
        { resourceName: 'west', deployment: 'gpt-4o', priority: 2 },
      ],
    });
    const answer = await call('gpt-4o', { content });
    expect(answer).toMatchObject({ status: 200, resource: 'west' });
    expect(count('east') + count('west')).toBe(2);
    expect(answer.headers.get('x-litellm-attempted-retries')).toBe('1');
    expect(gateway.usage).toHaveLength(1);
  });

  it.each([
    ['before-headers', false],
    ['after-headers', true],
    ['before-headers', true],
    ['mid-body', false],
  ] as const)('is got elsewhere when it stalls: %s, stream %s', async (at, stream) => {
    gateway = await start({
      deployments: [
        { resourceName: 'east', deployment: 'gpt-4o', timeoutMs: 150, streamTimeoutMs: 150 },
        { resourceName: 'west', deployment: 'gpt-4o', priority: 2 },
      ],
    });
    gateway.simulator.fault({ kind: 'stall', at, resource: 'east' });
    const answer = await call('gpt-4o', { stream });
    expect(answer).toMatchObject({ status: 200, resource: 'west' });
    expect(gateway.usage[0]?.attempts[0]).toMatchObject({ reason: 'timeout' });
    await gateway.until(() => gateway.simulator.counters().inFlight === 0);
  });

  it('takes no longer than the caller allows', async () => {
    gateway = await start();
    gateway.simulator.fault({ kind: 'stall', at: 'before-headers' });
    const answer = await call('gpt-4o', { timeout: 0.2 });
    expect([504, 502]).toContain(answer.status);
    expect(JSON.parse(answer.text)).toMatchObject({ error: { code: 'upstream_timeout' } });
  });

  it('is an error that says nothing of hosts and deployments when nobody is left', async () => {
    gateway = await start({ router: { retries: 0 } });
    for (const [error, status] of [
      ['404-deployment-not-found', 404],
      ['403-firewall', 502],
      ['502-html', 502],
      ['504-empty', 504],
    ] as const) {
      gateway.proxy.update(gateway.records);
      const fault = gateway.simulator.fault({ kind: 'error', error });
      const answer = await call('gpt-4o');
      expect([status, 429]).toContain(answer.status);
      expect(answer.text).not.toMatch(/east|west|127\.0\.0\.1|<html|nginx/i);
      fault.remove();
    }
  });
});

describe('a deployment that refuses everything for a moment', () => {
  it.each([404, 405])(
    'is asked again by the next call: status %s without a word',
    async (status) => {
      let isUp = false;
      upstream = await startServer((request, response) => {
        request.resume();
        if (request.method === 'GET' || isUp) {
          response.setHeader('content-type', 'application/json');
          response.end('{"choices":[],"data":[],"output":[]}');
          return;
        }
        response.writeHead(status, { 'content-type': 'text/html' });
        response.end('<html>no route</html>');
      });
      gateway = await startGatewayUnderTest({
        deployments: [ownUpstream(upstream.origin, 'm')],
        credentials: [noCredential(upstream.origin)],
      });
      const calls = [
        ['/v1/chat/completions', chatBody('m', 'x')],
        ['/v1/embeddings', { model: 'm', input: 'x' }],
      ] as const;
      for (const [path, body] of calls) {
        const refused = await gateway.call(path, body);
        expect(refused.status).toBe(400);
        expect(await refused.text()).not.toContain('html');
      }
      isUp = true;
      for (const [path, body] of calls) expect((await gateway.call(path, body)).status).toBe(200);
    },
  );

  it('costs one call upstream for each request while it lasts', async () => {
    gateway = await startGatewayUnderTest({
      deployments: [{ resourceName: 'simulator', deployment: 'text-embedding-3-small' }],
    });
    for (let index = 0; index < 5; index += 1) {
      const refused = await call('text-embedding-3-small');
      expect(refused.status).toBe(400);
    }
    // The first request finds out about each operation, the others ask once.
    const attempts = gateway.usage.map((record) => record.attempts.length);
    expect(attempts).toEqual([2, 1, 1, 1, 1]);
  });
});

describe('names', () => {
  it('lead to deployments by alias, by id and by pattern, and change with the records', async () => {
    gateway = await start({
      deployments: [
        { resourceName: 'east', deployment: 'gpt-4o' },
        { resourceName: 'west', deployment: '*', model: 'azure/*', id: 'any' },
      ],
      router: { aliases: { fast: { model: 'gpt-4o', hidden: false } } },
      keys: [
        keyRecord({ aliases: { mine: 'gpt-4o' } }),
        keyRecord({ keyId: 'admin', secret: adminKey }),
      ],
    });
    expect(await call('fast')).toMatchObject({ status: 200, resource: 'east' });
    expect(await call('mine')).toMatchObject({ status: 200, resource: 'east' });
    expect(await call('mine', {}, { key: adminKey })).toMatchObject({ status: 404 });
    expect(await call('east-gpt-4o')).toMatchObject({ status: 200, resource: 'east' });
    expect(await call('azure/gpt-4o-mini')).toMatchObject({
      resource: 'west',
      deployment: 'gpt-4o-mini',
    });
    expect((await call('azure/no-such')).status).toBe(404);
    gateway.proxy.update({
      ...gateway.records,
      revision: 2,
      router: {
        ...gateway.records.router,
        aliases: { faster: { model: 'gpt-4o', hidden: false } },
      },
    });
    expect((await call('fast')).status).toBe(404);
    expect((await call('faster')).status).toBe(200);
  });

  it('stay reachable while deployments come and go under load', async () => {
    gateway = await start();
    const { records } = gateway;
    const calls: Promise<{ status: number }>[] = [];
    for (let round = 0; round < 20; round += 1) {
      calls.push(...Array.from({ length: 5 }, () => call('gpt-4o')));
      const left = round % 2 === 0 ? 'east' : 'west';
      gateway.proxy.update({
        ...records,
        revision: round + 2,
        deployments: records.deployments.filter(({ resource }) => resource.id === left),
      });
      await calls.at(-1);
    }
    expect((await Promise.all(calls)).every(({ status }) => status === 200)).toBe(true);
  });
});

describe('hosts and deployments', () => {
  it('are shown to administrators alone', async () => {
    gateway = await start();
    const names = [
      'x-litellm-model-api-base',
      'x-litellm-model-name',
      'x-litellm-model-region',
      'x-ms-region',
    ];
    const shown = (headers: Headers) => names.filter((name) => headers.has(name));
    expect(shown((await call('gpt-4o')).headers)).toEqual([]);
    expect(shown((await call('gpt-4o', {}, { key: adminKey })).headers)).toEqual(names);
    expect(callerKey).not.toBe(adminKey);
  });
});

/** Spreads over 0…1 evenly, the same every time. */
function sequence(): () => number {
  let at = 0;
  return () => {
    at = (at + 0.618_033_988_75) % 1;
    return at;
  };
}
