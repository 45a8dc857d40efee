import * as z from 'zod';
import { budgetRow } from '../budgets/schema.ts';
import {
  anyId,
  id,
  inert,
  jsonObject,
  limitFields,
  modelRateFields,
  refused,
  refusedModelBudgetField,
  shown,
  text,
  texts,
  usd,
} from '../http/fields.ts';

export const customerBody = z.object({
  user_id: id,
  alias: text.nullish(),
  blocked: z.boolean().nullish(),
  budget_id: id.nullish(),
  default_model: shown(text.nullish()),
  allowed_model_region: z.enum(['eu', 'us']).nullish(),
  models: texts.nullish(),
  spend: usd.nullish(),
  ...limitFields,
  ...modelRateFields,
  ...refusedModelBudgetField,
  object_permission: inert(jsonObject.nullish()),
  tpd_limit: refused(z.unknown().optional()),
});
export const customersBody = z.object({ user_ids: texts });
/** They need not be known yet, and are whatever calls name their customers by. */
export const blockBody = z.object({ user_ids: z.array(anyId).max(1000) });
export const infoQuery = z.object({ end_user_id: text });

export const customerRow = z.object({
  user_id: z.string(),
  alias: z.string().nullable(),
  blocked: z.boolean(),
  spend: z.number(),
  allowed_model_region: z.string().nullable(),
  default_model: z.string().nullable(),
  models: z.array(z.string()),
  budget_id: z.string().nullable(),
  litellm_budget_table: budgetRow.nullable(),
  object_permission: jsonObject.nullable(),
  /** Null for one whom only calls have named. */
  created_at: z.string().nullable(),
  updated_at: z.string().nullable(),
});
