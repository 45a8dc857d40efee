import { readFileSync } from 'node:fs';
import { hashSecret } from '@aigateway/contract/key';
import { litellmTables } from '@aigateway/control-plane/import/litellm-database';
import { litellmSubjects } from '@aigateway/control-plane/import/litellm-tables';
import { startSimulator, type Simulator } from '@aigateway/smoke/simulator/simulator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  fillLitellmDatabase,
  sealedByLitellm,
  sealedByLitellmGcm,
} from '../../control-plane/test/litellm-database.ts';
import {
  startPostgres,
  type PostgresServer,
} from '../../control-plane/test/servers/postgres-server.ts';
import { withLitellmTables } from '../../scripts/litellm-tables.ts';
import { GatewayProcess } from './gateway-process.ts';

const master = 'sk-master-0123456789abcdef';
/** Shorter than a salt key of ours may be. */
const salt = 'sk-litellm-salt';
const keys = {
  ci: 'sk-imported-0123456789abcdef',
  before: 'sk-before-0123456789abcdef',
  spent: 'sk-spent-0123456789abcdef',
  member: 'sk-member-0123456789abcdef',
  blocked: 'sk-blocked-0123456789abcdef',
  ended: 'sk-ended-0123456789abcdef',
  grouped: 'sk-grouped-0123456789abcdef',
  open: 'sk-open-0123456789abcdef',
};

let postgres: PostgresServer;
let simulator: Simulator;
let source: string;
let environment: Record<string, string>;
const running: GatewayProcess[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  simulator = await startSimulator({
    config: {
      resources: [
        {
          name: 'east',
          keys: ['upstream-key-1'],
          deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }],
        },
      ],
    },
  });
  source = await postgres.createDatabase();
  environment = {
    AIGATEWAY_PROFILE: 'development',
    AIGATEWAY_STOP_DELAY: '0',
    AIGATEWAY_ALLOW_INSECURE_UPSTREAM: 'true',
    AIGATEWAY_SECRET: 'a root secret of more than thirty-two bytes',
    LITELLM_MASTER_KEY: master,
    LITELLM_IMPORT_SALT_KEY: salt,
    LITELLM_DATABASE_URL: source,
    DATABASE_URL: await postgres.createDatabase(),
  };
  await fillLitellmDatabase(source, rows());
  await job('--migrate', 'apply');
});
afterAll(async () => {
  for (const process of running) await process.stop();
  await simulator.close();
  await postgres.stop();
});

