import { describe, expect, it } from 'vitest';
import { verify } from '../src/store/audit.ts';
import { makeUser, startManagement } from './management.ts';

describe('audit', () => {
  it('leaves one record for a call that changed something: who, what, before and after', async () => {
    await using api = await startManagement();
    const key = await makeUser(api, 'ann', 'proxy_admin');
    const { body: made } = await api.post('/key/generate', { key_alias: 'a', max_budget: 1 }, key);
    const { headers } = await api.call('POST', '/key/update', {
      key,
      headers: { 'litellm-changed-by': 'bob' },
      body: { key: made.key, max_budget: 2 },
    });
    const [updated, created] = await api.store.audit.list({ limit: 2 });
    expect(updated).toMatchObject({
      actor: 'ann',
      actorRole: 'proxy_admin',
      onBehalfOf: 'bob',
      action: 'updated',
      objectKind: 'key',
      objectId: made.key_id,
      route: '/key/update',
      requestId: headers.get('x-request-id'),
      before: { [`key/${made.key_id}`]: { max_budget: 1 } },
    });
    expect(updated?.after).toEqual({
      [`key/${made.key_id}`]: { max_budget: 2 },
    });
    expect(created).toMatchObject({ action: 'created', before: null });
  });

  it('leaves none for what only reads and for what is refused', async () => {
    await using api = await startManagement();
    await api.post('/key/generate', {});
    const before = await api.store.audit.count({});
    await api.get('/key/list');
    await api.post('/v2/key/info', { keys: [] });
    await api.post('/key/update', { key: 'sk-unknown' });
    await api.post('/key/generate', { max_budget: 'x' });
    await api.post('/key/generate', {}, null);
    expect(await api.store.audit.count({})).toBe(before);
  });

  it('never holds a secret or its hash', async () => {
    await using api = await startManagement();
    const { body: one } = await api.post('/key/generate', {});
    const { body: two } = await api.post('/key/regenerate', { key: one.key });
    await api.post('/key/block', { key: two.key });
    await api.post('/key/delete', { keys: [two.key] });
    expect(await verify(api.store.audit)).toMatchObject({ intact: true });
    const text = JSON.stringify(await api.store.audit.list({ limit: 100 }));
    for (const secret of [one.key, one.token, two.key, two.token])
      expect(text).not.toContain(secret);
  });
});
