import { describe, expect, it } from 'vitest';
import type * as z from 'zod';
import type { Role } from '../src/auth/actor.ts';
import type { Route } from '../src/http/route.ts';
import { routes } from '../src/routes.ts';
import {
  type Answer,
  makeUser,
  type Management,
  masterKey,
  startManagement,
} from './management.ts';

/** A request of a route that would do something, were it let through: ids that do not exist, and no body. */
function requestOf(route: Route): [string, string] {
  return [route.method.toUpperCase(), route.paths[0]!.replaceAll(/:\w+/g, 'no-such-id')];
}

/** Names nothing that exists, and has the wrong type wherever it is looked at. */
const nonsense = { user_id: 5, key: 5, keys: 5, team_id: 5, team_ids: 5, user_ids: 5, id: 5 };

/** The status that the policy of a route refuses a role with; undefined when it lets it through. */
function refusalExpected({ policy, effect }: Route, role: string): number | undefined {
  if (policy.isPublic) return undefined;
  if (policy.masterOnly) {
    if (role === 'master') return undefined;
    return 401;
  }
  if (role === 'master') return undefined;
  const isViewer = role === 'proxy_admin_viewer';
  if (isViewer) return effect === 'read' ? undefined : 403;
  return policy.roles.has(role as Role) ? undefined : (policy.refusal ?? 401);
}

function isRefusal({ status, body }: Answer): boolean {
  const message: string = body?.error?.message ?? '';
  return (
    (status === 401 || status === 403) &&
    /^(Only proxy admin can|Only the master key|A viewing administrator)/.test(message)
  );
}

async function keysByRole(api: Management): Promise<{ [role: string]: string }> {
  const roles = ['proxy_admin', 'proxy_admin_viewer', 'internal_user', 'internal_user_viewer'];
  const keys: { [role: string]: string } = { master: masterKey };
  for (const role of roles) keys[role] = await makeUser(api, `matrix-${role}`, role);
  keys['none'] = (await api.post('/key/generate', {})).body.key;
  return keys;
}

