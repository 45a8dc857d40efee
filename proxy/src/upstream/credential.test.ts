import { format, inspect } from 'node:util';
import type { CredentialMethod, CredentialRecord } from '@aigateway/contract/records';
import { describe, expect, it } from 'vitest';
import { createCredentials, type CredentialEvent } from './credential.ts';
import type { EntraTokenRequest } from './entra-token.ts';

const origin = 'https://contoso.openai.azure.com';

function record(
  method: CredentialMethod,
  change: Partial<CredentialRecord> = {},
): CredentialRecord {
  return { id: 'c1', method, origins: [origin], ...change };
}

function setUp(environment: Record<string, string> = {}) {
  let now = 1_000_000;
  const requests: EntraTokenRequest[] = [];
  const events: CredentialEvent[] = [];
  let outage: Error | undefined;
  let issued = 0;
  const credentials = createCredentials({
    clock: { now: () => now },
    environment,
    onEvent: (event) => events.push(event),
    fetchTokens: (request) => {
      requests.push(request);
      return async () => {
        if (outage !== undefined) throw outage;
        issued += 1;
        return { value: `entra-${issued}`, expiresAt: now + 3_600_000 };
      };
    },
  });
  return {
    credentials,
    requests,
    events,
    issued: () => issued,
    pass: (ms: number) => {
      now += ms;
    },
    fail: (error: Error | undefined) => {
      outage = error;
    },
  };
}

const identities: CredentialMethod[] = [
  { kind: 'managed-identity' },
  { kind: 'managed-identity', clientId: 'id' },
  { kind: 'workload-identity' },
  { kind: 'client-secret', tenantId: 't', clientId: 'c', secret: { kind: 'env', name: 'SECRET' } },
  { kind: 'client-certificate', tenantId: 't', clientId: 'c', certificatePath: '/x.pem' },
  { kind: 'developer' },
];

const everyMethod: CredentialMethod[] = [
  ...identities,
  { kind: 'api-key', key: { kind: 'env', name: 'SECRET' } },
  { kind: 'token', token: { kind: 'inline', value: 'secret-value' } },
  { kind: 'none' },
];

describe.each(everyMethod.map((method) => [method.kind, method] as const))('%s', (_, method) => {
  const environment = { SECRET: 'secret-value' };

  it('answers only for the origins it is bound to', async () => {
    const { credentials } = setUp(environment);
    const bound = record(method, {
      origins: [`${origin}/`, 'https://other.openai.azure.com:8443'],
    });
    await credentials.get(bound, origin, 'v1').header();
    await credentials.get(bound, 'https://other.openai.azure.com:8443', 'v1').header();
    for (const foreign of [
      'http://contoso.openai.azure.com',
      'https://contoso.openai.azure.com.evil.example',
      'https://other.openai.azure.com',
    ]) {
      expect(() => credentials.get(bound, foreign, 'v1')).toThrow(
        expect.objectContaining({ code: 'upstream_auth' }),
      );
    }
  });

  it('gives its header at once from the second call on', async () => {
    const { credentials } = setUp(environment);
    const bound = record(method);
    await credentials.get(bound, origin, 'v1').header();
    expect(credentials.get(bound, origin, 'v1').header()).not.toBeInstanceOf(Promise);
  });

  it('shows its secret neither as text, nor as JSON, nor when inspected', async () => {
    const { credentials } = setUp(environment);
    const header = await credentials.get(record(method), origin, 'v1').header();
    const shown = [
      format('%s', header),
      JSON.stringify({ header }),
      inspect({ header }, { depth: 9, showHidden: true }),
    ];
    for (const text of shown) expect(text).not.toMatch(/secret-value|entra-/);
  });

  it('resolves a renewal in any case', async () => {
    const { credentials, fail } = setUp(environment);
    const credential = credentials.get(record(method), origin, 'v1');
    await credential.header();
    fail(new Error('down'));
    await expect(credential.renew()).resolves.toBeUndefined();
  });
});