function rows() {
  const sealed = (text: string, key = salt) => sealedByLitellm(text, key);
  const model = (id: string, params: object) => ({
    model_id: id,
    model_name: id,
    litellm_params: { use_in_pass_through: false, ...params },
    model_info: { id, db_model: true },
    created_by: 'u1',
  });
  const token = (secret: string, more: object) => ({
    token: hashSecret(secret),
    key_name: `sk-...${secret.slice(-4)}`,
    models: [],
    ...more,
  });
  const sums = (of: object, requests: number, spend: number, failed = 0) => ({
    ...of,
    api_key: hashSecret(keys.ci),
    model: 'azure/gpt-4o',
    model_group: 'imported',
    api_requests: requests,
    successful_requests: requests - failed,
    failed_requests: failed,
    prompt_tokens: 10 * requests,
    completion_tokens: 5 * requests,
    spend,
  });
  const request = (id: string, startTime: string, spend: number, more: object = {}) => ({
    request_id: id,
    call_type: 'acompletion',
    api_key: hashSecret(keys.ci),
    spend,
    prompt_tokens: 10,
    completion_tokens: 5,
    startTime,
    endTime: startTime.replace('00.000', '01.500'),
    model: 'azure/gpt-4o',
    model_group: 'imported',
    team_id: 't1',
    user: 'u1',
    end_user: 'c1',
    request_tags: JSON.stringify(['nightly']),
    status: 'success',
    ...more,
  });
  return {
    LiteLLM_BudgetTable: [
      { budget_id: 'b1', max_budget: 10, budget_duration: '30d', tpm_limit: 5_000_000_000 },
    ],
    LiteLLM_UserTable: [
      { user_id: 'u1', user_email: 'u1@example.com', user_role: 'internal_user', spend: 1.5 },
      { user_id: 'u2', user_role: 'team', password: 'scrypt-of-a-password' },
    ],
    LiteLLM_OrganizationTable: [
      {
        organization_id: 'o1',
        organization_alias: 'org one',
        budget_id: 'b1',
        spend: 0.75,
        metadata: { model_rpm_limit: { imported: 5 } },
      },
    ],
    LiteLLM_OrganizationMembership: [
      { user_id: 'u1', organization_id: 'o1', user_role: 'org_admin', spend: 0.3 },
    ],
    LiteLLM_AccessGroupTable: [
      {
        access_group_id: 'g1',
        access_group_name: 'chat models',
        access_model_names: ['imported'],
        access_mcp_server_ids: ['m1'],
        assigned_team_ids: ['t1'],
      },
    ],
    LiteLLM_ObjectPermissionTable: [
      { object_permission_id: 'p', vector_stores: ['v1'] },
      { object_permission_id: 'of-nothing' },
    ],
    LiteLLM_ModelTable: [{ aliases: { fast: 'imported' } }],
    LiteLLM_TeamTable: [
      {
        team_id: 't1',
        team_alias: 'team one',
        organization_id: 'o1',
        members_with_roles: [{ role: 'admin', user_id: 'u1' }],
        max_budget: 50,
        budget_duration: '30d',
        spend: 2.25,
        model_id: 1,
        policies: ['no-pii'],
        soft_budget: 40,
        metadata: { model_rpm_limit: { imported: 100 } },
      },
    ],
    LiteLLM_TeamMembership: [{ user_id: 'u1', team_id: 't1', budget_id: 'b1', spend: 0.2 }],
    LiteLLM_EndUserTable: [{ user_id: 'c1', alias: 'customer one', budget_id: 'b1', spend: 0.5 }],
    LiteLLM_TagTable: [{ tag_name: 'nightly', description: 'at night', spend: 0.25 }],
    LiteLLM_CredentialsTable: [
      {
        credential_id: 'x',
        credential_name: 'azure',
        credential_values: {
          api_key: sealedByLitellmGcm('upstream-key-1', salt),
          api_base: sealed(simulator.resourceUrl('east')),
        },
        credential_info: { description: 'east' },
      },
    ],
    LiteLLM_ProxyModelTable: [
      model('imported', {
        model: sealed('azure/gpt-4o'),
        litellm_credential_name: sealed('azure'),
        api_version: sealed('v1'),
      }),
      model('elsewhere', {
        model: sealed('bedrock/claude'),
        api_base: sealed('https://b.example'),
      }),
      model('locked', { model: sealed('azure/gpt-4o', 'another salt key') }),
      model('named', {
        model: sealed('azure/gpt-4o'),
        api_base: sealed('https://a.openai.azure.com'),
        api_key: sealed('os.environ/AZURE_API_KEY'),
      }),
    ],
    LiteLLM_VerificationToken: [
      token(keys.ci, {
        key_alias: 'ci',
        team_id: 't1',
        user_id: 'u1',
        spend: 0.5,
        max_budget: 5,
        models: ['imported'],
        metadata: { tags: ['nightly'], model_rpm_limit: { imported: 100 }, guardrails: ['pii'] },
      }),
      token(keys.spent, { key_alias: 'spent', spend: 5, max_budget: 5, budget_duration: '30d' }),
      token(keys.member, { key_alias: 'member', budget_id: 'b1', object_permission_id: 'p' }),
      token(keys.blocked, {
        key_alias: 'blocked',
        blocked: true,
        allowed_routes: ['info_routes', 'mcp_routes'],
      }),
      token(keys.grouped, {
        key_alias: 'grouped',
        models: ['other'],
        access_group_ids: ['g1'],
        object_permission_id: 'of-nothing',
        key_type: 'llm_api',
      }),
      token(keys.open, { key_alias: 'open', access_group_ids: ['g1'] }),
      token(keys.ended, { key_alias: 'ended', expires: '2024-01-01T00:00:00' }),
      { token: 'not-hashed', key_alias: 'raw', models: [] },
      token('sk-of-the-ui-0123456789abcdef', { team_id: 'litellm-dashboard' }),
    ],
    LiteLLM_DeprecatedVerificationToken: [
      {
        id: 'd',
        token: hashSecret(keys.before),
        active_token_id: hashSecret(keys.ci),
        revoke_at: '2126-01-01T00:00:00',
      },
    ],
    LiteLLM_Config: [{ param_name: 'router_settings', param_value: { num_retries: 3 } }],
    LiteLLM_SpendLogs: [
      request('r1', '2026-01-05T10:00:00.000', 0.01),
      request('r2', '2026-01-05T11:00:00.000', 0.02),
      request('r3', '2026-01-06T09:00:00.000', 0, { status: 'failure' }),
    ],
    LiteLLM_DailyUserSpend: [
      sums({ user_id: 'u1', date: '2025-12-01' }, 4, 0.4, 1),
      // Two providers of one model, and one request more than there are single ones.
      sums({ user_id: 'u1', date: '2026-01-05', custom_llm_provider: 'azure' }, 2, 0.04),
      sums({ user_id: 'u1', date: '2026-01-05', custom_llm_provider: 'openai' }, 1, 0.01),
      sums({ user_id: 'u1', date: '2026-01-06' }, 1, 0, 1),
    ],
    LiteLLM_DailyTeamSpend: [
      sums({ team_id: 't1', date: '2025-12-01' }, 3, 0.3),
      sums({ team_id: 't1', date: '2026-01-05' }, 2, 0.03),
    ],
    LiteLLM_DailyOrganizationSpend: [sums({ organization_id: 'o1', date: '2025-12-01' }, 2, 0.2)],
    LiteLLM_DailyEndUserSpend: [sums({ end_user_id: 'c1', date: '2026-01-07' }, 5, 0.1)],
    LiteLLM_DailyTagSpend: [sums({ tag: 'nightly', date: '2026-01-04' }, 1, 0.1)],
    LiteLLM_DailyAgentSpend: [sums({ agent_id: 'a1', date: '2025-12-01' }, 1, 0.1)],
    LiteLLM_ProjectTable: [{ project_id: 'p1' }],
    LiteLLM_OfALaterRelease: [{ id: '1' }, { id: '2' }],
  };
}

