import { LoginThrottle } from '@aigateway/contract/login-throttle';
import { afterEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  keyRecord,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

const chosenKey = 'sk-a-key-that-people-chose';
const generatedKey = 'sk-0123456789abcdefghijkl';
const newKey = 'sk-that-is-published-later';

let gateway: GatewayUnderTest | undefined;
let lookUps: number;
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

async function start(): Promise<GatewayUnderTest> {
  const clock = { ms: 1_000_000 };
  lookUps = 0;
  gateway = await startGatewayUnderTest({
    deployments: [{ resourceName: 'simulator', deployment: 'gpt-4o' }],
    keys: [
      keyRecord({ keyId: 'chosen', secret: chosenKey }),
      keyRecord({ keyId: 'generated', secret: generatedKey }),
    ],
    pipeline: { trustedHops: 1 },
    ports: {
      logins: new LoginThrottle({ now: () => clock.ms, tries: 3 }),
      findKey: () => {
        lookUps += 1;
        return Promise.resolve(undefined);
      },
    },
  });
  return gateway;
}

function ask(key: string, from = '203.0.113.9', path = '/v1/models', init: RequestInit = {}) {
  return fetch(`${gateway?.url}${path}`, {
    ...init,
    headers: {
      authorization: `Bearer ${key}`,
      'x-forwarded-for': from,
      'content-type': 'application/json',
    },
  });
}

async function guess(count: number): Promise<number[]> {
  const statuses: number[] = [];
  for (let at = 0; at < count; at += 1) statuses.push((await ask(`sk-guess-${at}`)).status);
  return statuses;
}

describe('an address that tries many different wrong keys', () => {
  it('is told to wait, and its keys are not even looked up', async () => {
    await start();
    expect(await guess(5)).toEqual([401, 401, 401, 429, 429]);
    expect(lookUps).toBe(3);
    const refused = await ask('sk-another-guess');
    expect(refused.headers.get('retry-after')).toBe('6');
    const { error } = (await refused.json()) as { error: object };
    expect(error).toMatchObject({ code: 'too_many_wrong_keys', type: 'throttling_error' });
    expect((await ask(newKey)).status).toBe(429);
  });

  it('learns nothing from a right guess, wherever it tries it', async () => {
    await start();
    await guess(4);
    const body = JSON.stringify(chatBody('gpt-4o', 'hi'));
    const chat = await ask(chosenKey, undefined, '/v1/chat/completions', { method: 'POST', body });
    expect(chat.status).toBe(429);
    expect((await ask(chosenKey)).status).toBe(429);
    expect((await ask(chosenKey, undefined, '/health')).status).toBe(429);
    // A second key beside it changes nothing.
    const beside = await fetch(`${gateway?.url}/v1/models`, {
      headers: {
        authorization: `Bearer ${chosenKey}`,
        'api-key': 'sk-abcdefghijklmnopqrstuv',
        'x-forwarded-for': '203.0.113.9',
      },
    });
    expect(beside.status).toBe(429);
  });

  it('holds up neither other addresses, nor generated keys, nor keys that were right there before', async () => {
    await start();
    await guess(1);
    expect((await ask(chosenKey)).status).toBe(200);
    await guess(6);
    expect((await ask(chosenKey)).status).toBe(200);
    expect((await ask(generatedKey)).status).toBe(200);
    expect((await ask(chosenKey, '198.51.100.7')).status).toBe(200);
  });
});
