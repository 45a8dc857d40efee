import { randomUUID } from 'node:crypto';
import type * as z from 'zod';
import { masterUserId, seesAll } from '../auth/actor.ts';
import { ApiError, detailError, notFound } from '../errors.ts';
import { type Call, type Outcome, timestamp } from '../http/call.ts';
import { inertFields, isEmpty } from '../http/fields.ts';
import { refuseGone } from '../http/gone.ts';
import { checkWindows, noLimits, withFields } from '../http/limits.ts';
import { put, remove } from '../http/view.ts';
import { keyRows } from '../keys/row.ts';
import { generateBody } from '../keys/schema.ts';
import { generatedAnswer, makeKey } from '../keys/service.ts';
import { nanoUsdOf } from '../spend/sums.ts';
import type { UserDocument } from '../store/documents.ts';
import type { Change } from '../store/entities.ts';
import { addMembers, freshUser } from '../teams/members.ts';
import { teamRows } from '../teams/row.ts';
import { userRows } from './row.ts';
import {
  type bulkUpdateBody,
  type listQuery,
  namesOfKeyFields,
  newBody,
  type updateBody,
} from './schema.ts';

type NewBody = z.output<typeof newBody>;
type UserFields = z.output<typeof updateBody>;

const blank = {
  ...noLimits,
  user_email: null,
  user_alias: null,
  user_role: null,
  sso_user_id: null,
  models: [],
  metadata: {},
} satisfies Partial<UserDocument>;

export const roleDescriptions = {
  proxy_admin: { description: 'everything', ui_label: 'Admin (All Permissions)' },
  proxy_admin_viewer: {
    description: 'sees everything, changes nothing',
    ui_label: 'Admin (View Only)',
  },
  internal_user: {
    description: 'makes, sees and deletes its own keys, sees its own spend',
    ui_label: 'Internal User (Create/Delete/View)',
  },
  internal_user_viewer: {
    description: 'sees its own keys and spend',
    ui_label: 'Internal User (View Only)',
  },
} as const;

export async function createUser(call: Call, body: NewBody): Promise<Outcome> {
  const userId = body.user_id ?? randomUUID();
  if (userId === masterUserId) {
    throw detailError(400, { error: `${masterUserId} is the holder of the master key.` });
  }
  if ((await call.view.get('user', userId)) !== undefined) {
    throw detailError(409, { error: `User with id ${userId} already exists.` });
  }
  const user = await changedUser(call, freshUser(call, userId, null), body);
  const changes: Change[] = [put('user', userId, user)];
  const teamIds: string[] = [];
  for (const wanted of teamsOf(body)) {
    const team = await call.view.get('team', wanted.team_id);
    if (team === undefined) throw detailError(404, { error: `Team ${wanted.team_id} not found.` });
    const member = {
      role: wanted.user_role ?? 'user',
      user_id: userId,
      user_email: user.user_email,
    };
    const added = await addMembers(call, team, [member], {
      max_budget_in_team: wanted.max_budget_in_team,
    });
    teamIds.push(team.team_id);
    // The user itself is written above, with its role.
    const others = added.changes.filter(({ kind }) => kind !== 'user');
    changes.push(put('team', team.team_id, added.team), ...others);
  }
  for (const organizationId of body.organizations ?? []) {
    if ((await call.view.get('organization', organizationId)) === undefined) {
      throw detailError(404, { error: `Organization ${organizationId} not found.` });
    }
    const at = timestamp(call);
    changes.push(
      put('organization_membership', `${organizationId}:${userId}`, {
        organization_id: organizationId,
        user_id: userId,
        user_role: 'internal_user',
        budget_id: null,
        created_at: at,
        created_by: call.actor.id,
        updated_at: at,
        updated_by: call.actor.id,
      }),
    );
  }
  const [row] = await userRows(call, [user]);
  const answer = { ...row, teams: teamIds, key: '', token: null };
  if (body.auto_create_key === false) {
    const ignored = namesOfKeyFields.filter((name) => !isEmpty(body[name]));
    return { answer, changes, subject: userId, ignored };
  }

  // The limits are the user's; repeated in the key they would count twice.
  const { key, made } = await makeKey(call, { ...keyFieldsOf(body), user_id: userId });
  changes.push(put('key', key.key_id, key));
  return {
    answer: {
      ...(await generatedAnswer(call, key, made)),
      ...row,
      teams: teamIds,
      key: made.secret,
    },
    changes,
    subject: userId,
  };
}

function keyFieldsOf(body: NewBody): z.output<typeof generateBody> {
  const kept = Object.entries(body).filter(
    ([name]) => name in generateBody.shape && !(name in blank) && name !== 'spend',
  );
  return generateBody.parse({ ...Object.fromEntries(kept), models: body.models });
}

