import { pairId } from '@aigateway/contract/limits';
import type { JsonObject } from '@aigateway/contract/records';
import type { Call } from '../http/call.ts';
import { budgetResetAt } from '../http/limits.ts';
import { spentBy } from '../spend/sums.ts';
import type { TeamDocument, TeamMembershipDocument } from '../store/documents.ts';

export async function teamRows(call: Call, teams: readonly TeamDocument[]): Promise<JsonObject[]> {
  const spent = await spentBy(
    call,
    'team',
    teams.map(({ team_id, budget_duration }) => ({ id: team_id, window: budget_duration })),
  );
  return teams.map((team): JsonObject => {
    const { inert: kept } = team;
    const { spend, total } = spent(team.team_id);
    return {
      team_id: team.team_id,
      team_alias: team.team_alias,
      organization_id: team.organization_id,
      admins: [],
      members: [],
      members_with_roles: team.members_with_roles.map((member) => ({ ...member })),
      team_member_permissions: [...team.team_member_permissions],
      metadata: team.metadata,
      models: [...team.models],
      blocked: team.blocked,
      spend,
      total_spend: total,
      tpm_limit: team.tpm_limit,
      rpm_limit: team.rpm_limit,
      tpd_limit: null,
      max_parallel_requests: team.max_parallel_requests,
      model_rpm_limit: team.model_rpm_limit,
      model_tpm_limit: team.model_tpm_limit,
      max_budget: team.max_budget,
      soft_budget: team.soft_budget,
      budget_duration: team.budget_duration,
      budget_limits: team.budget_limits === null ? null : [...team.budget_limits],
      budget_reset_at: budgetResetAt(team.budget_duration, call),
      model_id: null,
      model_spend: {},
      model_max_budget: team.model_max_budget,
      router_settings: kept['router_settings'] ?? null,
      access_group_ids: [...(team.access_group_ids ?? [])],
      default_team_member_models: kept['default_team_member_models'] ?? [],
      policies: [],
      litellm_model_table:
        Object.keys(team.model_aliases).length === 0 ? null : { model_aliases: team.model_aliases },
      object_permission: kept['object_permission'] ?? null,
      object_permission_id: null,
      created_at: team.created_at,
      updated_at: team.updated_at,
    };
  });
}

/** Where a team's members and what they may spend there stand, as LiteLLM shows it. */
export async function membershipRows(
  call: Call,
  team: TeamDocument,
  memberships: readonly TeamMembershipDocument[],
): Promise<JsonObject[]> {
  if (memberships.length === 0) return [];
  const sharedId = team.metadata['team_member_budget_id'];
  const shared = typeof sharedId === 'string' ? await call.view.get('budget', sharedId) : undefined;
  const budgets = await call.view.getMany(
    'budget',
    memberships.flatMap(({ budget_id: id }) => id ?? []),
  );
  const idOf = ({ user_id }: TeamMembershipDocument) => pairId(team.team_id, user_id);
  /** A member's own limits, its own budget, the budget of all members: the first that bounds what it spends. */
  const limitsOf = (membership: TeamMembershipDocument) =>
    [membership, budgets.get(membership.budget_id ?? '')].find(
      (own) => typeof own?.max_budget === 'number',
    ) ?? shared;
  const spent = await spentBy(
    call,
    'member',
    memberships.map((membership) => ({
      id: idOf(membership),
      window: limitsOf(membership)?.budget_duration ?? null,
    })),
  );
  return memberships.map((membership): JsonObject => {
    const limits = limitsOf(membership);
    const hasOwn = limits !== shared;
    return {
      user_id: membership.user_id,
      team_id: membership.team_id,
      budget_id: hasOwn ? membership.budget_id : (shared?.budget_id ?? null),
      spend: spent(idOf(membership)).spend,
      total_spend: spent(idOf(membership)).total,
      allowed_models: [...membership.allowed_models],
      litellm_budget_table:
        limits === undefined
          ? null
          : {
              max_budget: limits.max_budget,
              budget_duration: limits.budget_duration,
              tpm_limit: limits.tpm_limit,
              rpm_limit: limits.rpm_limit,
            },
      budget_source: hasOwn ? 'membership' : shared === undefined ? 'none' : 'team',
    };
  });
}
