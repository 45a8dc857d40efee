import * as z from 'zod';
import { id, jsonObject, text, texts } from '../http/fields.ts';

export const newBody = z.object({
  credential_name: id,
  credential_info: jsonObject.nullish(),
  credential_values: jsonObject.nullish(),
  model_id: text.nullish().describe('Takes the values of this deployment'),
});
export const patchBody = z.object({
  credential_name: id.nullish(),
  credential_info: jsonObject.nullish(),
  credential_values: jsonObject.nullish(),
  credential_values_to_delete: texts.nullish(),
});

/** A credential as it is shown: secrets masked, references as they stand. */
export const credentialRow = z.object({
  credential_name: z.string(),
  display_name: z.string(),
  credential_info: jsonObject,
  credential_values: jsonObject,
  source: z.literal('db'),
});
export const listAnswer = z.object({
  success: z.literal(true),
  credentials: z.array(credentialRow),
});
export const doneAnswer = z.object({ success: z.literal(true), message: z.string() });
