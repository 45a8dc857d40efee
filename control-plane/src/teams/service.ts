import { randomUUID } from 'node:crypto';
import type { JsonObject } from '@aigateway/contract/records';
import type * as z from 'zod';
import { requireAccessGroups } from '../access-groups/models.ts';
import { isAdmin, masterUserId, seesAll } from '../auth/actor.ts';
import {
  forbiddenField,
  isOrganizationAdmin,
  modelsCover,
  notPermitted,
  teamAccess,
  teamKeyAccess,
} from '../auth/rights.ts';
import { budgetRow, holdersBudget } from '../budgets/service.ts';
import { detailError, notFound, proxyError } from '../errors.ts';
import { type Call, type Outcome, timestamp } from '../http/call.ts';
import { inertFields } from '../http/fields.ts';
import { checkWindows, noLimits, withFields } from '../http/limits.ts';
import { put, remove } from '../http/view.ts';
import { keyRows } from '../keys/row.ts';
import type { TeamDocument, TeamMember } from '../store/documents.ts';
import type { Change } from '../store/entities.ts';
import { addMembers } from './members.ts';
import { asMember, teamToWrite, teamWithAccess } from './access.ts';
import { memberPermissions } from './permissions.ts';
import { membershipRows, teamRows } from './row.ts';
import type { listQuery, pagedQuery, patchBody } from './schema.ts';
import { newBody } from './schema.ts';

type NewBody = z.output<typeof newBody>;
type TeamFields = z.output<typeof patchBody>;

const blank = {
  ...noLimits,
  team_alias: null,
  organization_id: null,
  models: [],
  access_group_ids: [],
  model_aliases: {},
  metadata: {},
  blocked: false,
  team_member_permissions: [],
} satisfies Partial<TeamDocument>;

/** What only those above a team may change of it: its administrator would otherwise raise its own limits. */
const fieldsFromAbove = [
  ...(Object.keys(noLimits) as (keyof typeof noLimits)[]),
  'organization_id',
  'models',
  'blocked',
] as const;

export async function createTeam(call: Call, body: NewBody): Promise<Outcome> {
  const { actor } = call;
  if (!isAdmin(actor)) {
    const { organization_id: organizationId } = body;
    if (!organizationId || !(await isOrganizationAdmin(call, organizationId))) {
      throw proxyError(
        401,
        'auth_error',
        'Only proxy admins, and organization admins for their organization, can make teams.',
        'None',
      );
    }
  }
  const teamId = body.team_id ?? randomUUID();
  if ((await call.view.get('team', teamId)) !== undefined) {
    throw detailError(400, {
      error: `Team id = ${teamId} already exists. Please use a different team id.`,
    });
  }
  const at = timestamp(call);
  const fresh: TeamDocument = {
    ...blank,
    team_id: teamId,
    members_with_roles: [],
    credential: null,
    inert: {},
    created_at: at,
    created_by: actor.id,
    updated_at: at,
    updated_by: actor.id,
  };
  const { team: drafted, changes: budgets } = await changedTeam(call, fresh, body);
  const members: TeamMember[] = (body.members_with_roles ?? []).map(asMember);
  const creator = actor.userId ?? masterUserId;
  if (!members.some(({ user_id }) => user_id === creator)) {
    members.push({ role: 'admin', user_id: creator, user_email: actor.user?.user_email ?? null });
  }
  const { team, changes } = await addMembers(call, drafted, members, {});
  const [row] = await teamRows(call, [team]);
  return { answer: row, changes: [put('team', teamId, team), ...budgets, ...changes] };
}

export async function updateTeam(call: Call, teamId: string, sent: TeamFields): Promise<Outcome> {
  const { team, row, changes } = await writtenTeam(call, teamId, sent);
  return { answer: { team_id: team.team_id, data: row }, changes };
}

export async function patchTeam(call: Call, teamId: string, sent: TeamFields): Promise<Outcome> {
  const { row, changes } = await writtenTeam(call, teamId, sent);
  return { answer: row, changes };
}

