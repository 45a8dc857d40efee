import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { chatBody, startGatewayUnderTest, type GatewayUnderTest } from '../gateway-under-test.ts';
import { makeCertificates, type Certificates } from '../upstream/certificates.ts';
import { startTlsFront, type TlsFront } from '../upstream/tls-front.ts';

let certificates: Certificates;
let front: TlsFront;
let gateway: GatewayUnderTest;
let now = Date.now();

/** A proxy that signs in to the vault as a managed identity, through Microsoft's libraries. */
beforeAll(async () => {
  certificates = makeCertificates(['127.0.0.1']);
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: [
        {
          name: 'east',
          keys: ['vaulted-key-1', 'vaulted-key-2'],
          deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }],
        },
      ],
      vault: { secrets: { 'azure-key': 'vaulted-key-1' } },
    },
    deployments: [{ deployment: 'gpt-4o', resourceName: 'east', credential: 'vaulted' }],
    options: {
      vaultIdentity: { kind: 'managed-identity' },
      transport: {
        keepAliveMs: 4_000,
        connectTimeoutMs: 5_000,
        caCertificates: [certificates.ca],
      },
    },
    ports: { clock: { now: () => now } },
  });
  front = await startTlsFront(certificates, gateway.simulator.url);
  vi.stubEnv('IDENTITY_ENDPOINT', `${gateway.simulator.url}/msi/token`);
  vi.stubEnv('IDENTITY_HEADER', 'simulated-identity-header');
  gateway.proxy.update({
    ...gateway.records,
    credentials: [
      {
        id: 'vaulted',
        method: {
          kind: 'api-key',
          key: { kind: 'vault', vault: `https://${front.host}`, name: 'azure-key' },
        },
        origins: [new URL(gateway.simulator.url).origin],
      },
    ],
  });
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await gateway.close();
  await front.close();
  certificates.remove();
});

const ask = async () =>
  (await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'hello'))).status;
const keysSeen = () =>
  gateway.simulator
    .requests()
    .flatMap(({ operation, headers }) =>
      operation === 'chat.completions' ? [headers['api-key']] : [],
    );

it('rotates an Azure key through its vault without a restart and without a failed call', async () => {
  expect(await ask()).toBe(200);
  // Azure's other key goes into the vault; the one in use is then regenerated.
  gateway.simulator.setSecret('azure-key', 'vaulted-key-2');
  expect(await ask()).toBe(200);
  gateway.simulator.setKeys('east', ['vaulted-key-3', 'vaulted-key-2']);
  now += 60_000;
  expect(await Promise.all(Array.from({ length: 5 }, ask))).toEqual([200, 200, 200, 200, 200]);
  expect(await ask()).toBe(200);
  expect(keysSeen().slice(0, 2)).toEqual(['vaulted-key-1', 'vaulted-key-1']);
  expect(keysSeen().at(-1)).toBe('vaulted-key-2');
  const lookUps = gateway.simulator
    .requests()
    .filter(({ operation, status }) => operation === 'secret' && status === 200);
  expect(lookUps).toHaveLength(2);
});

it('serves on with the key it has while its vault is away', async () => {
  gateway.simulator.fault({ kind: 'error', error: '503-unavailable', operation: 'secret' });
  now += 600_000;
  expect(await ask()).toBe(200);
  await gateway.until(() => gateway.log().includes('refresh_failed'));
  expect(await ask()).toBe(200);
  expect(gateway.log()).not.toMatch(/vaulted-key-\d/);
});
