import { readFileSync } from 'node:fs';
import { startSimulator, type Simulator } from '@aigateway/smoke/simulator/simulator';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GatewayProcess } from './gateway-process.ts';

const guide = readFileSync(new URL('../../docs/guides/app-service.md', import.meta.url), 'utf8');
const callerKey = 'sk-caller-of-app-service';

/** What the guide sets, with references to the vault as App Service resolves them. */
const settings = Object.fromEntries(
  [...guide.matchAll(/^ {2}([A-Z_]+)=(\S+)/gm)].map(([, name = '', value = '']) => [
    name,
    value.includes('SecretName=proxy-api-key')
      ? callerKey
      : value.includes('SecretName=')
        ? 'a-root-secret-of-more-than-thirty-two-bytes'
        : value,
  ]),
);
const [, command = ''] = /--startup-file '([^']+)'/.exec(guide) ?? [];

let simulator: Simulator;
let gateway: GatewayProcess;

beforeAll(async () => {
  simulator = await startSimulator();
  gateway = new GatewayProcess(command.split(' '), {
    ...settings,
    // Ports of tests are free ones; upstreams of tests speak without TLS.
    AIGATEWAY_PORT: '0',
    AIGATEWAY_HOST: '127.0.0.1',
    AIGATEWAY_ALLOW_INSECURE_UPSTREAM: 'true',
    AZURE_OPENAI_URL: simulator.resourceUrl('simulator'),
    // What App Service sets itself, where the app has an identity.
    PORT: settings['WEBSITES_PORT'] ?? '',
    IDENTITY_ENDPOINT: `${simulator.url}/msi/token`,
    IDENTITY_HEADER: 'simulated-identity-header',
    MSI_ENDPOINT: `${simulator.url}/msi/token`,
    MSI_SECRET: 'simulated-identity-header',
    WEBSITE_SITE_NAME: 'aigateway',
    WEBSITE_INSTANCE_ID: 'instance',
    HOME: '/home',
  });
});
afterAll(async () => {
  await gateway.stop();
  await simulator.close();
});

it('serves models on App Service by its identity, and stops within the time that it is given', async () => {
  const url = await gateway.url();
  expect(settings['AIGATEWAY_PORT']).toBe(settings['WEBSITES_PORT']);
  const warm = await fetch(`${url}${settings['WEBSITE_WARMUP_PATH']}`);
  expect(String(warm.status)).toBe(settings['WEBSITE_WARMUP_STATUSES']);

  const answer = await fetch(`${url}/v1/responses`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${callerKey}`,
      'content-type': 'application/json',
      'x-forwarded-for': '203.0.113.9:50123',
    },
    body: JSON.stringify({ model: 'gpt-5.3-codex', input: 'Hello' }),
  });
  expect([answer.status, await answer.json()]).toMatchObject([200, { status: 'completed' }]);
  await gateway.until(/"client":"203\.0\.113\.9"/);
  const [asked] = simulator.requests().filter(({ method }) => method === 'POST');
  expect(asked?.headers['authorization']).toMatch(/^Bearer /);
  expect(asked?.headers).not.toHaveProperty('api-key');

  const needed =
    Number(settings['AIGATEWAY_STOP_DELAY']) + Number(settings['AIGATEWAY_DRAIN_TIME']);
  expect(needed).toBeGreaterThan(0);
  expect(needed).toBeLessThan(Number(settings['WEBSITES_CONTAINER_STOP_TIME_LIMIT']));
});
