import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { usageRecord } from './conformance/documents.ts';
import { type Answer, startManagement, type Management } from './management.ts';

/* What is taken and does nothing is named, and what would leave something unprotected is refused: in each part of a request. */

const ignoredBy = ({ headers }: Answer) => headers.get('x-aigateway-ignored');
const startedAt = Date.parse('2026-11-20T12:00:00Z');
const range = 'start_date=2026-11-20&end_date=2026-11-20';

describe('fields without effect', () => {
  let api: Management;
  beforeAll(async () => {
    api = await startManagement();
  });
  afterAll(() => api[Symbol.asyncDispose]());

  const makeKey = async (fields: object = {}): Promise<{ key: string; key_id: string }> =>
    (await api.post('/key/generate', fields)).body;

  it('names those within lists and maps once', async () => {
    const [{ key: one }, { key: other }] = [await makeKey(), await makeKey()];
    const answer = await api.post('/key/bulk_update', {
      keys: [one, other].map((key) => ({ key, max_budget: 1, rpm_limit: 1 })),
    });
    expect(answer.body.successful_updates).toHaveLength(2);
    expect(ignoredBy(answer)).toBe('keys.rpm_limit');
    const members = [{ role: 'user', user_id: 'mia', budget: 5 }];
    const team = await api.post('/team/new', { members_with_roles: members });
    expect(ignoredBy(team)).toBe('members_with_roles.budget');
    const added = await api.post('/team/member_add', {
      team_id: team.body.team_id,
      member: { role: 'user', user_id: 'max', budget: 5 },
    });
    expect(ignoredBy(added)).toBe('member.budget');
  });

  it('refuses those within maps and lists that ask for a protection', async () => {
    await api.post('/team/new', { team_id: 'guarded' });
    const { key } = await makeKey({ team_id: 'guarded' });
    const change = (update_fields: object) =>
      api.post('/team/key/bulk_update', { team_id: 'guarded', key_ids: [key], update_fields });
    const guarded = await change({ guardrails: ['pii'] });
    expect(guarded.status).toBe(400);
    expect(guarded.body.error.param).toBe('update_fields.guardrails');
    const named = await change({ key_alias: 'one-name', spend: 3, agent_id: 'a', rpm_limit: 7 });
    expect(ignoredBy(named)?.split(', ').toSorted()).toEqual([
      'update_fields.agent_id',
      'update_fields.key_alias',
      'update_fields.spend',
    ]);
    expect(named.body.successful_updates[0].key_info).toMatchObject({
      rpm_limit: 7,
      key_alias: null,
    });
    const users = [{ user_id: 'ute', blocked: true }];
    expect((await api.post('/user/bulk_update', { users })).body.error.param).toBe('users.blocked');
  });

  it.each(['guardrails', 'policies', 'enforced_params'])(
    'refuses %s in metadata, where LiteLLM looks for them as well',
    async (field) => {
      const metadata = { owner: 'mia', [field]: ['one'] };
      for (const path of ['/key/generate', '/user/new', '/team/new']) {
        const { status, body } = await api.post(path, { metadata });
        expect([path, status, body.error?.param]).toEqual([path, 400, `metadata.${field}`]);
      }
      const none = await api.post('/key/generate', { metadata: { owner: 'mia', [field]: [] } });
      expect(none.body.metadata).toEqual({ owner: 'mia', [field]: [] });
    },
  );

  it('names parameters that a route does not take', async () => {
    expect(ignoredBy(await api.get('/key/list?size=5&agent_id=x'))).toBe('agent_id');
    expect(ignoredBy(await api.get('/customer/list?page=2'))).toBe('page');
    expect(ignoredBy(await api.get('/key/list?size=5'))).toBeNull();
  });

  it.each(['model_max_budget'])('refuses %s where nothing would hold it', async (field) => {
    const limits = { [field]: { 'gpt-4o': 1 } };
    const paths: { readonly [path: string]: object } = {
      '/organization/new': { organization_alias: 'one' },
      '/customer/new': { user_id: `customer-${field}` },
      '/tag/new': { name: `tag-${field}` },
      '/budget/new': {},
    };
    for (const [path, body] of Object.entries(paths)) {
      const { status, body: answer } = await api.post(path, { ...body, ...limits });
      expect({ path, status, param: answer.error?.param }).toEqual({
        path,
        status: 400,
        param: field,
      });
      // Clients that send whole forms go on working.
      const empty = await api.post(path, { ...body, [field]: {} });
      expect({ path, status: empty.status }).toEqual({ path, status: 200 });
    }
    for (const path of ['/key/generate', '/team/new', '/user/new'])
      expect((await api.post(path, limits)).body).toMatchObject(limits);
  });

  it('keeps limits for single models wherever there are limits', async () => {
    const limits = { model_rpm_limit: { 'gpt-4o': 1 }, model_tpm_limit: { 'gpt-*': 9 } };
    const paths: { readonly [path: string]: object } = {
      '/key/generate': {},
      '/team/new': {},
      '/user/new': {},
      '/budget/new': {},
    };
    for (const [path, body] of Object.entries(paths))
      expect([path, (await api.post(path, { ...body, ...limits })).body]).toMatchObject([
        path,
        limits,
      ]);
    const withBudget = { litellm_budget_table: limits };
    const made = await api.post('/organization/new', { organization_alias: 'two', ...limits });
    expect(made.body).toMatchObject(withBudget);
    const customer = await api.post('/customer/new', { user_id: 'limited', ...limits });
    expect(customer.body).toMatchObject(withBudget);
    const tag = await api.post('/tag/new', { name: 'limited', ...limits });
    expect(tag.body.tag).toMatchObject(withBudget);
  });

  it('refuses words among the routes of a key that match none', async () => {
    const groups = 'llm_api_routes, openai_routes, info_routes, management_routes';
    const { key } = await makeKey();
    await api.post('/team/new', { team_id: 'routed' });
    const { key: ofTeam } = await makeKey({ team_id: 'routed' });
    const refusals = [
      await api.post('/key/generate', { allowed_routes: ['/v1/models', 'info-route'] }),
      await api.post('/key/update', { key, allowed_routes: ['info-route'] }),
      await api.post('/key/regenerate', { key, allowed_routes: ['info-route'] }),
      await api.post('/user/new', { allowed_routes: ['info-route'] }),
    ];
    for (const { status, body } of refusals) {
      expect([status, body.error?.param]).toEqual([400, 'allowed_routes']);
      expect(body.error.message).toBe(
        `"info-route" in allowed_routes is neither a path nor one of ${groups}. Did you mean info_routes?`,
      );
    }
    const many = await api.post('/team/key/bulk_update', {
      team_id: 'routed',
      key_ids: [ofTeam],
      update_fields: { allowed_routes: ['chat'] },
    });
    expect(many.body.failed_updates[0].failed_reason).toContain(`nor one of ${groups}`);
    const allowed_routes = ['/v1/chat/*', '*', ...groups.split(', ')];
    const made = await api.post('/key/generate', { allowed_routes });
    expect(made.body.allowed_routes).toEqual(allowed_routes);
  });

  it('names a soft budget, permissions and a default model, and shows them', async () => {
    const key = await api.post('/key/generate', { soft_budget: 1, permissions: { a: true } });
    expect(ignoredBy(key)).toBe('soft_budget, permissions');
    expect(key.body).toMatchObject({ soft_budget: 1, permissions: { a: true } });
    const customer = await api.post('/customer/new', { user_id: 'carl', default_model: 'gpt-4o' });
    expect(ignoredBy(customer)).toBe('default_model');
    expect(customer.body.default_model).toBe('gpt-4o');
  });

  it('takes for a user that is there nothing that keys alone have', async () => {
    await api.post('/user/new', { user_id: 'uma' });
    const change = (fields: object) => api.post('/user/update', { user_id: 'uma', ...fields });
    for (const [field, value] of Object.entries({
      blocked: true,
      duration: '1d',
      budget_id: 'b',
      allowed_routes: ['/v1/models'],
      access_group_ids: ['g'],
      max_requests: 1,
    })) {
      const { status, body } = await change({ [field]: value });
      expect({ status, param: body.error?.param }).toEqual({ status: 400, param: field });
    }
    const named = await change({ key_alias: 'uma', tags: ['a'], rpm_limit: 4 });
    expect(ignoredBy(named)).toBe('key_alias, tags');
    expect(named.body.data.rpm_limit).toBe(4);
    const withoutKey = { user_id: 'udo', auto_create_key: false, duration: '1d', tags: [] };
    expect(ignoredBy(await api.post('/user/new', withoutKey))).toBe('duration');
  });

  const model = { model: 'azure/gpt-5', api_base: 'https://one.example', api_key: 'k' };

  it.each([
    [{ litellm_params: { ...model, mock_response: 'hello' } }, 'litellm_params.mock_response'],
    [{ litellm_params: { ...model, rpm: 'many' } }, 'litellm_params.rpm'],
    [{ litellm_params: { ...model, rmp: 1 } }, 'Did you mean rpm?'],
    [{ litellm_params: { ...model, model: 'bedrock/x' } }, 'litellm_params.model'],
    [{ litellm_params: model, model_info: { team_id: 'a' } }, 'model_info.team_id'],
    [{ litellm_params: model, model_info: { note: 'os.environ/PATH' } }, 'model_info'],
  ])('refuses of a deployment what the file refuses: %j', async (fields, named) => {
    const made = await api.post('/model/new', { model_name: 'five', ...fields });
    expect([made.status, made.text]).toEqual([400, expect.stringContaining(named)]);
    const info = { id: `five-${named}`.replaceAll(/[^\w-]/g, '') };
    await api.post('/model/new', {
      model_name: 'five',
      litellm_params: model,
      model_info: info,
    });
    const { litellm_params, model_info } = { model_info: {}, ...fields };
    const changed = await api.post('/model/update', {
      litellm_params,
      model_info: { ...model_info, ...info },
    });
    expect([changed.status, changed.text]).toEqual([400, expect.stringContaining(named)]);
  });

  it('names those of deployments and credentials', async () => {
    const made = await api.post('/model/new', {
      model_name: 'named',
      litellm_params: { ...model, max_retries: 2, seed: 1 },
      model_info: { id: 'named', tier: 'free', team_id: null },
    });
    expect(ignoredBy(made)).toBe('litellm_params.max_retries, model_info.tier');
    const changed = await api.call('PATCH', '/model/named/update', {
      body: { litellm_params: { organization: 'o' } },
    });
    expect(ignoredBy(changed)).toBe('litellm_params.organization');
    const credential = await api.post('/credentials', {
      credential_name: 'named',
      credential_values: { api_key: 'k', colour: 'red' },
    });
    expect(ignoredBy(credential)).toBe('credential_values.colour');
    const { status } = await api.call('PATCH', '/credentials/named', {
      body: { credential_values: { azure_password: 'p' } },
    });
    expect(status).toBe(400);
  });

  it('names filters of other reports than the one that is asked', async () => {
    const asked = `${range}&team_ids=a&user_id=b&tags=c`;
    expect(ignoredBy(await api.get(`/team/daily/activity?${asked}`))).toBe('user_id, tags');
    expect(ignoredBy(await api.get(`/tag/daily/activity/export?${asked}`))).toBe(
      'user_id, team_ids',
    );
  });
});

