import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  adminKey,
  callerKey,
  chatBody,
  keyRecord,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { rawSocket } from '../raw-socket.ts';

const secondKey = 'sk-second-0123456789abcdef';
const limitedKey = 'sk-limited-0123456789abcdef';
const blockedKey = 'sk-blocked-0123456789abcdef';
const expiredKey = 'sk-expired-0123456789abcdef';
const rotatedKey = 'sk-rotated-0123456789abcdef';
const routedKey = 'sk-routed-0123456789abcdef';
const nothingKey = 'sk-nothing-0123456789abcdef';
const plainSecret = 'one shared word';

const simulator = {
  resources: [
    {
      name: 'east',
      keys: ['east-key'],
      deployments: ['gpt-4o', 'gpt-5.3-codex'].map((name) => ({ name, model: name })),
    },
  ],
};

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await startGatewayUnderTest({
    simulator,
    deployments: [
      { resourceName: 'east', deployment: 'gpt-4o' },
      { resourceName: 'east', deployment: 'gpt-5.3-codex' },
    ],
    keys: [
      keyRecord(),
      keyRecord({ keyId: 'admin', secret: adminKey, role: 'admin' }),
      keyRecord({ keyId: 'second', secret: secondKey }),
      keyRecord({ keyId: 'limited', secret: limitedKey, models: ['gpt-4o'] }),
      keyRecord({ keyId: 'blocked', secret: blockedKey, blocked: true }),
      keyRecord({ keyId: 'expired', secret: expiredKey, expiresAt: Date.now() - 1 }),
      keyRecord({
        keyId: 'rotated',
        secrets: [
          {
            hash: keyRecord({ secret: rotatedKey }).secrets[0]?.hash ?? '',
            notAfter: Date.now() - 1,
          },
        ],
      }),
      keyRecord({ keyId: 'routed', secret: routedKey, routes: ['/v1/chat/completions'] }),
      keyRecord({ keyId: 'nothing', secret: nothingKey, models: ['no-default-models'] }),
      keyRecord({ keyId: 'plain', secret: plainSecret }),
    ],
  });
});
afterAll(() => gateway.close());

let upstreamCalls = 0;
beforeEach(() => {
  upstreamCalls = modelCalls();
});

function modelCalls(): number {
  return gateway.simulator.counters().by['east/gpt-4o/chat.completions']?.calls ?? 0;
}

async function call(headers: Record<string, string>, body: object = chatBody('gpt-4o', 'hi')) {
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, text, headers: response.headers };
}

const headerForms: [string, string][] = [
  ['authorization', `Bearer ${callerKey}`],
  ['authorization', `bearer ${callerKey}`],
  ['authorization', `BEARER  ${callerKey}`],
  ['api-key', callerKey],
  ['x-api-key', callerKey],
  ['x-gateway-key', callerKey],
  ['x-litellm-api-key', callerKey],
  ['x-litellm-api-key', `Bearer ${callerKey}`],
  ['ocp-apim-subscription-key', callerKey],
  ['x-goog-api-key', callerKey],
];

