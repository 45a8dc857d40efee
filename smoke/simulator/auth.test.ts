import { verify, createPublicKey } from 'node:crypto';
import type { webcrypto } from 'node:crypto';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, DEFAULT_TENANT } from './config.ts';
import { exchange } from './exchange.ts';
import type { Exchange } from './exchange.ts';
import { startSimulator } from './simulator.ts';
import type { Simulator } from './simulator.ts';

const AUDIENCE = 'https://cognitiveservices.azure.com';
const CLASSIC = 'openai/deployments/chat/chat/completions?api-version=2024-10-21';
const V1 = 'openai/v1/chat/completions';

const NO_ERROR_MEMBER = {
  statusCode: 401,
  message:
    'Unauthorized. Access token is missing, invalid, audience is incorrect (https://cognitiveservices.azure.com), or have expired.',
};

let simulator: Simulator;
let now: number;

beforeEach(async () => {
  now = 1_794_301_200_000;
  const deployments = [{ name: 'chat', model: 'gpt-4o' }];
  simulator = await startSimulator({
    clock: { now: () => now },
    config: {
      resources: [
        { name: 'east', keys: ['key-one', 'key-two'], deployments },
        { name: 'keyless', keys: ['key'], keyAuth: false, deployments },
        { name: 'foreign', keys: ['key'], tenant: 'another-tenant', deployments },
        { name: 'regional', keys: ['key'], customSubdomain: false, deployments },
        { name: 'private', keys: ['key'], network: 'private-endpoint-only', deployments },
      ],
      identity: {
        header: 'identity-header',
        tokenLifetimeSeconds: 60,
        identities: [
          { secret: DEFAULT_CLIENT_SECRET, federatedToken: 'federated' },
          { clientId: 'without-role', resources: ['keyless'] },
        ],
      },
    },
  });
});

afterEach(async () => {
  await simulator.close();
});

async function call(
  headers: Record<string, string>,
  path = V1,
  resource = 'east',
): Promise<Exchange> {
  return await exchange(`${simulator.resourceUrl(resource)}/${path}`, {
    headers,
    json: { model: 'chat', messages: [{ role: 'user', content: 'hi' }] },
  });
}

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

describe('keys', () => {
  it.each([
    ['api-key', { 'api-key': 'key-one' }, V1],
    ['the second key', { 'api-key': 'key-two' }, CLASSIC],
    ['the old header', { 'ocp-apim-subscription-key': 'key-one' }, CLASSIC],
    ['bearer on v1', bearer('key-one'), V1],
    ['both headers at once', { 'api-key': 'key-one', ...bearer('key-one') }, CLASSIC],
  ])('are accepted: %s', async (_, headers, path) => {
    expect((await call(headers, path)).status).toBe(200);
  });

  it('are refused with an error object when wrong, without one when missing or out of place', async () => {
    const wrong = {
      error: {
        code: '401',
        message: expect.stringContaining('Access denied due to invalid subscription key'),
      },
    };
    expect(await call({ 'api-key': 'no' })).toMatchObject({ status: 401, body: wrong });
    expect(await call(bearer('no'))).toMatchObject({ status: 401, body: wrong });
    expect(await call({})).toMatchObject({ status: 401, body: NO_ERROR_MEMBER });
    expect(await call(bearer('key-one'), CLASSIC)).toMatchObject({
      status: 401,
      body: NO_ERROR_MEMBER,
    });
  });

  it('belong to one resource', async () => {
    expect((await call({ 'api-key': 'key-one' }, V1, 'foreign')).status).toBe(401);
  });

  it('can be switched off', async () => {
    expect(await call({ 'api-key': 'key' }, V1, 'keyless')).toMatchObject({
      status: 403,
      body: { error: { code: 'AuthenticationTypeDisabled' } },
    });
  });
});

describe('tokens', () => {
  it('are accepted on both surfaces until they expire', async () => {
    const token = await simulator.issueToken({ audience: AUDIENCE });
    expect((await call(bearer(token))).status).toBe(200);
    expect((await call(bearer(token), CLASSIC, 'keyless')).status).toBe(200);
    now += 60_000;
    expect(await call(bearer(token))).toMatchObject({ status: 401, body: NO_ERROR_MEMBER });
  });

  it('are refused for a wrong audience, a broken signature and a foreign tenant', async () => {
    const other = await simulator.issueToken({ audience: 'https://management.azure.com' });
    expect(await call(bearer(other))).toMatchObject({ status: 401, body: NO_ERROR_MEMBER });
    const token = await simulator.issueToken({ audience: AUDIENCE });
    expect(await call(bearer(`${token.slice(0, -4)}AAAA`))).toMatchObject({
      status: 401,
      body: NO_ERROR_MEMBER,
    });
    expect(await call(bearer(token), V1, 'foreign')).toMatchObject({
      status: 400,
      body: { error: { message: 'Tenant provided in token does not match resource token' } },
    });
  });

  it('need the role on the resource', async () => {
    const token = await simulator.issueToken({ audience: AUDIENCE, clientId: 'without-role' });
    expect(await call(bearer(token))).toMatchObject({
      status: 401,
      body: { error: { code: 'PermissionDenied' } },
    });
    expect((await call(bearer(token), V1, 'keyless')).status).toBe(200);
  });

  it('need a custom subdomain', async () => {
    const token = await simulator.issueToken({ audience: AUDIENCE });
    expect(await call(bearer(token), V1, 'regional')).toMatchObject({
      status: 400,
      body: { error: { message: expect.stringContaining('custom subdomain') } },
    });
  });
});

