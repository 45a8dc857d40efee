import * as z from 'zod';
import { settingSections } from '@aigateway/contract/changeable-settings';
import { inert, jsonObject, refused, text } from '../http/fields.ts';

const section = z.enum(settingSections);
const source = z.enum(['config', 'db', 'default']);

export const updateBody = z.object({
  router_settings: jsonObject.nullish().describe('Merged; null takes a setting away'),
  litellm_settings: jsonObject.nullish().describe('Likewise'),
  general_settings: jsonObject.nullish().describe('Likewise'),
  environment_variables: refused(jsonObject.nullish()),
  model_list: refused(z.unknown().optional()),
  guardrails: refused(z.unknown().optional()),
  callbacks: inert(z.unknown().optional()),
});
export const doneAnswer = z.object({ message: z.string() });

export const fieldBody = z.object({
  field_name: text.min(1),
  field_value: z.unknown(),
  config_type: section.default('general_settings'),
});
export const fieldDeleteBody = fieldBody.omit({ field_value: true });
export const sectionAnswer = z.object({ param_name: section, param_value: jsonObject });

export const fieldQuery = z.object({
  field_name: text,
  config_type: section.default('general_settings'),
});
export const fieldAnswer = z.object({
  field_name: z.string(),
  field_value: z.unknown(),
  source,
  editable: z.boolean().describe('False of what the file states'),
});
export const listQuery = z.object({ config_type: section.default('general_settings') });
export const listAnswer = z.array(
  fieldAnswer.extend({
    field_type: z.string(),
    field_description: z.string(),
    field_default_value: z.string().nullable(),
    stored_in_db: z.boolean(),
  }),
);

const routerField = z.object({
  field_name: z.string(),
  field_type: z.string(),
  field_value: z.unknown(),
  field_description: z.string(),
  field_default: z.string().nullable(),
  options: z.array(z.string()).nullable(),
  ui_field_name: z.string(),
  link: z.null(),
});
export const routerFieldsAnswer = z.object({
  fields: z.array(routerField),
  routing_strategy_descriptions: jsonObject,
});
export const routerSettingsAnswer = routerFieldsAnswer.extend({
  current_values: jsonObject,
  source: z.record(z.string(), source),
});

const fallbackType = z.enum(['general', 'context_window', 'content_policy']);
export const fallbackBody = z.object({
  model: text.min(1),
  fallback_models: z.array(text.min(1)).min(1).max(100),
  fallback_type: fallbackType.default('general'),
});
export const fallbackQuery = z.object({ fallback_type: fallbackType.default('general') });
export const fallbackAnswer = z.object({
  model: z.string(),
  fallback_models: z.array(z.string()),
  fallback_type: fallbackType,
});
export const fallbackWritten = fallbackAnswer.extend({ message: z.string() });
export const fallbackDeleted = fallbackWritten.omit({ fallback_models: true });

export const callbacksAnswer = z.object({
  status: z.literal('success'),
  callbacks: z.array(jsonObject),
  alerts: z.array(jsonObject),
  active_alerting_destinations: z.array(z.string()),
  router_settings: jsonObject,
  available_callbacks: jsonObject,
});
const noCallbacks = z.array(z.string());
export const loggingAnswer = z.object({
  alerting: z.string(),
  'litellm.callbacks': noCallbacks,
  'litellm.input_callback': noCallbacks,
  'litellm.failure_callback': noCallbacks,
  'litellm.success_callback': noCallbacks,
  'litellm._async_success_callback': noCallbacks,
  'litellm._async_failure_callback': noCallbacks,
  'litellm._async_input_callback': noCallbacks,
  all_litellm_callbacks: noCallbacks,
  num_callbacks: z.int(),
  num_alerting: z.int(),
  'litellm.request_timeout': z.number().nullable().describe('Seconds; null where nobody set it'),
});
export const serviceQuery = z.object({ service: text.min(1) });
export const callbackListAnswer = z.object({
  success: z.array(z.string()),
  failure: z.array(z.string()),
  success_and_failure: z.array(z.string()),
});
export const callbackBody = z.object({ callback_name: text });
