import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { usageRecord } from '../conformance/documents.ts';
import { makeUser, type Management, startManagement } from '../management.ts';

let api: Management;
beforeAll(async () => {
  api = await startManagement({
    settings: {
      fileModels: new Map([
        ['from-file', { name: 'filed', accessGroups: ['filed-group'], provider: 'azure' as const }],
      ]),
    },
  });
  for (const id of ['m1', 'm2']) {
    await api.post('/model/new', {
      model_name: `model-${id}`,
      litellm_params: { model: `azure/${id}` },
      model_info: { id },
    });
  }
});
afterAll(() => api[Symbol.asyncDispose]());

const tagsOf = async (id: string) =>
  (await api.store.entities.get('model', id))?.document.litellm_params['tags'];

describe('tags', () => {
  it('are made with limits, and put on deployments', async () => {
    const { body } = await api.post('/tag/new', {
      name: 'research',
      description: 'for papers',
      models: ['m1'],
      max_budget: 5,
      budget_duration: '30d',
    });
    expect(body).toMatchObject({
      message: 'Tag research created successfully',
      tag: {
        name: 'research',
        models: ['m1'],
        model_info: { m1: 'model-m1' },
        litellm_budget_table: { max_budget: 5, budget_duration: '30d' },
      },
    });
    expect(await tagsOf('m1')).toEqual(['research']);
    expect(api.written).toContainEqual({ kind: 'model', id: 'm1' });
    const info = await api.post('/tag/info', { names: ['research', 'none'] });
    expect(Object.keys(info.body)).toEqual(['research']);
    expect((await api.post('/budget/delete', { id: body.tag.budget_id })).status).toBe(400);
  });

  it('are not made twice, and on no model that is not there or stands in the file', async () => {
    expect((await api.post('/tag/new', { name: 'research' })).status).toBe(400);
    for (const models of [['nowhere'], ['from-file']]) {
      const refused = await api.post('/tag/new', { name: 'other', models });
      expect(refused.status).toBe(400);
    }
    expect((await api.post('/tag/info', { names: ['other'] })).status).toBe(404);
  });

  it('leave a deployment no more open than it was', async () => {
    const last = await api.post('/tag/update', { name: 'research', models: ['m2'] });
    expect(last.status).toBe(400);
    expect(last.body.detail.error).toContain('would then serve every request');
    await api.post('/tag/new', { name: 'second', models: ['m1'] });
    const { body } = await api.post('/tag/update', { name: 'research', models: ['m2'] });
    expect(body.tag).toMatchObject({ description: 'for papers', models: ['m2'] });
    expect([await tagsOf('m1'), await tagsOf('m2')]).toEqual([['second'], ['research']]);
    expect((await api.post('/tag/delete', { name: 'research' })).body).toEqual({
      message: 'Tag research deleted successfully',
    });
    expect(await tagsOf('m2')).toEqual(['research']);
    expect((await api.post('/tag/delete', { name: 'research' })).status).toBe(404);
  });

  it('lists those of requests as well, and to a user those of its own keys alone', async () => {
    const record = usageRecord({
      startedAt: api.clock.ms,
      costNanoUsd: 2_000_000_000,
      tags: ['seen'],
    });
    await api.store.ledger.append('p', [{ sequence: 1, record }]);
    const { body } = await api.get('/tag/list');
    expect(body.find((row: { name: string }) => row.name === 'seen')).toMatchObject({
      spend: 2,
      created_at: null,
    });
    expect(body.some((row: { name: string }) => row.name === 'second')).toBe(true);
    await makeUser(api, 'tagger', 'internal_user');
    const { body: own } = await api.post('/key/generate', { user_id: 'tagger', tags: ['mine'] });
    expect((await api.get('/tag/list', own.key)).body).toMatchObject([{ name: 'mine', spend: 0 }]);
  });
});