describe.each(identities.map((method) => [JSON.stringify(method), method] as const))(
  '%s',
  (_, method) => {
    it('sends a bearer token on every dialect', async () => {
      const { credentials, issued } = setUp();
      for (const dialect of ['classic', 'v1', 'openai'] as const) {
        expect(await credentials.get(record(method), origin, dialect).header()).toMatchObject({
          name: 'authorization',
          value: 'Bearer entra-1',
        });
      }
      expect(issued()).toBe(1);
    });

    it('keeps its token when a new snapshot says the same', async () => {
      const { credentials, issued } = setUp();
      await credentials.get(record(method), origin, 'v1').header();
      await credentials.get(record(structuredClone(method)), origin, 'v1').header();
      expect(issued()).toBe(1);
    });

    it('is renewed after a refusal', async () => {
      const { credentials, pass, events } = setUp();
      const credential = credentials.get(record(method), origin, 'v1');
      expect(credential.renewable).toBe(true);
      await credential.header();
      pass(60_000);
      await credential.renew();
      expect((await credential.header())?.value).toBe('Bearer entra-2');
      expect(events).toEqual([{ type: 'renewed', credential: 'c1' }]);
    });

    it('fails as the gateway’s own fault when no token can be had, and falls back to nothing', async () => {
      const { credentials, fail, events } = setUp({ SECRET: 'x', AZURE_OPENAI_API_KEY: 'k' });
      fail(new Error('down'));
      await expect(credentials.get(record(method), origin, 'v1').header()).rejects.toMatchObject({
        code: 'upstream_auth',
        status: 502,
      });
      expect(events).toMatchObject([{ type: 'fetch_failed', credential: 'c1' }]);
    });

    it('never shares its token with another scope, authority, tenant or client', async () => {
      const { credentials, issued } = setUp();
      const variants: Partial<CredentialRecord>[] = [
        {},
        { scope: 'https://ai.azure.com/.default' },
        { authorityHost: 'https://login.example' },
        {
          method: {
            kind: 'client-secret',
            tenantId: 't2',
            clientId: 'c',
            secret: { kind: 'inline', value: 'a' },
          },
        },
        {
          method: {
            kind: 'client-secret',
            tenantId: 't2',
            clientId: 'c',
            secret: { kind: 'inline', value: 'b' },
          },
        },
      ];
      for (const variant of variants)
        await credentials.get(record(method, variant), origin, 'v1').header();
      expect(issued()).toBe(variants.length);
    });
  },
);

describe('static credentials', () => {
  it('send a key as Azure wants it, and as OpenAI does', async () => {
    const { credentials } = setUp({ KEY: 'k1' });
    const key = record({ kind: 'api-key', key: { kind: 'env', name: 'KEY' } });
    expect(await credentials.get(key, origin, 'classic').header()).toMatchObject({
      name: 'api-key',
      value: 'k1',
    });
    expect(await credentials.get(key, origin, 'v1').header()).toMatchObject({
      name: 'api-key',
      value: 'k1',
    });
    expect(await credentials.get(key, origin, 'openai').header()).toMatchObject({
      name: 'authorization',
      value: 'Bearer k1',
    });
    expect(credentials.get(key, origin, 'v1').renewable).toBe(false);
  });

  it('send a token as bearer', async () => {
    const { credentials } = setUp();
    const token = record({ kind: 'token', token: { kind: 'inline', value: 'jwt' } });
    expect(await credentials.get(token, origin, 'v1').header()).toMatchObject({
      name: 'authorization',
      value: 'Bearer jwt',
    });
  });

  it('name the variable that is missing, to the log alone', () => {
    const { credentials } = setUp({ KEY: '' });
    const credential = credentials.get(
      record({ kind: 'api-key', key: { kind: 'env', name: 'KEY' } }),
      origin,
      'v1',
    );
    expect(() => credential.header()).toThrow(
      expect.objectContaining({
        code: 'upstream_auth',
        cause: new Error('the environment variable KEY is not set'),
      }),
    );
  });
});

describe('clouds', () => {
  it.each([
    [
      'https://a.openai.azure.com',
      'https://login.microsoftonline.com',
      'https://cognitiveservices.azure.com/.default',
    ],
    [
      'https://a.openai.azure.us',
      'https://login.microsoftonline.us',
      'https://cognitiveservices.azure.us/.default',
    ],
    [
      'https://a.openai.azure.cn',
      'https://login.chinacloudapi.cn',
      'https://cognitiveservices.azure.cn/.default',
    ],
    [
      'https://azure.us.example',
      'https://login.microsoftonline.com',
      'https://cognitiveservices.azure.com/.default',
    ],
  ])('%s signs in at %s for %s', async (host, authorityHost, scope) => {
    const { credentials, requests } = setUp();
    await credentials
      .get(record({ kind: 'managed-identity' }, { origins: [host] }), host, 'v1')
      .header();
    expect(requests).toMatchObject([{ authorityHost, scope }]);
  });

  it('yield to what is configured, and for workload identity to what its webhook set', async () => {
    const { credentials, requests } = setUp({
      AZURE_AUTHORITY_HOST: 'https://login.webhook.example/',
    });
    const configured = {
      scope: 'https://ai.azure.com/.default',
      authorityHost: 'https://login.example',
    };
    await credentials.get(record({ kind: 'workload-identity' }, configured), origin, 'v1').header();
    await credentials.get(record({ kind: 'workload-identity' }), origin, 'v1').header();
    await credentials.get(record({ kind: 'managed-identity' }), origin, 'v1').header();
    expect(requests.map((request) => request.authorityHost)).toEqual([
      'https://login.example',
      'https://login.webhook.example',
      'https://login.microsoftonline.com',
    ]);
  });
});

describe('warming', () => {
  it('gets the tokens of every credential handed out, and survives those that fail', async () => {
    const { credentials, issued, fail } = setUp();
    const good = credentials.get(record({ kind: 'managed-identity' }), origin, 'v1');
    credentials.get(record({ kind: 'workload-identity' }), origin, 'v1');
    await credentials.warm();
    expect(issued()).toBe(2);
    expect(good.header()).not.toBeInstanceOf(Promise);
    fail(new Error('down'));
    credentials.get(record({ kind: 'developer' }), origin, 'v1');
    await expect(credentials.warm()).resolves.toBeUndefined();
  });
});
