import * as z from 'zod';
import { budgetRow } from '../budgets/schema.ts';
import {
  id,
  inert,
  jsonObject,
  limitFields,
  metadata,
  modelRateFields,
  refused,
  refusedModelBudgetField,
  text,
  texts,
  usd,
} from '../http/fields.ts';
import { teamRow } from '../teams/schema.ts';

const organizationFields = {
  models: texts.nullish(),
  metadata: metadata.nullish(),
  budget_id: id.nullish(),
  ...limitFields,
  ...modelRateFields,
  ...refusedModelBudgetField,
  object_permission: inert(jsonObject.nullish()),
  tpd_limit: refused(z.unknown().optional()),
};

const role = z.enum(['org_admin', 'internal_user', 'internal_user_viewer']);

const member = z
  .object({ role, user_id: id.nullish(), user_email: text.nullish() })
  .refine(({ user_id, user_email }) => Boolean(user_id ?? user_email), {
    message: 'Either user_id or user_email must be provided',
  });

export const newBody = z.object({
  organization_id: id.nullish(),
  organization_alias: text.min(1),
  ...organizationFields,
});
export const updateBody = z.object({
  organization_id: id,
  organization_alias: text.min(1).nullish(),
  ...organizationFields,
});
export const patchBody = updateBody.omit({ organization_id: true });
export const deleteBody = z.object({ organization_ids: texts });
export const infoQuery = z.object({ organization_id: text });
export const infoBody = z.object({ organizations: texts });
export const listQuery = z.object({ org_id: text.optional(), org_alias: text.optional() });
export const memberAddBody = z.object({
  organization_id: id,
  member: z.union([member, z.array(member).min(1).max(500)]),
  max_budget_in_organization: refused(usd.nullish()),
});
export const memberUpdateBody = z.object({
  organization_id: id,
  user_id: id.nullish(),
  user_email: text.nullish(),
  role: role.nullish(),
  max_budget_in_organization: refused(usd.nullish()),
});
export const memberDeleteBody = z.object({
  organization_id: id,
  user_id: id.nullish(),
  user_email: text.nullish(),
});

export const membershipRow = z.object({
  organization_id: z.string(),
  user_id: z.string(),
  user_role: role,
  budget_id: z.string().nullable(),
  created_at: z.string(),
  updated_at: z.string(),
});

/** An organization as LiteLLM shows it. */
export const organizationRow = z.object({
  organization_id: z.string(),
  organization_alias: z.string(),
  budget_id: z.string(),
  spend: z.number(),
  metadata: jsonObject,
  models: z.array(z.string()),
  model_spend: jsonObject,
  users: z.array(z.string()),
  members: z.array(membershipRow),
  teams: z.array(teamRow),
  litellm_budget_table: budgetRow.nullable(),
  object_permission: jsonObject.nullable(),
  created_by: z.string(),
  updated_by: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
});

export const memberAddAnswer = z.object({
  organization_id: z.string(),
  updated_users: z.array(jsonObject),
  updated_organization_memberships: z.array(membershipRow),
});