async function writtenTeam(call: Call, teamId: string, sent: TeamFields) {
  const current = await teamToWrite(call, teamId);
  const { team, changes } = await changedTeam(call, current, sent);
  const isAbove =
    isAdmin(call.actor) ||
    (current.organization_id !== null &&
      (await isOrganizationAdmin(call, current.organization_id)));
  for (const field of isAbove ? [] : fieldsFromAbove) {
    if (JSON.stringify(team[field]) !== JSON.stringify(current[field]))
      throw forbiddenField(field, 'those above the team set it');
  }
  const moved = team.organization_id !== current.organization_id ? team.organization_id : null;
  if (moved !== null && !(await isOrganizationAdmin(call, moved)))
    throw notFound('Organization', 'organization_id');
  const [row] = await teamRows(call, [team]);
  return { team, row, changes: [put('team', team.team_id, team), ...changes] };
}

async function changedTeam(
  call: Call,
  current: TeamDocument,
  sent: TeamFields,
): Promise<{ team: TeamDocument; changes: readonly Change[] }> {
  const team: TeamDocument = {
    ...withFields<TeamDocument>(current, blank, sent),
    inert: { ...current.inert, ...inertFields(newBody, sent) },
    updated_at: timestamp(call),
    updated_by: call.actor.id,
  };
  checkWindows(team);
  checkPermissions(team.team_member_permissions);
  await checkOrganization(call, current, team);
  await checkAccessGroups(call, current, team);

  const shared = current.metadata['team_member_budget_id'];
  const { budgetId, changes } = await holdersBudget(
    call,
    typeof shared === 'string' ? shared : null,
    memberBudgetOf(sent),
  );
  // Replacing the metadata must not lose the members' budget, nor may anyone name another one there.
  const { team_member_budget_id: _named, ...named } = team.metadata;
  // LiteLLM keeps a team's tags there.
  const metadata = sent.tags === undefined ? named : { ...named, tags: sent.tags ?? [] };
  team.metadata = budgetId === null ? metadata : { ...metadata, team_member_budget_id: budgetId };
  return { team, changes };
}

