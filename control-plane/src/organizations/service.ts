import { randomUUID } from 'node:crypto';
import type { JsonObject } from '@aigateway/contract/records';
import type * as z from 'zod';
import { isAdmin, seesAll } from '../auth/actor.ts';
import { forbiddenField, isOrganizationAdmin } from '../auth/rights.ts';
import { budgetRow, holdersBudget, newBudget } from '../budgets/service.ts';
import { detailError, notFound } from '../errors.ts';
import { type Call, type Outcome, timestamp } from '../http/call.ts';
import { inertFields } from '../http/fields.ts';
import { refuseGone } from '../http/gone.ts';
import { noLimits, withFields } from '../http/limits.ts';
import { put, remove } from '../http/view.ts';
import { spentBy } from '../spend/sums.ts';
import type {
  BudgetDocument,
  OrganizationDocument,
  OrganizationMembershipDocument,
  UserDocument,
} from '../store/documents.ts';
import type { Change } from '../store/entities.ts';
import { freshUser } from '../teams/members.ts';
import { teamRows } from '../teams/row.ts';
import { type memberAddBody, type memberUpdateBody, newBody, type patchBody } from './schema.ts';

type Fields = z.output<typeof patchBody>;
type Named = { user_id?: string | null | undefined; user_email?: string | null | undefined };

const blank = { models: [], metadata: {} } satisfies Partial<OrganizationDocument>;

export async function createOrganization(
  call: Call,
  body: z.output<typeof newBody>,
): Promise<Outcome> {
  const organizationId = body.organization_id ?? randomUUID();
  if ((await call.view.get('organization', organizationId)) !== undefined) {
    throw detailError(400, { error: `Organization ${organizationId} already exists.` });
  }
  const at = timestamp(call);
  const fresh: OrganizationDocument = {
    ...blank,
    organization_id: organizationId,
    organization_alias: body.organization_alias,
    budget_id: '',
    inert: {},
    created_at: at,
    created_by: call.actor.id,
    updated_at: at,
    updated_by: call.actor.id,
  };
  const { organization, changes, budget } = await changed(call, fresh, body);
  const [row] = await organizationRows(call, [organization], budget);
  return {
    answer: row,
    changes: [put('organization', organizationId, organization), ...changes],
  };
}

export async function updateOrganization(
  call: Call,
  organizationId: string,
  sent: Fields,
): Promise<Outcome> {
  const current = await requireOrganization(call, organizationId);
  if (!isAdmin(call.actor)) {
    const fromAbove = [...Object.keys(noLimits), 'models', 'budget_id'];
    const field = fromAbove.find((name) => (sent as JsonObject)[name] !== undefined);
    if (field !== undefined) throw forbiddenField(field, 'administrators of the gateway set it');
  }
  const { organization, changes, budget } = await changed(call, current, sent);
  const [row] = await organizationRows(call, [organization], budget);
  return {
    answer: row,
    changes: [put('organization', organizationId, organization), ...changes],
  };
}

async function changed(call: Call, current: OrganizationDocument, sent: Fields) {
  const wanted = sent.budget_id ?? (current.budget_id === '' ? null : current.budget_id);
  const held = await holdersBudget(call, wanted, sent);
  // An organization always has a budget of its own, if need be one without limits.
  const made = held.budgetId === null ? newBudget(call, randomUUID(), {}) : undefined;
  const changes: Change[] = made ? [put('budget', made.budget_id, made)] : [...held.changes];
  const organization: OrganizationDocument = {
    ...withFields<OrganizationDocument>(current, blank, sent),
    organization_alias: sent.organization_alias ?? current.organization_alias,
    budget_id: held.budgetId ?? made?.budget_id ?? '',
    inert: { ...current.inert, ...inertFields(newBody, sent) },
    updated_at: timestamp(call),
    updated_by: call.actor.id,
  };
  const budget = changes.find((change) => change.kind === 'budget')?.document as
    | BudgetDocument
    | undefined;
  return { organization, changes, budget };
}

export async function organizationInfo(call: Call, organizationId: string): Promise<Outcome> {
  const [row] = await organizationRows(call, [await requireOrganization(call, organizationId)]);
  return { answer: row };
}

