import { noTokens, type UsageRecord } from '@aigateway/contract/usage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { usageRecord } from '../conformance/documents.ts';
import { makeUser, type Management, startManagement } from '../management.ts';

let api: Management;
beforeAll(async () => {
  api = await startManagement({
    settings: {
      fileModels: new Map([
        ['from-file', { name: 'filed', accessGroups: [], provider: 'azure' as const }],
      ]),
    },
  });
});
afterAll(() => api[Symbol.asyncDispose]());

const secret = 'canary-upstream-secret';

describe('models and credentials', () => {
  it('seals secrets and never shows them, wherever one looks', async () => {
    const { body } = await api.post('/model/new', {
      model_name: 'gpt-5',
      litellm_params: {
        model: 'azure/gpt-5',
        api_base: 'https://x.openai.azure.com',
        api_key: secret,
        extra_headers: { 'x-secret': secret },
        extra_body: { tracking: { token: secret } },
        client_secret: secret,
      },
      model_info: { id: 'm1', mode: 'chat' },
    });
    expect(body).toMatchObject({
      model_id: 'm1',
      model_name: 'gpt-5',
      model_info: { mode: 'chat', db_model: true },
    });
    expect(body.litellm_params).toEqual({
      model: 'azure/gpt-5',
      api_base: 'https://x.openai.azure.com',
    });
    const stored = await api.store.entities.get('model', 'm1');
    expect(stored?.document.litellm_params).toMatchObject({
      api_key: expect.stringMatching(/^sealed:/),
      client_secret: expect.stringMatching(/^sealed:/),
    });
    await api.post('/credentials', {
      credential_name: 'azure',
      credential_values: { api_key: secret, api_base: 'https://y', client_secret: secret },
    });
    const listed = await api.get('/credentials');
    expect(listed.body.credentials[0].credential_values).toEqual({
      api_key: '****',
      api_base: 'https://y',
      client_secret: '****',
    });
    const kept = [
      await api.store.audit.list({ limit: 100 }),
      stored,
      await api.store.entities.get('credential', 'azure'),
    ];
    expect(JSON.stringify(kept)).not.toContain(secret);
    expect(JSON.stringify(kept[0])).not.toContain('sealed:');
  });

  it('take no reference but to secrets of vaults that the operator gave free', async () => {
    const model = (params: object) =>
      api.post('/model/new', {
        model_name: 'evil',
        litellm_params: { model: 'azure/x', api_base: 'https://evil.example', ...params },
      });
    for (const params of [
      { api_key: 'os.environ/LITELLM_MASTER_KEY' },
      { extra_headers: { 'x-s': 'os.environ/AIGATEWAY_SECRET' } },
      { extra_body: { a: ['os.environ/AIGATEWAY_SECRET'] } },
      { azure_ad_token: 'oidc/file//etc/passwd' },
      { api_key: 'keyvault/other/azure-key' },
      { api_key: 'keyvault/azure-key' },
      { api_base: 'keyvault/given-free/azure-key' },
      { extra_headers: { 'x-s': 'keyvault/given-free/azure-key' } },
    ]) {
      const { status, body } = await model(params);
      expect(status).toBe(400);
      expect(body.error.message).toContain('for the configuration file');
    }
    const allowed = await api.post('/credentials', {
      credential_name: 'vaulted',
      credential_values: { api_key: 'keyvault/given-free/azure-key' },
    });
    expect(allowed.status).toBe(200);
    expect((await api.call('DELETE', '/credentials/vaulted')).status).toBe(200);
    const update = { model_info: { id: 'm1' }, litellm_params: { api_key: 'os.environ/HOME' } };
    expect((await api.post('/model/update', update)).status).toBe(400);
    const credential = { credential_name: 'evil', credential_values: { api_key: 'os.environ/X' } };
    expect((await api.post('/credentials', credential)).status).toBe(400);
  });

  it('forget their secrets where their address changes', async () => {
    const model = {
      model_name: 'moved',
      litellm_params: { model: 'azure/x', api_base: 'https://a.example', api_key: secret },
      model_info: { id: 'moved' },
    };
    await api.post('/model/new', model);
    const moved = { litellm_params: { api_base: 'https://b.example' } };
    await api.call('PATCH', '/model/moved/update', { body: moved });
    const stored = await api.store.entities.get('model', 'moved');
    expect(stored?.document.litellm_params).toEqual({
      model: 'azure/x',
      api_base: 'https://b.example',
    });
    await api.post('/model/delete', { id: 'moved' });
    const values = { api_base: 'https://a.example', api_key: secret };
    await api.post('/credentials', { credential_name: 'moved', credential_values: values });
    await api.call('PATCH', '/credentials/moved', {
      body: { credential_values: { api_base: 'https://b.example' } },
    });
    const credential = await api.store.entities.get('credential', 'moved');
    expect(credential?.document.credential_values).toEqual({ api_base: 'https://b.example' });
  });

  it('merges on update, refuses unknown ids and those of the file', async () => {
    const { body } = await api.post('/model/update', {
      model_info: { id: 'm1' },
      litellm_params: { rpm: 5, api_base: null },
    });
    expect(body.litellm_params).toEqual({ model: 'azure/gpt-5', rpm: 5 });
    const patched = await api.call('PATCH', '/model/m1/update', {
      body: { model_name: 'gpt-5-eu' },
    });
    expect(patched.body).toMatchObject({ model_name: 'gpt-5-eu', model_info: { mode: 'chat' } });
    const stored = await api.store.entities.get('model', 'm1');
    expect(stored?.document.litellm_params['api_key']).toMatch(/^sealed:/);
    expect((await api.post('/model/delete', { id: 'none' })).status).toBe(400);
    expect((await api.post('/model/delete', { id: 'from-file' })).body.detail.error).toContain(
      'configuration file',
    );
    expect(
      (
        await api.post('/model/new', {
          model_name: 'x',
          litellm_params: { model: 'azure/x' },
          model_info: { id: 'm1' },
        })
      ).status,
    ).toBe(400);
    expect((await api.post('/model/block', { model_id: 'm1' })).body.blocked).toBe(true);
    expect((await api.post('/model/unblock', { model_id: 'm1' })).body.blocked).toBe(false);
    const user = await makeUser(api, 'model-user', 'internal_user');
    expect((await api.post('/model/new', {}, user)).status).toBe(403);
  });

  it('keeps a credential that is in use', async () => {
    const used = await api.post('/model/new', {
      model_name: 'y',
      litellm_params: { model: 'azure/y', litellm_credential_name: 'azure' },
      model_info: { id: 'm2' },
    });
    expect(used.status).toBe(200);
    expect((await api.call('DELETE', '/credentials/azure')).status).toBe(400);
    const changed = await api.call('PATCH', '/credentials/azure', {
      body: {
        credential_values: { api_version: 'v1' },
        credential_values_to_delete: ['client_secret'],
      },
    });
    expect(changed.body).toEqual({ success: true, message: 'Credential updated successfully' });
    const shown = await api.get('/credentials/by_name/azure');
    expect(Object.keys(shown.body.credential_values)).toEqual([
      'api_key',
      'api_base',
      'api_version',
    ]);
    expect((await api.post('/model/delete', { id: 'm2' })).body.message).toBe(
      'Model: m2 deleted successfully',
    );
    expect((await api.get('/credentials/by_model/m1')).body.credential_values.api_key).toBe('****');
    expect((await api.call('DELETE', '/credentials/azure')).status).toBe(200);
    expect((await api.get('/credentials/by_name/azure')).status).toBe(404);
  });
});

