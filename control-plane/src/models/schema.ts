import * as z from 'zod';
import { id, jsonObject, text } from '../http/fields.ts';

const params = z.looseObject({ model: text }).describe("LiteLLM's parameters of a deployment");
const info = z.looseObject({ id: id.nullish() });

export const newBody = z.object({
  model_name: text.min(1),
  litellm_params: params,
  model_info: info.nullish(),
});
export const updateBody = z.object({
  model_name: text.min(1).nullish(),
  litellm_params: params.partial().nullish().describe('Merged; what is not sent stays'),
  model_info: info.nullish(),
  id: id.nullish().describe("As LiteLLM's own client names it, instead of model_info.id"),
});
export const patchBody = z.object({
  model_name: text.min(1).nullish(),
  litellm_params: params.partial().nullish(),
  model_info: info.nullish(),
});
export const idBody = z.object({ id: text });
export const modelIdBody = z.object({ model_id: text });

/** A deployment as it is shown: without secrets. */
export const modelRow = z.object({
  model_id: z.string(),
  model_name: z.string(),
  litellm_params: jsonObject,
  model_info: jsonObject,
  blocked: z.boolean(),
  created_at: z.string(),
  created_by: z.string(),
  updated_at: z.string(),
  updated_by: z.string(),
});
