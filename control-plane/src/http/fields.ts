import type { JsonObject } from '@aigateway/contract/records';
import * as z from 'zod';
import { isEntityCursor, isEntityId } from '../store/prepared-entities.ts';

type FieldEffect = 'inert' | 'shown' | 'refused';

/** A field of LiteLLM that is kept and shown and does nothing here; the answer names it in a header. */
export function inert<Schema extends z.ZodType>(schema: Schema): Schema {
  return schema.meta({ ...schema.meta(), effect: 'inert' satisfies FieldEffect });
}

/** Likewise, where documents have a place of its own for the field. */
export function shown<Schema extends z.ZodType>(schema: Schema): Schema {
  return schema.meta({ ...schema.meta(), effect: 'shown' satisfies FieldEffect });
}

/** A field of LiteLLM whose absence would weaken safety or spend money: refused as soon as it asks for something. */
export function refused<Schema extends z.ZodType>(schema: Schema): Schema {
  return schema.meta({ ...schema.meta(), effect: 'refused' satisfies FieldEffect });
}

/** What becomes of a field. */
export function effectOf(schema: z.ZodType | undefined): FieldEffect | undefined {
  return schema?.meta()?.['effect'] as FieldEffect | undefined;
}

/** The inert fields among those given, to be kept. */
export function inertFields(schema: z.ZodObject, body: object): JsonObject {
  const kept: JsonObject = {};
  for (const [name, value] of Object.entries(body)) {
    if (effectOf(schema.shape[name]) === 'inert' && value !== undefined) kept[name] = value;
  }
  return kept;
}

/** True for what asks for nothing: null, false, 0, and empty texts, lists and maps. */
export function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === '' || value === 0)
    return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** Any JSON object. Bodies come from a JSON parser, so that their values are JSON. */
export const jsonObject = z.record(z.string(), z.unknown()) as unknown as z.ZodType<JsonObject>;

/** Metadata of keys and those above them. LiteLLM looks for guards in there as well. */
export const metadata = z.looseObject({
  guardrails: refused(z.unknown().optional()),
  policies: refused(z.unknown().optional()),
  enforced_params: refused(z.unknown().optional()),
}) as unknown as z.ZodType<JsonObject>;

const longestText = 4096;

/** Text that a store can index. */
export const text = z.string().max(longestText);
/** An id that the caller chooses: printable, and without what separates ids. */
export const id = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\p{C}:/]+$/u, 'must not hold control characters, ":" or "/"');
/** An id that calls of models brought: any that a store keeps. */
export const anyId = z.string().refine(isEntityId, { message: 'must have 1 to 1200 bytes' });
export const texts = z.array(text).max(1000);
/** Above nine million dollars nano-USD are no safe integers any more. */
export const usd = z.number().min(0).max(9_000_000);
export const count = z.int().min(0).max(2_000_000_000);
const counts = z.record(text, count);

/** LiteLLM's limits, as keys, users, teams and budgets take them. No alert hangs on a soft budget. */
export const limitFields = {
  max_budget: usd.nullish(),
  soft_budget: shown(usd.nullish()),
  budget_duration: text.nullish(),
  budget_limits: z
    .array(z.object({ max_budget: usd, budget_duration: text }))
    .max(20)
    .nullish(),
  rpm_limit: count.nullish(),
  tpm_limit: count.nullish(),
  max_parallel_requests: count.nullish(),
};

/** Requests and tokens a minute of single models. */
export const modelRateFields = {
  model_rpm_limit: counts.nullish(),
  model_tpm_limit: counts.nullish(),
};

/** Money for single models. */
export const modelBudgetField = { model_max_budget: jsonObject.nullish() };

/** The same on a holder whose spend is not known by model, where nothing would hold it. */
export const refusedModelBudgetField = { model_max_budget: refused(jsonObject.nullish()) };

/** A whole number of a query. */
export function queryCount(least: number, most: number) {
  return z.coerce.number().int().min(least).max(most);
}

/** Where a page ended, as the page before says it. */
export const queryCursor = text.refine(isEntityCursor, {
  message: 'must be `next` of the page before',
});

function isDay(value: string): boolean {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(value) ? Date.parse(value) : NaN;
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(value);
}

/** A day that the calendar has, `YYYY-MM-DD`. */
export const calendarDay = z.string().refine(isDay, { message: 'must be a day, YYYY-MM-DD' });

/** A day or a time of one, `YYYY-MM-DD HH:MM:SS` or ISO 8601, in UTC where no zone is named; gives milliseconds since the epoch. */
export const queryInstant = text
  .transform((value) => {
    const [, day = '', time] = /^(\d{4}-\d{2}-\d{2})(?:[T ](.+))?$/.exec(value) ?? [];
    if (!isDay(day)) return NaN;
    if (time === undefined) return Date.parse(day);
    return Date.parse(`${day}T${time}${/(?:z|[+-]\d{2}:?\d{2})$/i.test(time) ? '' : 'Z'}`);
  })
  .refine((value) => !Number.isNaN(value), { message: 'must be YYYY-MM-DD HH:MM:SS' });

/** A truth value of a query, in the spellings LiteLLM's web framework takes. */
export const queryFlag = z
  .string()
  .toLowerCase()
  .pipe(z.enum(['true', '1', 'yes', 'on', 't', 'y', 'false', '0', 'no', 'off', 'f', 'n']))
  .transform((word) => ['true', '1', 'yes', 'on', 't', 'y'].includes(word));

/** A list of a query, separated by commas. */
export const queryList = z.string().transform((list) =>
  list
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== ''),
);