describe('a closed network', () => {
  it('refuses everybody', async () => {
    expect(await call({ 'api-key': 'key' }, V1, 'private')).toMatchObject({
      status: 403,
      body: { error: { message: 'Traffic is not from an approved private endpoint.' } },
    });
  });
});

describe('the identity endpoints', () => {
  it('give managed identities a token by the ways of App Service and of virtual machines', async () => {
    const resource = encodeURIComponent(AUDIENCE);
    const service = await exchange(
      `${simulator.url}/msi/token?api-version=2019-08-01&resource=${resource}`,
      {
        headers: { 'x-identity-header': 'identity-header' },
      },
    );
    expect(service.body).toMatchObject({
      token_type: 'Bearer',
      expires_on: '1794301260',
      client_id: DEFAULT_CLIENT_ID,
    });
    const machine = await exchange(
      `${simulator.url}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=${resource}&client_id=${DEFAULT_CLIENT_ID}`,
      { headers: { metadata: 'true' } },
    );
    expect(machine.body).toMatchObject({ expires_in: '60', expires_on: '1794301260' });
    for (const { body } of [service, machine]) {
      expect((await call(bearer(String(body['access_token'])))).status).toBe(200);
    }
  });

  it('demand their headers', async () => {
    const query = 'api-version=2019-08-01&resource=x';
    expect((await exchange(`${simulator.url}/msi/token?${query}`)).status).toBe(401);
    expect(
      (await exchange(`${simulator.url}/metadata/identity/oauth2/token?${query}`)).status,
    ).toBe(400);
  });

  it('exchange a client secret or a federated token', async () => {
    const form = {
      grant_type: 'client_credentials',
      client_id: DEFAULT_CLIENT_ID,
      scope: `${AUDIENCE}/.default`,
    };
    const type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
    const ask = async (proof: Record<string, string>): Promise<Response> =>
      await fetch(`${simulator.url}/${DEFAULT_TENANT}/oauth2/v2.0/token`, {
        method: 'POST',
        body: new URLSearchParams({ ...form, ...proof }),
      });
    for (const proof of [
      { client_secret: DEFAULT_CLIENT_SECRET },
      { client_assertion_type: type, client_assertion: 'federated' },
    ]) {
      const answer = (await (await ask(proof)).json()) as Record<string, unknown>;
      expect(answer).toMatchObject({ token_type: 'Bearer', expires_in: 60 });
      expect((await call(bearer(String(answer['access_token'])))).status).toBe(200);
    }
    expect((await ask({ client_secret: 'wrong' })).status).toBe(401);
    expect((await ask({ client_assertion_type: type, client_assertion: 'wrong' })).status).toBe(
      401,
    );
  });

  it('publish the key that signs', async () => {
    const discovery = await exchange(
      `${simulator.url}/${DEFAULT_TENANT}/v2.0/.well-known/openid-configuration`,
    );
    const { body } = await exchange(String(discovery.body['jwks_uri']));
    const [jwk] = body['keys'] as webcrypto.JsonWebKey[];
    const token = await simulator.issueToken({ audience: AUDIENCE });
    const [header = '', payload = '', signature = ''] = token.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<
      string,
      unknown
    >;
    expect(claims['iss']).toBe(discovery.body['issuer']);
    if (jwk === undefined) throw new Error('no key');
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    expect(
      verify(
        'sha256',
        Buffer.from(`${header}.${payload}`),
        key,
        Buffer.from(signature, 'base64url'),
      ),
    ).toBe(true);
  });

  it('fail on command', async () => {
    simulator.fault({ kind: 'error', error: '503-unavailable', operation: 'token', times: 1 });
    const url = `${simulator.url}/msi/token?api-version=2019-08-01&resource=x`;
    const headers = { 'x-identity-header': 'identity-header' };
    expect((await exchange(url, { headers })).status).toBe(503);
    expect((await exchange(url, { headers })).status).toBe(200);
  });
});
