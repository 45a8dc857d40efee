import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { usageRecord } from './conformance/documents.ts';
import { makeUser, type Management, startManagement } from './management.ts';

describe('projects and tokens', () => {
  let api: Management;
  beforeAll(async () => {
    api = await startManagement();
  });
  afterAll(() => api[Symbol.asyncDispose]());

  it('are teams and keys', async () => {
    const { status, body: project } = await api.post('/manage/projects', {
      name: 'Chat',
      models: ['m'],
      max_budget: 9,
    });
    expect(status).toBe(201);
    const team = await api.get(`/team/info?team_id=${project.id}`);
    expect(team.body.team_info).toMatchObject({ team_alias: 'Chat', models: ['m'], max_budget: 9 });
    const { body: token } = await api.post('/manage/tokens', {
      project_id: project.id,
      name: 'ci',
      expires_in: '1h',
      max_requests: 100,
    });
    expect(token).toMatchObject({ project_id: project.id, max_requests: 100, status: 'active' });
    const key = await api.get('/key/info', token.secret);
    expect(key.body.info).toMatchObject({ key_id: token.id, key_alias: 'ci', team_id: project.id });
    const shown = await api.get(`/manage/tokens/${token.id}`);
    expect(shown.text).not.toContain(token.secret);
    const { body: turned } = await api.post(`/manage/tokens/${token.id}/rotate`, {
      grace_period: '10m',
    });
    expect(turned.id).toBe(token.id);
    expect((await api.get('/key/info', turned.secret)).status).toBe(200);
    expect((await api.get('/key/info', token.secret)).status).toBe(200);
    api.clock.ms += 600_000;
    expect((await api.get('/key/info', token.secret)).status).toBe(401);
    const blocked = await api.call('PATCH', `/manage/tokens/${token.id}`, {
      body: { blocked: true },
    });
    expect(blocked.body.status).toBe('revoked');
    expect((await api.get('/key/info', turned.secret)).status).toBe(401);
    expect((await api.call('DELETE', `/manage/projects/${project.id}`)).body.deleted).toBe(true);
    expect((await api.get(`/manage/tokens/${token.id}`)).status).toBe(404);
  });

  it('have limits for single models', async () => {
    const limits = {
      model_rpm_limit: { m: 5 },
      model_tpm_limit: { 'n-*': 100 },
      model_max_budget: { m: { max_budget: 1, budget_duration: '1d' } },
    };
    const { body: project } = await api.post('/manage/projects', { name: 'Models', ...limits });
    expect(project).toMatchObject(limits);
    const { body: token } = await api.post('/manage/tokens', { project_id: project.id, ...limits });
    expect(token).toMatchObject(limits);
    const changed = await api.call('PATCH', `/manage/projects/${project.id}`, {
      body: { model_rpm_limit: { m: 6 }, model_tpm_limit: null, model_max_budget: null },
    });
    const left = { model_rpm_limit: { m: 6 }, model_tpm_limit: null, model_max_budget: {} };
    expect(changed.body).toMatchObject(left);
    const team = await api.get(`/team/info?team_id=${project.id}`);
    expect(team.body.team_info).toMatchObject(left);
  });

  it('refuse fields they do not know', async () => {
    const { status, body } = await api.post('/manage/projects', { name: 'x', colour: 'red' });
    expect([status, body.detail[0].loc]).toEqual([422, ['body', 'colour']]);
    expect((await api.post('/manage/projects', { name: 'x', credential: 'none' })).status).toBe(
      400,
    );
  });

  it('show to the holder of a key of nobody that key alone', async () => {
    const { body: project } = await api.post('/manage/projects', { name: 'Private' });
    const make = async () =>
      (await api.post('/manage/tokens', { project_id: project.id })).body as {
        id: string;
        secret: string;
      };
    const [one] = [await make(), await make()];
    for (const query of ['', `?project_id=${project.id}`]) {
      const { body } = await api.get(`/manage/tokens${query}`, one.secret);
      expect(body.data.map(({ id }: { id: string }) => id)).toEqual([one.id]);
    }
  });
});

describe('the report on keys', () => {
  it('counts them by state, age, owner and last use', async () => {
    await using api = await startManagement();
    await api.post('/team/new', { team_id: 'search' });
    const { body: old } = await api.post('/key/generate', { team_id: 'search' });
    await api.post('/key/generate', { team_id: 'search', duration: '1d' });
    api.clock.ms += 40 * 86_400_000;
    await makeUser(api, 'ann', 'internal_user');
    const { body: lone } = await api.post('/key/generate', {});
    await api.post('/key/block', { key: lone.key });
    const record = usageRecord({ keyId: old.key_id, startedAt: api.clock.ms - 8 * 86_400_000 });
    await api.store.ledger.append('p', [{ sequence: 1, record }]);
    const { body } = await api.get('/manage/keys/report');
    expect(body).toEqual({
      keys: 4,
      status: { active: 2, expired: 1, revoked: 1 },
      age: { 'under 7 days': 2, 'under 90 days': 2 },
      owner: { 'team search': 2, nobody: 1, 'user ann': 1 },
      last_use: { never: 3, 'under 30 days': 1 },
    });
    // A key says so of itself, to the hour.
    const { startedAt } = record;
    const shown = await api.get(`/key/info?key=${old.key}`);
    expect(Date.parse(shown.body.info.last_active)).toBe(startedAt - (startedAt % 3_600_000));
    expect((await api.get(`/key/info?key=${lone.key}`)).body.info.last_active).toBeNull();
    const { text } = await api.get('/manage/keys/report?format=text');
    expect(text.split('\n')[0]).toBe('       4  keys');
    expect(text).toContain('\nlast use\n       3  never\n');
    const user = await makeUser(api, 'bob', 'internal_user');
    expect((await api.get('/manage/keys/report', user)).status).toBe(401);
  });
});