describe('a key', () => {
  it.each(headerForms)('is taken from %s: %s', async (name, value) => {
    expect((await call({ [name]: value })).status).toBe(200);
    expect(gateway.usage.at(-1)?.keyId).toBe('caller');
  });

  it('may be any text', async () => {
    expect((await call({ 'x-gateway-key': plainSecret })).status).toBe(200);
  });

  it('may come twice, and beside what is no key of ours', async () => {
    const bearer = `Bearer ${callerKey}`;
    for (const headers of [
      { authorization: bearer, 'api-key': callerKey },
      { authorization: bearer, 'api-key': callerKey, 'x-api-key': callerKey },
      { 'x-litellm-api-key': callerKey, authorization: 'Bearer eyJhbGciOi.foreign.token' },
      { 'x-litellm-api-key': callerKey, authorization: 'Basic dXNlcjpwYXNz' },
      { 'api-key': callerKey, authorization: 'Bearer ' },
      { authorization: bearer, 'x-goog-api-key': 'AIza-foreign' },
    ]) {
      expect((await call(headers)).status).toBe(200);
      expect(gateway.usage.at(-1)?.keyId).toBe('caller');
    }
  });

  it('is not taken from an Authorization without the word Bearer, nor from the query', async () => {
    for (const authorization of [callerKey, `Basic ${callerKey}`, `Token ${callerKey}`]) {
      expect((await call({ authorization })).status).toBe(401);
    }
    const byQuery = await fetch(`${gateway.url}/v1/models?key=${callerKey}&api-key=${callerKey}`);
    expect(byQuery.status).toBe(401);
    expect(modelCalls()).toBe(upstreamCalls);
  });

  it('may not be two different ones', async () => {
    const answer = await call({ authorization: `Bearer ${callerKey}`, 'api-key': secondKey });
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({ error: { code: 'conflicting_keys' } });
    expect(modelCalls()).toBe(upstreamCalls);
  });

  it('may not stand in two headers of one name, of which others on the way may read another one', async () => {
    for (const name of ['authorization', 'api-key']) {
      const socket = await rawSocket(gateway.url);
      const line = (key: string) => `${name}: ${name === 'api-key' ? '' : 'Bearer '}${key}\r\n`;
      socket.write(
        `GET /v1/models HTTP/1.1\r\nhost: gateway\r\n${line(callerKey)}${line(secondKey)}connection: close\r\n\r\n`,
      );
      expect(await socket.closed()).toContain('"code":"invalid_api_key"');
    }
  });

  it.each([
    ['none', {}, 'missing_key'],
    ['an unknown one', { authorization: 'Bearer sk-unknown' }, 'invalid_api_key'],
    ['a malformed one', { authorization: 'Bearer sk unknown\u00ff' }, 'invalid_api_key'],
    ['an endless one', { 'api-key': 'k'.repeat(8000) }, 'invalid_api_key'],
    ['a secret after its rotation', { 'api-key': rotatedKey }, 'invalid_api_key'],
    ['a blocked one', { 'api-key': blockedKey }, 'blocked_key'],
    ['an expired one', { 'api-key': expiredKey }, 'expired_key'],
  ])('is refused before anything else happens: %s', async (_, headers, code) => {
    const answer = await call(headers);
    expect(answer.status).toBe(401);
    expect(JSON.parse(answer.text)).toEqual({
      error: { message: expect.any(String), type: expect.any(String), param: null, code },
    });
    expect(answer.headers.get('x-aigateway-layer')).toBe('authenticate');
    expect(answer.headers.get('x-request-id')).toMatch(/^[\w-]{36}$/);
    expect(modelCalls()).toBe(upstreamCalls);
  });

  it('never travels upstream, and exactly one credential does', async () => {
    const seen = gateway.simulator.requests().at(-1)?.sequence ?? 0;
    await call({
      authorization: `Bearer ${callerKey}`,
      'api-key': callerKey,
      'x-api-key': callerKey,
      'x-gateway-key': callerKey,
      'x-litellm-api-key': callerKey,
      cookie: 'session=private',
      'x-forwarded-for': '10.0.0.1',
      'x-stainless-lang': 'js',
      'x-litellm-tags': 'a',
      'x-ms-spillover-deployment': 'theirs',
      'openai-organization': 'org-1',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    });
    const [request] = gateway.simulator.requests().filter(({ sequence }) => sequence > seen);
    const { headers = {} } = request ?? {};
    expect(JSON.stringify(headers)).not.toContain(callerKey);
    expect(headers['api-key']).toBe('east-key');
    expect(headers['traceparent']).toContain('0af7651916cd43dd8448eb211c80319c');
    const allowed = new Set([
      'accept',
      'accept-encoding',
      'api-key',
      'connection',
      'content-length',
      'content-type',
      'host',
      'traceparent',
      'x-ms-client-request-id',
    ]);
    expect(Object.keys(headers).filter((name) => !allowed.has(name))).toEqual([]);
  });
});

