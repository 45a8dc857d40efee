import * as z from 'zod';
import { jsonObject, queryCount, queryInstant, text } from '../http/fields.ts';

export const listQuery = z.object({
  page: queryCount(1, 10_000).default(1),
  page_size: queryCount(1, 100).default(10),
  changed_by: text.optional(),
  action: text.optional(),
  table_name: text.optional(),
  object_id: text.optional(),
  start_date: queryInstant.optional(),
  end_date: queryInstant.optional(),
});
export const exportQuery = z.object({
  from: queryCount(1, Number.MAX_SAFE_INTEGER).default(1).describe('First sequence'),
  limit: queryCount(1, 10_000).default(1000),
});

/** A change as LiteLLM shows it. */
export const auditRow = z.object({
  id: z.string(),
  updated_at: z.string(),
  changed_by: z.string(),
  changed_by_api_key: z.string(),
  on_behalf_of: z.string().nullable(),
  action: z.string(),
  table_name: z.string(),
  object_id: z.string(),
  before_value: jsonObject.nullable(),
  updated_values: jsonObject.nullable(),
});
export const listAnswer = z.object({
  audit_logs: z.array(auditRow),
  total: z.number(),
  page: z.number(),
  page_size: z.number(),
  total_pages: z.number(),
});
