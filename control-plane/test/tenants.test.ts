import { describe, expect, it } from 'vitest';
import type { Route } from '../src/http/route.ts';
import type { Kind } from '../src/store/documents.ts';
import { indexes } from '../src/store/entities.ts';
import { usageRecord } from './conformance/documents.ts';
import { type Answer, makeUser, type Management, startManagement } from './management.ts';

/** Everything of one tenant that has an id, with a key of its administrator. */
type Tenant = { readonly key: string; readonly ids: { readonly [kind: string]: string } };

async function makeTenant(api: Management, name: string): Promise<Tenant> {
  const organization = `${name}-organization`;
  const team = `${name}-team`;
  const user = `${name}-user`;
  const made = async (path: string, body: object) => {
    const answer = await api.post(path, body);
    expect([path, answer.text, answer.status < 300]).toEqual([path, answer.text, true]);
    return answer.body;
  };
  await made('/organization/new', {
    organization_id: organization,
    organization_alias: organization,
  });
  const key = await makeUser(api, user, 'internal_user');
  await made('/organization/member_add', {
    organization_id: organization,
    member: { role: 'org_admin', user_id: user },
  });
  const budget = `${name}-budget`;
  await made('/budget/new', { budget_id: budget, max_budget: 5 });
  const credential = `${name}-credential`;
  const values = { api_key: `${name}-canary`, api_base: `https://${name}.openai.azure.com` };
  await made('/credentials', { credential_name: credential, credential_values: values });
  const model = `${name}-deployment`;
  await made('/model/new', {
    model_name: `${name}-model`,
    litellm_params: { model: 'azure/gpt-4o', litellm_credential_name: credential },
    model_info: { id: model, access_groups: [`${name}-word`] },
  });
  const customer = `${name}-customer`;
  await made('/customer/new', { user_id: customer, alias: `${name}-canary`, budget_id: budget });
  const tag = `${name}-tag`;
  await made('/tag/new', { name: tag, description: `${name}-canary`, models: [model] });
  const group = await made('/v1/access_group', {
    access_group_name: `${name}-group`,
    access_model_names: [`${name}-model`],
  });
  await made('/team/new', {
    team_id: team,
    team_alias: team,
    organization_id: organization,
    access_group_ids: [group.access_group_id],
    members_with_roles: [{ role: 'admin', user_id: user }],
  });
  const own = await made('/key/generate', {
    team_id: team,
    user_id: user,
    budget_id: budget,
    key_alias: `${name}-alias`,
    metadata: { secret: `${name}-canary` },
  });
  const request = `${name}-request`;
  const record = usageRecord({
    requestId: request,
    keyId: own.key_id,
    teamId: team,
    userId: user,
    organizationId: organization,
    customerId: customer,
    tags: [tag],
    startedAt: api.clock.ms,
  });
  await api.store.ledger.append(name, [{ sequence: 1, record }]);
  return {
    key,
    ids: {
      key: own.key,
      hash: own.token,
      key_id: own.key_id,
      alias: `${name}-alias`,
      team,
      user,
      organization,
      budget,
      credential,
      model,
      customer,
      tag,
      access_group: group.access_group_id,
      word: `${name}-word`,
      request,
    },
  };
}

/** Which id of a tenant names an entity of a kind; no id where it is named by those of others, or by nobody. */
const idsOfKinds: { readonly [kind in Kind]: readonly string[] } = {
  key: ['key', 'hash', 'key_id', 'alias'],
  user: ['user'],
  team: ['team'],
  // Named by team and user, by organization and user.
  team_membership: ['team', 'user'],
  organization: ['organization'],
  organization_membership: ['organization', 'user'],
  customer: ['customer'],
  tag: ['tag'],
  budget: ['budget'],
  // Words in it are what keys may name.
  model: ['model', 'word'],
  access_group: ['access_group', 'word'],
  credential: ['credential'],
  // Of holders that have ids of their own; of nobody; of the sender of a header alone; of who copies a store.
  spend_reset: [],
  settings: [],
  idempotency: [],
  store_transfer: [],
};

/** What a route is about, by the first words of its path. */
const subjects: { readonly [word: string]: string } = {
  customer: 'customer',
  end_user: 'customer',
  budget: 'budget',
  tag: 'tag',
  credentials: 'credential',
  model: 'model',
};

