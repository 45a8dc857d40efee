import { hashSecret } from '@aigateway/contract/key';
import { describe, expect, it } from 'vitest';
import { makeUser, masterKey, startManagement } from '../management.ts';

describe('keys as LiteLLM has them', () => {
  it('makes a key, shows its secret once, and answers every field', async () => {
    await using api = await startManagement();
    const { status, body } = await api.post('/key/generate', {
      key_alias: 'team-bot',
      models: ['gpt-5'],
      max_budget: 10,
      budget_duration: '7d',
      duration: '30d',
      metadata: { owner: 'me' },
      rpm_limit: 60,
    });
    expect(status).toBe(200);
    expect(body.key).toMatch(/^sk-[\w-]{22}$/);
    expect(body.token).toBe(hashSecret(body.key));
    expect(body.token_id).toBe(body.token);
    expect(body.key_name).toBe(`sk-...${body.key.slice(-4)}`);
    expect(body).toMatchObject({
      key_alias: 'team-bot',
      models: ['gpt-5'],
      max_budget: 10,
      budget_duration: '7d',
      budget_reset_at: '2026-11-23T00:00:00.000Z',
      expires: '2026-12-21T01:00:00.000Z',
      metadata: { owner: 'me' },
      spend: 0,
      rpm_limit: 60,
      tpm_limit: null,
      blocked: null,
      aliases: {},
      user_id: null,
      created_by: 'default_user_id',
    });
    expect(api.written).toEqual([{ kind: 'key', id: body.key_id }]);
    const info = await api.get(`/key/info?key=${body.key}`);
    expect(info.body.key).toBe(body.key);
    expect(info.body.info).not.toHaveProperty('token');
    expect(info.body.info).toMatchObject({ key_alias: 'team-bot', status: 'active' });
    // Only where the caller named it itself.
    expect(info.text.split(body.key)).toHaveLength(2);
    expect((await api.get(`/key/info?key=${body.token}`)).body.info.key_id).toBe(body.key_id);
    expect((await api.get(`/key/info?key=${body.key_id}`)).body.info.key_id).toBe(body.key_id);
  });

  it('shows a caller its own key when none is named', async () => {
    await using api = await startManagement();
    const { body } = await api.post('/key/generate', { key_alias: 'me' });
    const own = await api.get('/key/info', body.key);
    expect(own.body).toMatchObject({ key: body.token, info: { key_alias: 'me' } });
    expect((await api.get('/key/info', masterKey)).status).toBe(404);
  });

  it('takes a value of the caller’s own, and never overwrites an existing key with it', async () => {
    await using api = await startManagement();
    const key = 'sk-my-own-value-0123';
    expect((await api.post('/key/generate', { key, key_alias: 'first' })).body.key).toBe(key);
    const again = await api.post('/key/generate', { key, key_alias: 'second' });
    expect(again.status).toBe(400);
    expect(again.body.error).toMatchObject({
      type: 'bad_request_error',
      param: 'key',
      code: '400',
    });
    expect(again.body.error.message).toContain('not overwritten');
    expect((await api.get(`/key/info?key=${key}`)).body.info.key_alias).toBe('first');
    for (const bad of ['pk-0123456789abcdef', 'sk-short', `sk-${'é'.repeat(20)}`]) {
      expect((await api.post('/key/generate', { key: bad })).status).toBe(400);
    }
    await using strict = await startManagement({ settings: { customKeys: false } });
    expect((await strict.post('/key/generate', { key })).status).toBe(400);
  });

  it('refuses an alias that another key has', async () => {
    await using api = await startManagement();
    await api.post('/key/generate', { key_alias: 'one' });
    const again = await api.post('/key/generate', { key_alias: 'one' });
    expect(again.status).toBe(400);
    expect(again.body.error).toMatchObject({ type: 'bad_request_error', param: 'key_alias' });
  });

  it('of two makers of one alias at the same time lets one through', async () => {
    await using api = await startManagement();
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => api.post('/key/generate', { key_alias: 'contended' })),
    );
    expect(answers.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([
      200, 400, 400, 400, 400,
    ]);
  });

  it('changes what is sent, replaces metadata as a whole, and clears with null', async () => {
    await using api = await startManagement();
    const { body: made } = await api.post('/key/generate', {
      metadata: { a: 1, b: 2 },
      max_budget: 5,
      models: ['m1'],
      rpm_limit: 3,
      duration: '1h',
    });
    const { body } = await api.post('/key/update', {
      key: made.key,
      metadata: { b: 3 },
      max_budget: null,
    });
    expect(body).toMatchObject({
      key: made.key,
      metadata: { b: 3 },
      max_budget: null,
      models: ['m1'],
      rpm_limit: 3,
      expires: made.expires,
    });
    const cleared = await api.post('/key/update', {
      key: made.token,
      duration: '-1',
      models: null,
    });
    expect(cleared.body).toMatchObject({ key: made.token, expires: null, models: [] });
    expect((await api.post('/key/update', { key: 'sk-unknown-unknown' })).body.error).toMatchObject(
      {
        type: 'not_found_error',
        param: 'key',
        code: '404',
      },
    );
  });

  it('says which fields have no effect, and refuses those that ask for a protection it has not', async () => {
    await using api = await startManagement();
    const { headers, body } = await api.post('/key/generate', {
      agent_id: 'a1',
      no_such_field: 1,
      'evil\r\nheader': 1,
      guardrails: [],
    });
    expect(headers.get('x-aigateway-ignored')).toBe('no_such_field, evil??header, agent_id');
    expect(body.agent_id).toBe('a1');
    const refused = await api.post('/key/generate', { guardrails: ['pii'] });
    expect(refused.status).toBe(400);
    expect(refused.body.error.param).toBe('guardrails');
  });

  it('answers wrong types, missing fields and bad JSON as LiteLLM’s framework does', async () => {
    await using api = await startManagement();
    const wrong = await api.post('/key/generate', { max_budget: 'much', models: 'gpt-5' });
    expect(wrong.status).toBe(422);
    expect(wrong.body.detail.map(({ loc }: { loc: string[] }) => loc)).toEqual([
      ['body', 'models'],
      ['body', 'max_budget'],
    ]);
    const missing = await api.post('/key/update', {});
    expect(missing.body).toEqual({
      detail: [{ type: 'missing', loc: ['body', 'key'], msg: 'Field required' }],
    });
    const broken = await api.call('POST', '/key/generate', { body: '{"a":' });
    expect(broken.body.detail[0]).toMatchObject({ type: 'json_invalid', loc: ['body'] });
    expect((await api.get('/key/list?size=1000')).status).toBe(422);
    expect((await api.post('/key/generate', { budget_duration: '1y' })).status).toBe(400);
    expect((await api.post('/key/generate', { duration: 'soon' })).status).toBe(400);
  });

  it('lists page by page, with filters and orders', async () => {
    await using api = await startManagement();
    for (const [index, alias] of ['alpha', 'beta', 'gamma'].entries()) {
      api.clock.ms += 1000;
      await api.post('/key/generate', {
        key_alias: alias,
        user_id: index === 0 ? 'u1' : 'u2',
        ...(alias === 'beta' && { duration: '1s' }),
      });
    }
    api.clock.ms += 5000;
    const names = async (query: string) =>
      (await api.get(`/key/list?return_full_object=true&${query}`)).body.keys.map(
        ({ key_alias }: { key_alias: string }) => key_alias,
      );
    expect(await names('')).toEqual(['gamma', 'beta', 'alpha']);
    expect(await names('sort_order=asc')).toEqual(['alpha', 'beta', 'gamma']);
    expect(await names('size=2&page=2')).toEqual(['alpha']);
    expect(await names('user_id=u2')).toEqual(['gamma', 'beta']);
    expect(await names('key_alias=bet')).toEqual([]);
    expect(await names('key_alias=bet&substring_matching=true')).toEqual(['beta']);
    expect(await names('search=ALPH')).toEqual(['alpha']);
    expect(await names('search=%25')).toEqual([]);
    expect(await names('status=expired')).toEqual(['beta']);
    expect(await names('sort_by=key_alias&sort_order=asc')).toEqual(['alpha', 'beta', 'gamma']);
    const bare = await api.get('/key/list?size=2');
    expect(bare.body).toMatchObject({ total_count: 3, current_page: 1, total_pages: 2 });
    expect(bare.body.keys[0]).toMatch(/^[0-9a-f]{64}$/);
    expect((await api.get('/key/aliases?search=a')).body.aliases).toEqual([
      'alpha',
      'beta',
      'gamma',
    ]);
  });

  it('gives several keys at once and leaves out those that do not exist', async () => {
    await using api = await startManagement();
    const { body: made } = await api.post('/key/generate', {});
    const { body } = await api.post('/v2/key/info', { keys: [made.key, 'sk-nothing'] });
    expect(body.key).toEqual([made.key, 'sk-nothing']);
    expect(body.info.map(({ token }: { token: string }) => token)).toEqual([made.token]);
  });

  it('blocks and unblocks', async () => {
    await using api = await startManagement();
    const { body: made } = await api.post('/key/generate', {});
    expect((await api.post('/key/block', { key: made.key })).body.blocked).toBe(true);
    const refused = await api.get('/key/info', made.key);
    expect(refused.status).toBe(401);
    expect(refused.body.error).toMatchObject({ type: 'auth_error', param: 'None', code: '401' });
    expect((await api.get(`/key/info?key=${made.key}`)).body.info.status).toBe('revoked');
    expect((await api.post('/key/unblock', { key: made.key })).body.blocked).toBe(false);
    expect((await api.get('/key/info', made.key)).status).toBe(200);
  });

  it('deletes by value, hash and alias', async () => {
    await using api = await startManagement();
    const make = async (alias: string) =>
      (await api.post('/key/generate', { key_alias: alias })).body;
    const [one, two, three] = [await make('a'), await make('b'), await make('c')];
    const { body } = await api.post('/key/delete', { keys: [one.key, two.token] });
    expect(body).toEqual({ deleted_keys: [one.key, two.token] });
    expect((await api.post('/key/delete', { key_aliases: ['c'] })).body.deleted_keys).toEqual([
      'c',
    ]);
    expect((await api.post('/key/delete', { keys: [three.key] })).status).toBe(404);
    expect((await api.get('/key/info', one.key)).status).toBe(401);
  });

  it('regenerates: the id stays, secrets overlap for the grace period and no longer', async () => {
    await using api = await startManagement();
    const { body: made } = await api.post('/key/generate', { key_alias: 'turning', max_budget: 7 });
    const { body: next } = await api.post(`/key/${made.token}/regenerate`, { grace_period: '1h' });
    expect(next.key).not.toBe(made.key);
    expect(next).toMatchObject({
      key_id: made.key_id,
      key_alias: 'turning',
      max_budget: 7,
      rotation_count: 1,
    });
    expect((await api.get('/key/info', made.key)).status).toBe(200);
    expect((await api.get('/key/info', next.key)).status).toBe(200);
    api.clock.ms += 3_600_000;
    expect((await api.get('/key/info', made.key)).status).toBe(401);
    const { body: last } = await api.post('/key/regenerate', {
      key: next.key,
      new_key: 'sk-chosen-by-me-0123',
      max_budget: 9,
    });
    expect(last).toMatchObject({ key: 'sk-chosen-by-me-0123', max_budget: 9, rotation_count: 2 });
    expect((await api.get('/key/info', next.key)).status).toBe(401);
    const stored = await api.store.entities.get('key', made.key_id);
    expect(stored?.document.secrets).toHaveLength(1);
  });

  it('changes many keys, each for itself', async () => {
    await using api = await startManagement();
    const { body: made } = await api.post('/key/generate', {});
    const { body } = await api.post('/key/bulk_update', {
      keys: [
        { key: made.key, max_budget: 3, tags: ['x'] },
        { key: 'sk-unknown', max_budget: 3 },
        { key: made.token, budget_id: 'no-such-budget' },
      ],
    });
    expect(body.total_requested).toBe(3);
    expect(body.successful_updates).toHaveLength(1);
    expect(body.successful_updates[0].key_info).toMatchObject({ max_budget: 3, tags: ['x'] });
    expect(body.failed_updates).toHaveLength(2);
  });

  it('makes service accounts for teams only', async () => {
    await using api = await startManagement();
    expect((await api.post('/key/service-account/generate', {})).body).toEqual({
      detail: 'team_id is required for service account keys.',
    });
    await api.post('/team/new', { team_id: 't1' });
    const { body } = await api.post('/key/service-account/generate', {
      team_id: 't1',
      key_alias: 'ci',
    });
    expect(body).toMatchObject({
      user_id: null,
      team_id: 't1',
      metadata: { service_account_id: 'ci' },
    });
    const updated = await api.post('/key/update', {
      key: body.key,
      metadata: { service_account_id: 'x' },
    });
    expect(updated.body.metadata).toEqual({ service_account_id: 'ci' });
  });

  it('sets what was spent through the keeper of spend', async () => {
    await using api = await startManagement();
    const { body: made } = await api.post('/key/generate', { spend: 1.5 });
    expect(api.resets).toEqual([{ dimension: 'key', id: made.key_id, nanoUsd: 1_500_000_000 }]);
    const { body } = await api.post(`/key/${made.token}/reset_spend`, { reset_to: 0 });
    expect(body).toMatchObject({ key_hash: made.token, spend: 0, previous_spend: 1.5 });
    expect(api.resets).toHaveLength(2);
    expect((await api.post(`/key/${made.token}/reset_spend`, { reset_to: 4 })).status).toBe(400);
  });

  it('lets whoever holds a key end it', async () => {
    await using api = await startManagement();
    const { body: made } = await api.post('/key/generate', {});
    const { body: next } = await api.post('/key/regenerate', { key: made.key, grace_period: '1d' });
    // The old secret leaked: it goes, and the key works on with its new one.
    const old = await api.post('/manage/keys/revoke', { key: made.key }, null);
    expect(old.body).toEqual({ key_id: made.key_id, revoked: 'secret' });
    expect((await api.get('/key/info', made.key)).status).toBe(401);
    expect((await api.get('/key/info', next.key)).status).toBe(200);
    const current = await api.post('/manage/keys/revoke', { key: next.key }, null);
    expect(current.body).toEqual({ key_id: made.key_id, revoked: 'key' });
    expect((await api.get('/key/info', next.key)).status).toBe(401);
    expect((await api.post('/manage/keys/revoke', { key: 'sk-unknown' }, null)).status).toBe(404);
    // A hash is known to many more than hold the key.
    expect((await api.post('/manage/keys/revoke', { key: next.token }, null)).status).toBe(404);
  });

  it('fills and caps from the configuration', async () => {
    await using api = await startManagement({
      settings: {
        keyDefaults: { rpm_limit: 5 },
        keyUpperBounds: { max_budget: 10, duration: '30d' },
      },
    });
    expect((await api.post('/key/generate', {})).body).toMatchObject({
      rpm_limit: 5,
      max_budget: 10,
      expires: '2026-12-21T01:00:00.000Z',
    });
    const above = await api.post('/key/generate', { max_budget: 11 });
    expect(above.body.detail.error).toContain('is over max limit set in config');
    expect((await api.post('/key/generate', { duration: '31d' })).status).toBe(400);
    expect((await api.post('/key/generate', { duration: '-1' })).status).toBe(400);
  });

  it('lets nobody exceed a configured cap by a change', async () => {
    await using api = await startManagement({ settings: { keyUpperBounds: { max_budget: 10 } } });
    const { key } = (await api.post('/key/generate', {})).body;
    for (const [path, body] of [
      ['/key/update', { key, max_budget: 11 }],
      ['/key/update', { key, max_budget: null }],
      ['/key/regenerate', { key, max_budget: 11 }],
      ['/key/bulk_update', { keys: [{ key, max_budget: 11 }] }],
    ] as const) {
      await api.post(path, body);
      expect([path, (await api.get(`/key/info?key=${key}`)).body.info.max_budget]).toEqual([
        path,
        10,
      ]);
    }
    expect((await api.post('/key/update', { key, max_budget: 11 })).status).toBe(400);
    expect((await api.post('/key/update', { key, max_budget: 9 })).status).toBe(200);
    expect((await api.get(`/key/info?key=${key}`)).body.info.max_budget).toBe(9);
  });

  it('tells that a key is healthy', async () => {
    await using api = await startManagement();
    const key = await makeUser(api, 'u', 'internal_user_viewer');
    expect((await api.post('/key/health', undefined, key)).body).toEqual({
      key: 'healthy',
      logging_callbacks: null,
    });
  });
});