export async function organizationsInfo(call: Call, ids: readonly string[]): Promise<Outcome> {
  const visible: OrganizationDocument[] = [];
  for (const organizationId of ids) {
    const organization = await visibleOrganization(call, organizationId);
    if (organization !== undefined) visible.push(organization);
  }
  return { answer: await organizationRows(call, visible) };
}

export async function listOrganizations(
  call: Call,
  { org_id, org_alias }: { org_id?: string | undefined; org_alias?: string | undefined },
): Promise<Outcome> {
  const found: OrganizationDocument[] = seesAll(call.actor)
    ? await call.view.findAll('organization', {})
    : await ownOrganizations(call);
  const alias = org_alias?.toLowerCase();
  const matching = found.filter(
    (organization) =>
      (org_id === undefined || organization.organization_id === org_id) &&
      (alias === undefined || organization.organization_alias.toLowerCase().includes(alias)),
  );
  return { answer: await organizationRows(call, matching) };
}

async function ownOrganizations(call: Call): Promise<OrganizationDocument[]> {
  if (call.actor.userId === undefined) return [];
  const memberships = await call.view.findAll('organization_membership', {
    user_id: call.actor.userId,
  });
  const ids = memberships
    .filter(({ user_role }) => user_role === 'org_admin')
    .map(({ organization_id }) => organization_id);
  return [...(await call.view.getMany('organization', ids)).values()];
}

/** An organization with teams or keys in it stays: they would lose the limits it set. */
export async function deleteOrganizations(call: Call, ids: readonly string[]): Promise<Outcome> {
  const changes: Change[] = [];
  const rows: JsonObject[] = [];
  for (const organizationId of new Set(ids)) {
    const organization = await requireOrganization(call, organizationId);
    const [teams, keys, memberships] = await Promise.all([
      call.view.count('team', { organization_id: organizationId }),
      call.view.count('key', { organization_id: organizationId }),
      call.view.findAll('organization_membership', { organization_id: organizationId }),
    ]);
    if (teams + keys > 0) {
      throw detailError(400, {
        error: `Organization ${organizationId} has ${teams} teams and ${keys} keys. Delete or move them first.`,
      });
    }
    rows.push(...(await organizationRows(call, [organization])));
    changes.push(
      remove('organization', organizationId),
      ...memberships.map(({ user_id }) =>
        remove('organization_membership', `${organizationId}:${user_id}`),
      ),
    );
  }
  return { answer: rows, changes };
}

export async function addOrganizationMembers(
  call: Call,
  { organization_id: organizationId, member }: z.output<typeof memberAddBody>,
): Promise<Outcome> {
  await requireOrganization(call, organizationId);
  const changes: Change[] = [];
  const users: UserDocument[] = [];
  const memberships: OrganizationMembershipDocument[] = [];
  for (const wanted of Array.isArray(member) ? member : [member]) {
    const known = await userNamed(call, wanted);
    if (known === undefined && wanted.user_id)
      await refuseGone(call, 'user', wanted.user_id, 'user_id');
    const user =
      known ??
      freshUser(call, wanted.user_id ?? randomUUID(), wanted.user_email?.toLowerCase() ?? null);
    if (known === undefined) changes.push(put('user', user.user_id, user));
    const at = timestamp(call);
    const membership: OrganizationMembershipDocument = {
      organization_id: organizationId,
      user_id: user.user_id,
      user_role: wanted.role,
      budget_id: null,
      created_at: at,
      created_by: call.actor.id,
      updated_at: at,
      updated_by: call.actor.id,
    };
    const place = `${organizationId}:${user.user_id}`;
    if ((await call.view.get('organization_membership', place)) !== undefined) {
      throw detailError(400, { error: 'User is already a member of the organization.' });
    }
    changes.push(put('organization_membership', place, membership));
    users.push(user);
    memberships.push(membership);
  }
  return {
    answer: {
      organization_id: organizationId,
      updated_users: users.map(({ user_id, user_email }) => ({ user_id, user_email })),
      updated_organization_memberships: memberships.map(membershipRow),
    },
    changes,
  };
}

