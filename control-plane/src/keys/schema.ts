import * as z from 'zod';
import {
  count,
  id,
  inert,
  jsonObject,
  limitFields,
  metadata,
  modelBudgetField,
  modelRateFields,
  queryCount,
  queryFlag,
  refused,
  shown,
  text,
  texts,
  usd,
} from '../http/fields.ts';

/** What callers may set of a key, in LiteLLM's words. */
const keyFields = {
  key_alias: text.nullish().describe('Unique over all keys'),
  user_id: id.nullish(),
  team_id: id.nullish(),
  organization_id: id.nullish(),
  budget_id: id.nullish().describe('Limits of this budget count where the key has none'),
  duration: text.nullish().describe('Life of the key from now on; null or -1: without end'),
  models: texts.nullish().describe('Empty: every model'),
  access_group_ids: texts
    .nullish()
    .describe('Groups whose models count as if they stood in models'),
  aliases: z.record(text, text).nullish(),
  spend: usd.nullish().describe('Administrators only'),
  metadata: metadata.nullish().describe('Replaced as a whole'),
  permissions: shown(jsonObject.nullish().describe('Administrators only')),
  tags: texts.nullish(),
  blocked: z.boolean().nullish(),
  allowed_routes: texts.nullish(),
  max_requests: count.nullish().describe('Requests after which the key ends'),
  ...limitFields,
  ...modelRateFields,
  ...modelBudgetField,
  project_id: inert(text.nullish()),
  agent_id: inert(text.nullish()),
  config: inert(jsonObject.nullish()),
  router_settings: inert(jsonObject.nullish()),
  allowed_cache_controls: inert(texts.nullish()),
  object_permission: inert(jsonObject.nullish()),
  auto_rotate: inert(z.boolean().nullish()),
  rotation_interval: inert(text.nullish()),
  send_invite_email: inert(z.boolean().nullish()),
  prompts: inert(texts.nullish()),
  budget_fallbacks: inert(jsonObject.nullish()),
  rpm_limit_type: inert(text.nullish()),
  tpm_limit_type: inert(text.nullish()),
  end_user_budget_id: inert(text.nullish()),
  enable_prompt_caching: inert(z.boolean().nullish()),
  throttle_on_budget_exceeded: inert(z.boolean().nullish()),
  guardrails: refused(z.unknown().optional()),
  policies: refused(z.unknown().optional()),
  enforced_params: refused(z.unknown().optional()),
  disable_global_guardrails: refused(z.unknown().optional()),
  tpd_limit: refused(z.unknown().optional()),
  tag_rpm_limit: refused(z.unknown().optional()),
  mcp_rpm_limit: refused(z.unknown().optional()),
};

const ownValue = text.nullish().describe('A value of your own, sk-… and 16 characters or more');

export const generateBody = z.object({
  ...keyFields,
  key: ownValue,
  key_type: z.enum(['llm_api', 'management', 'read_only', 'default']).nullish(),
});

export const updateBody = z.object({
  ...keyFields,
  key: text.describe('The key, its hash or its key_id'),
  temp_budget_increase: inert(usd.nullish()),
  temp_budget_expiry: inert(text.nullish()),
});

export const regenerateBody = z.object({
  ...keyFields,
  key: text.nullish(),
  new_key: ownValue,
  new_master_key: refused(text.nullish()),
  grace_period: text.nullish().describe('How long the old secret stays valid, e.g. 24h'),
});

export const keyBody = z.object({ key: text });
export const keysBody = z.object({ keys: texts });
export const deleteBody = z.object({
  keys: texts.nullish(),
  key_aliases: texts.nullish(),
});
export const resetSpendBody = z.object({ reset_to: usd });

export const bulkUpdateBody = z.object({
  keys: z
    .array(
      z.object({
        key: text,
        budget_id: id.nullish(),
        max_budget: usd.nullish(),
        team_id: id.nullish(),
        tags: texts.nullish(),
      }),
    )
    .min(1)
    .max(500),
});

export const teamBulkUpdateBody = z.object({
  team_id: id,
  key_ids: texts.nullish(),
  all_keys_in_team: z.boolean().nullish(),
  update_fields: z.object(keyFields),
});

export const infoQuery = z.object({ key: text.optional() });