function memberBudgetOf(sent: TeamFields): object {
  const fields = {
    max_budget: sent.team_member_budget,
    budget_duration: sent.team_member_budget_duration,
    rpm_limit: sent.team_member_rpm_limit,
    tpm_limit: sent.team_member_tpm_limit,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

async function checkAccessGroups(
  call: Call,
  current: TeamDocument,
  team: TeamDocument,
): Promise<void> {
  const groups = team.access_group_ids ?? [];
  if (JSON.stringify(groups) === JSON.stringify(current.access_group_ids ?? [])) return;
  if (!isAdmin(call.actor)) throw forbiddenField('access_group_ids', 'administrators set it');
  await requireAccessGroups(call, groups);
}

/** A team stays within the models and limits of its organization. */
async function checkOrganization(
  call: Call,
  current: TeamDocument,
  team: TeamDocument,
): Promise<void> {
  if (team.organization_id === null) return;
  const organization = await call.view.get('organization', team.organization_id);
  const mayKnow = await isOrganizationAdmin(call, team.organization_id);
  if (
    organization === undefined ||
    (current.organization_id !== team.organization_id && !mayKnow)
  ) {
    throw detailError(400, {
      error: `Organization not found for organization_id=${team.organization_id}`,
    });
  }
  if (current.organization_id !== team.organization_id) {
    const keys = await call.view.findAll('key', { team_id: team.team_id });
    const elsewhere = keys.filter(
      ({ organization_id: own }) => own !== null && own !== team.organization_id,
    );
    if (elsewhere.length > 0) {
      throw detailError(400, {
        error: `${elsewhere.length} keys of the team name another organization, and its limits would not hold for them. Set their organization_id to null first.`,
      });
    }
  }
  if (!modelsCover(organization.models, team.models)) {
    throw detailError(400, {
      error: "There are models in it that the team's organization may not use.",
    });
  }
  const budget = await call.view.get('budget', organization.budget_id);
  for (const limit of ['max_budget', 'tpm_limit', 'rpm_limit'] as const) {
    const cap = budget?.[limit] ?? null;
    const value = team[limit];
    if (cap !== null && value !== null && value > cap) {
      throw detailError(400, { error: `${limit} is above the organization's, which is ${cap}.` });
    }
  }
}

export async function teamInfo(call: Call, teamId: string): Promise<Outcome> {
  const { team } = await teamWithAccess(call, teamId);
  const memberships = await call.view.findAll('team_membership', { team_id: teamId });
  const organization =
    team.organization_id === null
      ? undefined
      : await call.view.get('organization', team.organization_id);
  const sharedId = team.metadata['team_member_budget_id'];
  const shared = typeof sharedId === 'string' ? await call.view.get('budget', sharedId) : undefined;
  const [row] = await teamRows(call, [team]);
  return {
    answer: {
      team_id: teamId,
      team_info: {
        ...row,
        organization_models: organization?.models ?? [],
        team_member_budget_table: shared === undefined ? null : budgetRow(call, shared),
      },
      keys: await shownKeys(call, team),
      team_memberships: await membershipRows(call, team, memberships),
    },
  };
}

export async function listTeams(call: Call, query: z.output<typeof listQuery>): Promise<Outcome> {
  const teams = await visibleTeams(call, query);
  const rows = await teamRows(call, teams);
  const contents = await Promise.all(
    teams.map(async (team): Promise<JsonObject> => ({
      keys: await shownKeys(call, team),
      team_memberships: await membershipRows(
        call,
        team,
        await call.view.findAll('team_membership', { team_id: team.team_id }),
      ),
    })),
  );
  return { answer: rows.map((row, index) => ({ ...row, ...contents[index] })) };
}

export async function pageOfTeams(
  call: Call,
  query: z.output<typeof pagedQuery>,
): Promise<Outcome> {
  const search = query.search?.toLowerCase();
  const field = query.sort_by ?? 'created_at';
  const sign = query.sort_order === 'desc' ? -1 : 1;
  const teams = (await visibleTeams(call, query))
    .filter(
      (team) =>
        (query.team_id === undefined || team.team_id === query.team_id) &&
        (query.team_alias === undefined || team.team_alias === query.team_alias) &&
        (search === undefined ||
          `${team.team_id}\n${team.team_alias ?? ''}`.toLowerCase().includes(search)),
    )
    .sort((one, other) => {
      const [a, b] = [one[field] ?? '', other[field] ?? ''];
      return a === b ? 0 : a < b ? -sign : sign;
    });
  const { page, page_size: size } = query;
  return {
    answer: {
      teams: await teamRows(call, teams.slice((page - 1) * size, page * size)),
      total: teams.length,
      page,
      page_size: size,
      total_pages: Math.ceil(teams.length / size),
    },
  };
}

async function visibleTeams(
  call: Call,
  { user_id, organization_id }: z.output<typeof listQuery>,
): Promise<TeamDocument[]> {
  const { actor, view } = call;
  const where = organization_id === undefined ? {} : { organization_id };
  const all =
    seesAll(actor) ||
    (organization_id !== undefined && (await isOrganizationAdmin(call, organization_id)));
  if (all)
    return view.findAll('team', user_id === undefined ? where : { ...where, member: user_id });
  const teams = new Map<string, TeamDocument>();
  if (actor.userId !== undefined) {
    for (const team of await view.findAll('team', { ...where, member: actor.userId }))
      teams.set(team.team_id, team);
  }
  const own = actor.key?.team_id ?? undefined;
  const ownTeam = own === undefined ? undefined : await view.get('team', own);
  if (
    ownTeam !== undefined &&
    (organization_id ?? ownTeam.organization_id) === ownTeam.organization_id
  )
    teams.set(ownTeam.team_id, ownTeam);
  return [...teams.values()].filter(
    (team) =>
      user_id === undefined || team.members_with_roles.some((member) => member.user_id === user_id),
  );
}

/** A team goes with its keys and with what its members may do there. */
export async function deleteTeams(call: Call, teamIds: readonly string[]): Promise<Outcome> {
  const changes: Change[] = [];
  for (const teamId of new Set(teamIds)) {
    const team = await call.view.get('team', teamId);
    const access = team && (await teamAccess(call, team));
    if (team === undefined || access === undefined) {
      throw detailError(404, { error: `Team not found, passed team_id=${teamId}` });
    }
    if (!(await isAbove(call, team))) throw notPermitted('team');
    const keys = await call.view.findAll('key', { team_id: teamId });
    const memberships = await call.view.findAll('team_membership', { team_id: teamId });
    changes.push(
      remove('team', teamId),
      ...keys.map(({ key_id }) => remove('key', key_id)),
      ...memberships.map(({ user_id }) => remove('team_membership', `${teamId}:${user_id}`)),
    );
  }
  if (changes.length === 0) throw detailError(400, { error: 'No team id passed in' });
  return { answer: { deleted_teams: teamIds }, changes };
}

export async function setTeamBlocked(
  call: Call,
  teamId: string,
  blocked: boolean,
): Promise<Outcome> {
  return changedFromAbove(call, teamId, () => ({ blocked }));
}

/** An empty list of models is every model: adding to it would take away, so it is refused. */
export async function addModels(
  call: Call,
  teamId: string,
  models: readonly string[],
): Promise<Outcome> {
  return changedFromAbove(call, teamId, (team) => {
    if (team.models.length === 0 && models.length > 0) {
      throw detailError(400, {
        error:
          'The team may use every model: it has no list to add to. Set "models" with /team/update.',
      });
    }
    return { models: [...new Set([...team.models, ...models])] };
  });
}

/** The last model cannot be taken away: an empty list would be every model. */
export async function deleteModels(
  call: Call,
  teamId: string,
  models: readonly string[],
): Promise<Outcome> {
  return changedFromAbove(call, teamId, (team) => {
    const left = team.models.filter((model) => !models.includes(model));
    if (left.length === 0 && team.models.length > 0) {
      throw detailError(400, {
        error:
          'No model would be left, and an empty list is every model. Use "no-default-models", or block the team.',
      });
    }
    return { models: left };
  });
}

async function changedFromAbove(
  call: Call,
  teamId: string,
  change: (team: TeamDocument) => TeamFields,
): Promise<Outcome> {
  const team = await teamToWrite(call, teamId);
  if (!(await isAbove(call, team))) throw notPermitted('team');
  const changed = await changedTeam(call, team, change(team));
  const [row] = await teamRows(call, [changed.team]);
  return { answer: row, changes: [put('team', teamId, changed.team), ...changed.changes] };
}

/** Whether the caller stands above a team: an administrator, or one of its organization. */
async function isAbove(call: Call, team: TeamDocument): Promise<boolean> {
  if (isAdmin(call.actor)) return true;
  return team.organization_id !== null && isOrganizationAdmin(call, team.organization_id);
}

export async function listPermissions(call: Call, teamId: string): Promise<Outcome> {
  const { team } = await teamWithAccess(call, teamId);
  return { answer: permissionsAnswer(team) };
}

export async function setPermissions(
  call: Call,
  teamId: string,
  permissions: readonly string[],
): Promise<Outcome> {
  const current = await teamToWrite(call, teamId);
  const { team } = await changedTeam(call, current, { team_member_permissions: [...permissions] });
  return { answer: permissionsAnswer(team), changes: [put('team', teamId, team)] };
}

function permissionsAnswer(team: TeamDocument): object {
  return {
    team_id: team.team_id,
    team_member_permissions: team.team_member_permissions,
    all_available_permissions: memberPermissions,
  };
}

function checkPermissions(permissions: readonly string[]): void {
  const unknown = permissions.find((permission) => !memberPermissions.includes(permission));
  if (unknown !== undefined) {
    throw detailError(400, {
      error: `Unknown team member permission. GET /team/permissions_list names them all.`,
    });
  }
}

/** The keys of a team, for those who see them: its members and those above them. */
async function shownKeys(call: Call, team: TeamDocument): Promise<JsonObject[]> {
  if ((await teamKeyAccess(call, team.team_id)) === undefined) return [];
  return keyRows(call, await call.view.findAll('key', { team_id: team.team_id }));
}