function teamsOf({ teams, team_id }: NewBody) {
  const named: {
    team_id: string;
    user_role?: 'admin' | 'user' | undefined;
    max_budget_in_team?: number | null | undefined;
  }[] = (teams ?? []).map((team) => (typeof team === 'string' ? { team_id: team } : team));
  return team_id ? [...named, { team_id }] : named;
}

/** Changes a user; one that is not known is made, as LiteLLM does. */
export async function updateUser(call: Call, sent: UserFields): Promise<Outcome> {
  const next = await updatedUser(call, sent);
  const [row] = await userRows(call, [next]);
  return {
    answer: { user_id: next.user_id, data: row },
    changes: [put('user', next.user_id, next)],
  };
}

async function updatedUser(call: Call, sent: UserFields): Promise<UserDocument> {
  const { user_id: userId, user_email: email } = sent;
  if (!userId && !email) {
    throw detailError(400, { error: 'Either user_id or user_email must be provided' });
  }
  if (userId === masterUserId) {
    throw detailError(400, { error: `${masterUserId} is the holder of the master key.` });
  }
  const current = userId
    ? await call.view.get('user', userId)
    : (
        await call.view.find('user', {
          where: { user_email: email?.toLowerCase() ?? '' },
          limit: 1,
        })
      ).rows[0];
  if (current === undefined && userId) await refuseGone(call, 'user', userId, 'user_id');
  return changedUser(call, current ?? freshUser(call, userId ?? randomUUID(), null), sent);
}

export async function updateUsers(
  call: Call,
  { users, all_users, user_updates }: z.output<typeof bulkUpdateBody>,
): Promise<Outcome> {
  const wanted: UserFields[] = [...(users ?? [])];
  if (all_users && user_updates) {
    const { user_email: _email, sso_user_id: _sso, ...shared } = user_updates;
    for await (const { user_id } of call.view.all('user')) wanted.push({ ...shared, user_id });
  }
  const results: { sent: UserFields; next?: UserDocument; error?: string }[] = [];
  for (const sent of wanted) {
    try {
      results.push({ sent, next: await updatedUser(call, sent) });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      results.push({ sent, error: error.message });
    }
  }
  const written = new Map(results.flatMap(({ next }) => (next ? [[next.user_id, next]] : [])));
  const rows = await userRows(call, [...written.values()]);
  const answers = results.map(({ sent, next, error }) => ({
    user_id: next?.user_id ?? sent.user_id ?? null,
    user_email: next?.user_email ?? sent.user_email ?? null,
    success: next !== undefined,
    error: error ?? null,
    updated_user: rows.find((row) => row['user_id'] === next?.user_id) ?? null,
  }));
  return {
    answer: {
      results: answers,
      total_requested: wanted.length,
      successful_updates: answers.filter(({ success }) => success).length,
      failed_updates: answers.filter(({ success }) => !success).length,
    },
    changes: [...written].map(([userId, user]) => put('user', userId, user)),
  };
}

async function changedUser(
  call: Call,
  user: UserDocument,
  sent: UserFields | NewBody,
): Promise<UserDocument> {
  const next: UserDocument = {
    ...withFields<UserDocument>(user, blank, sent),
    inert: { ...user.inert, ...inertFields(newBody, sent) },
    updated_at: timestamp(call),
    updated_by: call.actor.id,
  };
  // A password is no setting to be kept: there is no login with one.
  delete next.inert['password'];
  checkWindows(next);
  if (next.user_email !== null && next.user_email !== user.user_email) {
    const { rows } = await call.view.find('user', {
      where: { user_email: next.user_email.toLowerCase() },
      limit: 1,
    });
    if (rows.some(({ user_id }) => user_id !== next.user_id)) {
      throw detailError(409, { error: `User with email ${next.user_email} already exists.` });
    }
  }
  if (sent.spend !== undefined && sent.spend !== null) {
    call.spend.reset('user', next.user_id, nanoUsdOf(sent.spend));
  }
  return next;
}

