import { hashSecret } from '@aigateway/contract/key';
import { describe, expect, it } from 'vitest';
import { masterKey, startManagement } from '../management.ts';

describe('keys', () => {
  it('makes a key as LiteLLM answers it', async () => {
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
    expect(info.text.split(body.key)).toHaveLength(2);
    expect((await api.get(`/key/info?key=${body.token}`)).body.info.key_id).toBe(body.key_id);
  });
  it('shows a caller its own key when none is named', async () => {
    await using api = await startManagement();
    const { body } = await api.post('/key/generate', { key_alias: 'me' });
    const own = await api.get('/key/info', body.key);
    expect(own.body).toMatchObject({ key: body.token, info: { key_alias: 'me' } });
    expect((await api.get('/key/info', masterKey)).status).toBe(404);
  });
});