describe('who may call what', () => {
  it('holds for every role on every route as its policy says', async () => {
    await using api = await startManagement();
    const keys = await keysByRole(api);
    const wrong: string[] = [];
    for (const route of routes) {
      const [method, path] = requestOf(route);
      for (const [role, key] of Object.entries(keys)) {
        const answer = await api.call(method, path, { key, ...(route.body && { body: nonsense }) });
        const expected = refusalExpected(route, role);
        const seen = isRefusal(answer) ? answer.status : undefined;
        if (seen !== expected) wrong.push(`${role} ${method} ${path}: ${seen}, not ${expected}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('answers nobody without a key but on public routes', async () => {
    await using api = await startManagement();
    for (const route of routes) {
      const [method, path] = requestOf(route);
      const answers: Answer[] = [
        await api.call(method, path, { key: null, ...(route.body && { body: {} }) }),
        await api.call(method, path, { key: 'sk-unknown-to-all', ...(route.body && { body: {} }) }),
      ];
      for (const { status } of answers) {
        expect([path, status === 401]).toEqual([path, !route.policy.isPublic]);
      }
    }
    expect(routes.filter(({ policy }) => policy.isPublic).map(({ paths }) => paths[0])).toEqual([
      '/manage/keys/revoke',
      '/openapi.json',
      '/routes',
    ]);
  });

  it('takes the key from every header LiteLLM takes it from, and refuses two different ones', async () => {
    await using api = await startManagement();
    const { body: one } = await api.post('/key/generate', {});
    const { body: two } = await api.post('/key/generate', {});
    const status = async (headers: { [name: string]: string }) =>
      (await api.call('GET', '/key/info', { key: null, headers })).status;
    expect(await status({ 'x-litellm-api-key': one.key })).toBe(200);
    expect(await status({ 'x-litellm-api-key': `Bearer ${one.key}` })).toBe(200);
    expect(await status({ authorization: `bearer ${one.key}` })).toBe(200);
    expect(await status({ 'api-key': one.key, authorization: 'Bearer something-else' })).toBe(200);
    expect(await status({ 'x-api-key': one.key })).toBe(200);
    expect(await status({ authorization: one.key })).toBe(401);
    expect(await status({ 'api-key': one.key, 'x-api-key': two.key })).toBe(400);
  });

  it('takes the key from the header that is named for it, where it is sent, and from no other beside it', async () => {
    await using api = await startManagement({ settings: { keyHeader: 'x-team-key' } });
    const { body: one } = await api.post('/key/generate', {});
    const status = async (headers: { [name: string]: string }) =>
      (await api.call('GET', '/key/info', { key: null, headers })).status;
    const authorization = `Bearer ${one.key}`;
    expect(await status({ 'x-team-key': one.key })).toBe(200);
    expect(await status({ 'X-Team-Key': authorization })).toBe(200);
    expect(await status({ authorization })).toBe(200);
    expect(await status({ 'x-team-key': 'sk-another', authorization })).toBe(401);
    expect(await status({ 'x-team-key': '', authorization })).toBe(401);
    expect(await status({ 'x-team-key': one.key, authorization: `Bearer ${masterKey}` })).toBe(200);
  });

  it('keeps a key to its allowed routes, whatever its role', async () => {
    await using api = await startManagement();
    await makeUser(api, 'boss', 'proxy_admin');
    const make = async (fields: object) =>
      (await api.post('/key/generate', { user_id: 'boss', ...fields })).body.key;
    const info = await make({ key_type: 'read_only' });
    expect((await api.get('/key/list', info)).status).toBe(200);
    const refused = await api.post('/key/generate', {}, info);
    expect(refused.status).toBe(403);
    expect(refused.body.detail).toContain('not allowed to call this route');
    expect((await api.get('/key/list', await make({ key_type: 'llm_api' }))).status).toBe(403);
    const managing = await make({ key_type: 'management' });
    expect((await api.post('/key/generate', {}, managing)).status).toBe(200);
    const exact = await make({ allowed_routes: ['/key/info'] });
    expect((await api.get('/key/info', exact)).status).toBe(200);
    expect((await api.get('/key/list', exact)).status).toBe(403);
  });

  it('takes away at use what user or maker have lost', async () => {
    await using api = await startManagement();
    const first = await makeUser(api, 'first', 'proxy_admin');
    const { body: made } = await api.post(
      '/user/new',
      { user_id: 'second', user_role: 'proxy_admin' },
      first,
    );
    expect((await api.get('/user/list', made.key)).status).toBe(200);
    await api.post('/user/update', { user_id: 'first', user_role: 'internal_user' });
    expect((await api.get('/user/list', first)).status).toBe(403);
    expect((await api.get('/user/list', made.key)).status).toBe(403);
    await api.post('/team/new', { team_id: 'blocked-team' });
    const { body: ofTeam } = await api.post('/key/generate', { team_id: 'blocked-team' });
    expect((await api.get('/key/info', ofTeam.key)).status).toBe(200);
    await api.post('/team/block', { team_id: 'blocked-team' });
    expect((await api.get('/key/info', ofTeam.key)).status).toBe(401);
  });
});

describe('a path with another method', () => {
  it('is 405 with the methods that it has, for every route', async () => {
    await using api = await startManagement();
    const wrong: string[] = [];
    for (const { paths } of routes) {
      for (const path of paths) {
        const url = path.replaceAll(/:\w+/g, 'x');
        const { status, body, headers } = await api.call('REPORT', url, { key: null });
        const allowed = headers.get('allow')?.split(', ') ?? [];
        const isRight =
          status === 405 && body.detail === 'Method Not Allowed' && allowed.length > 0;
        if (!isRight) wrong.push(`${url} ${status} ${allowed.join()}`);
      }
    }
    expect(wrong).toEqual([]);
    const posted = await api.call('POST', '/health/readiness', { key: null });
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    expect((await api.call('GET', '/no/such', { key: null })).status).toBe(404);
  });
});

describe('nobody raises its own rights', () => {
  it('by making or changing a key', async () => {
    await using api = await startManagement();
    await api.post('/team/new', { team_id: 'foreign' });
    await makeUser(api, 'victim', 'proxy_admin');
    await api.post('/user/new', {
      user_id: 'mallory',
      user_role: 'internal_user',
      models: ['gpt-5'],
      auto_create_key: false,
    });
    const { body } = await api.post('/key/generate', {
      user_id: 'mallory',
      max_budget: 10,
      budget_duration: '30d',
      rpm_limit: 5,
      duration: '1d',
    });
    const attempts = {
      'another user’s key': { user_id: 'victim' },
      spend: { spend: 1 },
      permissions: { permissions: { get_spend_routes: true } },
      'metadata that changes prices': { metadata: { allow_client_pricing_override: true } },
      'a log of its prompts': { metadata: { message_logging: true } },
      'a foreign team': { team_id: 'foreign' },
      'a foreign organization': { organization_id: 'foreign' },
      'a budget of others': { budget_id: 'foreign' },
      'models beyond the user’s': { models: ['gpt-5', 'secret-model'] },
      'all models': { models: ['all-proxy-models'] },
      'a budget above the acting key’s': { max_budget: 11 },
      'a shorter window of the same budget': { max_budget: 10, budget_duration: '1d' },
      'a longer life than the acting key’s': { duration: '2d' },
      'more requests than the acting key’s': { rpm_limit: 6 },
    };
    for (const [name, fields] of Object.entries(attempts)) {
      const made = await api.post('/key/generate', fields, body.key);
      expect([name, [403, 404].includes(made.status)]).toEqual([name, true]);
      const changed = await api.post('/key/update', { key: body.key, ...fields }, body.key);
      expect([name, [403, 404].includes(changed.status)]).toEqual([name, true]);
    }
    expect((await api.post('/key/generate', {}, body.key)).body).toMatchObject({
      user_id: 'mallory',
      max_budget: 10,
      budget_duration: '30d',
      rpm_limit: 5,
      expires: body.expires,
    });
  });

  it('by leaving out or lifting what its key has for single models, windows, tags and budgets', async () => {
    await using api = await startManagement();
    await makeUser(api, 'mallory', 'internal_user');
    await api.post('/budget/new', {
      budget_id: 'shared',
      rpm_limit: 3,
      model_rpm_limit: { o1: 1 },
    });
    const { body: shared } = await api.post('/key/generate', {
      user_id: 'mallory',
      budget_id: 'shared',
    });
    for (const fields of [{ rpm_limit: 4 }, { model_rpm_limit: { o3: 1 } }]) {
      const update = { key: shared.key, ...fields };
      expect([fields, (await api.post('/key/update', update, shared.key)).status]).toEqual([
        fields,
        403,
      ]);
      expect((await api.post('/key/generate', fields, shared.key)).status).toBe(403);
    }
    const lower = { key: shared.key, rpm_limit: 2, model_rpm_limit: { o1: 1, o3: 1 } };
    expect((await api.post('/key/update', lower, shared.key)).status).toBe(200);
    const limits = {
      budget_id: 'shared',
      budget_limits: [{ max_budget: 1, budget_duration: '1d' }],
      model_rpm_limit: { 'gpt-*': 5, o3: 1 },
      model_tpm_limit: { o3: 100 },
      model_max_budget: { o3: { max_budget: 1, budget_duration: '1d' } },
      tags: ['counted'],
    };
    const { body: own } = await api.post('/key/generate', { user_id: 'mallory', ...limits });
    const { body: made } = await api.post('/key/generate', {}, own.key);
    expect(made).toMatchObject(limits);
    const more = { tags: ['mine'], model_rpm_limit: { o4: 9 } };
    expect((await api.post('/key/generate', more, own.key)).body).toMatchObject({
      tags: ['counted', 'mine'],
      model_rpm_limit: { 'gpt-*': 5, o3: 1, o4: 9 },
    });
    const attempts: object[] = [
      { budget_id: null },
      { budget_limits: null },
      { budget_limits: [{ max_budget: 2, budget_duration: '1d' }] },
      { model_rpm_limit: null },
      { model_rpm_limit: { 'gpt-*': 5 } },
      { model_rpm_limit: { 'gpt-*': 5, o3: 2 } },
      { model_rpm_limit: { 'gpt-*': 5, o3: 1, 'gpt-4o': 1 } },
      { model_tpm_limit: { o3: 100, 'gpt-4*': 1_000_000 } },
      { model_max_budget: {} },
      { model_max_budget: { o3: { max_budget: 2, budget_duration: '1d' } } },
      { tags: [] },
    ];
    for (const fields of attempts) {
      const { status } = await api.post('/key/update', { key: own.key, ...fields }, own.key);
      expect([fields, status]).toEqual([fields, 403]);
    }
    const wider = [
      { budget_limits: [{ max_budget: 2, budget_duration: '1d' }] },
      { model_rpm_limit: { o3: 2 } },
      { model_rpm_limit: { 'gpt-4o': 9 } },
      { model_max_budget: { o3: { max_budget: 2 } } },
    ];
    for (const fields of wider) {
      const { status } = await api.post('/key/generate', fields, own.key);
      expect([fields, status]).toEqual([fields, 403]);
    }
    // A rate beside the money of a model is one as well.
    const beside = { o3: { max_budget: 1, rpm_limit: 2 } };
    const { body: other } = await api.post('/key/generate', {
      user_id: 'mallory',
      model_max_budget: beside,
    });
    expect((await api.post('/key/generate', {}, other.key)).body.model_max_budget).toEqual(beside);
    for (const [rpm, expected] of [
      [3, 403],
      [2, 200],
    ] as const) {
      const lifted = { model_rpm_limit: { o3: rpm } };
      expect((await api.post('/key/generate', lifted, other.key)).status).toBe(expected);
    }
    const narrower = { key: own.key, model_rpm_limit: { 'gpt-*': 4, o3: 1 } };
    expect((await api.post('/key/update', narrower, own.key)).status).toBe(200);
  });

  it('by a limit of its key in place of that of its team', async () => {
    await using api = await startManagement();
    const mallory = await makeUser(api, 'mallory', 'internal_user');
    const ann = await makeUser(api, 'ann', 'internal_user');
    await api.post('/organization/new', { organization_id: 'o', organization_alias: 'o' });
    await api.call('POST', '/organization/member_add', {
      body: { organization_id: 'o', member: { role: 'org_admin', user_id: 'ann' } },
    });
    await api.post('/team/new', {
      team_id: 't',
      organization_id: 'o',
      members_with_roles: [{ role: 'admin', user_id: 'mallory' }],
      model_rpm_limit: { 'gpt-*': 5, o3: 1 },
      model_tpm_limit: { o3: 1000 },
    });
    const { body: own } = await api.post('/key/generate', { team_id: 't' }, mallory);
    const limits: readonly (readonly [object, number])[] = [
      [{ model_rpm_limit: { 'gpt-4o': 9 } }, 403],
      [{ model_rpm_limit: { '*': 9 } }, 403],
      [{ model_max_budget: { 'gpt-4o': { max_budget: 1, rpm_limit: 9 } } }, 403],
      [{ model_rpm_limit: { o3: 1 }, model_tpm_limit: { o3: 1 } }, 403],
      // Beside the team's, which goes on to hold.
      [{ model_rpm_limit: { o3: 9 } }, 200],
      [{ model_rpm_limit: { 'o4-mini': 9, o3: 9 } }, 200],
    ];
    for (const [fields, expected] of limits) {
      const made = await api.post('/key/generate', { team_id: 't', ...fields }, mallory);
      const changed = await api.post('/key/update', { key: own.key, ...fields }, mallory);
      expect([fields, made.status, changed.status]).toEqual([fields, expected, expected]);
    }
    const { body: free } = await api.post(
      '/key/generate',
      { user_id: 'mallory', model_rpm_limit: { 'gpt-4o': 9 } },
      mallory,
    );
    const moved = await api.post('/key/update', { key: free.key, team_id: 't' }, mallory);
    expect([moved.status, moved.body.error.param]).toEqual([403, 'model_rpm_limit']);
    const team = { team_id: 't', model_rpm_limit: { 'gpt-*': 6 } };
    expect((await api.post('/team/update', team, mallory)).status).toBe(403);
    // Whoever is above the team may, and what was given so may be kept.
    const given = { key: own.key, model_rpm_limit: { 'gpt-4o': 9 } };
    expect((await api.post('/key/update', given, ann)).status).toBe(200);
    const more = { key: own.key, model_rpm_limit: { 'gpt-4o': 9, 'o4-mini': 1 } };
    expect((await api.post('/key/update', more, mallory)).status).toBe(200);
  });

  it('by the type of a key: it names routes as a list of them does', async () => {
    await using api = await startManagement();
    await makeUser(api, 'mallory', 'internal_user');
    const { body: narrow } = await api.post('/key/generate', {
      user_id: 'mallory',
      allowed_routes: ['/key/generate'],
    });
    for (const key_type of ['management', 'read_only', 'llm_api']) {
      const { status } = await api.post('/key/generate', { key_type }, narrow.key);
      expect([key_type, status]).toEqual([key_type, 403]);
    }
    const { body: managing } = await api.post('/key/generate', {
      user_id: 'mallory',
      key_type: 'management',
    });
    const same = await api.post('/key/generate', { key_type: 'management' }, managing.key);
    expect(same.body.allowed_routes).toEqual(['management_routes']);
  });

  it('by lifting a limit of its key with null', async () => {
    await using api = await startManagement();
    await makeUser(api, 'mallory', 'internal_user');
    const { body } = await api.post('/key/generate', {
      user_id: 'mallory',
      max_budget: 1,
      duration: '1d',
    });
    for (const fields of [{ max_budget: null }, { duration: null }, { duration: '-1' }]) {
      expect((await api.post('/key/update', { key: body.key, ...fields }, body.key)).status).toBe(
        403,
      );
    }
  });

  it('by unblocking its key, or by what only those above it do', async () => {
    await using api = await startManagement();
    const key = await makeUser(api, 'mallory', 'internal_user');
    const { body: blocked } = await api.post('/key/generate', { user_id: 'mallory' });
    await api.post('/key/block', { key: blocked.key });
    const attempts: [string, object][] = [
      ['/key/update', { key: blocked.key, blocked: false }],
      ['/key/unblock', { key: blocked.key }],
      [`/key/${blocked.token}/reset_spend`, { reset_to: 0 }],
    ];
    for (const [path, body] of attempts) {
      expect([path, (await api.post(path, body, key)).status]).toEqual([path, 403]);
    }
    const turned = await api.post('/key/regenerate', { key: blocked.token }, key);
    expect(turned.body.blocked).toBe(true);
  });

  it('by holding a key of a team and of nobody: it sees no other key of the team', async () => {
    await using api = await startManagement();
    await api.post('/team/new', { team_id: 'team' });
    const { body: service } = await api.post('/key/generate', { team_id: 'team' });
    const { body: other } = await api.post('/key/generate', { team_id: 'team' });
    expect((await api.get(`/key/info?key=${other.token}`, service.key)).status).toBe(404);
    const info = await api.get('/team/info?team_id=team', service.key);
    expect(info.text).not.toContain(other.token);
    const list = await api.get('/team/list', service.key);
    expect(list.text).not.toContain(other.token);
  });

  it('by lists of routes that grant: they only ever take away', async () => {
    await using api = await startManagement();
    const key = await makeUser(api, 'mallory', 'internal_user');
    const { body } = await api.post('/key/generate', { allowed_routes: ['/*', '*'] }, key);
    expect(
      (await api.post('/user/update', { user_id: 'mallory', user_role: 'proxy_admin' }, body.key))
        .status,
    ).toBe(401);
    const { body: narrow } = await api.post('/key/generate', {
      user_id: 'mallory',
      allowed_routes: ['/key/generate'],
    });
    expect((await api.post('/key/generate', { allowed_routes: ['/*'] }, narrow.key)).status).toBe(
      403,
    );
    expect((await api.post('/key/generate', {}, narrow.key)).body.allowed_routes).toEqual([
      '/key/generate',
    ]);
  });

  it('by making or turning a key of a member with a higher role', async () => {
    await using api = await startManagement();
    await makeUser(api, 'root', 'proxy_admin');
    const mallory = await makeUser(api, 'mallory', 'internal_user');
    await api.post('/team/new', {
      team_id: 'team',
      members_with_roles: [{ role: 'admin', user_id: 'mallory' }],
    });
    expect(
      (
        await api.post(
          '/team/member_add',
          { team_id: 'team', member: { role: 'user', user_id: 'root' } },
          mallory,
        )
      ).status,
    ).toBe(200);
    const made = await api.post('/key/generate', { team_id: 'team', user_id: 'root' }, mallory);
    expect(made.status).toBe(200);
    expect((await api.get('/user/info?user_id=root', made.body.key)).status).toBe(404);
    expect((await api.post('/user/new', { user_id: 'x' }, made.body.key)).status).toBe(401);
    const { body: rootsOwn } = await api.post('/key/generate', {
      team_id: 'team',
      user_id: 'root',
    });
    const turned = await api.post('/key/regenerate', { key: rootsOwn.token }, mallory);
    expect(turned.status).toBe(200);
    expect((await api.post('/user/new', { user_id: 'x' }, turned.body.key)).status).toBe(401);
    await api.post('/key/update', { key: mallory, team_id: 'team', user_id: 'root' }, mallory);
    expect((await api.post('/user/new', { user_id: 'x' }, mallory)).status).toBe(401);
  });

  it('by keeping the secret of a key that an administrator gives to another user', async () => {
    await using api = await startManagement();
    await makeUser(api, 'root', 'proxy_admin');
    const mallory = await makeUser(api, 'mallory', 'internal_user');
    await api.post('/key/update', { key: mallory, user_id: 'root' });
    expect((await api.post('/user/new', { user_id: 'x' }, mallory)).status).toBe(401);
    const { body } = await api.post('/key/regenerate', { key: mallory });
    expect((await api.post('/user/new', { user_id: 'x' }, body.key)).status).toBe(200);
  });

  it('by administering a team: its limits come from above', async () => {
    await using api = await startManagement();
    const lead = await makeUser(api, 'lead', 'internal_user');
    await api.post('/team/new', {
      team_id: 'team',
      max_budget: 5,
      models: ['m1'],
      members_with_roles: [{ role: 'admin', user_id: 'lead' }],
    });
    for (const fields of [
      { max_budget: 6 },
      { max_budget: null },
      { models: [] },
      { organization_id: 'o' },
    ]) {
      const { status } = await api.post('/team/update', { team_id: 'team', ...fields }, lead);
      expect([400, 403]).toContain(status);
    }
    for (const path of ['/team/block', '/team/model/add', '/team/delete']) {
      const { status } = await api.post(
        path,
        { team_id: 'team', team_ids: ['team'], models: ['m2'] },
        lead,
      );
      expect([path, status]).toEqual([path, 403]);
    }
    const renamed = await api.post('/team/update', { team_id: 'team', team_alias: 'Ours' }, lead);
    expect(renamed.body.data).toMatchObject({ team_alias: 'Ours', max_budget: 5, models: ['m1'] });
  });

  it('by fields that are of the store and not of the API', async () => {
    await using api = await startManagement();
    const { body, headers } = await api.call('POST', '/key/generate', {
      body: `{"key_id":"key_mine","secrets":[],"created_by":"x","rotation_count":9,"__proto__":{"blocked":true},"constructor":1}`,
    });
    expect(body).toMatchObject({ created_by: 'default_user_id', rotation_count: 0, blocked: null });
    expect(body.key_id).not.toBe('key_mine');
    expect(headers.get('x-aigateway-ignored')).toContain('created_by');
    expect(({} as { blocked?: boolean }).blocked).toBeUndefined();
  });
});

const naming =
  /^(user_id|team_id|organization_id|budget_id|key|keys|\w+_ids?|\w+_aliases|models|credential|litellm_credential_name)$/;

/** Values that a field takes, with a text in the places that its type has for one; undefined where it takes none. */
function hostileValue(field: z.ZodType, text: string): unknown {
  const json = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;
  const nested = { __proto__: null, [text]: text };
  const candidates: unknown[] = [
    text,
    [text],
    { [text]: text },
    { [text]: 1 },
    { model: text, [text]: nested },
    { role: 'user', user_id: text },
    [{ role: 'user', user_id: text }],
    1,
    true,
  ];
  return candidates.find((value) => field.safeParse(json(value)).success);
}

describe('hostile values, in every field of every route', () => {
  it('of the right type break nothing either, nor what is asked with them afterwards', async () => {
    await using api = await startManagement();
    const failed: string[] = [];
    for (const text of ['constructor', '__proto__', 'toString', "'; drop table entity; --", '%']) {
      for (const route of routes) {
        const fields = Object.entries((route.body?.shape ?? {}) as { [name: string]: z.ZodType });
        const body = Object.fromEntries(
          fields.flatMap(([name, field]) => {
            const isRequired = !field.safeParse(undefined).success;
            const value = hostileValue(field, text);
            return value === undefined || (naming.test(name) && !isRequired) ? [] : [[name, value]];
          }),
        );
        const path = route.paths[0]!.replaceAll(/:\w+/g, encodeURIComponent(text));
        const answer = await api.call(route.method.toUpperCase(), path, {
          ...(route.body && { body }),
        });
        if (answer.status >= 500 && answer.status !== route.status)
          failed.push(`${route.method} ${path} ${answer.text.slice(0, 200)}`);
        const { key } = (answer.body ?? {}) as { key?: unknown };
        if (typeof key !== 'string' || !key.startsWith('sk-')) continue;
        const used = await api.get('/key/info', key);
        if (used.status >= 500) failed.push(`a key of ${path} ${used.text.slice(0, 200)}`);
      }
    }
    expect(failed).toEqual([]);
    expect(api.faults).toEqual([]);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('that are nearly a day, a time or a number are refused, on every route that takes one', async () => {
    await using api = await startManagement();
    const values: { readonly [field: string]: readonly string[] } = {
      start_date: ['2026-99-99', '2026-02-30', '0000-00-00', '9999-12-32'],
      end_date: ['2026-99-99', '2026-02-30'],
      page: ['1e9', '-1', '9007199254740993', 'NaN'],
      size: ['1e9', '0', '1.5'],
      page_size: ['1e9', '0', '1.5'],
      limit: ['1e9', '0', 'Infinity'],
      from: ['-1', '1e99'],
    };
    const valid = { start_date: '2026-11-01', end_date: '2026-11-30' };
    const failed: string[] = [];
    let asked = 0;
    for (const route of routes.filter(({ method }) => method === 'get')) {
      const names = Object.keys(route.query?.shape ?? {});
      for (const name of names.filter((one) => one in values)) {
        for (const value of values[name] ?? []) {
          const query = new URLSearchParams(
            Object.entries(valid).filter(([one]) => names.includes(one)),
          );
          query.set(name, value);
          const path = `${route.paths[0]!.replaceAll(/:\w+/g, 'x')}?${query.toString()}`;
          const { status } = await api.call('GET', path);
          asked += 1;
          if (status < 400 || status >= 500) failed.push(`${path} ${status}`);
        }
      }
    }
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(100);
  });

  const texts = [
    "' OR 1=1 --",
    "'); drop table entity; --",
    '%',
    '_',
    '\u0000',
    '\ud800',
    '../../etc/passwd',
    'constructor',
    '__proto__',
    'x'.repeat(5000),
  ];

  it('fail no route, change no prototype and find nothing that is not named', async () => {
    await using api = await startManagement();
    const { body: bystander } = await api.post('/key/generate', { key_alias: 'bystander' });
    const failed: string[] = [];
    for (const route of routes) {
      for (const value of texts) {
        const [method, path] = [
          route.method.toUpperCase(),
          route.paths[0]!.replaceAll(/:\w+/g, encodeURIComponent(value.toWellFormed())),
        ];
        const query = new URLSearchParams(
          Object.keys(route.query?.shape ?? {}).map((field) => [field, value]),
        );
        const fields = Object.keys(route.body?.shape ?? {}).map(
          (field) => `${JSON.stringify(field)}:${JSON.stringify(value)}`,
        );
        const more = [
          '"__proto__":{"polluted":true}',
          '"constructor":{"prototype":{"polluted":true}}',
        ];
        const { status } = await api.call(
          method,
          `${path}${query.size > 0 ? `?${query.toString()}` : ''}`,
          {
            ...(route.body && { body: `{${[...fields, ...more].join(',')}}` }),
          },
        );
        const isDeclared = status === route.status;
        if (status >= 500 && !isDeclared) failed.push(`${method} ${path.slice(0, 80)} ${status}`);
      }
    }
    expect(failed).toEqual([]);
    expect(api.faults).toEqual([]);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    const { info } = (await api.get(`/key/info?key=${bystander.key}`)).body;
    expect(info).toMatchObject({ key_alias: 'bystander', status: 'active', models: [] });
  });
});