/** A user goes with its keys and its places in teams and organizations. */
export async function deleteUsers(call: Call, userIds: readonly string[]): Promise<Outcome> {
  const found = [...(await call.view.getMany('user', userIds)).keys()];
  if (found.length === 0) throw detailError(404, { error: 'User not found' });
  const [keys, teams, places, organizations] = await Promise.all([
    call.view.findAll('key', { user_id: found }),
    call.view.findAll('team', { member: found }),
    call.view.findAll('team_membership', { user_id: found }),
    call.view.findAll('organization_membership', { user_id: found }),
  ]);
  return {
    answer: found.length,
    changes: [
      ...found.map((userId) => remove('user', userId)),
      ...keys.map(({ key_id }) => remove('key', key_id)),
      ...teams.map((team) =>
        put('team', team.team_id, {
          ...team,
          members_with_roles: team.members_with_roles.filter(
            ({ user_id }) => user_id === null || !found.includes(user_id),
          ),
          updated_at: timestamp(call),
          updated_by: call.actor.id,
        }),
      ),
      ...places.map(({ team_id, user_id }) => remove('team_membership', `${team_id}:${user_id}`)),
      ...organizations.map(({ organization_id, user_id }) =>
        remove('organization_membership', `${organization_id}:${user_id}`),
      ),
    ],
  };
}

export async function userInfo(call: Call, named: string | undefined): Promise<Outcome> {
  const user = await visibleUser(call, named);
  const keys = await call.view.findAll('key', { user_id: user.user_id });
  const teams = await call.view.findAll('team', { member: user.user_id });
  const [row] = await userRows(call, [user]);
  return {
    answer: {
      user_id: user.user_id,
      user_info: row,
      keys: await keyRows(call, keys),
      teams: await teamRows(call, teams),
    },
  };
}

export async function flatUserInfo(call: Call, named: string | undefined): Promise<Outcome> {
  const [row] = await userRows(call, [await visibleUser(call, named)]);
  return { answer: row };
}

async function visibleUser(call: Call, named: string | undefined): Promise<UserDocument> {
  const { actor } = call;
  const userId = named ?? actor.userId;
  const mayKnow = userId !== undefined && (userId === actor.userId || seesAll(actor));
  const user = mayKnow ? await call.view.get('user', userId) : undefined;
  if (user !== undefined) return user;
  if (mayKnow && userId === masterUserId) {
    return { ...freshUser(call, masterUserId, null), user_role: 'proxy_admin' };
  }
  throw notFound('User', 'user_id');
}

export async function listUsers(call: Call, query: z.output<typeof listQuery>): Promise<Outcome> {
  if (!seesAll(call.actor)) {
    throw detailError(403, { error: 'Only proxy admins can list users.' });
  }
  const users = await matchingUsers(call, query);
  const { page, page_size: size } = query;
  const shown = users.slice((page - 1) * size, page * size);
  const rows = await userRows(call, shown);
  const counts = await Promise.all(shown.map(({ user_id }) => call.view.count('key', { user_id })));
  return {
    answer: {
      users: rows.map((row, index) => ({ ...row, key_count: counts[index] ?? 0 })),
      total: users.length,
      page,
      page_size: size,
      total_pages: Math.ceil(users.length / size),
    },
  };
}

async function matchingUsers(
  call: Call,
  query: z.output<typeof listQuery>,
): Promise<UserDocument[]> {
  const { view } = call;
  const ofTeam = query.team === undefined ? undefined : await view.get('team', query.team);
  const members = new Set(ofTeam?.members_with_roles.map(({ user_id }) => user_id));
  const organizations = query.organization_ids;
  const inOrganizations = new Set(
    organizations === undefined
      ? []
      : (await view.findAll('organization_membership', { organization_id: organizations })).map(
          ({ user_id }) => user_id,
        ),
  );
  const users = await view.findAll('user', {
    ...(query.role !== undefined && { user_role: query.role }),
    ...(query.sso_user_ids !== undefined && { sso_user_id: query.sso_user_ids }),
  });
  const email = query.user_email?.toLowerCase();
  const search = query.search?.toLowerCase();
  const field = query.sort_by ?? 'created_at';
  const sign = query.sort_order === 'desc' ? -1 : 1;
  return users
    .filter(
      (user) =>
        (query.user_ids === undefined || query.user_ids.includes(user.user_id)) &&
        (query.team === undefined || members.has(user.user_id)) &&
        (organizations === undefined || inOrganizations.has(user.user_id)) &&
        (email === undefined || (user.user_email?.toLowerCase().includes(email) ?? false)) &&
        (search === undefined ||
          `${user.user_id}\n${user.user_email ?? ''}\n${user.user_alias ?? ''}`
            .toLowerCase()
            .includes(search)),
    )
    .sort((one, other) => {
      const [a, b] = [one[field] ?? '', other[field] ?? ''];
      return a === b ? 0 : a < b ? -sign : sign;
    });
}

/** How many users there are; nothing here is sold by the seat. */
export async function countUsers(call: Call): Promise<Outcome> {
  return {
    answer: {
      total_users: null,
      total_users_used: await call.view.count('user'),
      total_users_remaining: null,
    },
  };
}
