import type { JsonObject } from '@aigateway/contract/records';
import type { Call } from '../http/call.ts';
import { budgetResetAt } from '../http/limits.ts';
import { spentBy } from '../spend/sums.ts';
import type { OrganizationMembershipDocument, UserDocument } from '../store/documents.ts';

/** Users as LiteLLM shows them, with their teams and organizations. */
export async function userRows(call: Call, users: readonly UserDocument[]): Promise<JsonObject[]> {
  const ids = users.map(({ user_id }) => user_id);
  if (ids.length === 0) return [];
  const [teams, memberships, spent] = await Promise.all([
    call.view.findAll('team', { member: ids }),
    call.view.findAll('organization_membership', { user_id: ids }),
    spentBy(
      call,
      'user',
      users.map(({ user_id, budget_duration }) => ({ id: user_id, window: budget_duration })),
    ),
  ]);
  return users.map((user): JsonObject => {
    const organizations = memberships.filter(({ user_id }) => user_id === user.user_id);
    return {
      user_id: user.user_id,
      user_alias: user.user_alias,
      user_email: user.user_email,
      user_role: user.user_role,
      teams: teams
        .filter(({ members_with_roles }) =>
          members_with_roles.some(({ user_id }) => user_id === user.user_id),
        )
        .map(({ team_id }) => team_id),
      team_id: null,
      sso_user_id: user.sso_user_id,
      organization_id: organizations[0]?.organization_id ?? null,
      organization_memberships: organizations.map(membershipOf),
      models: [...user.models],
      max_budget: user.max_budget,
      spend: spent(user.user_id).spend,
      budget_duration: user.budget_duration,
      budget_reset_at: budgetResetAt(user.budget_duration, call),
      tpm_limit: user.tpm_limit,
      rpm_limit: user.rpm_limit,
      max_parallel_requests: user.max_parallel_requests,
      model_rpm_limit: user.model_rpm_limit,
      model_tpm_limit: user.model_tpm_limit,
      metadata: user.metadata,
      model_spend: {},
      model_max_budget: user.model_max_budget,
      allowed_cache_controls: [],
      object_permission: user.inert['object_permission'] ?? null,
      created_at: user.created_at,
      updated_at: user.updated_at,
    };
  });
}

function membershipOf({
  organization_id,
  user_id,
  user_role,
  budget_id,
}: OrganizationMembershipDocument) {
  return { organization_id, user_id, user_role, budget_id };
}