describe('access groups by id', () => {
  const made = async (fields: object) =>
    (await api.post('/v1/access_group', { access_model_names: ['model-m1'], ...fields })).body;

  it('are made, shown, changed and deleted, and no name is given twice', async () => {
    const { status, body } = await api.post('/v1/access_group', {
      access_group_name: 'basics',
      description: 'for all',
      access_model_names: ['model-m1'],
    });
    expect(status).toBe(201);
    const path = `/v1/access_group/${body.access_group_id}`;
    expect((await api.get(path)).body).toEqual(body);
    expect((await api.get('/v1/unified_access_group')).body).toContainEqual(body);
    expect((await api.post('/v1/access_group', { access_group_name: 'basics' })).status).toBe(409);
    const changed = await api.call('PUT', path, { body: { access_model_names: ['model-*'] } });
    expect(changed.body).toMatchObject({
      access_group_name: 'basics',
      description: 'for all',
      access_model_names: ['model-*'],
    });
    const deleted = await api.call('DELETE', path);
    expect([deleted.status, deleted.text]).toEqual([204, '']);
    expect((await api.get(path)).status).toBe(404);
  });

  it('are given to keys and teams from either side', async () => {
    const group = await made({ access_group_name: 'given' });
    const id = group.access_group_id;
    const { body: key } = await api.post('/key/generate', {
      models: ['own'],
      access_group_ids: [id],
    });
    await api.post('/team/new', { team_id: 'grouped', models: ['own'] });
    expect(key.access_group_ids).toEqual([id]);
    const path = `/v1/access_group/${id}`;
    const assigned = await api.call('PUT', path, { body: { assigned_team_ids: ['grouped'] } });
    expect(assigned.body).toMatchObject({
      assigned_team_ids: ['grouped'],
      assigned_key_ids: [key.token],
    });
    expect(api.written).toContainEqual({ kind: 'team', id: 'grouped' });
    const info = await api.get('/team/info?team_id=grouped');
    expect(info.body.team_info.access_group_ids).toEqual([id]);
    expect((await api.call('DELETE', path)).status).toBe(400);
    const freed = await api.call('PUT', path, {
      body: { assigned_team_ids: [], assigned_key_ids: [] },
    });
    expect(freed.body).toMatchObject({ assigned_team_ids: [], assigned_key_ids: [] });
    expect((await api.get(`/key/info?key=${key.key}`)).body.info.access_group_ids).toEqual([]);
    expect((await api.call('DELETE', path)).status).toBe(204);
    const unknown = await api.post('/key/generate', { access_group_ids: [id] });
    expect(unknown.status).toBe(400);
  });

  it('do not leave a key with every model when they are taken away', async () => {
    const { access_group_id: id } = await made({ access_group_name: 'only' });
    const { body: key } = await api.post('/key/generate', { access_group_ids: [id] });
    const refused = await api.call('PUT', `/v1/access_group/${id}`, {
      body: { assigned_key_ids: [] },
    });
    expect(refused.status).toBe(400);
    expect((await api.get(`/key/info?key=${key.key}`)).body.info.access_group_ids).toEqual([id]);
  });

  it('are for administrators to give, and bound what their holders hand on', async () => {
    const { access_group_id: id } = await made({ access_group_name: 'bounding' });
    await makeUser(api, 'bounded', 'internal_user');
    const { body: own } = await api.post('/key/generate', {
      user_id: 'bounded',
      access_group_ids: [id],
    });
    const { body: handed } = await api.post('/key/generate', {}, own.key);
    expect(handed).toMatchObject({ models: [], access_group_ids: [id] });
    const wide = await api.post('/key/generate', { models: ['model-m2'] }, own.key);
    expect([wide.status, wide.body.error.param]).toEqual([403, 'models']);
    const narrow = await api.post('/key/generate', { models: ['model-m1'] }, own.key);
    expect(narrow.status).toBe(200);
    const { access_group_id: other } = await made({ access_group_name: 'other' });
    for (const path of ['/key/generate', '/key/update']) {
      const body = { key: own.key, access_group_ids: [other] };
      const refused = await api.post(
        path,
        path === '/key/update' ? body : { ...body, key: undefined },
        own.key,
      );
      expect([refused.status, refused.body.error.param]).toEqual([403, 'access_group_ids']);
    }
  });
});

describe('access groups by word', () => {
  const wordsOf = async (id: string) =>
    (await api.store.entities.get('model', id))?.document.model_info['access_groups'];

  it('stand with the deployments, by name or by id', async () => {
    const { body } = await api.post('/access_group/new', {
      access_group: 'beta',
      model_names: ['model-m1'],
    });
    expect(body).toMatchObject({ access_group: 'beta', models_updated: 1 });
    expect(await wordsOf('m1')).toEqual(['beta']);
    expect(
      (await api.post('/access_group/new', { access_group: 'beta', model_ids: ['m1'] })).status,
    ).toBe(409);
    const updated = await api.call('PUT', '/access_group/beta/update', {
      body: { model_ids: ['m2'] },
    });
    expect(updated.body.models_updated).toBe(1);
    expect([await wordsOf('m1'), await wordsOf('m2')]).toEqual([[], ['beta']]);
    expect((await api.get('/access_group/beta/info')).body).toEqual({
      access_group: 'beta',
      model_names: ['model-m2'],
      deployment_count: 1,
    });
    const deleted = await api.call('DELETE', '/access_group/beta/delete');
    expect(deleted.body).toMatchObject({ models_updated: 1 });
    expect((await api.get('/access_group/beta/info')).status).toBe(404);
  });

  it('are shown where the file gives them, and changed there', async () => {
    const listed = await api.get('/access_group/list');
    expect(listed.body.access_groups).toContainEqual({
      access_group: 'filed-group',
      model_names: ['filed'],
      deployment_count: 1,
    });
    const body = { model_ids: ['m1'] };
    expect((await api.call('PUT', '/access_group/filed-group/update', { body })).status).toBe(400);
    expect((await api.call('DELETE', '/access_group/filed-group/delete')).status).toBe(400);
    const named = { access_group: 'new', model_names: ['filed'] };
    expect((await api.post('/access_group/new', named)).status).toBe(400);
    expect((await api.post('/access_group/new', { access_group: 'new' })).status).toBe(400);
  });
});
