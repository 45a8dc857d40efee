import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { usageRecord } from '../conformance/documents.ts';
import { makeUser, type Management, startManagement } from '../management.ts';

let api: Management;
beforeAll(async () => {
  api = await startManagement({ settings: { fileModels: new Set(['from-file']) } });
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
