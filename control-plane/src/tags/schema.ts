import * as z from 'zod';
import { budgetRow } from '../budgets/schema.ts';
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
} from '../http/fields.ts';

export const tagBody = z.object({
  name: text.min(1),
  description: text.nullish(),
  models: texts.nullish().describe('Ids of deployments that get the tag'),
  budget_id: id.nullish(),
  ...limitFields,
  ...modelRateFields,
  ...refusedModelBudgetField,
  model_info: inert(jsonObject.nullish()),
  tpd_limit: refused(z.unknown().optional()),
});
export const namesBody = z.object({ names: texts });
export const nameBody = z.object({ name: text });

/** A tag as LiteLLM shows it; one that was only seen in traffic has no limits and nobody who made it. */
export const tagRow = z.object({
  name: z.string(),
  description: z.string().nullable(),
  models: z.array(z.string()),
  model_info: z.record(z.string(), z.string()).describe('Names of the deployments by their id'),
  spend: z.number(),
  budget_id: z.string().nullable(),
  litellm_budget_table: budgetRow.nullable(),
  created_at: z.string().nullable(),
  created_by: z.string().nullable(),
  updated_at: z.string().nullable(),
});
export const writtenAnswer = z.object({ message: z.string(), tag: tagRow });
