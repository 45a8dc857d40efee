import { describe, expect, it } from 'vitest';
import type { Route } from '../src/http/route.ts';
import { type Answer, makeUser, type Management, startManagement } from './management.ts';

/** Everything of one tenant that has an id, with a key of its administrator. */
type Tenant = { readonly key: string; readonly ids: { readonly [kind: string]: string } };

async function makeTenant(api: Management, name: string): Promise<Tenant> {
  const organization = `${name}-organization`;
  const team = `${name}-team`;
  const user = `${name}-user`;
  await api.post('/organization/new', {
    organization_id: organization,
    organization_alias: organization,
  });
  const key = await makeUser(api, user, 'internal_user');
  await api.post('/organization/member_add', {
    organization_id: organization,
    member: { role: 'org_admin', user_id: user },
  });
  await api.post('/team/new', {
    team_id: team,
    team_alias: team,
    organization_id: organization,
    members_with_roles: [{ role: 'admin', user_id: user }],
  });
  const { body: made } = await api.post('/key/generate', {
    team_id: team,
    user_id: user,
    key_alias: `${name}-alias`,
    metadata: { secret: `${name}-canary` },
  });
  return {
    key,
    ids: {
      key: made.key,
      hash: made.token,
      key_id: made.key_id,
      alias: `${name}-alias`,
      team,
      user,
      organization,
    },
  };
}

/** Which id of a tenant a field of a request names. */
function idFor(field: string, ids: Tenant['ids']): string | undefined {
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

/** The request of a route that names the ids of a tenant wherever it can name one. */
function requestWith(
  route: Route,
  ids: Tenant['ids'],
  name: string,
): [string, string, object | undefined] {
  const path = route.paths[0]!.replaceAll(/:(\w+)/g, (_, field: string) =>
    name === 'key_id' ? ids['key_id']! : (idFor(field, ids) ?? 'x'),
  );
  const value = (field: string) =>
    name in ids && /^keys?$/.test(field) ? ids[name] : idFor(field, ids);
  const isList = (field: string) =>
    /^(keys|key_aliases|key_ids|\w+_ids|organizations)$/.test(field);
  const body: { [field: string]: unknown } = {};
  for (const [field, schema] of Object.entries(route.body?.shape ?? {})) {
    const required = !(schema as { safeParse(value: unknown): { success: boolean } }).safeParse(
      undefined,
    ).success;
    const id = value(field);
    const isNaming = required || /^(keys|key_aliases|user_id|team_id)$/.test(field);
    if (field in filling && required) body[field] = filling[field];
    else if (id !== undefined && isNaming) body[field] = isList(field) ? [id] : id;
  }
  const query = new URLSearchParams();
  for (const field of Object.keys(route.query?.shape ?? {})) {
    const id = value(field);
    if (field in filling) query.set(field, String(filling[field]));
    else if (id !== undefined && /_?(id|ids|key|user_id|key_alias|org_alias)$/.test(field))
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
};

describe('two tenants', () => {
  it('answers for what is another’s as for what does not exist, on every route', async () => {
    await using api = await startManagement();
    const a = await makeTenant(api, 'alpha');
    const b = await makeTenant(api, 'beta');
    const state = async () => {
      const rows: unknown[] = [];
      for (const kind of [
        'key',
        'user',
        'team',
        'organization',
        'team_membership',
        'organization_membership',
      ] as const) {
        for await (const row of api.store.entities.all(kind)) {
          if (JSON.stringify(row).includes('alpha')) rows.push(row);
        }
      }
      return rows;
    };
    const before = await state();
    const told: string[] = [];
    let requests = 0;
    for (const route of api.routes) {
      if (route.policy.isPublic) continue;
      for (const name of ['hash', 'key', 'key_id']) {
        const [method, path, body] = requestWith(route, a.ids, name);
        const [, unknownPath, unknownBody] = requestWith(route, unknown, name);
        if (path === unknownPath && JSON.stringify(body) === JSON.stringify(unknownBody)) continue;
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
    expect(requests).toBeGreaterThan(100);
  });

  it('lists to each its own', async () => {
    await using api = await startManagement();
    await makeTenant(api, 'alpha');
    const b = await makeTenant(api, 'beta');
    const lists = api.routes.filter(
      ({ method, effect, policy, paths }) =>
        method === 'get' && effect === 'read' && !policy.isPublic && !paths[0]!.includes(':'),
    );
    for (const { paths } of lists) {
      const query =
        'start_date=2026-11-01&end_date=2026-11-30&include_team_keys=true&include_created_by_keys=true';
      const { text } = await api.get(`${paths[0]}?${query}`, b.key);
      expect([paths[0], text.includes('alpha')]).toEqual([paths[0], false]);
    }
    const own = await api.get('/key/list?return_full_object=true', b.key);
    expect(own.body.keys).toHaveLength(2);
  });
});