describe('parameters that had no effect', () => {
  let api: Management;
  beforeAll(async () => {
    api = await startManagement({
      settings: { fileSettings: { litellm_settings: { max_budget: 250 } } },
    });
  });
  afterAll(() => api[Symbol.asyncDispose]());

  it('order keys by what they spent', async () => {
    const keys: { key_id: string; token: string }[] = [];
    for (const _ of [1, 2, 3]) keys.push((await api.post('/key/generate', {})).body);
    const costs = [2_000_000_000, 3_000_000_000, 1_000_000_000];
    const events = keys.map(({ key_id: keyId }, at) => ({
      sequence: at + 1,
      record: usageRecord({ startedAt: api.clock.ms, keyId, costNanoUsd: costs[at] ?? 0 }),
    }));
    await api.store.ledger.append('producer', events);
    const { body } = await api.get('/key/list?sort_by=spend');
    expect(body.keys).toEqual([1, 0, 2].map((at) => keys[at]?.token));
    const rising = await api.get('/key/list?sort_by=spend&sort_order=asc');
    expect(rising.body.keys).toEqual([2, 0, 1].map((at) => keys[at]?.token));

    // By what a key shows: of the window of a budget that it shares.
    await api.post('/budget/new', { budget_id: 'daily', max_budget: 100, budget_duration: '1d' });
    const { body: daily } = await api.post('/key/generate', { budget_id: 'daily' });
    const longAgo = usageRecord({
      startedAt: api.clock.ms - 40 * 86_400_000,
      keyId: daily.key_id,
      costNanoUsd: 9_000_000_000,
    });
    await api.store.ledger.append('producer-of-daily', [{ sequence: 1, record: longAgo }]);
    const mixed = await api.get('/key/list?sort_by=spend');
    expect(mixed.body.keys).toEqual([...body.keys, daily.token]);
  });

  it('choose one customer or team of a report, and one request of the logs', async () => {
    const record = { startedAt, costNanoUsd: 1_000_000_000 };
    await api.store.ledger.append('other-producer', [
      {
        sequence: 1,
        record: usageRecord({ ...record, requestId: 'r1', customerId: 'c1', teamId: 't1' }),
      },
      {
        sequence: 2,
        record: usageRecord({ ...record, requestId: 'r2', customerId: 'c2', teamId: 't2' }),
      },
    ]);
    const customers = await api.get(`/global/spend/report?${range}&customer_id=c1`);
    expect(customers.body[0].customers).toMatchObject([{ customer: 'c1', total_spend: 1 }]);
    const teams = await api.get(`/global/spend/report?${range}&group_by=customer&team_id=t2`);
    expect(teams.body[0].teams).toMatchObject([{ team_id: 't2', total_spend: 1 }]);
    const logs = await api.get(`/spend/logs?${range}&request_id=r1`);
    expect(logs.body).toMatchObject([{ request_id: 'r1', end_user: 'c1' }]);
  });

  it('show the budget of the whole gateway beside what is spent', async () => {
    expect((await api.get('/global/spend')).body.max_budget).toBe(250);
  });

  it('give a team tags that its keys have', async () => {
    const made = await api.post('/team/new', { team_id: 'tagged', tags: ['gold'] });
    expect(ignoredBy(made)).toBeNull();
    expect(made.body.metadata.tags).toEqual(['gold']);
    const alias = await api.post('/team/update', { team_id: 'tagged', team_alias: 'a' });
    expect(alias.body.data.metadata.tags).toEqual(['gold']);
    const cleared = await api.post('/team/update', { team_id: 'tagged', tags: null });
    expect(cleared.body.data.metadata.tags).toEqual([]);
  });

  it('do not take a key out of the organization of its team', async () => {
    for (const organization_id of ['poor', 'rich'])
      await api.post('/organization/new', { organization_id, organization_alias: organization_id });
    await api.post('/team/new', { team_id: 'of-poor', organization_id: 'poor' });
    const owners = { team_id: 'of-poor', organization_id: 'rich' };
    const refused = await api.post('/key/generate', owners);
    expect([refused.status, refused.body.error.param]).toEqual([400, 'organization_id']);
    const { body: key } = await api.post('/key/generate', { ...owners, organization_id: 'poor' });
    const moved = await api.post('/key/update', { key: key.key, organization_id: 'rich' });
    expect(moved.status).toBe(400);
    const toRich = { team_id: 'of-poor', organization_id: 'rich' };
    expect((await api.post('/team/update', toRich)).status).toBe(400);
    await api.post('/key/update', { key: key.key, organization_id: null });
    expect((await api.post('/team/update', toRich)).status).toBe(200);
  });

  it('show the kind of upstream that a request went to', async () => {
    const model = { model: 'openai/gpt-5', api_base: 'https://one.example', api_key: 'k' };
    await api.post('/model/new', {
      model_name: 'five',
      litellm_params: model,
      model_info: { id: 'five' },
    });
    await api.store.ledger.append('third-producer', [
      { sequence: 1, record: usageRecord({ requestId: 'r3', startedAt, deploymentId: 'five' }) },
    ]);
    const { body } = await api.get('/spend/logs?request_id=r3');
    expect(body).toMatchObject([{ custom_llm_provider: 'openai' }]);
  });
});
