import { LoginThrottle } from '@aigateway/contract/login-throttle';
import { afterEach, describe, expect, it } from 'vitest';
import { type Management, masterKey, startManagement } from './management.ts';

let management: Management | undefined;
afterEach(async () => {
  await management?.[Symbol.asyncDispose]();
  management = undefined;
});

async function start(): Promise<Management> {
  const clock = { ms: 1_000_000 };
  management = await startManagement({
    ports: { logins: new LoginThrottle({ now: () => clock.ms, tries: 3 }) },
  });
  return management;
}

async function guess(api: Management, count: number): Promise<number[]> {
  const statuses: number[] = [];
  for (let at = 0; at < count; at += 1)
    statuses.push((await api.get('/key/list', `sk-guess-${at}`)).status);
  return statuses;
}

describe('the management API, to an address that tries many different wrong keys', () => {
  it('answers when to try again, and nothing about a right guess', async () => {
    const api = await start();
    expect(await guess(api, 5)).toEqual([401, 401, 401, 429, 429]);
    const refused = await api.get('/key/list', masterKey);
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('6');
    expect(refused.body.error).toMatchObject({ type: 'throttling_error', code: '429' });
  });

  it('goes on with keys that were right there before, and with generated ones', async () => {
    const api = await start();
    const made = await api.post('/key/generate', { user_id: 'somebody' });
    await guess(api, 1);
    expect((await api.get('/key/list')).status).toBe(200);
    await guess(api, 6);
    expect((await api.get('/key/list')).status).toBe(200);
    expect((await api.get('/key/info', made.body.key)).status).toBe(200);
  });

  it('shows to anyone what is public', async () => {
    const api = await start();
    await guess(api, 6);
    expect((await api.get('/routes', null)).status).toBe(200);
  });
});
