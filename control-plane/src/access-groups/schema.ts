import * as z from 'zod';
import { id, inert, jsonObject, text, texts } from '../http/fields.ts';

const groupFields = {
  description: text.nullish(),
  access_model_names: texts.nullish().describe('Names of models, patterns with * among them'),
  assigned_team_ids: texts.nullish().describe('Teams that have the group, all of them'),
  assigned_key_ids: texts.nullish().describe('Keys that have the group, all of them'),
  access_mcp_server_ids: inert(texts.nullish()),
  access_agent_ids: inert(texts.nullish()),
  access_skill_names: inert(texts.nullish()),
  mcp_tool_permissions: inert(jsonObject.nullish()),
};
export const newBody = z.object({ access_group_name: text.min(1), ...groupFields });
export const updateBody = z.object({ access_group_name: text.min(1).nullish(), ...groupFields });

const named = z.object({ id: z.string(), name: z.string().nullable() });

/** A group of models as LiteLLM shows it, with who has it. */
export const groupRow = z.object({
  access_group_id: z.string(),
  access_group_name: z.string(),
  description: z.string().nullable(),
  access_model_names: z.array(z.string()),
  access_mcp_server_ids: z.array(z.string()),
  access_agent_ids: z.array(z.string()),
  assigned_team_ids: z.array(z.string()),
  assigned_key_ids: z.array(z.string()),
  assigned_teams: z.array(named),
  assigned_keys: z.array(named),
  created_at: z.string(),
  created_by: z.string(),
  updated_at: z.string(),
  updated_by: z.string(),
});

/** LiteLLM's older groups: a word in `model_info.access_groups`. */
export const newWordBody = z.object({
  access_group: id,
  model_names: texts.nullish().describe('Every deployment of these models'),
  model_ids: texts.nullish().describe('These deployments alone'),
});
export const updateWordBody = newWordBody.omit({ access_group: true });
export const wordWritten = z.object({
  access_group: z.string(),
  model_names: z.array(z.string()).nullable(),
  model_ids: z.array(z.string()).nullable(),
  models_updated: z.number(),
});
export const wordRow = z.object({
  access_group: z.string(),
  model_names: z.array(z.string()),
  deployment_count: z.number(),
});
export const wordList = z.object({ access_groups: z.array(wordRow) });
export const wordDeleted = z.object({
  access_group: z.string(),
  models_updated: z.number(),
  message: z.string(),
});