export async function updateOrganizationMember(
  call: Call,
  body: z.output<typeof memberUpdateBody>,
): Promise<Outcome> {
  const membership = await requireMembership(call, body.organization_id, body);
  const next: OrganizationMembershipDocument = {
    ...membership,
    user_role: body.role ?? membership.user_role,
    updated_at: timestamp(call),
    updated_by: call.actor.id,
  };
  return {
    answer: membershipRow(next),
    changes: [put('organization_membership', `${next.organization_id}:${next.user_id}`, next)],
  };
}

export async function deleteOrganizationMember(
  call: Call,
  body: Named & { organization_id: string },
): Promise<Outcome> {
  const membership = await requireMembership(call, body.organization_id, body);
  return {
    answer: membershipRow(membership),
    changes: [
      remove('organization_membership', `${membership.organization_id}:${membership.user_id}`),
    ],
  };
}

async function requireMembership(call: Call, organizationId: string, named: Named) {
  await requireOrganization(call, organizationId);
  const user = await userNamed(call, named);
  const userId = user?.user_id ?? named.user_id ?? '';
  const membership = await call.view.get('organization_membership', `${organizationId}:${userId}`);
  if (membership === undefined) {
    throw detailError(404, { error: 'User is not a member of the organization.' });
  }
  return membership;
}

async function userNamed(call: Call, named: Named): Promise<UserDocument | undefined> {
  if (named.user_id) return call.view.get('user', named.user_id);
  if (!named.user_email) return undefined;
  const user_email = named.user_email.toLowerCase();
  return (await call.view.find('user', { where: { user_email }, limit: 1 })).rows[0];
}

/** An organization that the caller administers; to everybody else it does not exist. */
async function visibleOrganization(
  call: Call,
  organizationId: string,
): Promise<OrganizationDocument | undefined> {
  const mayKnow = seesAll(call.actor) || (await isOrganizationAdmin(call, organizationId));
  return mayKnow ? call.view.get('organization', organizationId) : undefined;
}

async function requireOrganization(
  call: Call,
  organizationId: string,
): Promise<OrganizationDocument> {
  const organization = await visibleOrganization(call, organizationId);
  if (organization === undefined) throw notFound('Organization', 'organization_id');
  return organization;
}

function membershipRow({
  organization_id,
  user_id,
  user_role,
  budget_id,
  created_at,
  updated_at,
}: OrganizationMembershipDocument): JsonObject {
  return { organization_id, user_id, user_role, budget_id, created_at, updated_at };
}

async function organizationRows(
  call: Call,
  organizations: readonly OrganizationDocument[],
  written?: BudgetDocument,
): Promise<JsonObject[]> {
  const budgets = await call.view.getMany(
    'budget',
    organizations.map(({ budget_id }) => budget_id),
  );
  const budgetOf = ({ budget_id }: OrganizationDocument) =>
    written?.budget_id === budget_id ? written : budgets.get(budget_id);
  const spent = await spentBy(
    call,
    'organization',
    organizations.map((organization) => ({
      id: organization.organization_id,
      window: budgetOf(organization)?.budget_duration ?? null,
    })),
  );
  return Promise.all(
    organizations.map(async (organization): Promise<JsonObject> => {
      const organization_id = organization.organization_id;
      const members = await call.view.findAll('organization_membership', { organization_id });
      const teams = await call.view.findAll('team', { organization_id });
      const budget = budgetOf(organization);
      return {
        organization_id,
        organization_alias: organization.organization_alias,
        budget_id: organization.budget_id,
        spend: spent(organization_id).spend,
        metadata: organization.metadata,
        models: [...organization.models],
        model_spend: {},
        users: members.map(({ user_id }) => user_id),
        members: members.map(membershipRow),
        teams: await teamRows(call, teams),
        litellm_budget_table: budget === undefined ? null : budgetRow(call, budget),
        object_permission: organization.inert['object_permission'] ?? null,
        created_by: organization.created_by,
        updated_by: organization.updated_by,
        created_at: organization.created_at,
        updated_at: organization.updated_at,
      };
    }),
  );
}
