import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeUser, type Management, startManagement } from '../management.ts';

describe('teams as LiteLLM has them', () => {
  let api: Management;
  beforeAll(async () => {
    api = await startManagement();
  });
  afterAll(() => api[Symbol.asyncDispose]());

  it('makes a team with the caller as its administrator', async () => {
    const { body } = await api.post('/team/new', {
      team_id: 'made',
      team_alias: 'Made',
      models: ['m'],
      max_budget: 10,
      budget_duration: '1mo',
      model_aliases: { fast: 'm' },
      team_member_budget: 2,
    });
    expect(body).toMatchObject({
      team_id: 'made',
      members_with_roles: [{ role: 'admin', user_id: 'default_user_id', user_email: null }],
      litellm_model_table: { model_aliases: { fast: 'm' } },
      budget_reset_at: '2026-12-01T00:00:00.000Z',
      blocked: false,
      spend: 0,
    });
    const budgetId = body.metadata.team_member_budget_id;
    const budgets = await api.post('/budget/info', { budgets: [budgetId] });
    expect(budgets.body[0].max_budget).toBe(2);
    const again = await api.post('/team/new', { team_id: 'made' });
    expect(again.status).toBe(400);
    expect(again.body.detail.error).toContain('already exists');
  });

  it('changes what is sent and keeps the members’ budget when metadata is replaced', async () => {
    const { body: made } = await api.post('/team/new', {
      team_id: 'changed',
      team_member_budget: 1,
    });
    const { body } = await api.post('/team/update', {
      team_id: 'changed',
      metadata: { team_member_budget_id: 'forged', a: 1 },
      team_member_budget: 3,
    });
    expect(body).toMatchObject({ team_id: 'changed', data: { metadata: { a: 1 } } });
    expect(body.data.metadata.team_member_budget_id).toBe(made.metadata.team_member_budget_id);
    const patched = await api.call('PATCH', '/team/changed', { body: { team_alias: 'New' } });
    expect(patched.body).toMatchObject({ team_alias: 'New', metadata: { a: 1 } });
    const info = await api.get('/team/info?team_id=changed');
    expect(info.body.team_info.team_member_budget_table.max_budget).toBe(3);
    expect((await api.post('/team/update', { team_id: 'none' })).status).toBe(404);
    expect((await api.get('/team/info?team_id=none')).status).toBe(404);
  });

  it('adds members, making users who are not known, and refuses one twice', async () => {
    await api.post('/team/new', { team_id: 'grown' });
    const { body } = await api.post('/team/member_add', {
      team_id: 'grown',
      member: [
        { role: 'user', user_id: 'new-one' },
        { role: 'user', user_email: 'Two@Example.com' },
      ],
      max_budget_in_team: 5,
    });
    expect(body.updated_users).toHaveLength(2);
    expect(body.updated_team_memberships[0]).toMatchObject({
      user_id: 'new-one',
      budget_source: 'membership',
      litellm_budget_table: { max_budget: 5 },
    });
    expect((await api.get('/user/info?user_id=new-one')).body.user_info).toMatchObject({
      user_role: null,
      teams: ['grown'],
    });
    const again = await api.post('/team/member_add', {
      team_id: 'grown',
      member: { role: 'user', user_id: 'new-one' },
    });
    expect(again.status).toBe(400);
    expect(again.body.error.type).toBe('team_member_already_in_team');
    const bulk = await api.post('/team/bulk_member_add', {
      team_id: 'grown',
      members: [
        { role: 'user', user_id: 'new-one' },
        { role: 'user', user_id: 'three' },
      ],
    });
    expect(bulk.body).toMatchObject({ successful_additions: 1, failed_additions: 1 });
    const updated = await api.post('/team/member_update', {
      team_id: 'grown',
      user_email: 'two@example.com',
      role: 'admin',
      max_budget_in_team: 8,
    });
    expect(updated.body).toMatchObject({ role: 'admin', max_budget_in_team: 8 });
  });

  it('takes a member out with the keys it had there', async () => {
    const key = await makeUser(api, 'leaver', 'internal_user');
    await api.post('/team/new', {
      team_id: 'left',
      members_with_roles: [{ role: 'user', user_id: 'leaver' }],
      team_member_permissions: ['/key/generate'],
    });
    const made = await api.post('/key/generate', { team_id: 'left' }, key);
    expect(made.status).toBe(200);
    const { body } = await api.post('/team/member_delete', { team_id: 'left', user_id: 'leaver' });
    expect(body.members_with_roles).toHaveLength(1);
    expect((await api.get('/key/info', made.body.key)).status).toBe(401);
    expect((await api.get('/key/info', key)).status).toBe(200);
    const again = await api.post('/team/member_delete', { team_id: 'left', user_id: 'leaver' });
    expect(again.status).toBe(400);
  });

  it('lets members do with the team’s keys what it permits, and nothing more', async () => {
    const key = await makeUser(api, 'member', 'internal_user');
    await api.post('/team/new', {
      team_id: 'strict',
      members_with_roles: [{ role: 'user', user_id: 'member' }],
    });
    const { body: ofTeam } = await api.post('/key/generate', { team_id: 'strict' });
    expect((await api.get(`/key/info?key=${ofTeam.token}`, key)).status).toBe(200);
    expect((await api.post('/key/update', { key: ofTeam.token }, key)).status).toBe(403);
    expect((await api.post('/key/generate', { team_id: 'strict' }, key)).status).toBe(403);
    const { body } = await api.post('/team/permissions_update', {
      team_id: 'strict',
      team_member_permissions: ['/key/update'],
    });
    expect(body.all_available_permissions).toContain('/key/generate');
    expect((await api.post('/key/update', { key: ofTeam.token, tags: ['x'] }, key)).status).toBe(
      200,
    );
    expect((await api.post('/key/delete', { keys: [ofTeam.token] }, key)).status).toBe(403);
    const unknown = await api.post('/team/permissions_update', {
      team_id: 'strict',
      team_member_permissions: ['/user/new'],
    });
    expect(unknown.status).toBe(400);
    const listed = await api.get('/team/permissions_list?team_id=strict', key);
    expect(listed.body.team_member_permissions).toEqual(['/key/update']);
  });

  it('adds and takes models, and never widens to all of them by accident', async () => {
    await api.post('/team/new', { team_id: 'models', models: ['a'] });
    const add = await api.post('/team/model/add', { team_id: 'models', models: ['b', 'a'] });
    expect(add.body.models).toEqual(['a', 'b']);
    const take = await api.post('/team/model/delete', { team_id: 'models', models: ['a'] });
    expect(take.body.models).toEqual(['b']);
    expect(
      (await api.post('/team/model/delete', { team_id: 'models', models: ['b'] })).status,
    ).toBe(400);
  });

  it('lists: bare with keys and members, and page by page', async () => {
    const { body } = await api.get('/team/list');
    const made = body.find(({ team_id }: { team_id: string }) => team_id === 'strict');
    expect(made.keys).toHaveLength(1);
    expect(made.team_memberships).toHaveLength(2);
    const page = await api.get('/v2/team/list?page_size=2&page=2&sort_by=team_id');
    expect(page.body).toMatchObject({ page: 2, page_size: 2, total: body.length });
    expect(page.body.teams).toHaveLength(2);
    const found = await api.get('/v2/team/list?search=MADE');
    expect(found.body.teams.map(({ team_id }: { team_id: string }) => team_id)).toEqual(['made']);
    const own = await api.get('/team/list?user_id=member');
    expect(own.body.map(({ team_id }: { team_id: string }) => team_id)).toEqual(['strict']);
  });

  it('blocks, and deletes with its keys', async () => {
    await api.post('/team/new', { team_id: 'gone' });
    const { body: key } = await api.post('/key/generate', { team_id: 'gone' });
    expect((await api.post('/team/block', { team_id: 'gone' })).body.blocked).toBe(true);
    expect((await api.post('/team/unblock', { team_id: 'gone' })).body.blocked).toBe(false);
    const { body } = await api.post('/team/delete', { team_ids: ['gone'] });
    expect(body).toEqual({ deleted_teams: ['gone'] });
    expect((await api.get('/key/info', key.key)).status).toBe(401);
    const again = await api.post('/team/delete', { team_ids: ['gone'] });
    expect(again.status).toBe(404);
    expect(again.body.detail.error).toContain('Team not found');
  });

  it('keeps a team within its organization, whose administrators run it', async () => {
    await api.post('/organization/new', {
      organization_id: 'org',
      organization_alias: 'Org',
      models: ['a', 'b'],
      max_budget: 100,
    });
    const key = await makeUser(api, 'org-lead', 'internal_user');
    const added = await api.post('/organization/member_add', {
      organization_id: 'org',
      member: { role: 'org_admin', user_id: 'org-lead' },
    });
    expect(added.body.updated_organization_memberships).toHaveLength(1);
    const make = (fields: object) =>
      api.post('/team/new', { organization_id: 'org', ...fields }, key);
    expect((await make({ team_id: 'o1', models: ['a'], max_budget: 10 })).status).toBe(200);
    expect((await make({ models: ['c'] })).status).toBe(400);
    expect((await make({ max_budget: 101 })).status).toBe(400);
    expect((await api.post('/team/new', {}, key)).status).toBe(401);
    expect((await api.post('/team/new', { organization_id: 'other' }, key)).status).toBe(401);
    expect((await api.post('/team/new', { organization_id: 'other' })).status).toBe(400);
    expect((await api.post('/team/update', { team_id: 'o1', max_budget: 20 }, key)).status).toBe(
      200,
    );
    const list = await api.get('/organization/list', key);
    expect(list.body).toMatchObject([{ organization_id: 'org', teams: [{ team_id: 'o1' }] }]);
    const raised = await api.call('PATCH', '/organization/update', {
      key,
      body: { organization_id: 'org', max_budget: 1000 },
    });
    expect(raised.status).toBe(403);
    const renamed = await api.call('PATCH', '/v2/organization/org', {
      key,
      body: { organization_alias: 'Ours' },
    });
    expect(renamed.body).toMatchObject({
      organization_alias: 'Ours',
      litellm_budget_table: { max_budget: 100 },
    });
    const unknown = await api.call('PATCH', '/v2/organization/org', { key, body: { nothing: 1 } });
    expect(unknown.status).toBe(422);
    const held = await api.call('DELETE', '/organization/delete', {
      body: { organization_ids: ['org'] },
    });
    expect(held.status).toBe(400);
    await api.call('PATCH', '/organization/member_update', {
      body: { organization_id: 'org', user_id: 'org-lead', role: 'internal_user' },
    });
    expect((await api.get('/organization/info?organization_id=org', key)).status).toBe(404);
    await api.call('DELETE', '/organization/member_delete', {
      body: { organization_id: 'org', user_id: 'org-lead' },
    });
    await api.post('/team/delete', { team_ids: ['o1'] });
    const deleted = await api.call('DELETE', '/organization/delete', {
      body: { organization_ids: ['org'] },
    });
    expect(deleted.body).toMatchObject([{ organization_id: 'org' }]);
  });
});