/** Which id of a tenant a field of a request names. */
function idFor(field: string, route: Route, ids: Tenant['ids']): string | undefined {
  const [path = ''] = route.paths;
  const [word = ''] = path.split('/').filter((part) => !/^(v\d+)?$/.test(part));
  const subject = subjects[word];
  if (/^access_group_id(s)?$/.test(field)) return ids['access_group'];
  if (field === 'access_group') return ids['word'];
  if (path.startsWith('/manage/projects') && field === 'id') return ids['team'];
  if (/^access_group_name$/.test(field)) return undefined;
  if (field === 'budget_id') return ids['budget'];
  if (field === 'request_id') return ids['request'];
  if (field === 'end_user' || /^end_user_ids?$/.test(field)) return ids['customer'];
  if (field === 'tags') return ids['tag'];
  if (field === 'model_id' || field === 'model_ids') return ids['model'];
  const isNaming = /^(user_ids?|id|budgets|names?|credential_name|alias)$/.test(field);
  if (subject !== undefined && isNaming) return ids[subject];
  if (/alias/.test(field)) return ids['alias'];
  if (/organization|org_id/.test(field)) return ids['organization'];
  if (/team|project/.test(field)) return ids['team'];
  if (/user/.test(field)) return ids['user'];
  if (/key|token|^id$/.test(field)) return ids['hash'];
  return undefined;
}

/** Fields that make requests whole, so that nothing but the ids decides the answer. */
const filling: { readonly [field: string]: unknown } = {
  models: [],
  member: { role: 'user', user_id: 'somebody' },
  team_member_permissions: [],
  reset_to: 0,
  update_fields: {},
  start_date: '2026-11-01',
  end_date: '2026-11-30',
};

const lists =
  /^(keys|key_aliases|key_ids|\w+_ids|organizations|budgets|names|tags|access_group_ids)$/;

/**
 * The request of a route that names the ids of a tenant wherever it can name one.
 *
 * @param only - of the fields that may be left out, those that are sent: one id may hide what another one opens
 */
function requestWith(
  route: Route,
  ids: Tenant['ids'],
  name: string,
  only?: readonly string[],
): [string, string, object | undefined] {
  const isSent = (field: string) => only === undefined || only.includes(field);
  const path = route.paths[0]!.replaceAll(/:(\w+)/g, (_, field: string) =>
    name === 'key_id' && /key|^id$/.test(field) && !route.paths[0]!.includes('access_group')
      ? ids['key_id']!
      : (idFor(field, route, ids) ?? 'x'),
  );
  const value = (field: string) =>
    name in ids && /^keys?$/.test(field) ? ids[name] : idFor(field, route, ids);
  const body: { [field: string]: unknown } = {};
  for (const [field, schema] of Object.entries(route.body?.shape ?? {})) {
    const required = !(schema as { safeParse(value: unknown): { success: boolean } }).safeParse(
      undefined,
    ).success;
    const id = value(field);
    const isNaming =
      required ||
      /^(keys?|key_ids|key_aliases|user_id|team_id|budget_id|access_group_ids|model_ids?|tags|id)$/.test(
        field,
      );
    if (field in filling && required) body[field] = filling[field];
    else if (!required && !isSent(field)) continue;
    else if (field === 'users') body[field] = [{ user_id: ids['user'] }];
    else if (id !== undefined && isNaming) body[field] = lists.test(field) ? [id] : id;
  }
  const query = new URLSearchParams();
  for (const field of Object.keys(route.query?.shape ?? {})) {
    const id = value(field);
    if (field in filling) query.set(field, String(filling[field]));
    else if (
      id !== undefined &&
      isSent(field) &&
      /_?(id|ids|key|user_id|key_alias|org_alias|end_user|tags)$/.test(field)
    )
      query.set(field, id);
  }
  const method = route.method.toUpperCase();
  return [method, query.size > 0 ? `${path}?${query.toString()}` : path, route.body && body];
}

/** What an answer says once the ids that the caller sent itself are taken out. */
function withoutIds({ status, text }: Answer, ids: Tenant['ids']): string {
  let rest = text;
  for (const id of Object.values(ids)) rest = rest.replaceAll(id, '<id>');
  return `${status} ${rest}`;
}

const unknown: Tenant['ids'] = {
  key: 'sk-nobody-has-this-key',
  hash: 'f'.repeat(64),
  key_id: 'key_nobody',
  alias: 'nobody-alias',
  team: 'nobody-team',
  user: 'nobody-user',
  organization: 'nobody-organization',
  budget: 'nobody-budget',
  credential: 'nobody-credential',
  model: 'nobody-deployment',
  customer: 'nobody-customer',
  tag: 'nobody-tag',
  access_group: 'nobody-access-group',
  word: 'nobody-word',
  request: 'nobody-request',
};

