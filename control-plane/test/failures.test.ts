import { describe, expect, it } from 'vitest';
import { ConflictError, StoreUnavailableError } from '../src/store/entities.ts';
import { startManagement } from './management.ts';

describe('when something is away', () => {
  it('answers 503 in LiteLLM’s form while the store is, on every route that asks it', async () => {
    await using api = await startManagement({
      store: (store) => ({
        ...store,
        entities: new Proxy(store.entities, {
          get: (_entities, method) => () => {
            const away = new StoreUnavailableError('host db.internal refused');
            if (method === 'all') throw away;
            return Promise.reject(away);
          },
        }),
      }),
    });
    for (const path of ['/key/list', '/team/list', '/user/info?user_id=x', '/budget/list']) {
      const { status, body, text } = await api.get(path);
      expect([path, status, body.error.type, body.error.code]).toEqual([
        path,
        503,
        'no_db_connection',
        '503',
      ]);
      expect(text).not.toContain('db.internal');
    }
    expect((await api.get('/key/list', 'sk-some-virtual-key')).status).toBe(503);
    expect(api.faults).toHaveLength(5);
  });

  it('decides anew when what it read was changed meanwhile, and gives up with 409', async () => {
    let conflicts = 2;
    await using api = await startManagement({
      store: (store) => ({
        ...store,
        entities: {
          ...store.entities,
          write: (...write) => {
            if (conflicts === 0) return store.entities.write(...write);
            conflicts -= 1;
            return Promise.reject(new ConflictError('key', 'x'));
          },
        },
      }),
    });
    expect((await api.post('/key/generate', {})).status).toBe(200);
    conflicts = 100;
    const { status, body } = await api.post('/key/generate', {});
    expect([status, body.error.type]).toEqual([409, 'conflict_error']);
  });

  it('loses no update of two at the same time', async () => {
    await using api = await startManagement();
    const { body: made } = await api.post('/key/generate', {});
    await api.post('/team/new', { team_id: 't' });
    const fields = [{ max_budget: 1 }, { rpm_limit: 2 }, { tpm_limit: 3 }];
    await Promise.all(fields.map((sent) => api.post('/key/update', { key: made.key, ...sent })));
    const { body } = await api.get(`/key/info?key=${made.key}`);
    expect(body.info).toMatchObject({ max_budget: 1, rpm_limit: 2, tpm_limit: 3 });
  });

  it('answers what was written even when it cannot be published yet', async () => {
    await using api = await startManagement({
      ports: { onChange: () => Promise.reject(new Error('no Redis')) },
    });
    expect((await api.post('/key/generate', {})).status).toBe(200);
    expect(api.faults).toHaveLength(1);
    expect(await api.store.audit.count({})).toBe(1);
  });

  it('says nothing of its own faults', async () => {
    await using api = await startManagement({
      store: (store) => ({
        ...store,
        entities: {
          ...store.entities,
          write: () => Promise.reject(new Error('secret detail')),
        },
      }),
    });
    const { status, text } = await api.post('/key/generate', {});
    expect(status).toBe(500);
    expect(text).not.toContain('secret detail');
  });

  it('answers an unknown path, a large body and a deep one', async () => {
    await using api = await startManagement();
    expect(await api.get('/nothing')).toMatchObject({
      status: 404,
      body: { detail: expect.stringMatching(/^Not Found\. .* at a proxy/) },
    });
    const large = await api.post('/key/generate', { metadata: { a: 'x'.repeat(1_100_000) } });
    expect(large.status).toBe(413);
    const deep = await api.call('POST', '/key/generate', {
      body: `{"metadata":${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}}`,
    });
    expect(deep.status).toBe(400);
  });
});