async function job(...args: string[]) {
  const process = new GatewayProcess(args, environment);
  running.push(process);
  const code = await process.ended();
  return { code, text: process.output + process.errors };
}

/** Everything in LiteLLM's data base, in one text. */
async function everythingThere(): Promise<string> {
  const name = new URL(source).pathname.slice(1);
  const tables = await postgres.query(
    `select table_name from information_schema.tables where table_schema = 'public' order by 1`,
    name,
  );
  const parts = await Promise.all(
    tables.map(({ table_name }) =>
      postgres.query(`select row_to_json(t) from "${String(table_name)}" t`, name),
    ),
  );
  return JSON.stringify(parts);
}

describe('--import litellm', () => {
  it('says what it would do first, and then does it once, however often it runs', async () => {
    const before = await everythingThere();
    const plan = await job('--import', 'litellm');
    expect(plan.code).toBe(0);
    expect(plan.text).toContain('key: 7 to be taken over, 0 there already, 1 not');
    expect(plan.text).toContain('model: 1 to be taken over, 0 there already, 3 not');
    expect(plan.text).toContain('requests: 3 to be taken over');
    expect(plan.text).toContain('sums by day: 6 to be taken over, 0 there already');
    const again = await job('--import', 'litellm');
    expect(again.text).toBe(plan.text);

    const applied = await job('--import', 'litellm:apply');
    expect(applied.code).toBe(0);
    expect(applied.text).toContain('key: 7 taken over, 0 there already, 1 not');
    expect(applied.text).toContain('requests: 3 taken over, 0 there already');
    const twice = await job('--import', 'litellm:apply');
    expect(twice.code).toBe(0);
    expect(twice.text).toContain('key: 0 taken over, 7 there already, 1 not');
    expect(twice.text).toContain('requests: 0 taken over, 3 there already');
    expect(twice.text).toContain('sums by day: 0 taken over, 6 there already');
    expect(twice.text).toMatch(/sums of what was spent: 0 taken over/);
    expect(await everythingThere()).toBe(before);
    const target = new URL(environment['DATABASE_URL'] ?? '').pathname.slice(1);
    const records = await postgres.query('select action, actor from audit', target);
    const imported = { action: 'imported', actor: 'command_line' };
    expect(records).toEqual([imported, imported]);
  });

  it('names everything that is not taken over, with the reason, and no secret', async () => {
    const { text } = await job('--import', 'litellm');
    for (const line of [
      /key raw: not taken over, is not stored as a hash/,
      /model elsewhere \(elsewhere\): not taken over, .*litellm_params\.model/,
      /model locked \(locked\): not taken over, no key opens its secrets/,
      /model named \(named\): not taken over, refers to variables of the process/,
      /key ci: guardrails has no effect here/,
      /key blocked: mcp_routes among its allowed_routes opens nothing/,
      /key member: object_permission: vector_stores has no effect here/,
      /key open: has access groups and, there as here, every model/,
      /access_group g1 \(chat models\): access_mcp_server_ids has no effect here/,
      /what members spent within their organization \(1 of them\) is not counted by itself/,
      /LiteLLM_ProjectTable: 1 row not taken over, between teams and keys/,
      /LiteLLM_DailyAgentSpend: 1 row not taken over/,
      /LiteLLM_OfALaterRelease: 2 rows not taken over, this table is not known here/,
      /team t1: policies has no effect here/,
      /organization o1: model_rpm_limit has no effect here/,
      /team t1: soft_budget has no effect here/,
      /user u2: the role team is not known here/,
      /user u2: passwords of the UI are not taken over/,
      /settings router_settings: .*num_retries/,
    ])
      expect(text).toMatch(line);
    expect(text).not.toMatch(
      /key (grouped|spent)|(key ci|team t1): model_rpm|LiteLLM_DailyTagSpend/,
    );
    for (const secret of [...Object.values(keys), 'upstream-key', salt, master, 'scrypt-of'])
      expect(text).not.toContain(secret);
  });

  it('takes no request for new that LiteLLM has dropped since and has in its sums alone', async () => {
    const name = new URL(source).pathname.slice(1);
    await postgres.query(`delete from "LiteLLM_SpendLogs" where request_id in ('r1', 'r2')`, name);
    const { code, text } = await job('--import', 'litellm:apply');
    expect(code).toBe(0);
    expect(text).toContain('requests: 0 taken over, 1 there already');
    expect(text).toMatch(/sums by day: 0 taken over/);
    expect(text).toMatch(/sums of what was spent: 0 taken over/);
  });

  it('leaves keys, budgets and models working', async () => {
    const gateway = new GatewayProcess(['--port', '0', '--role', 'all'], environment);
    running.push(gateway);
    const url = await gateway.url();
    const call = async (key: string, model = 'imported') => {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }] }),
      });
      return { status: response.status, text: await response.text() };
    };
    const info = async (path: string) => {
      const headers = { authorization: `Bearer ${master}` };
      return (await (await fetch(url + path, { headers })).json()) as Record<string, never>;
    };
    // What keys spent and no day explains, once: a team, a user and a tag have the same money again.
    expect((await info('/global/spend'))['spend']).toBeCloseTo(5.05, 9);
    expect((await call(keys.ci)).status).toBe(200);
    expect((await call(keys.grouped)).status).toBe(200);
    expect((await call(keys.open)).status).toBe(200);
    expect((await call(keys.before)).status).toBe(200);
    expect((await call(keys.ci, 'fast')).status).toBe(200);
    expect((await call(keys.member)).status).toBe(200);
    expect((await call(keys.spent)).text).toContain('Budget has been exceeded');
    expect((await call(keys.spent)).status).toBe(429);
    expect([401, 403]).toContain((await call(keys.blocked)).status);
    expect((await call(keys.ended)).status).toBe(401);
    const seen = simulator
      .requests()
      .flatMap(({ operation, headers }) =>
        operation === 'chat.completions' ? [headers['api-key']] : [],
      );
    expect(new Set(seen)).toEqual(new Set(['upstream-key-1']));

    const ci = await info(`/key/info?key=${hashSecret(keys.ci)}`);
    expect(ci['info']).toMatchObject({ key_alias: 'ci', team_id: 't1', max_budget: 5 });
    expect(ci['info']?.['spend']).toBeGreaterThanOrEqual(0.5);
    const team = await info('/team/info?team_id=t1');
    expect(team['team_info']).toMatchObject({
      team_alias: 'team one',
      max_budget: 50,
      model_rpm_limit: { imported: 100 },
    });
    expect(team['team_info']?.['spend']).toBeGreaterThanOrEqual(2.25);
    const logs = await info(
      '/spend/logs?start_date=2026-01-05&end_date=2026-01-06&summarize=false',
    );
    expect(JSON.stringify(logs)).toContain('r2');
    const [membership] = team['team_memberships'] ?? [];
    expect(membership).toMatchObject({ litellm_budget_table: { max_budget: 10 } });
    expect(membership?.['spend']).toBeGreaterThanOrEqual(0.2);
    const [group] = (await info('/v1/access_group')) as unknown as [object];
    expect(group).toMatchObject({
      access_group_name: 'chat models',
      access_model_names: ['imported'],
      assigned_team_ids: [],
      assigned_key_ids: expect.arrayContaining([keys.grouped, keys.open].map(hashSecret)),
    });

    const daysOf = async (who: string, more = '') => {
      const path = `/${who}/daily/activity?start_date=2025-12-01&end_date=2026-01-31${more}`;
      const { results } = (await info(path)) as unknown as { results: Day[] };
      return results.map(({ date, metrics }) => [date, metrics.api_requests, metrics.spend]);
    };
    const ofAll = [
      ['2026-01-06', 1, 0],
      ['2026-01-05', 3, 0.05],
      ['2025-12-01', 4, 0.4],
    ];
    expect(await daysOf('user')).toEqual(ofAll);
    expect(await daysOf('user', '&user_id=u1')).toEqual(ofAll);
    expect(await daysOf('user', '&model=imported')).toEqual(ofAll);
    expect(await daysOf('user', `&api_key=${hashSecret(keys.ci)}`)).toEqual(ofAll);
    expect(await daysOf('team')).toEqual([
      ['2026-01-06', 1, 0],
      ['2026-01-05', 2, 0.03],
      ['2025-12-01', 3, 0.3],
    ]);
    expect(await daysOf('organization')).toEqual([['2025-12-01', 2, 0.2]]);
    expect(await daysOf('customer')).toContainEqual(['2026-01-07', 5, 0.1]);
    expect(await daysOf('tag')).toContainEqual(['2026-01-04', 1, 0.1]);
    expect(JSON.stringify(logs)).not.toContain('carried over');
  });
});

describe('the tables of LiteLLM', () => {
  const carried = litellmSubjects.flatMap(({ fate, tables }) => (fate === 'carried' ? tables : []));
  const left = litellmSubjects.flatMap(({ fate, tables }) => (fate === 'left' ? tables : []));

  it('are each carried or left with a reason, and those that are carried are read', () => {
    const all = [...carried, ...left];
    expect(all.filter((table, index) => all.indexOf(table) !== index)).toEqual([]);
    expect(carried.filter((table) => !Object.hasOwn(litellmTables, table))).toEqual([]);
    // What they hold is named in the report, and has no place here.
    const named = ['LiteLLM_Config', 'LiteLLM_ObjectPermissionTable'];
    expect(Object.keys(litellmTables).toSorted()).toEqual([...carried, ...named].toSorted());
  });

  it('stand in the guide as they are; if not, run: node scripts/reference.ts', () => {
    const file = new URL('../../docs/guides/from-litellm.md', import.meta.url);
    const guide = readFileSync(file, 'utf8');
    expect(withLitellmTables(guide)).toBe(guide);
  });
});

type Day = {
  readonly date: string;
  readonly metrics: { readonly api_requests: number; readonly spend: number };
};