describe('what a key may do', () => {
  it('ends at its list of models, and nothing tells what lies outside', async () => {
    const key = { 'api-key': limitedKey };
    expect((await call(key)).status).toBe(200);
    const existing = await call(key, chatBody('gpt-5.3-codex', 'x'));
    const unknown = await call(key, chatBody('no-such-model', 'x'));
    expect(existing.status).toBe(403);
    expect(unknown.status).toBe(403);
    expect(existing.text.replaceAll('gpt-5.3-codex', 'M')).toBe(
      unknown.text.replaceAll('no-such-model', 'M'),
    );
    const models = await gateway.call('/v1/models', undefined, { key: limitedKey });
    const { data } = (await models.json()) as { data: { id: string }[] };
    expect(data.map(({ id }) => id)).toEqual(['gpt-4o']);
    for (const path of ['/v1/model/info', '/model_group/info', '/v1/models/gpt-5.3-codex']) {
      const text = await (await gateway.call(path, undefined, { key: limitedKey })).text();
      expect(text).not.toMatch(/"(?:model_name|model_group|id)":"gpt-5.3-codex"/);
    }
  });

  it('is nothing where that is what its list says', async () => {
    expect((await call({ 'api-key': nothingKey })).status).toBe(403);
  });

  it('is a 404 for an unknown model where there is no list', async () => {
    const answer = await call({ 'api-key': callerKey }, chatBody('no-such-model', 'x'));
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.text)).toMatchObject({
      error: { code: 'model_not_found', param: 'model' },
    });
  });

  it('ends at its list of paths, whatever the spelling', async () => {
    expect((await call({ 'api-key': routedKey })).status).toBe(200);
    for (const path of ['/v1/embeddings', '/v1//embeddings', '/openai/v1/responses']) {
      const answer = await gateway.call(path, { model: 'gpt-4o', input: 'x' }, { key: routedKey });
      expect(answer.status).toBe(403);
    }
    for (const path of ['/v1/models', '/v1/models/gpt-4o', '/model/info', '/health']) {
      const answer = await gateway.call(path, undefined, { key: routedKey });
      expect([answer.status, await answer.json()]).toMatchObject([
        403,
        { error: { code: 'endpoint_access_denied' } },
      ]);
    }
  });

  it.each([
    'api_base',
    'base_url',
    'api_key',
    'api_version',
    'azure_ad_token',
    'azure_endpoint',
    'custom_llm_provider',
    'litellm_credential_name',
    'input_cost_per_token',
    'output_cost_per_token',
    'model_list',
  ])('does not include saying where a request goes or what it costs: %s', async (name) => {
    const answer = await call(
      { 'api-key': callerKey },
      { ...chatBody('gpt-4o', 'x'), [name]: 'http://127.0.0.1:9/' },
    );
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.text)).toMatchObject({
      error: { code: 'forbidden_parameter', param: name },
    });
    expect(modelCalls()).toBe(upstreamCalls);
  });

  it('is decided by one model, not by two', async () => {
    for (const body of [
      '{"model":"gpt-4o","model":"gpt-5.3-codex","messages":[]}',
      '{"model":"gpt-4o","Model":"gpt-5.3-codex","messages":[]}',
      '{"model":"gpt-4o","mo\\u0064el":"gpt-5.3-codex","messages":[]}',
      '{"stream":false,"stream":true,"model":"gpt-4o","messages":[]}',
    ]) {
      const answer = await gateway.call('/v1/chat/completions', body, { key: limitedKey });
      expect(answer.status).toBe(400);
      await answer.text();
    }
    expect(modelCalls()).toBe(upstreamCalls);
  });
});

describe('without a key', () => {
  const anonymous: [string, number, unknown][] = [
    ['/health/liveliness', 200, "I'm alive!"],
    ['/health/liveness', 200, "I'm alive!"],
    ['/health/readiness', 200, { status: 'healthy' }],
    ['/health', 200, { status: 'healthy' }],
  ];

  it.each(anonymous)(
    '%s says no more than whether the gateway works',
    async (path, status, body) => {
      const response = await fetch(gateway.url + path);
      expect(response.status).toBe(status);
      expect(await response.json()).toEqual(body);
      expect([...response.headers.keys()].toSorted()).toEqual(
        ['connection', 'content-length', 'content-type', 'date', 'keep-alive'].toSorted(),
      );
    },
  );

  it('every other path says only that a key is missing, or that there is no such path', async () => {
    const secrets = /127\.0\.0\.1|east|gpt-|codex|express|node|stack|at .*\.ts/i;
    for (const path of [
      '/',
      '/v1/models',
      '/models/gpt-4o',
      '/v1/model/info',
      '/model_group/info',
      '/v1/responses/resp_1',
      '/metrics',
      '/livez',
      '/readyz',
      '/docs',
      '/openapi.json',
      '/ui',
      '/key/info',
      '/config/yaml',
      '/.env',
      '/v1/models/%E0%A4%A',
    ]) {
      const response = await fetch(gateway.url + path);
      expect([401, 404]).toContain(response.status);
      const text = await response.text();
      expect(Object.keys(JSON.parse(text) as object)).toEqual(['error']);
      expect(text).not.toMatch(secrets);
      expect(response.headers.get('x-powered-by')).toBeNull();
      expect(response.headers.get('server')).toBeNull();
    }
  });
});

describe('a key where a header is named for it', () => {
  it('is taken from that header, where it is sent, and from no other beside it', async () => {
    const named = await startGatewayUnderTest({
      simulator,
      deployments: [{ resourceName: 'east', deployment: 'gpt-4o' }],
      keys: [keyRecord(), keyRecord({ keyId: 'second', secret: secondKey })],
      settings: { keyHeader: 'x-team-key' },
    });
    try {
      const keyOf = async (headers: Record<string, string>) => {
        const { status } = await fetch(`${named.url}/v1/chat/completions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify(chatBody('gpt-4o', 'hi')),
        });
        return status === 200 ? named.usage.at(-1)?.keyId : status;
      };
      const authorization = `Bearer ${callerKey}`;
      expect(await keyOf({ 'x-team-key': secondKey })).toBe('second');
      expect(await keyOf({ 'x-team-key': `Bearer ${secondKey}`, authorization })).toBe('second');
      expect(await keyOf({ authorization })).toBe('caller');
      expect(await keyOf({ 'x-team-key': 'sk-unknown', authorization })).toBe(401);
      expect(await keyOf({ 'x-team-key': '', authorization })).toBe(401);
    } finally {
      await named.close();
    }
  });
});
