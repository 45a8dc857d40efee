import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Management, startManagement } from '../management.ts';

let api: Management;
beforeAll(async () => {
  api = await startManagement({
    settings: {
      fileModels: new Map([['f', { name: 'filed', accessGroups: [], provider: 'azure' as const }]]),
      fileAliases: ['alias'],
      fileSettings: {
        router_settings: { num_retries: 4 },
        litellm_settings: { request_timeout: 30, content_policy_fallbacks: [{ filed: ['alias'] }] },
      },
    },
  });
  await api.post('/model/new', {
    model_name: 'gpt-*',
    litellm_params: { model: 'azure/gpt-5' },
  });
});
afterAll(() => api[Symbol.asyncDispose]());

const stored = async (section = 'router_settings') =>
  (await api.store.entities.get('settings', section))?.document.values;

describe('settings', () => {
  it('are merged, published, and taken away with null', async () => {
    const { body } = await api.post('/config/update', {
      router_settings: { cooldown_time: 7, enable_pre_call_checks: true },
      litellm_settings: { max_budget: 100 },
    });
    expect(body).toEqual({ message: 'Config updated successfully' });
    expect(api.written).toContainEqual({ kind: 'settings', id: 'router_settings' });
    await api.post('/config/update', {
      router_settings: { cooldown_time: null, allowed_fails: 2 },
    });
    expect(await stored()).toEqual({ enable_pre_call_checks: true, allowed_fails: 2 });
    expect(await stored('litellm_settings')).toEqual({ max_budget: 100 });
  });

  it('are read-only where the file states them, in its words or in others that mean the same', async () => {
    for (const [section, name] of [
      ['router_settings', 'num_retries'],
      ['litellm_settings', 'num_retries'],
      ['router_settings', 'timeout'],
    ] as const) {
      const refused = await api.post('/config/update', { [section]: { [name]: 1 } });
      expect(refused.status).toBe(400);
      expect(refused.body.detail).toMatchObject({ keys: [name], section });
      expect(refused.body.detail.resolution).toContain('in the file');
    }
    const field = { field_name: 'num_retries', config_type: 'router_settings' };
    expect((await api.post('/config/field/delete', field)).status).toBe(400);
  });

  it('are refused whole when a part of them is wrong, and say what', async () => {
    const before = await stored();
    const refusals: [object, string][] = [
      [{ router_settings: { allowed_fails: 1, cooldown_time: 'soon' } }, 'cooldown_time'],
      [{ router_settings: { routing_strategy: 'os.environ/HOME' } }, 'configuration file'],
      [{ router_settings: { model_group_alias: { a: 'os.environ/X' } } }, 'configuration file'],
      [{ general_settings: { master_key: 'sk-mine' } }, 'general_settings.master_key'],
      [{ litellm_settings: { timezone: 'Asia/Tokyo' } }, 'litellm_settings.timezone'],
      [{ litellm_settings: { ssl_verify: false } }, 'unprotected'],
      [{ general_settings: { allowed_ips: ['1.2.3.4'] } }, 'general_settings.allowed_ips'],
      [{ environment_variables: { A: 'b' } }, 'environment_variables'],
    ];
    for (const [body, said] of refusals) {
      const { status, text } = await api.post('/config/update', body);
      expect([said, status, text.includes(said)]).toEqual([said, 400, true]);
    }
    expect(await stored()).toEqual(before);
  });

  it('without effect are named and not kept', async () => {
    const { headers } = await api.post('/config/update', {
      router_settings: { polling_interval: 1, no_such: 1, ['__proto__']: { a: 1 } },
      litellm_settings: { callbacks: ['langfuse'] },
    });
    expect(headers.get('x-aigateway-ignored')).toBe(
      'router_settings.polling_interval, router_settings.no_such, litellm_settings.callbacks',
    );
    const polluting = await api.call('POST', '/config/update', {
      body: '{"router_settings":{"__proto__":{"allowed_fails":9},"constructor":{"a":1}}}',
    });
    expect(polluting.headers.get('x-aigateway-ignored')).toBe('router_settings.constructor');
    expect(Object.keys((await stored()) ?? {})).toEqual([
      'enable_pre_call_checks',
      'allowed_fails',
    ]);
  });

  it('are changed one by one', async () => {
    const config_type = 'general_settings';
    const name = { field_name: 'completion_model', config_type };
    const { body } = await api.post('/config/field/update', { ...name, field_value: 'filed' });
    expect(body).toEqual({ param_name: config_type, param_value: { completion_model: 'filed' } });
    expect((await api.get('/config/field/info?field_name=completion_model')).body).toEqual({
      field_name: 'completion_model',
      field_value: 'filed',
      source: 'db',
      editable: true,
    });
    const deleted = await api.post('/config/field/delete', name);
    expect(deleted.body.param_value).toEqual({});
    expect((await api.get('/config/field/info?field_name=completion_model')).status).toBe(400);
    const unknown = { field_name: 'no_such', field_value: 1, config_type };
    expect((await api.post('/config/field/update', unknown)).status).toBe(400);
  });

  it('are listed with whoever owns them', async () => {
    const { body } = await api.get('/router/settings');
    expect(body.current_values).toMatchObject({ num_retries: 4, allowed_fails: 2 });
    expect(body.source).toMatchObject({ num_retries: 'config', allowed_fails: 'db' });
    const field = (name: string) =>
      body.fields.find(({ field_name }: { field_name: string }) => field_name === name);
    expect(field('num_retries')).toMatchObject({ field_type: 'Integer', field_value: 4 });
    expect(field('routing_strategy').options).toContain('least-busy');
    expect(field('fallbacks').field_type).toBe('List');
    expect(field('redis_password')).toBeUndefined();
    expect((await api.get('/router/fields')).body.fields[0].field_value).toBeNull();
    const listed = await api.get('/config/list?config_type=litellm_settings');
    const row = (name: string) =>
      listed.body.find(({ field_name }: { field_name: string }) => field_name === name);
    expect(row('request_timeout')).toMatchObject({ source: 'config', editable: false });
    expect(row('max_budget')).toMatchObject({ field_value: 100, stored_in_db: true });
    const names = (await api.get('/config/list')).body.map(
      ({ field_name }: { field_name: string }) => field_name,
    );
    expect(names).not.toContain('master_key');
    const callbacks = await api.get('/get/config/callbacks');
    expect(callbacks.body.router_settings.num_retries).toBe(4);
    expect((await api.get('/callbacks/list')).body.success).toEqual([]);
    const active = await api.get('/active/callbacks');
    expect(active.body).toMatchObject({
      all_litellm_callbacks: [],
      num_callbacks: 0,
      num_alerting: 0,
      'litellm.request_timeout': 30,
    });
    expect((await api.get('/settings')).body).toEqual(active.body);
    const tried = await api.get('/health/services?service=slack');
    expect([tried.status, tried.body.detail.error]).toEqual([
      422,
      expect.stringContaining('No such service is configured'),
    ]);
    const { body: reader } = await api.post('/key/generate', { key_type: 'read_only' });
    expect((await api.get('/health/services?service=slack', reader.key)).status).toBe(422);
    const gone = await api.post('/config/callback/delete', { callback_name: 'langfuse' });
    expect(gone.status).toBe(404);
  });
});

