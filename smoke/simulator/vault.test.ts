import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startSimulator } from './simulator.ts';
import type { Simulator } from './simulator.ts';

let simulator: Simulator;
let token: string;
beforeAll(async () => {
  simulator = await startSimulator({
    config: {
      resources: [{ name: 'east', keys: ['k'] }],
      vault: { secrets: { 'azure-key': 'first' } },
    },
  });
  token = await simulator.issueToken({ audience: 'https://vault.azure.net' });
});
afterAll(() => simulator.close());

const get = async (path: string, bearer?: string) => {
  const response = await fetch(`${simulator.url}${path}`, {
    headers: bearer === undefined ? {} : { authorization: `Bearer ${bearer}` },
  });
  return { response, body: (await response.json()) as Record<string, never> };
};

describe('a simulated Key Vault', () => {
  it('gives the newest version, and older ones by their id', async () => {
    const first = await get('/secrets/azure-key?api-version=7.5', token);
    expect(first.body).toMatchObject({ value: 'first', attributes: { enabled: true } });
    simulator.setSecret('azure-key', 'second');
    expect((await get('/secrets/azure-key/?api-version=7.5', token)).body).toMatchObject({
      value: 'second',
    });
    const { pathname } = new URL(first.body['id'] ?? '');
    expect((await get(`${pathname}?api-version=7.5`, token)).body).toMatchObject({
      value: 'first',
    });
  });

  it('asks those without a token for vaults to get one, before it looks at anything else', async () => {
    const foreign = await simulator.issueToken({ audience: 'https://cognitiveservices.azure.com' });
    const ended = await simulator.issueToken({
      audience: 'https://vault.azure.net',
      lifetimeSeconds: -1,
    });
    for (const bearer of [undefined, 'nonsense', foreign, ended]) {
      const { response, body } = await get('/secrets/none', bearer);
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toContain(
        'resource="https://vault.azure.net"',
      );
      expect(body).toMatchObject({ error: { code: 'Unauthorized' } });
    }
  });

  it.each([
    ['/secrets/azure-key', 400, 'BadParameter'],
    ['/secrets/azure-key?api-version=1.0', 400, 'BadParameter'],
    ['/secrets/none?api-version=7.5', 404, 'SecretNotFound'],
    ['/secrets?api-version=7.5', 405, 'MethodNotAllowed'],
  ])('refuses %s with %i %s', async (path, status, code) => {
    const { response, body } = await get(path, token);
    expect(response.status).toBe(status);
    expect(body).toMatchObject({ error: { code } });
  });

  it('refuses disabled secrets, and throttles with a wait', async () => {
    simulator.setSecret('other', 'x');
    simulator.removeSecret('other', 'disabled');
    const disabled = await get('/secrets/other?api-version=7.5', token);
    expect(disabled.response.status).toBe(403);
    expect(disabled.body).toMatchObject({ error: { innererror: { code: 'SecretDisabled' } } });
    simulator.fault({ kind: 'rate-limit', operation: 'secret', retryAfterMs: 3000, times: 1 });
    const throttled = await get('/secrets/azure-key?api-version=7.5', token);
    expect(throttled.response.status).toBe(429);
    expect(throttled.response.headers.get('retry-after')).toBe('3');
    expect(throttled.body).toMatchObject({ error: { code: 'Throttled' } });
  });

  it('takes new versions over the control API', async () => {
    await fetch(`${simulator.url}/_sim/secrets/azure-key`, {
      method: 'PUT',
      body: JSON.stringify('third'),
    });
    expect((await get('/secrets/azure-key?api-version=7.5', token)).body).toMatchObject({
      value: 'third',
    });
  });
});
