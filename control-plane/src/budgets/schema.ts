import * as z from 'zod';
import {
  id,
  inert,
  jsonObject,
  limitFields,
  modelRateFields,
  refused,
  refusedModelBudgetField,
  text,
  texts,
  usd,
} from '../http/fields.ts';

const budgetFields = {
  ...limitFields,
  ...modelRateFields,
  ...refusedModelBudgetField,
  tpd_limit: refused(z.unknown().optional()),
  allowed_models: inert(texts.nullish()),
  temp_budget_increase: inert(usd.nullish()),
  temp_budget_expiry: inert(text.nullish()),
};

export const newBody = z.object({
  budget_id: id.nullish(),
  budget_reset_at: inert(text.nullish()),
  ...budgetFields,
});
export const updateBody = newBody.extend({ budget_id: id });
export const infoBody = z.object({ budgets: texts });
export const deleteBody = z.object({ id: text });
export const settingsQuery = z.object({ budget_id: text });

/** A budget as LiteLLM shows it. */
export const budgetRow = z.object({
  budget_id: z.string(),
  max_budget: z.number().nullable(),
  soft_budget: z.number().nullable(),
  max_parallel_requests: z.number().nullable(),
  tpm_limit: z.number().nullable(),
  rpm_limit: z.number().nullable(),
  tpd_limit: z.null(),
  model_max_budget: jsonObject,
  model_rpm_limit: jsonObject.nullable(),
  model_tpm_limit: jsonObject.nullable(),
  budget_limits: z.array(jsonObject).nullable(),
  budget_duration: z.string().nullable(),
  budget_reset_at: z.string().nullable(),
  allowed_models: z.array(z.string()),
  temp_budget_increase: z.number().nullable(),
  temp_budget_expiry: z.string().nullable(),
  created_at: z.string(),
  created_by: z.string(),
  updated_at: z.string(),
  updated_by: z.string(),
});
