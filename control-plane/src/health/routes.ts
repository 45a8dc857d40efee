import { checkList, checkRow, latestChecks } from '@aigateway/contract/standing-changes';
import type { StandingChange } from '@aigateway/contract/standing-changes';
import * as z from 'zod';
import { queryCount, text } from '../http/fields.ts';
import { policies, route } from '../http/route.ts';

const check = z.object({
  model_name: z.string(),
  model_id: z.string(),
  status: z.enum(['healthy', 'unhealthy']),
  error_message: z.string().nullable(),
  checked_at: z.iso.datetime(),
  checked_by: z.string(),
});

const historyQuery = z.object({
  model: text.optional(),
  status_filter: text.optional(),
  limit: queryCount(1, 1000).default(100),
  offset: queryCount(0, 1_000_000).default(0),
});

const rowOf = (change: StandingChange) => ({ ...checkRow(change), checked_by: change.seenBy });

/** What proxies saw of their deployments. A proxy answers the same paths itself, with more for its own part. */
export const healthRoutes = [
  route({
    method: 'get',
    paths: ['/health/history'],
    summary: 'When deployments began to rest and were back, as every proxy saw it',
    policy: policies.admin,
    effect: 'read',
    query: historyQuery,
    answer: z.object({
      health_checks: z.array(check),
      total_records: z.int(),
      limit: z.int(),
      offset: z.int(),
    }),
    handle: async ({ query }, call) => {
      const { model, status_filter: status, limit, offset } = query;
      const rows = (await call.standingChanges()).map(rowOf);
      return { answer: checkList(rows, { model, status, limit, offset }) };
    },
  }),
  route({
    method: 'get',
    paths: ['/health/latest'],
    summary: 'What was seen last of each deployment that ever rested, whichever proxy saw it',
    policy: policies.admin,
    effect: 'read',
    answer: z.object({
      latest_health_checks: z.record(z.string(), check),
      total_models: z.int(),
    }),
    handle: async (_input, call) => {
      const last = new Map<string, StandingChange>();
      for (const change of await call.standingChanges()) last.set(change.deploymentId, change);
      return { answer: latestChecks([...last.values()].map(rowOf)) };
    },
  }),
];