export const listQuery = z.object({
  page: queryCount(1, 1_000_000).default(1),
  size: queryCount(1, 100).default(10),
  user_id: text.optional(),
  team_id: text.optional(),
  organization_id: text.optional(),
  key_hash: text.optional(),
  key_alias: text.optional(),
  search: text.optional(),
  status: z.enum(['active', 'expired', 'revoked', 'deleted']).optional(),
  sort_by: z
    .enum(['created_at', 'updated_at', 'key_alias', 'expires', 'max_budget', 'spend'])
    .optional(),
  sort_order: z.enum(['asc', 'desc']).default('desc'),
  return_full_object: queryFlag.default(false),
  include_team_keys: queryFlag.default(false),
  include_created_by_keys: queryFlag.default(false),
  substring_matching: queryFlag.default(false),
});

export const aliasesQuery = z.object({
  page: queryCount(1, 1_000_000).default(1),
  size: queryCount(1, 100).default(50),
  search: text.optional(),
  team_id: text.optional(),
});

/** A key as LiteLLM shows it. */
export const keyRow = z.object({
  token: z.string(),
  key_id: z.string().describe('Stable over rotation; not in LiteLLM'),
  key_name: z.string(),
  key_alias: z.string().nullable(),
  spend: z.number(),
  total_spend: z.number(),
  expires: z.string().nullable(),
  models: z.array(z.string()),
  aliases: jsonObject,
  config: jsonObject,
  router_settings: jsonObject.nullable(),
  user_id: z.string().nullable(),
  team_id: z.string().nullable(),
  agent_id: z.string().nullable(),
  project_id: z.string().nullable(),
  organization_id: z.string().nullable(),
  permissions: jsonObject,
  metadata: jsonObject,
  tags: z.array(z.string()),
  blocked: z.boolean().nullable(),
  max_parallel_requests: z.number().nullable(),
  rpm_limit: z.number().nullable(),
  tpm_limit: z.number().nullable(),
  tpd_limit: z.null(),
  model_rpm_limit: jsonObject.nullable(),
  model_tpm_limit: jsonObject.nullable(),
  max_budget: z.number().nullable(),
  soft_budget: z.number().nullable(),
  budget_duration: z.string().nullable(),
  budget_reset_at: z.string().nullable(),
  budget_limits: z.array(jsonObject).nullable(),
  model_max_budget: jsonObject,
  model_spend: jsonObject,
  budget_id: z.string().nullable(),
  litellm_budget_table: jsonObject.nullable(),
  allowed_cache_controls: z.array(z.string()),
  allowed_routes: z.array(z.string()),
  key_type: z.string(),
  max_requests: z.number().nullable(),
  created_at: z.string(),
  created_by: z.string(),
  updated_at: z.string(),
  updated_by: z.string(),
  settings_updated_at: z.string(),
  last_active: z
    .string()
    .nullable()
    .describe('The beginning of the hour that its last request started in; null before the first'),
  soft_budget_cooldown: z.boolean(),
  rotation_count: z.number(),
  last_rotation_at: z.string().nullable(),
  key_rotation_at: z.null(),
  auto_rotate: z.boolean(),
  rotation_interval: z.string().nullable(),
  access_group_ids: z.array(z.string()),
  policies: z.array(z.string()),
  object_permission: jsonObject.nullable(),
  object_permission_id: z.null(),
  budget_fallbacks: jsonObject.nullable(),
  status: z.enum(['active', 'expired', 'revoked']),
});

/** Shown once: here is the only place where the secret stands. */
export const generatedKey = z.looseObject({
  ...keyRow.shape,
  key: z.string(),
  token_id: z.string(),
});

export const infoAnswer = z.object({ key: z.string(), info: keyRow.omit({ token: true }) });
export const listAnswer = z.object({
  keys: z.array(z.union([z.string(), keyRow])),
  total_count: z.number(),
  current_page: z.number(),
  total_pages: z.number(),
});
export const aliasesAnswer = listAnswer
  .omit({ keys: true })
  .extend({ aliases: z.array(z.string()) });
export const bulkAnswer = z.object({
  total_requested: z.number(),
  successful_updates: z.array(z.object({ key: z.string(), key_info: jsonObject })),
  failed_updates: z.array(z.object({ key: z.string(), failed_reason: z.string() })),
});
