import { randomUUID } from 'node:crypto';
import { pairId } from '@aigateway/contract/limits';
import type * as z from 'zod';
import { detailError, notFound, proxyError } from '../errors.ts';
import { type Call, type Outcome, timestamp } from '../http/call.ts';
import { refuseGone } from '../http/gone.ts';
import { checkWindows, noLimits, withFields } from '../http/limits.ts';
import { put, remove } from '../http/view.ts';
import { nanoUsdOf } from '../spend/sums.ts';
import type {
  TeamDocument,
  TeamMember,
  TeamMembershipDocument,
  UserDocument,
} from '../store/documents.ts';
import type { Change } from '../store/entities.ts';
import { membershipRows, teamRows } from './row.ts';
import type { bulkMemberAddBody, memberAddBody, memberUpdateBody } from './schema.ts';
import { asMember, teamToWrite } from './access.ts';

type MemberLimits = {
  max_budget_in_team?: number | null | undefined;
  budget_duration?: string | null | undefined;
  tpm_limit?: number | null | undefined;
  rpm_limit?: number | null | undefined;
  allowed_models?: string[] | null | undefined;
};

type Added = {
  readonly team: TeamDocument;
  readonly users: readonly UserDocument[];
  readonly memberships: readonly TeamMembershipDocument[];
  /** Everything but the team itself. */
  readonly changes: readonly Change[];
};

/** Puts members into a team that the caller writes. Users who are not known yet are made, without a role. */
export async function addMembers(
  call: Call,
  team: TeamDocument,
  members: readonly TeamMember[],
  limits: MemberLimits,
): Promise<Added> {
  const added: TeamMember[] = [];
  const users: UserDocument[] = [];
  const memberships: TeamMembershipDocument[] = [];
  const changes: Change[] = [];
  for (const member of members) {
    const { user, isNew } = await userOf(call, member);
    const userId = user.user_id;
    if ([...team.members_with_roles, ...added].some(({ user_id }) => user_id === userId)) continue;
    if (isNew) changes.push(put('user', userId, user));
    const membership = changedMembership(call, freshMembership(call, team.team_id, userId), limits);
    changes.push(put('team_membership', `${team.team_id}:${userId}`, membership));
    added.push({ role: member.role, user_id: userId, user_email: user.user_email });
    users.push(user);
    memberships.push(membership);
  }
  return {
    team: {
      ...team,
      members_with_roles: [...team.members_with_roles, ...added],
      updated_at: timestamp(call),
      updated_by: call.actor.id,
    },
    users,
    memberships,
    changes,
  };
}

export async function addTeamMembers(
  call: Call,
  { team_id: teamId, member, ...limits }: z.output<typeof memberAddBody>,
): Promise<Outcome> {
  const team = await teamToWrite(call, teamId);
  const members = (Array.isArray(member) ? member : [member]).map(asMember);
  const added = await addMembers(call, team, members, limits);
  if (added.memberships.length < members.length) {
    throw proxyError(
      400,
      'team_member_already_in_team',
      'User is already in the team. Use /team/member_update to change a member.',
      'member',
    );
  }
  const [row] = await teamRows(call, [added.team]);
  return {
    answer: {
      ...row,
      updated_users: added.users.map(({ user_id, user_email }) => ({ user_id, user_email })),
      updated_team_memberships: await membershipRows(call, added.team, added.memberships),
    },
    changes: [put('team', teamId, added.team), ...added.changes],
  };
}

/** Members who are in the team already are named as failed, and the others come in. */
export async function addManyMembers(
  call: Call,
  { team_id: teamId, members, all_users: allUsers, ...limits }: z.output<typeof bulkMemberAddBody>,
): Promise<Outcome> {
  const team = await teamToWrite(call, teamId);
  if (allUsers && call.actor.role !== 'proxy_admin') {
    throw proxyError(403, 'auth_error', 'Only proxy admins can add all users.', 'all_users');
  }
  const wanted: TeamMember[] = (members ?? []).map(asMember);
  if (allUsers) {
    for await (const { user_id, user_email } of call.view.all('user'))
      wanted.push({ role: 'user', user_id, user_email });
  }
  const added = await addMembers(call, team, wanted, limits);
  const names = new Set(
    added.users.flatMap(({ user_id, user_email }) => [user_id, user_email ?? user_id]),
  );
  const results = wanted.map(({ user_id, user_email }) => {
    const success = names.has(user_id ?? user_email ?? '');
    return { user_id, user_email, success, error: success ? null : 'is in the team already' };
  });
  const [row] = await teamRows(call, [added.team]);
  return {
    answer: {
      team_id: teamId,
      results,
      total_requested: wanted.length,
      successful_additions: results.filter(({ success }) => success).length,
      failed_additions: results.filter(({ success }) => !success).length,
      updated_team: row,
    },
    changes: [put('team', teamId, added.team), ...added.changes],
  };
}