describe('two tenants', () => {
  it('have an id of each kind of entity, and name it on the routes that are about it', async () => {
    await using api = await startManagement();
    const { ids } = await makeTenant(api, 'alpha');
    expect(Object.keys(idsOfKinds).toSorted()).toEqual(Object.keys(indexes).toSorted());
    expect(Object.keys(ids).toSorted()).toEqual(Object.keys(unknown).toSorted());
    const named = new Map<string, Set<string>>();
    for (const route of api.routes) {
      for (const name of ['hash', 'key', 'key_id']) {
        const request = JSON.stringify(requestWith(route, ids, name));
        for (const [id, value] of Object.entries(ids)) {
          if (!request.includes(encodeURIComponent(value))) continue;
          named.set(id, (named.get(id) ?? new Set()).add(route.paths[0]!));
        }
      }
    }
    // What nothing names is replayed by nobody.
    expect(Object.keys(ids).filter((id) => !named.has(id))).toEqual([]);
    const unnamed = api.routes.filter(({ effect, paths, body }) => {
      if (effect === 'read' || effect.kind === 'spend' || effect.action === 'created') return false;
      const own = idsOfKinds[effect.kind];
      const takesNothing = body === undefined && !paths[0]!.includes(':');
      return own.length > 0 && !takesNothing && !own.some((id) => named.get(id)?.has(paths[0]!));
    });
    expect(unnamed.map(({ paths }) => paths[0])).toEqual([]);
  });

  it('answers for what is another’s as for what does not exist, on every route', async () => {
    await using api = await startManagement();
    const a = await makeTenant(api, 'alpha');
    const b = await makeTenant(api, 'beta');
    const state = async () => {
      const rows: unknown[] = [];
      for (const kind of Object.keys(indexes) as Kind[]) {
        for await (const row of api.store.entities.all(kind)) {
          if (JSON.stringify(row).includes('alpha')) rows.push(row);
        }
      }
      return rows;
    };
    const before = await state();
    expect(before.length).toBeGreaterThan(10);
    const told: string[] = [];
    let requests = 0;
    for (const route of api.routes) {
      if (route.policy.isPublic) continue;
      // Reports choose by what is sent. A change that names one field alone is often one's own to make.
      const fields =
        route.effect === 'read' ? Object.keys({ ...route.query?.shape, ...route.body?.shape }) : [];
      const pairs = fields.flatMap((one) => fields.map((other) => [one, other]));
      const forms = ['hash', 'key', 'key_id'].flatMap((name) =>
        [undefined, ...pairs].map((only) => ({ name, only })),
      );
      const sent = new Set<string>();
      for (const { name, only } of forms) {
        const [method, path, body] = requestWith(route, a.ids, name, only);
        const [, unknownPath, unknownBody] = requestWith(route, unknown, name, only);
        if (path === unknownPath && JSON.stringify(body) === JSON.stringify(unknownBody)) continue;
        const request = JSON.stringify([path, body]);
        if (sent.has(request)) continue;
        sent.add(request);
        requests += 1;
        const options = { key: b.key };
        const foreign = await api.call(method, path, { ...options, ...(body && { body }) });
        const absent = await api.call(method, unknownPath, {
          ...options,
          ...(unknownBody && { body: unknownBody }),
        });
        const [one, other] = [withoutIds(foreign, a.ids), withoutIds(absent, unknown)];
        if (one !== other)
          told.push(`${method} ${path} ${JSON.stringify(body)}\n  ${one}\n  ${other}`);
        if (foreign.text.includes('alpha-canary')) told.push(`${method} ${path} shows the canary`);
      }
    }
    expect(told).toEqual([]);
    expect(await state()).toEqual(before);
    expect(requests).toBeGreaterThan(450);
  });

  it('lists to each its own', async () => {
    await using api = await startManagement();
    await makeTenant(api, 'alpha');
    const b = await makeTenant(api, 'beta');
    const all = api.routes.filter(
      ({ method, effect, policy, paths }) =>
        method === 'get' && effect === 'read' && !policy.isPublic && !paths[0]!.includes(':'),
    );
    for (const { paths } of all) {
      const query =
        'start_date=2026-11-01&end_date=2026-11-30&include_team_keys=true&include_created_by_keys=true';
      const { text } = await api.get(`${paths[0]}?${query}`, b.key);
      expect([paths[0], text.includes('alpha')]).toEqual([paths[0], false]);
    }
    const own = await api.get('/key/list?return_full_object=true', b.key);
    expect(own.body.keys).toHaveLength(2);
  });
});
