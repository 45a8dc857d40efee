import * as z from 'zod';
import { budgetRow } from '../budgets/schema.ts';
import {
  count,
  id,
  inert,
  jsonObject,
  limitFields,
  metadata,
  modelRateFields,
  queryCount,
  refused,
  modelBudgetField,
  text,
  texts,
  usd,
} from '../http/fields.ts';
import { keyRow } from '../keys/schema.ts';

const member = z
  .object({
    role: z.enum(['admin', 'user']),
    user_id: id.nullish(),
    user_email: text.nullish(),
  })
  .refine(({ user_id, user_email }) => Boolean(user_id ?? user_email), {
    message: 'Either user_id or user_email must be provided',
  });

const teamFields = {
  team_alias: text.nullish(),
  organization_id: id.nullish(),
  models: texts.nullish(),
  access_group_ids: texts.nullish(),
  model_aliases: z.record(text, text).nullish(),
  metadata: metadata.nullish(),
  tags: texts.nullish().describe('Of every request of its keys; shown in metadata'),
  blocked: z.boolean().nullish(),
  team_member_permissions: texts.nullish(),
  team_member_budget: usd.nullish(),
  team_member_budget_duration: text.nullish(),
  team_member_rpm_limit: count.nullish(),
  team_member_tpm_limit: count.nullish(),
  ...limitFields,
  ...modelRateFields,
  ...modelBudgetField,
  default_team_member_models: inert(texts.nullish()),
  router_settings: inert(jsonObject.nullish()),
  object_permission: inert(jsonObject.nullish()),
  team_member_key_duration: inert(text.nullish()),
  prompts: inert(texts.nullish()),
  tpd_limit: refused(z.unknown().optional()),
  guardrails: refused(z.unknown().optional()),
  policies: refused(z.unknown().optional()),
};

export const newBody = z.object({
  team_id: id.nullish(),
  members_with_roles: z.array(member).max(1000).nullish(),
  ...teamFields,
});
export const updateBody = z.object({ team_id: id, ...teamFields });
export const patchBody = z.object(teamFields);
export const teamBody = z.object({ team_id: id });
export const teamQuery = z.object({ team_id: text });
export const deleteBody = z.object({ team_ids: texts });
export const modelsBody = z.object({ team_id: id, models: texts });
export const permissionsBody = z.object({ team_id: id, team_member_permissions: texts });

const memberLimits = {
  max_budget_in_team: usd.nullish(),
  budget_duration: text.nullish(),
  tpm_limit: count.nullish(),
  rpm_limit: count.nullish(),
  allowed_models: texts.nullish(),
};

export const memberAddBody = z.object({
  team_id: id,
  member: z.union([member, z.array(member).min(1).max(500)]),
  ...memberLimits,
});
export const bulkMemberAddBody = z.object({
  team_id: id,
  members: z.array(member).max(500).nullish(),
  all_users: z.boolean().nullish(),
  ...memberLimits,
});
export const memberUpdateBody = z.object({
  team_id: id,
  user_id: id.nullish(),
  user_email: text.nullish(),
  role: z.enum(['admin', 'user']).nullish(),
  ...memberLimits,
  temp_budget_increase: inert(usd.nullish()),
  temp_budget_expiry: inert(text.nullish()),
});
export const resetMemberBody = z.object({ reset_to: usd.default(0) });
export const resetMemberAnswer = z.object({
  team_id: z.string(),
  user_id: z.string(),
  spend: z.number(),
  previous_spend: z.number(),
  max_budget: z.number().nullable(),
});
export const memberDeleteBody = z.object({
  team_id: id,
  user_id: id.nullish(),
  user_email: text.nullish(),
});

export const listQuery = z.object({
  user_id: text.optional(),
  organization_id: text.optional(),
});
export const pagedQuery = listQuery.extend({
  team_id: text.optional(),
  team_alias: text.optional(),
  search: text.optional(),
  page: queryCount(1, 1_000_000).default(1),
  page_size: queryCount(1, 100).default(10),
  sort_by: z.enum(['team_id', 'team_alias', 'created_at']).optional(),
  sort_order: z.enum(['asc', 'desc']).default('asc'),
});

const teamMember = z.object({
  role: z.enum(['admin', 'user']),
  user_id: z.string().nullable(),
  user_email: z.string().nullable(),
});

/** A team as LiteLLM shows it. */
export const teamRow = z.object({
  team_id: z.string(),
  team_alias: z.string().nullable(),
  organization_id: z.string().nullable(),
  admins: z.array(z.string()),
  members: z.array(z.string()),
  members_with_roles: z.array(teamMember),
  team_member_permissions: z.array(z.string()),
  metadata: jsonObject,
  models: z.array(z.string()),
  blocked: z.boolean(),
  spend: z.number(),
  total_spend: z.number(),
  tpm_limit: z.number().nullable(),
  rpm_limit: z.number().nullable(),
  tpd_limit: z.null(),
  max_parallel_requests: z.number().nullable(),
  model_rpm_limit: jsonObject.nullable(),
  model_tpm_limit: jsonObject.nullable(),
  max_budget: z.number().nullable(),
  soft_budget: z.number().nullable(),
  budget_duration: z.string().nullable(),
  budget_limits: z.array(jsonObject).nullable(),
  budget_reset_at: z.string().nullable(),
  model_id: z.null(),
  model_spend: jsonObject,
  model_max_budget: jsonObject,
  router_settings: jsonObject.nullable(),
  access_group_ids: z.array(z.string()),
  default_team_member_models: z.array(z.string()),
  policies: z.array(z.string()),
  litellm_model_table: z.object({ model_aliases: jsonObject }).nullable(),
  object_permission: jsonObject.nullable(),
  object_permission_id: z.null(),
  created_at: z.string(),
  updated_at: z.string(),
});

const membershipRow = z.object({
  user_id: z.string(),
  team_id: z.string(),
  budget_id: z.string().nullable(),
  spend: z.number(),
  total_spend: z.number(),
  allowed_models: z.array(z.string()),
  litellm_budget_table: jsonObject.nullable(),
  budget_source: z.enum(['membership', 'team', 'none']),
});

const withContent = teamRow.extend({
  keys: z.array(keyRow),
  team_memberships: z.array(membershipRow),
});

export const updateAnswer = z.object({ team_id: z.string(), data: teamRow });
export const infoAnswer = z.object({
  team_id: z.string(),
  team_info: teamRow.extend({
    organization_models: z.array(z.string()),
    team_member_budget_table: budgetRow.nullable(),
  }),
  keys: z.array(keyRow),
  team_memberships: z.array(membershipRow),
});
export const listAnswer = z.array(withContent);
export const pagedAnswer = z.object({
  teams: z.array(teamRow),
  total: z.number(),
  page: z.number(),
  page_size: z.number(),
  total_pages: z.number(),
});
export const memberAddAnswer = teamRow.extend({
  updated_users: z.array(jsonObject),
  updated_team_memberships: z.array(membershipRow),
});
export const permissionsAnswer = z.object({
  team_id: z.string(),
  team_member_permissions: z.array(z.string()),
  all_available_permissions: z.array(z.string()),
});
