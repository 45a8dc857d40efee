import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Management, startManagement } from '../management.ts';

let api: Management;
beforeAll(async () => {
  api = await startManagement();
});
afterAll(() => api[Symbol.asyncDispose]());

describe('the cache', () => {
  it('is answered as LiteLLM answers while it is off, and is no fault', async () => {
    const ping = await api.get('/cache/ping');
    expect(ping.status).toBe(503);
    expect(ping.body.error).toMatchObject({
      type: 'cache_ping_error',
      param: 'cache_ping',
      code: '503',
      message: expect.stringContaining('caches no answers'),
    });
    for (const answer of [
      await api.get('/cache/redis/info'),
      await api.post('/cache/delete', { keys: ['one'] }),
      await api.post('/cache/flushall'),
    ]) {
      expect(answer.status).toBe(503);
      expect(answer.body.detail).toMatch(/^Service Unhealthy \(Cache not initialized/);
    }
    expect(api.faults).toEqual([]);
    expect(await api.store.audit.count({})).toBe(0);
  });
});
