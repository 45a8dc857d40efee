import * as z from 'zod';
import {
  count,
  id,
  jsonObject,
  modelBudgetField,
  modelRateFields,
  queryCount,
  queryCursor,
  text,
  texts,
  usd,
} from '../http/fields.ts';

const limits = {
  models: texts.nullish().describe('Empty: every model'),
  max_budget: usd.nullish().describe('US dollars'),
  budget_duration: text.nullish(),
  rpm_limit: count.nullish(),
  tpm_limit: count.nullish(),
  max_parallel_requests: count.nullish(),
  ...modelRateFields,
  ...modelBudgetField,
};
const blocked = z.boolean().nullish();

const projectFields = {
  ...limits,
  blocked,
  credential: text.nullish().describe("Name of the credential that the project's calls go with"),
};
export const newProject = z.object({ name: text.min(1), ...projectFields });
export const changedProject = z.object({ name: text.min(1).optional(), ...projectFields });

const tokenFields = {
  ...limits,
  expires_in: text.nullish().describe('Life from now on, e.g. 30d; null: without end'),
  max_requests: count.nullish().describe('Requests after which the token ends'),
};
export const newToken = z.object({ project_id: id, name: text.nullish(), ...tokenFields });
export const changedToken = z.object({ name: text.nullish(), blocked, ...tokenFields });
export const rotation = z.object({
  grace_period: text.nullish().describe('How long the old secret stays valid'),
});

const paging = {
  limit: queryCount(1, 500).default(50),
  after: queryCursor.optional().describe('`next` of the page before'),
};
export const projectsQuery = z.object(paging);
export const tokensQuery = z.object({ project_id: text.optional(), ...paging });

const shownLimits = {
  models: z.array(z.string()),
  max_budget: z.number().nullable(),
  budget_duration: z.string().nullable(),
  rpm_limit: z.number().nullable(),
  tpm_limit: z.number().nullable(),
  max_parallel_requests: z.number().nullable(),
  model_rpm_limit: jsonObject.nullable(),
  model_tpm_limit: jsonObject.nullable(),
  model_max_budget: jsonObject,
};
const tracked = { created_at: z.string(), updated_at: z.string() };

export const project = z.object({
  id: z.string(),
  name: z.string().nullable(),
  credential: z.string().nullable(),
  blocked: z.boolean(),
  ...shownLimits,
  spend: z.number(),
  ...tracked,
});
export const token = z.object({
  id: z.string(),
  project_id: z.string().nullable(),
  name: z.string().nullable(),
  hint: z.string().describe('The end of the secret, to tell tokens apart'),
  status: z.enum(['active', 'expired', 'revoked']),
  expires_at: z.string().nullable(),
  max_requests: z.number().nullable(),
  ...shownLimits,
  spend: z.number(),
  ...tracked,
});
export const tokenWithSecret = token.extend({
  secret: z.string().nullable().describe('Shown once; null when an Idempotency-Key came again'),
});
export const projects = z.object({ data: z.array(project), next: z.string().nullable() });
export const tokens = z.object({ data: z.array(token), next: z.string().nullable() });
export const deleted = z.object({ id: z.string(), deleted: z.literal(true) });

export const reportQuery = z.object({ format: z.enum(['json', 'text']).default('json') });
const counts = z.record(z.string(), z.int());
export const report = z.object({
  keys: z.int(),
  status: counts,
  age: counts.describe('Since it was made'),
  owner: counts,
  last_use: counts.describe('Since the day of the last request'),
});
