import { inspect } from 'node:util';
import { startSimulator, type Simulator } from '@aigateway/smoke/simulator/simulator';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createCredentials, type CredentialEvent } from '../../src/upstream/credential.ts';
import type { EntraTokenRequest } from '../../src/upstream/entra-token.ts';
import { makeCertificates, type Certificates } from './certificates.ts';
import { startTlsFront, type TlsFront } from './tls-front.ts';

const minute = 60_000;
const origin = 'https://contoso.openai.azure.com';
const audience = 'https://vault.azure.net';

let certificates: Certificates;
let simulator: Simulator;
let front: TlsFront;
beforeAll(() => {
  certificates = makeCertificates(['127.0.0.1']);
});
afterAll(() => certificates.remove());
beforeEach(async () => {
  simulator = await startSimulator({
    config: {
      resources: [{ name: 'east', keys: ['k'] }],
      vault: { secrets: { 'azure-key': 'vaulted-key-1' } },
    },
  });
  front = await startTlsFront(certificates, simulator.url);
});
afterEach(async () => {
  await front.close();
  await simulator.close();
});

/** Microsoft's own client in front of the simulated vault, over TLS; tokens come from the simulator as well. */
function setUp(issue: () => Promise<string> = () => simulator.issueToken({ audience })) {
  let now = Date.now();
  const events: CredentialEvent[] = [];
  const requests: EntraTokenRequest[] = [];
  const credentials = createCredentials({
    clock: { now: () => now },
    environment: {},
    vaultIdentity: { kind: 'managed-identity' },
    caCertificates: [certificates.ca],
    onEvent: (event) => events.push(event),
    fetchTokens: (request) => {
      requests.push(request);
      return async () => ({ value: await issue(), expiresAt: now + 60 * minute });
    },
  });
  const key = (name = 'azure-key') =>
    ({ kind: 'api-key', key: { kind: 'vault', vault: `https://${front.host}`, name } }) as const;
  const credential = (name?: string) =>
    credentials.get({ id: 'c1', method: key(name), origins: [origin] }, origin, 'v1');
  return {
    credentials,
    credential,
    key,
    events,
    requests,
    value: async (name?: string) => (await credential(name).header())?.value,
    lookUps: () => simulator.requests().filter(({ operation }) => operation === 'secret').length,
    pass: (ms: number) => {
      now += ms;
    },
  };
}

