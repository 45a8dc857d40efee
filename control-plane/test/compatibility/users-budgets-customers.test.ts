import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { usageRecord } from '../conformance/documents.ts';
import { type Management, startManagement } from '../management.ts';

let api: Management;
beforeAll(async () => {
  api = await startManagement();
});
afterAll(() => api[Symbol.asyncDispose]());

describe('users as LiteLLM has them', () => {
  it('makes a user with a key, in teams', async () => {
    await api.post('/team/new', { team_id: 'team' });
    const { body } = await api.post('/user/new', {
      user_id: 'ann',
      user_email: 'Ann@Example.com',
      user_role: 'internal_user',
      max_budget: 5,
      budget_duration: '1d',
      teams: ['team'],
      key_alias: 'ann-key',
    });
    expect(body).toMatchObject({
      user_id: 'ann',
      user_role: 'internal_user',
      teams: ['team'],
      key_alias: 'ann-key',
      max_budget: 5,
    });
    expect(body.key).toMatch(/^sk-/);
    const info = await api.get('/user/info?user_id=ann');
    expect(info.body).toMatchObject({
      user_id: 'ann',
      user_info: { teams: ['team'], budget_reset_at: '2026-11-22T00:00:00.000Z' },
      teams: [{ team_id: 'team' }],
    });
    // The budget is the user's: in the key as well it would count twice.
    expect(info.body.keys).toMatchObject([{ max_budget: null, user_id: 'ann' }]);
    expect((await api.get('/v2/user/info', body.key)).body.user_id).toBe('ann');
    const without = await api.post('/user/new', { user_id: 'bare', auto_create_key: false });
    expect(without.body).toMatchObject({ key: '', token: null, user_role: null });
  });

  it('refuses ids and addresses that are taken, and roles there are not', async () => {
    expect((await api.post('/user/new', { user_id: 'ann' })).status).toBe(409);
    expect((await api.post('/user/new', { user_email: 'ann@example.COM' })).status).toBe(409);
    expect((await api.post('/user/new', { user_role: 'god' })).status).toBe(422);
    expect((await api.post('/user/new', { user_id: 'default_user_id' })).status).toBe(400);
    expect((await api.get('/user/info?user_id=nobody')).status).toBe(404);
  });

  it('changes a user, and makes one that is not known', async () => {
    const { body } = await api.post('/user/update', {
      user_email: 'ann@example.com',
      max_budget: null,
    });
    expect(body).toMatchObject({
      user_id: 'ann',
      data: { max_budget: null, user_role: 'internal_user' },
    });
    const made = await api.post('/user/update', { user_id: 'unseen', user_alias: 'Un' });
    expect(made.body.data).toMatchObject({ user_alias: 'Un', user_role: null });
    const bulk = await api.post('/user/bulk_update', {
      users: [{ user_id: 'ann', rpm_limit: 3 }, {}],
    });
    expect(bulk.body).toMatchObject({ successful_updates: 1, failed_updates: 1 });
  });

  it('lists, filters and counts keys', async () => {
    const { body } = await api.get('/user/list?user_email=ANN');
    expect(body).toMatchObject({ total: 1, page: 1, page_size: 25, total_pages: 1 });
    expect(body.users[0]).toMatchObject({ user_id: 'ann', key_count: 1 });
    expect((await api.get('/user/list?team=team&role=internal_user')).body.total).toBe(1);
    expect((await api.get('/user/list?user_ids=ann,bare')).body.total).toBe(2);
    expect((await api.get('/user/available_roles')).body).toHaveProperty('proxy_admin');
    expect((await api.get('/user/available_users')).body.total_users_used).toBeGreaterThan(2);
  });

  it('deletes with keys and places, and answers how many', async () => {
    const { body: made } = await api.post('/user/new', {
      user_id: 'gone',
      teams: [{ team_id: 'team', user_role: 'admin' }],
    });
    expect((await api.post('/user/delete', { user_ids: ['gone', 'nobody'] })).body).toBe(1);
    expect((await api.get('/key/info', made.key)).status).toBe(401);
    const team = await api.get('/team/info?team_id=team');
    expect(JSON.stringify(team.body)).not.toContain('gone');
    expect((await api.post('/user/delete', { user_ids: ['gone'] })).status).toBe(404);
  });
});