/** Of what each day used: the members of LiteLLM's `SpendMetrics`, but for what caching of prompts saved, which is not known here. */
const litellmMetrics = [
  'spend',
  'flat_cost',
  'ptu_hours',
  'prompt_tokens',
  'completion_tokens',
  'cache_read_input_tokens',
  'cache_creation_input_tokens',
  'compression_saved_tokens',
  'compression_savings_spend',
  'gateway_injected_caching_savings_spend',
  'autorouter_savings_spend',
  'total_tokens',
  'successful_requests',
  'failed_requests',
  'api_requests',
  'total_response_time_ms',
  'timed_requests',
];

describe('spend and activity', () => {
  let key: { key: string; token: string; key_id: string };
  let other: string;

  beforeAll(async () => {
    other = await makeUser(api, 'other', 'internal_user');
    await makeUser(api, 'spender', 'internal_user');
    await api.post('/team/new', {
      team_id: 'spending',
      team_alias: 'the spenders',
      members_with_roles: [{ role: 'user', user_id: 'spender' }],
    });
    ({ body: key } = await api.post('/key/generate', {
      user_id: 'spender',
      team_id: 'spending',
      max_budget: 10,
      budget_duration: '1d',
    }));
    await api.post('/model/new', {
      model_name: 'gpt-5',
      litellm_params: { model: 'openai/gpt-5', api_base: 'https://x.example', api_key: 'x' },
      model_info: { id: 'compatible' },
    });
    const record = (day: string, usd: number, more: Partial<UsageRecord> = {}): UsageRecord => ({
      version: 1,
      requestId: `r-${day}-${usd}`,
      startedAt: Date.parse(`${day}T00:30:00Z`),
      durationMs: 1000,
      firstOutputMs: 200,
      keyId: key.key_id,
      ownerId: 'spending',
      teamId: 'spending',
      userId: 'spender',
      tags: ['blue'],
      model: 'gpt-5',
      operation: 'chat',
      deploymentId: 'compatible',
      stream: false,
      status: 200,
      outcome: 'completed',
      tokens: { ...noTokens, input: 100, output: 20, cachedInput: 10 },
      usageSource: 'measured',
      costNanoUsd: usd * 1e9,
      unpriced: false,
      attempts: [],
      ...more,
    });
    await api.store.ledger.append('p', [
      { sequence: 1, record: record('2026-11-19', 1, { customerId: 'buyer' }) },
      { sequence: 2, record: record('2026-11-20', 2, { outcome: 'failed', status: 502 }) },
      { sequence: 3, record: record('2026-11-21', 4) },
    ]);
  });

  it('counts a key’s spend in its window, and in all', async () => {
    const { body } = await api.get(`/key/info?key=${key.token}`);
    expect(body.info).toMatchObject({ spend: 4, total_spend: 7 });
    const team = await api.get('/team/info?team_id=spending');
    expect(team.body.team_info.spend).toBe(7);
    expect(
      team.body.team_memberships.find(({ user_id }: { user_id: string }) => user_id === 'spender'),
    ).toMatchObject({
      spend: 7,
      total_spend: 7,
    });
    const reset = await api.post(`/key/${key.token}/reset_spend`, { reset_to: 1 });
    expect(reset.body).toMatchObject({
      previous_spend: 4,
      spend: 1,
      budget_reset_at: '2026-11-22T00:00:00.000Z',
    });
    expect(api.resets.at(-1)).toEqual({ dimension: 'key', id: key.key_id, nanoUsd: 1e9 });
  });

  it('shows each day with models and keys told apart', async () => {
    const { body } = await api.get(
      '/user/daily/activity?start_date=2026-11-01&end_date=2026-11-30&page_size=2',
    );
    expect(body.results.map(({ date }: { date: string }) => date)).toEqual([
      '2026-11-21',
      '2026-11-20',
    ]);
    expect(body.results[0].metrics).toMatchObject({
      spend: 4,
      prompt_tokens: 100,
      completion_tokens: 20,
      cache_read_input_tokens: 10,
      total_tokens: 120,
      api_requests: 1,
      failed_requests: 0,
    });
    const [{ breakdown }] = body.results;
    expect(breakdown.models['gpt-5']).toMatchObject({ metrics: { spend: 4 }, metadata: {} });
    expect(breakdown.model_groups).toEqual(breakdown.models);
    expect(breakdown.providers.openai).toMatchObject({ metrics: { spend: 4 } });
    const ofKey = {
      metrics: { ...body.results[0].metrics },
      metadata: {
        key_alias: null,
        team_id: 'spending',
        user_id: 'spender',
        user_email: null,
        key_exists: true,
      },
    };
    expect(breakdown.api_keys).toEqual({ [key.token]: ofKey });
    expect(Object.keys(ofKey.metrics).toSorted()).toEqual(litellmMetrics.toSorted());
    const oneKey = await api.get(
      `/user/daily/activity?start_date=2026-11-21&end_date=2026-11-21&api_key=${key.token}`,
    );
    expect(oneKey.body.results[0].breakdown.models['gpt-5'].api_key_breakdown).toEqual({
      [key.token]: ofKey,
    });
    expect(body.metadata).toMatchObject({
      total_spend: 7,
      total_failed_requests: 1,
      total_cache_read_input_tokens: 30,
      total_pages: 2,
      has_more: true,
    });
    const team = await api.get(
      '/team/daily/activity?start_date=2026-11-01&end_date=2026-11-30&team_ids=spending',
    );
    expect(team.body.results[0].breakdown.entities.spending).toMatchObject({
      metrics: { spend: 4 },
      metadata: { team_alias: 'the spenders' },
      api_key_breakdown: { [key.token]: ofKey },
    });
    expect(team.body.results[0].breakdown.providers.openai.metrics.spend).toBe(4);
    const tags = await api.get(
      '/tag/daily/activity?start_date=2026-11-01&end_date=2026-11-30&tags=blue',
    );
    expect(tags.body.metadata.total_spend).toBe(7);
    expect((await api.get('/user/daily/activity')).status).toBe(400);
  });

  it('shows all days on one page, for each kind of holder, and counts one model alone', async () => {
    const dates = 'start_date=2026-11-01&end_date=2026-11-30';
    for (const entity of ['user', 'team', 'organization', 'customer', 'tag']) {
      const path = `/${entity}/daily/activity`;
      const pages = await api.get(`${path}?${dates}&page_size=1000`);
      const { body } = await api.get(`${path}/aggregated?${dates}`);
      expect([entity, body]).toEqual([entity, pages.body]);
    }
    const { body } = await api.get(`/user/daily/activity/aggregated?${dates}`);
    expect(body.results).toHaveLength(3);
    expect(body.metadata).toMatchObject({ page: 1, total_pages: 1, has_more: false });
    expect((await api.get('/user/daily/activity/aggregated')).status).toBe(400);

    for (const [model, spend] of [
      ['gpt-5', 7],
      ['another', 0],
    ] as const) {
      for (const entity of ['user', 'team', 'tag']) {
        const one = await api.get(`/${entity}/daily/activity?${dates}&model=${model}`);
        expect([entity, model, one.body.metadata.total_spend]).toEqual([entity, model, spend]);
      }
    }
    const ofTeam = await api.get(`/team/daily/activity?${dates}&model=gpt-5`);
    expect(ofTeam.body.results[0].breakdown.entities.spending.metrics.spend).toBe(4);
    expect(ofTeam.body.results[0].breakdown.api_keys).toEqual({});
    const ofAll = await api.get(`/user/daily/activity?${dates}&model=gpt-5`);
    expect(Object.keys(ofAll.body.results[0].breakdown.api_keys)).toEqual([key.token]);
    const ofKey = await api.get(`/team/daily/activity?${dates}&api_key=${key.token}`);
    expect(ofKey.headers.get('x-aigateway-ignored')).toBe('api_key');
  });

  it('shows single requests, page by page, and their sums by day', async () => {
    const page = await api.get(
      '/spend/logs/v2?start_date=2026-11-19%2000:00:00&end_date=2026-11-22%2000:00:00&page_size=2',
    );
    expect(page.body).toMatchObject({ total: 3, total_pages: 2, total_is_capped: false });
    expect(page.body.data[0]).toMatchObject({
      request_id: 'r-2026-11-21-4',
      call_type: 'acompletion',
      api_key: key.token,
      spend: 4,
      user: 'spender',
      status: 'success',
      startTime: '2026-11-21T00:30:00.000Z',
      endTime: '2026-11-21T00:30:01.000Z',
      messages: {},
    });
    const failed = await api.get(
      '/spend/logs/v2?start_date=2026-11-01%2000:00:00&end_date=2026-11-30%2000:00:00&status_filter=failure',
    );
    expect(failed.body.total).toBe(1);
    const days = await api.get(
      `/spend/logs?start_date=2026-11-20&end_date=2026-11-21&api_key=${key.token}`,
    );
    expect(days.body).toEqual([
      {
        startTime: '2026-11-20',
        spend: 2,
        users: { spender: 2 },
        models: { 'gpt-5': 2 },
        [key.token]: 2,
      },
      {
        startTime: '2026-11-21',
        spend: 4,
        users: { spender: 4 },
        models: { 'gpt-5': 4 },
        [key.token]: 4,
      },
    ]);
    expect((await api.get('/spend/logs?request_id=r-2026-11-19-1')).body).toHaveLength(1);
  });

  it('reports over the whole gateway to administrators alone', async () => {
    expect((await api.get('/global/spend')).body).toEqual({ spend: 7, max_budget: null });
    expect((await api.get('/global/spend/logs')).body).toEqual([
      { date: '2026-11-19', spend: 1 },
      { date: '2026-11-20', spend: 2 },
      { date: '2026-11-21', spend: 4 },
    ]);
    const ofKey = await api.get(`/global/spend/logs?api_key=${key.key}`);
    expect(ofKey.body[2]).toEqual({ date: '2026-11-21', spend: 4, api_key: key.token });
    expect((await api.get('/global/spend/keys')).body[0]).toMatchObject({
      api_key: key.token,
      total_spend: 7,
    });
    expect((await api.get('/global/spend/models')).body).toEqual([
      { model: 'gpt-5', total_spend: 7 },
    ]);
    expect((await api.get('/global/spend/teams')).body).toEqual({
      daily_spend: [
        { date: '2026-11-19', 'the spenders': 1 },
        { date: '2026-11-20', 'the spenders': 2 },
        { date: '2026-11-21', 'the spenders': 4 },
      ],
      teams: ['the spenders'],
      total_spend_per_team: [{ team_id: 'the spenders', total_spend: 7 }],
    });
    expect((await api.get('/global/activity')).body).toMatchObject({
      sum_api_requests: 3,
      sum_total_tokens: 360,
    });
    expect((await api.get('/global/activity')).body.daily_data[0].date).toBe('Nov 19');
    expect((await api.get('/spend/tags')).body).toEqual([
      { individual_request_tag: 'blue', log_count: 3, total_spend: 7 },
    ]);
    expect((await api.get('/spend/keys?limit=1')).body[0].total_spend).toBe(7);
    const users = await api.get('/spend/users?user_id=spender');
    expect(users.body).toMatchObject([{ user_id: 'spender', spend: 7 }]);
    expect((await api.get('/global/spend', other)).status).toBe(401);
  });

  it('shows to a user its own and nothing else', async () => {
    const logs = await api.get(
      '/spend/logs/v2?start_date=2026-11-01%2000:00:00&end_date=2026-11-30%2000:00:00',
      other,
    );
    expect(logs.body.total).toBe(0);
    expect((await api.get('/spend/logs', other)).body).toEqual([]);
    expect((await api.get('/spend/users?user_id=spender', other)).status).toBe(403);
    expect((await api.get('/spend/users', other)).body).toMatchObject([{ user_id: 'other' }]);
    const nothing = { daily_data: [], sum_api_requests: 0, sum_total_tokens: 0 };
    expect((await api.get('/global/activity', other)).body).toEqual(nothing);
    const days = 'start_date=2026-11-01&end_date=2026-11-30';
    expect((await api.get(`/global/activity/model?${days}`, other)).body).toEqual([]);
    expect((await api.get(`/global/activity/model?${days}`, key.key)).body).toMatchObject([
      { model: 'gpt-5', sum_api_requests: 3 },
    ]);
    expect((await api.get('/spend/logs?user_id=spender', other)).status).toBe(403);
    const activity = await api.get(
      '/user/daily/activity?start_date=2026-11-01&end_date=2026-11-30',
      other,
    );
    expect(activity.body.metadata.total_spend).toBe(0);
    const byKey = await api.get(
      `/user/daily/activity?start_date=2026-11-01&end_date=2026-11-30&api_key=${key.token}`,
      other,
    );
    expect(byKey.body.metadata.total_spend).toBe(0);
    expect(
      (await api.get('/tag/daily/activity?start_date=2026-11-01&end_date=2026-11-30', other))
        .status,
    ).toBe(403);
  });

  it('reports by day and team, by key, customer, tag, provider and model', async () => {
    const days = 'start_date=2026-11-01&end_date=2026-11-30';
    const models = [{ model: 'gpt-5', spend: 4, total_tokens: 120 }];
    const byTeam = (await api.get(`/global/spend/report?${days}`)).body;
    expect(byTeam.map((row: { group_by_day: string }) => row.group_by_day)).toEqual([
      '2026-11-19T00:00:00+00:00',
      '2026-11-20T00:00:00+00:00',
      '2026-11-21T00:00:00+00:00',
    ]);
    expect(byTeam[2].teams).toEqual([
      { team_id: 'spending', team_name: 'the spenders', total_spend: 4, metadata: models },
    ]);
    const ofTeam = await api.get(`/global/spend/report?${days}&team_id=spending`);
    expect(ofTeam.body).toEqual(byTeam);
    const byKey = [
      {
        api_key: key.token,
        total_cost: 7,
        total_input_tokens: 300,
        total_output_tokens: 60,
        model_details: [
          { model: 'gpt-5', total_cost: 7, total_input_tokens: 300, total_output_tokens: 60 },
        ],
      },
    ];
    expect((await api.get(`/global/spend/report?${days}&group_by=api_key`)).body).toEqual(byKey);
    for (const path of [
      `/global/spend/report?${days}&api_key=${key.token}`,
      `/global/spend/report?${days}&internal_user_id=spender`,
      `/key/spend/report?${days}&api_key=${key.token}`,
      `/user/spend/report?${days}&internal_user_id=spender`,
      `/team/spend/report?${days}&team_id=spending`,
    ])
      expect([path, (await api.get(path)).body]).toEqual([path, byKey]);
    for (const entity of ['key', 'user'])
      expect((await api.get(`/${entity}/spend/report?${days}`, key.key)).body).toEqual(byKey);
    const both = `/global/spend/report?${days}&team_id=spending&customer_id=buyer`;
    expect((await api.get(both)).status).toBe(400);
    const refused: [string, string | undefined, number][] = [
      [`/key/spend/report?${days}&api_key=${key.token}`, other, 200],
      [`/user/spend/report?${days}&internal_user_id=spender`, other, 403],
      [`/user/spend/report?${days}`, undefined, 200],
      [`/team/spend/report?${days}&team_id=spending`, other, 403],
      [`/team/spend/report?${days}&team_id=none`, other, 403],
      [`/team/spend/report?${days}`, undefined, 400],
      [`/team/spend/report?${days}`, other, 400],
      [`/organization/spend/report?${days}&organization_id=none`, other, 403],
      ['/team/spend/report?team_id=spending', undefined, 400],
      [
        '/team/spend/report?team_id=spending&start_date=2026-11-02&end_date=2026-11-01',
        undefined,
        400,
      ],
    ];
    for (const [path, as, status] of refused) {
      const answer = await (as === undefined ? api.get(path) : api.get(path, as));
      expect([path, answer.status]).toEqual([path, status]);
      if (status === 200) expect(answer.body).toEqual([]);
    }
    expect((await api.get(`/global/spend/report?${days}&group_by=customer`)).body[0]).toEqual({
      group_by_day: '2026-11-19T00:00:00+00:00',
      customers: [
        {
          customer: 'buyer',
          total_spend: 1,
          metadata: [{ model: 'gpt-5', spend: 1, total_tokens: 120 }],
        },
      ],
    });
    expect((await api.get(`/global/spend/tags?${days}&tags=blue,none`)).body).toEqual({
      spend_per_tag: [{ name: 'blue', spend: 7, log_count: 3 }],
    });
    const everyTag = await api.get(`/global/spend/tags?${days}&tags=all-tags`);
    expect(everyTag.body.spend_per_tag).toHaveLength(1);
    expect((await api.get('/global/spend/all_tag_names')).body).toEqual({ tag_names: ['blue'] });
    const longAgo = { startTime: '2020-01-01', endTime: '2020-01-02' };
    expect((await api.post('/global/spend/end_users', longAgo)).body).toEqual([]);
    expect((await api.post('/global/spend/end_users')).body).toEqual([
      { end_user: 'buyer', total_count: 1, total_spend: 1 },
    ]);
    expect((await api.post('/global/spend/end_users', { api_key: key.key })).body).toHaveLength(1);
    expect((await api.post('/global/spend/end_users', { api_key: 'none' })).body).toEqual([]);
    expect((await api.get(`/global/spend/provider?${days}`)).body).toEqual([
      { provider: 'openai', spend: 7 },
    ]);
    const day = (date: string) => ({
      model_group: 'gpt-5',
      date,
      api_requests: 1,
      total_tokens: 120,
    });
    expect((await api.get(`/global/activity/model?${days}`)).body).toEqual([
      {
        model: 'gpt-5',
        daily_data: ['Nov 19', 'Nov 20', 'Nov 21'].map(day),
        sum_api_requests: 3,
        sum_total_tokens: 360,
      },
    ]);
    for (const path of ['report', 'tags', 'provider']) {
      expect((await api.get(`/global/spend/${path}`)).status).toBe(400);
    }
  });

  it('shows budgets of providers with what their deployments spent', async () => {
    expect((await api.get('/provider/budgets')).body).toEqual({ providers: {} });
    const provider_budget_config = { openai: { budget_limit: 9, time_period: '1d' } };
    await api.post('/config/update', { router_settings: { provider_budget_config } });
    expect((await api.get('/provider/budgets')).body).toEqual({
      providers: {
        openai: {
          budget_limit: 9,
          time_period: '1d',
          spend: 4,
          budget_reset_at: '2026-11-22T00:00:00.000Z',
        },
      },
    });
  });

  it('shows one request, and rows for a spreadsheet that are no formulas', async () => {
    const path = '/spend/logs/ui/r-2026-11-21-4';
    expect((await api.get(path)).body).toMatchObject({ spend: 4, messages: {}, end_user: '' });
    expect((await api.get(path, other)).status).toBe(404);
    const days = 'start_date=2026-11-01&end_date=2026-11-19';
    const { body, headers } = await api.get(`/customer/daily/activity/export?${days}`);
    expect(headers.get('content-type')).toContain('text/csv');
    expect(body).toBe(
      'date,id,spend,prompt_tokens,completion_tokens,cache_read_input_tokens,cache_creation_input_tokens,total_tokens,successful_requests,failed_requests,api_requests\r\n' +
        '2026-11-19,buyer,1,100,20,10,0,120,1,0,1\r\n',
    );
    await api.store.ledger.append('formulas', [
      { sequence: 1, record: usageRecord({ customerId: '=1+"1"', startedAt: 0 }) },
    ]);
    const odd = 'start_date=1970-01-01&end_date=1970-01-01';
    const rows = await api.get(`/customer/daily/activity/export?${odd}`);
    expect(rows.text).toContain(`1970-01-01,"'=1+""1""",`);
    const json = await api.get(`/tag/daily/activity/export?${days}&format=json`);
    expect(json.body).toMatchObject([{ date: '2026-11-19', id: 'blue', spend: 1 }]);
    expect((await api.get(`/customer/daily/activity/export?${days}`, other)).status).toBe(403);
  });

  it('shows what nobody holds beside the others, and what an organization spent with its teams', async () => {
    const record = usageRecord({
      keyId: key.key_id,
      organizationId: 'org',
      teamId: undefined,
      customerId: undefined,
      model: 'gpt-5',
      costNanoUsd: 3e9,
      startedAt: Date.parse('2026-11-18T10:00:00Z'),
    });
    await api.store.ledger.append('of-nobody', [{ sequence: 1, record }]);
    const days = 'start_date=2026-11-18&end_date=2026-11-18';
    const [byTeam] = (await api.get(`/global/spend/report?${days}`)).body;
    expect(byTeam.teams).toMatchObject([
      { team_id: null, team_name: 'Unassigned Team', total_spend: 3 },
    ]);
    const [byCustomer] = (await api.get(`/global/spend/report?${days}&group_by=customer`)).body;
    expect(byCustomer.customers).toMatchObject([{ customer: '', total_spend: 3 }]);
    expect((await api.get('/global/spend/teams')).body).toMatchObject({
      daily_spend: [{ date: '2026-11-18', Unassigned: 3 }, {}, {}, {}],
      total_spend_per_team: [{}, { team_id: 'Unassigned', total_spend: 3 }],
    });
    const report = await api.get(`/organization/spend/report?${days}&organization_id=org`);
    expect(report.body).toMatchObject([
      {
        api_key: key.token,
        total_cost: 3,
        model_details: [{ team_id: 'spending', model: 'gpt-5', total_cost: 3 }],
      },
    ]);
  });

  it('resets a member of a team for those who administer it', async () => {
    const path = '/team/spending/member/spender/reset_spend';
    expect((await api.post(path, { reset_to: 1 }, other)).status).toBe(404);
    expect((await api.post(path, { reset_to: 8 })).status).toBe(400);
    expect((await api.post(path, { reset_to: 1 })).body).toEqual({
      team_id: 'spending',
      user_id: 'spender',
      spend: 1,
      previous_spend: 7,
      max_budget: null,
    });
    expect(api.resets.at(-1)).toEqual({
      dimension: 'member',
      id: 'spending:spender',
      nanoUsd: 1e9,
    });
    expect((await api.post('/team/spending/member/nobody/reset_budget')).status).toBe(404);
  });

  it('reports to users on their own keys and the teams they administer', async () => {
    const days = 'start_date=2026-11-01&end_date=2026-11-30';
    expect((await api.get(`/key/spend/report?${days}`, other)).body).toEqual([]);
    const foreign = `/key/spend/report?${days}&api_key=${key.token}`;
    expect((await api.get(foreign, other)).body).toEqual([]);
    expect((await api.get(`/key/spend/report?${days}`, key.key)).body).toHaveLength(1);
    // A member who does not administer the team, and then one whom the team lets see it.
    expect((await api.get(`/team/spend/report?${days}`, key.key)).status).toBe(403);
    await api.post('/team/permissions_update', {
      team_id: 'spending',
      team_member_permissions: ['/team/daily/activity'],
    });
    expect((await api.get(`/team/spend/report?${days}`, key.key)).body).toHaveLength(1);
    expect((await api.get(`/global/spend/report?${days}`, other)).status).toBe(401);
  });

  it('resets everything for the master key alone', async () => {
    const admin = await makeUser(api, 'an-admin', 'proxy_admin');
    expect((await api.post('/global/spend/reset', undefined, admin)).status).toBe(401);
    const before = api.resets.length;
    expect((await api.post('/global/spend/reset')).body.status).toBe('success');
    const keys = await api.store.entities.count('key');
    const teams = await api.store.entities.count('team');
    expect(api.resets.length - before).toBe(keys + teams);
  });
});

describe('audit log', () => {
  it('is shown in LiteLLM’s form, page by page, and exported as it is chained', async () => {
    const total = await api.store.audit.count({});
    const { body } = await api.get('/audit?page=2&page_size=3');
    expect(body).toMatchObject({ total, page: 2, page_size: 3, total_pages: Math.ceil(total / 3) });
    expect(body.audit_logs.map(({ id }: { id: string }) => Number(id))).toEqual([
      total - 3,
      total - 4,
      total - 5,
    ]);
    const models = await api.get('/audit?table_name=LiteLLM_ProxyModelTable&action=created');
    expect(models.body.audit_logs.at(-1)).toMatchObject({
      object_id: 'm1',
      changed_by: 'default_user_id',
      before_value: null,
      updated_values: { model_name: 'gpt-5' },
    });
    expect((await api.get('/audit/1')).body.id).toBe('1');
    expect((await api.get('/audit/999999')).status).toBe(404);
    const exported = await api.get('/manage/audit/export?from=2&limit=2');
    const lines = exported.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ sequence }) => sequence)).toEqual([2, 3]);
    expect(lines[0].hash).toMatch(/^[0-9a-f]{64}$/);
  });
});