describe('a key in a vault', () => {
  it('is looked up once for all who wait, with a token for vaults', async () => {
    const test = setUp();
    const all = await Promise.all(Array.from({ length: 10 }, () => test.value()));
    expect(new Set(all)).toEqual(new Set(['vaulted-key-1']));
    // A challenge, then the secret.
    expect(test.lookUps()).toBe(2);
    expect(test.requests).toMatchObject([{ scope: 'https://vault.azure.net/.default' }]);
    expect(test.credential().header()).not.toBeInstanceOf(Promise);
  });

  it('is had before the first call', async () => {
    const test = setUp();
    test.credential();
    await test.credentials.warm();
    expect(test.credential().header()).toMatchObject({ name: 'api-key', value: 'vaulted-key-1' });
  });

  it('is taken in its new version within five minutes, while the old one serves', async () => {
    const test = setUp();
    await test.value();
    simulator.setSecret('azure-key', 'vaulted-key-2');
    test.pass(4 * minute);
    expect(await test.value()).toBe('vaulted-key-1');
    expect(test.lookUps()).toBe(2);
    test.pass(2 * minute);
    expect(test.credential().header()).toMatchObject({ value: 'vaulted-key-1' });
    await expect.poll(() => test.value()).toBe('vaulted-key-2');
  });

  it('is taken in its new version at once when the old one was refused', async () => {
    const test = setUp();
    await test.value();
    simulator.setSecret('azure-key', 'vaulted-key-2');
    test.pass(minute);
    await Promise.all(Array.from({ length: 5 }, () => test.credential().renew()));
    expect(await test.value()).toBe('vaulted-key-2');
    expect(test.lookUps()).toBe(4);
    expect(new Set(test.events.map(({ type }) => type))).toEqual(new Set(['renewed']));
  });

  it.each([
    ['throttles', { kind: 'rate-limit', operation: 'secret', retryAfterMs: 0 }, '429'],
    ['is down', { kind: 'error', error: '503-unavailable', operation: 'secret' }, '503'],
    ['drops connections', { kind: 'reset', operation: 'secret' }, ''],
  ] as const)('goes on serving while the vault %s, refused or not', async (_, fault, words) => {
    const test = setUp();
    await test.value();
    simulator.fault(fault);
    test.pass(6 * minute);
    await test.value();
    await expect.poll(() => test.events.length).toBe(1);
    test.pass(minute);
    await test.credential().renew();
    expect(await test.value()).toBe('vaulted-key-1');
    expect(new Set(test.events.map(({ type }) => type))).toEqual(new Set(['refresh_failed']));
    expect(inspect(test.events)).toContain(words);
    simulator.clearFaults();
    simulator.setSecret('azure-key', 'vaulted-key-2');
    test.pass(minute);
    await test.value();
    await expect.poll(() => test.value()).toBe('vaulted-key-2');
  });

  it.each([
    ['is not there', 'none', '404'],
    ['is disabled', 'disabled', '403'],
  ])(
    'that %s is the gateway’s own fault, told to the log with the reason',
    async (_, name, status) => {
      const test = setUp();
      simulator.setSecret('disabled', 'x');
      simulator.removeSecret('disabled', 'disabled');
      await expect(test.value(name)).rejects.toMatchObject({ code: 'upstream_auth', status: 502 });
      expect(test.events).toMatchObject([
        { type: 'fetch_failed', error: { message: expect.stringContaining(status) as string } },
      ]);
    },
  );

  it('is asked for with a new token when the vault refuses the one before', async () => {
    const audiences = ['https://cognitiveservices.azure.com', audience];
    const test = setUp(() => simulator.issueToken({ audience: audiences.shift() ?? audience }));
    test.pass(minute);
    await expect(test.value()).rejects.toMatchObject({ code: 'upstream_auth' });
    test.pass(minute);
    expect(await test.value()).toBe('vaulted-key-1');
  });

  it('keeps its header and is asked for no more when a new snapshot says the same', async () => {
    const test = setUp();
    await test.value();
    const again = test.credentials.get(
      { id: 'c1', method: structuredClone(test.key()), origins: [origin] },
      origin,
      'v1',
    );
    expect(again.header()).toMatchObject({ value: 'vaulted-key-1' });
    expect(test.lookUps()).toBe(2);
  });

  it('shows neither itself nor the token in events and errors', async () => {
    const tokens: string[] = [];
    const test = setUp(async () => {
      const token = await simulator.issueToken({ audience });
      tokens.push(token);
      return token;
    });
    await test.value();
    simulator.fault({ kind: 'error', error: '503-unavailable', operation: 'secret' });
    test.pass(6 * minute);
    await test.credential().renew();
    const other = await test.value('none').catch((error: unknown) => error);
    const shown = inspect([test.events, other], { depth: 9, showHidden: true });
    for (const secret of ['vaulted-key-1', ...tokens]) expect(shown).not.toContain(secret);
    expect(shown).toContain('503');
  });

  it('proves an application too, whose token is got anew once the secret changed', async () => {
    const test = setUp();
    const { credentials, requests } = test;
    const secret = test.key('azure-key').key;
    await credentials
      .get(
        {
          id: 'app',
          method: { kind: 'client-secret', tenantId: 't', clientId: 'c', secret },
          origins: [origin],
        },
        origin,
        'v1',
      )
      .header();
    const request = requests.find(({ method }) => method.kind === 'client-secret');
    const known = request?.vault?.(secret);
    expect(await known?.value()).toBe('vaulted-key-1');
    simulator.setSecret('azure-key', 'vaulted-key-2');
    test.pass(minute);
    await known?.renew();
    expect(await known?.value()).toBe('vaulted-key-2');
  });
});

it('a process without an identity says so, and asks no vault', async () => {
  const events: CredentialEvent[] = [];
  const credentials = createCredentials({
    clock: { now: Date.now },
    environment: {},
    onEvent: (event) => events.push(event),
  });
  const key = { kind: 'vault', vault: 'https://contoso.vault.azure.net', name: 'x' } as const;
  const credential = credentials.get(
    { id: 'c', method: { kind: 'api-key', key }, origins: [origin] },
    origin,
    'v1',
  );
  await expect(credential.header()).rejects.toMatchObject({ code: 'upstream_auth' });
  expect(inspect(events)).toContain('no identity');
});