describe('fallbacks', () => {
  it('are set for a model, shown and taken away', async () => {
    const fallback = { model: 'gpt-4o', fallback_models: ['filed', 'alias'] };
    const made = await api.post('/fallback', fallback);
    expect(made.body).toEqual({
      ...fallback,
      fallback_type: 'general',
      message: 'Fallback configuration created successfully',
    });
    await api.post('/fallback', { model: 'filed', fallback_models: ['gpt-5'] });
    const changed = await api.post('/fallback', { model: 'gpt-4o', fallback_models: ['alias'] });
    expect(changed.body.message).toContain('updated');
    expect((await stored())?.['fallbacks']).toEqual([
      { 'gpt-4o': ['alias'] },
      { filed: ['gpt-5'] },
    ]);
    expect((await api.get('/fallback/gpt-4o')).body.fallback_models).toEqual(['alias']);
    expect((await api.get('/fallback/gpt-4o?fallback_type=context_window')).status).toBe(404);
    expect((await api.call('DELETE', '/fallback/gpt-4o')).status).toBe(200);
    expect((await api.call('DELETE', '/fallback/gpt-4o')).status).toBe(404);
    await api.call('DELETE', '/fallback/filed');
    expect(await stored()).not.toHaveProperty('fallbacks');
  });

  it('are refused for models there are not, for itself, and where the file has them', async () => {
    const status = async (body: object) => (await api.post('/fallback', body)).status;
    expect(await status({ model: 'nowhere', fallback_models: ['filed'] })).toBe(404);
    expect(await status({ model: 'filed', fallback_models: ['nowhere'] })).toBe(400);
    expect(await status({ model: 'filed', fallback_models: ['filed'] })).toBe(400);
    expect(await status({ model: 'filed', fallback_models: ['alias', 'alias'] })).toBe(400);
    const ofFile = { model: 'filed', fallback_type: 'content_policy' };
    const shown = await api.get('/fallback/filed?fallback_type=content_policy');
    expect(shown.body.fallback_models).toEqual(['alias']);
    expect(await status({ ...ofFile, fallback_models: ['gpt-5'] })).toBe(400);
    const deleted = await api.call('DELETE', '/fallback/filed?fallback_type=content_policy');
    expect(deleted.status).toBe(400);
  });
});