describe('budgets as LiteLLM has them', () => {
  it('makes, changes, shows and lists', async () => {
    const { body } = await api.post('/budget/new', {
      budget_id: 'b',
      max_budget: 1,
      budget_duration: '1h',
    });
    expect(body).toMatchObject({
      budget_id: 'b',
      budget_reset_at: '2026-11-21T02:00:00.000Z',
      tpd_limit: null,
    });
    expect((await api.post('/budget/new', { budget_id: 'b' })).body.detail.error).toContain(
      'already exists',
    );
    expect((await api.post('/budget/update', { budget_id: 'b', rpm_limit: 4 })).body).toMatchObject(
      { max_budget: 1, rpm_limit: 4 },
    );
    expect((await api.post('/budget/info', { budgets: ['b', 'none'] })).body).toHaveLength(1);
    expect((await api.get('/budget/settings?budget_id=b')).body[0]).toMatchObject({
      field_name: 'max_budget',
      field_value: 1,
    });
    expect((await api.post('/budget/new', { budget_duration: 'never' })).status).toBe(400);
  });

  it('serves keys, and cannot be deleted while it does', async () => {
    const { body: key } = await api.post('/key/generate', { budget_id: 'b', soft_budget: 0.5 });
    expect(key).toMatchObject({
      budget_id: 'b',
      litellm_budget_table: { max_budget: 1, soft_budget: 0.5 },
    });
    expect((await api.post('/key/generate', { budget_id: 'none' })).status).toBe(400);
    expect((await api.post('/budget/delete', { id: 'b' })).status).toBe(400);
    await api.post('/key/delete', { keys: [key.key] });
    expect((await api.post('/budget/delete', { id: 'b' })).body.budget_id).toBe('b');
  });

  it('keeps the budget of a team’s members as long as there is the team', async () => {
    const { body } = await api.post('/team/new', { team_id: 'shares', team_member_budget: 1 });
    const id: string = body.metadata.team_member_budget_id;
    expect((await api.post('/budget/delete', { id })).status).toBe(400);
    await api.post('/team/delete', { team_ids: ['shares'] });
    expect((await api.post('/budget/delete', { id })).status).toBe(200);
  });
});

describe('customers as LiteLLM has them', () => {
  it('makes, changes and shows, with limits in a budget of their own', async () => {
    const { body } = await api.post('/customer/new', { user_id: 'c', alias: 'C', max_budget: 3 });
    expect(body).toMatchObject({
      user_id: 'c',
      blocked: false,
      litellm_budget_table: { max_budget: 3 },
    });
    const again = await api.post('/customer/new', { user_id: 'c' });
    expect(again.body.error).toMatchObject({ type: 'bad_request', param: 'user_id', code: '400' });
    const updated = await api.post('/end_user/update', { user_id: 'c', max_budget: 4 });
    expect(updated.body).toMatchObject({
      alias: 'C',
      budget_id: body.budget_id,
      litellm_budget_table: { max_budget: 4 },
    });
    expect(
      (await api.get('/end_user/info?end_user_id=c')).body.litellm_budget_table.max_budget,
    ).toBe(4);
    expect((await api.get('/customer/info?end_user_id=none')).body.error.type).toBe('not_found');
    expect((await api.get('/customer/info')).status).toBe(422);
  });

  it('shows and changes one whom only calls have named', async () => {
    const record = usageRecord({
      startedAt: api.clock.ms,
      customerId: 'seen',
      costNanoUsd: 2_000_000_000,
    });
    await api.store.ledger.append('producer', [{ sequence: 1, record }]);
    const { body } = await api.get('/customer/info?end_user_id=seen');
    expect(body).toMatchObject({ user_id: 'seen', spend: 2, budget_id: null, created_at: null });
    expect((await api.get('/customer/list')).body.slice(-1)).toEqual([body]);
    const changed = await api.post('/customer/update', { user_id: 'seen', max_budget: 5 });
    expect(changed.body).toMatchObject({ spend: 2, litellm_budget_table: { max_budget: 5 } });
    expect((await api.get('/customer/info?end_user_id=seen')).body.created_at).not.toBeNull();
    const listed = (await api.get('/customer/list')).body as { user_id: string }[];
    expect(listed.filter(({ user_id: id }) => id === 'seen')).toHaveLength(1);
  });

  it('blocks also those who were never seen, and deletes', async () => {
    const { body } = await api.post('/customer/block', { user_ids: ['c', 'stranger'] });
    expect(body.blocked_users.map(({ blocked }: { blocked: boolean }) => blocked)).toEqual([
      true,
      true,
    ]);
    expect((await api.post('/customer/unblock', { user_ids: ['c'] })).status).toBe(200);
    expect((await api.get('/customer/list')).body).toHaveLength(3);
    expect(
      (await api.post('/customer/delete', { user_ids: ['c', 'none'] })).body.deleted_customers,
    ).toBe(1);
    expect((await api.post('/customer/delete', { user_ids: ['c'] })).status).toBe(404);
  });
});