export async function updateTeamMember(
  call: Call,
  body: z.output<typeof memberUpdateBody>,
): Promise<Outcome> {
  const { team_id: teamId, role } = body;
  const team = await teamToWrite(call, teamId);
  const member = memberNamed(team, body);
  const userId = member.user_id ?? '';
  const place = `${teamId}:${userId}`;
  const current =
    (await call.view.get('team_membership', place)) ?? freshMembership(call, teamId, userId);
  const membership = changedMembership(call, current, body);
  const next: TeamDocument = {
    ...team,
    members_with_roles: team.members_with_roles.map((one) =>
      one === member && role ? { ...one, role } : one,
    ),
    updated_at: timestamp(call),
    updated_by: call.actor.id,
  };
  return {
    answer: {
      team_id: teamId,
      user_id: userId,
      user_email: member.user_email,
      role: role ?? member.role,
      max_budget_in_team: membership.max_budget,
      budget_duration: membership.budget_duration,
      tpm_limit: membership.tpm_limit,
      rpm_limit: membership.rpm_limit,
      allowed_models: membership.allowed_models,
    },
    changes: [put('team', teamId, next), put('team_membership', place, membership)],
  };
}

/** Takes a member out of a team, with the keys it had there: they would otherwise go on calling in the team's name. */
export async function deleteTeamMember(
  call: Call,
  body: {
    team_id: string;
    user_id?: string | null | undefined;
    user_email?: string | null | undefined;
  },
): Promise<Outcome> {
  const team = await teamToWrite(call, body.team_id);
  const member = memberNamed(team, body);
  const userId = member.user_id ?? '';
  const keys = await call.view.findAll('key', { team_id: body.team_id, user_id: userId });
  const next: TeamDocument = {
    ...team,
    members_with_roles: team.members_with_roles.filter((one) => one !== member),
    updated_at: timestamp(call),
    updated_by: call.actor.id,
  };
  const [row] = await teamRows(call, [next]);
  return {
    answer: row,
    changes: [
      put('team', next.team_id, next),
      remove('team_membership', `${next.team_id}:${userId}`),
      ...keys.map(({ key_id }) => remove('key', key_id)),
    ],
  };
}

function memberNamed(
  team: TeamDocument,
  {
    user_id,
    user_email,
  }: { user_id?: string | null | undefined; user_email?: string | null | undefined },
): TeamMember {
  if (!user_id && !user_email) {
    throw detailError(400, { error: 'Either user_id or user_email needs to be provided' });
  }
  const email = user_email?.toLowerCase();
  const member = team.members_with_roles.find((one) =>
    user_id ? one.user_id === user_id : one.user_email?.toLowerCase() === email,
  );
  if (member === undefined) throw detailError(400, { error: 'User is not a member of the team.' });
  return member;
}

async function userOf(
  call: Call,
  { user_id, user_email }: TeamMember,
): Promise<{ user: UserDocument; isNew: boolean }> {
  const email = user_email?.toLowerCase();
  const known =
    user_id === null
      ? (await call.view.find('user', { where: { user_email: email ?? '' }, limit: 1 })).rows[0]
      : await call.view.get('user', user_id);
  if (known !== undefined) return { user: known, isNew: false };
  if (user_id !== null) await refuseGone(call, 'user', user_id, 'user_id');
  return { user: freshUser(call, user_id ?? randomUUID(), user_email), isNew: true };
}

/** A user without a role: known by name, may call models with its keys and manage nothing. */
export function freshUser(call: Call, userId: string, email: string | null): UserDocument {
  const at = timestamp(call);
  return {
    ...noLimits,
    user_id: userId,
    user_email: email,
    user_alias: null,
    user_role: null,
    sso_user_id: null,
    models: [],
    metadata: {},
    inert: {},
    created_at: at,
    created_by: call.actor.id,
    updated_at: at,
    updated_by: call.actor.id,
  };
}

function freshMembership(call: Call, teamId: string, userId: string): TeamMembershipDocument {
  const at = timestamp(call);
  return {
    ...noLimits,
    team_id: teamId,
    user_id: userId,
    budget_id: null,
    allowed_models: [],
    created_at: at,
    created_by: call.actor.id,
    updated_at: at,
    updated_by: call.actor.id,
  };
}

function changedMembership(
  call: Call,
  membership: TeamMembershipDocument,
  limits: MemberLimits,
): TeamMembershipDocument {
  const { max_budget_in_team, ...rest } = limits;
  const next = {
    ...withFields<TeamMembershipDocument>(
      membership,
      {
        max_budget: null,
        budget_duration: null,
        tpm_limit: null,
        rpm_limit: null,
        allowed_models: [],
      },
      { ...rest, max_budget: max_budget_in_team },
    ),
    updated_at: timestamp(call),
    updated_by: call.actor.id,
  };
  checkWindows(next);
  return next;
}

/** Sets what a member has spent in a team. @throws ApiError 404, and 400 for more than was spent */
export async function resetMemberSpend(
  call: Call,
  teamId: string,
  userId: string,
  to: number,
): Promise<Outcome> {
  const team = await teamToWrite(call, teamId);
  const membership = await call.view.get('team_membership', pairId(teamId, userId));
  if (membership === undefined) throw notFound('Member', 'user_id');
  const [row] = await membershipRows(call, team, [membership]);
  const previous = Number(row?.['spend']);
  if (to > previous) throw detailError(400, 'reset_to must not be above what was spent.');
  call.spend.reset('member', pairId(teamId, userId), nanoUsdOf(to));
  return {
    answer: {
      team_id: teamId,
      user_id: userId,
      spend: to,
      previous_spend: previous,
      max_budget: membership.max_budget,
    },
    subject: pairId(teamId, userId),
  };
}
