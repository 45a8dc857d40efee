import * as z from 'zod';
import {
  count,
  id,
  inert,
  jsonObject,
  queryCount,
  queryList,
  refused,
  text,
  texts,
  usd,
} from '../http/fields.ts';
import { generateBody, keyRow } from '../keys/schema.ts';
import { teamRow } from '../teams/schema.ts';

const role = z.enum(['proxy_admin', 'proxy_admin_viewer', 'internal_user', 'internal_user_viewer']);

const {
  key: _key,
  team_id: _team,
  organization_id: _organization,
  user_id: _user,
  ...keyFields
} = generateBody.shape;

const userFields = {
  user_email: z.email().max(320).nullish(),
  user_alias: text.nullish(),
  user_role: role.nullish(),
  sso_user_id: text.nullish(),
  ...keyFields,
  password: inert(text.nullish()),
};

/** What a new user's key is made with, and a user that is there has nothing of. */
const fieldsOfKeys = {
  key_alias: inert(text.nullish()),
  key_type: inert(text.nullish()),
  aliases: inert(z.record(text, text).nullish()),
  permissions: inert(jsonObject.nullish()),
  tags: inert(texts.nullish()),
  budget_id: refused(text.nullish()),
  duration: refused(text.nullish()),
  access_group_ids: refused(texts.nullish()),
  blocked: refused(z.boolean().nullish()),
  allowed_routes: refused(texts.nullish()),
  max_requests: refused(count.nullish()),
};
export const namesOfKeyFields = Object.keys(fieldsOfKeys) as (keyof typeof fieldsOfKeys)[];
const changedFields = { ...userFields, ...fieldsOfKeys };

const teamOfUser = z.object({
  team_id: id,
  user_role: z.enum(['admin', 'user']).optional(),
  max_budget_in_team: usd.nullish(),
});

export const newBody = z.object({
  user_id: id.nullish(),
  ...userFields,
  teams: z.union([texts, z.array(teamOfUser).max(200)]).nullish(),
  team_id: id.nullish(),
  organizations: texts.nullish(),
  auto_create_key: z.boolean().nullish().describe('Default true'),
});
export const updateBody = z.object({ user_id: id.nullish(), ...changedFields });
export const bulkUpdateBody = z.object({
  users: z.array(updateBody).max(500).nullish(),
  all_users: z.boolean().nullish(),
  user_updates: z.object(changedFields).nullish(),
});
export const deleteBody = z.object({ user_ids: texts });
export const infoQuery = z.object({ user_id: text.optional() });
export const listQuery = z.object({
  role: role.optional(),
  user_ids: queryList.optional(),
  sso_user_ids: queryList.optional(),
  user_email: text.optional(),
  search: text.optional(),
  team: text.optional(),
  organization_ids: queryList.optional(),
  page: queryCount(1, 1_000_000).default(1),
  page_size: queryCount(1, 100).default(25),
  sort_by: z.enum(['user_id', 'user_email', 'user_alias', 'user_role', 'created_at']).optional(),
  sort_order: z.enum(['asc', 'desc']).default('asc'),
});

/** A user as LiteLLM shows it. */
export const userRow = z.object({
  user_id: z.string(),
  user_alias: z.string().nullable(),
  user_email: z.string().nullable(),
  user_role: role.nullable(),
  teams: z.array(z.string()),
  team_id: z.null(),
  sso_user_id: z.string().nullable(),
  organization_id: z.string().nullable(),
  organization_memberships: z.array(jsonObject),
  models: z.array(z.string()),
  max_budget: z.number().nullable(),
  spend: z.number(),
  budget_duration: z.string().nullable(),
  budget_reset_at: z.string().nullable(),
  tpm_limit: z.number().nullable(),
  rpm_limit: z.number().nullable(),
  max_parallel_requests: z.number().nullable(),
  model_rpm_limit: jsonObject.nullable(),
  model_tpm_limit: jsonObject.nullable(),
  metadata: jsonObject,
  model_spend: jsonObject,
  model_max_budget: jsonObject,
  allowed_cache_controls: z.array(z.string()),
  object_permission: jsonObject.nullable(),
  created_at: z.string(),
  updated_at: z.string(),
});

export const newAnswer = z.looseObject({
  user_id: z.string(),
  user_email: z.string().nullable(),
  user_role: role.nullable(),
  teams: z.array(z.string()),
  user_alias: z.string().nullable(),
  key: z.string(),
  token: z.string().nullable(),
});
export const updateAnswer = z.object({ user_id: z.string(), data: userRow });
export const bulkAnswer = z.object({
  results: z.array(
    z.object({
      user_id: z.string().nullable(),
      user_email: z.string().nullable(),
      success: z.boolean(),
      error: z.string().nullable(),
      updated_user: userRow.nullable(),
    }),
  ),
  total_requested: z.number(),
  successful_updates: z.number(),
  failed_updates: z.number(),
});
export const infoAnswer = z.object({
  user_id: z.string(),
  user_info: userRow,
  keys: z.array(keyRow),
  teams: z.array(teamRow),
});
export const listAnswer = z.object({
  users: z.array(userRow.extend({ key_count: z.number() })),
  total: z.number(),
  page: z.number(),
  page_size: z.number(),
  total_pages: z.number(),
});
