import * as z from 'zod';
import {
  calendarDay,
  jsonObject,
  queryCount,
  queryFlag,
  queryInstant,
  queryList,
  text,
} from '../http/fields.ts';

export const logsQuery = z.object({
  api_key: text.optional(),
  user_id: text.optional(),
  request_id: text.optional(),
  start_date: calendarDay.optional(),
  end_date: calendarDay.optional(),
  summarize: queryFlag.default(true),
});

export const pagedLogsQuery = z.object({
  start_date: queryInstant,
  end_date: queryInstant,
  api_key: text.optional(),
  user_id: text.optional(),
  team_id: text.optional(),
  request_id: text.optional(),
  model: text.optional(),
  model_group: text.optional(),
  end_user: text.optional(),
  status_filter: z.enum(['success', 'failure']).optional(),
  page: queryCount(1, 10_000).default(1),
  page_size: queryCount(1, 100).default(50),
});

export const usersQuery = z.object({
  user_id: text.optional(),
  limit: queryCount(1, 1000).default(100),
});
export const modelsQuery = z.object({ limit: queryCount(1, 1000).default(10) });
export const limitQuery = z.object({ limit: queryCount(1, 1000).default(100) });
export const daysQuery = z.object({
  start_date: calendarDay.optional(),
  end_date: calendarDay.optional(),
});
export const keyDaysQuery = daysQuery.extend({ api_key: text.optional() });
export const teamDaysQuery = daysQuery.extend({ team_id: text.optional() });
export const tagDaysQuery = daysQuery.extend({ tags: queryList.optional() });
export const userDaysQuery = daysQuery.extend({ internal_user_id: text.optional() });
export const organizationDaysQuery = daysQuery.extend({ organization_id: text.optional() });
export const reportQuery = daysQuery.extend({
  group_by: z.enum(['team', 'customer', 'api_key']).default('team'),
  api_key: text.optional(),
  internal_user_id: text.optional(),
  team_id: text.optional(),
  customer_id: text.optional(),
});
export const usersBody = z.object({
  api_key: text.nullish(),
  startTime: queryInstant.nullish(),
  endTime: queryInstant.nullish(),
});

export const activityQuery = z.object({
  start_date: calendarDay.optional(),
  end_date: calendarDay.optional(),
  model: text.optional(),
  api_key: text.optional(),
  user_id: text.optional(),
  team_ids: queryList.optional(),
  organization_ids: queryList.optional(),
  end_user_ids: queryList.optional(),
  tags: queryList.optional(),
  page: queryCount(1, 10_000).default(1),
  page_size: queryCount(1, 1000).optional(),
});

/** Without pages. */
export const wholeActivityQuery = activityQuery.omit({ page: true, page_size: true });
export const exportQuery = wholeActivityQuery.extend({
  format: z.enum(['csv', 'json']).default('csv'),
});

/** One request as LiteLLM logs it; without bodies, which are never kept. */
export const logRow = z.object({
  request_id: z.string(),
  call_type: z.string(),
  api_key: z.string(),
  spend: z.number(),
  total_tokens: z.number(),
  prompt_tokens: z.number(),
  completion_tokens: z.number(),
  startTime: z.string(),
  endTime: z.string(),
  completionStartTime: z.string().nullable(),
  request_duration_ms: z.number(),
  model: z.string(),
  model_id: z.string(),
  model_group: z.string(),
  custom_llm_provider: z.string(),
  user: z.string(),
  team_id: z.string().nullable(),
  organization_id: z.string().nullable(),
  end_user: z.string(),
  request_tags: z.array(z.string()),
  status: z.enum(['success', 'failure']),
  messages: jsonObject,
  response: jsonObject,
  metadata: jsonObject,
});

export const pagedLogs = z.object({
  data: z.array(logRow),
  total: z.number(),
  page: z.number(),
  page_size: z.number(),
  total_pages: z.number(),
  total_is_capped: z.boolean(),
});

const money = z.object({
  total_cost: z.number(),
  total_input_tokens: z.number(),
  total_output_tokens: z.number(),
});
const ofModels = {
  total_spend: z.number(),
  metadata: z.array(z.object({ model: z.string(), spend: z.number(), total_tokens: z.number() })),
};
const group_by_day = z.string();
const teamDay = z.object({
  group_by_day,
  teams: z.array(z.object({ team_id: z.string().nullable(), team_name: z.string(), ...ofModels })),
});
const customerDay = z.object({
  group_by_day,
  customers: z.array(z.object({ customer: z.string(), ...ofModels })),
});
export const keyReport = z.array(
  money.extend({
    api_key: z.string(),
    model_details: z.array(money.extend({ model: z.string() })),
  }),
);
export const organizationReport = z.array(
  money.extend({
    api_key: z.string(),
    model_details: z.array(money.extend({ team_id: z.string().nullable(), model: z.string() })),
  }),
);
export const spendReport = z.union([z.array(teamDay), z.array(customerDay), keyReport]);

const used = z.object({
  spend: z.number(),
  prompt_tokens: z.number(),
  completion_tokens: z.number(),
  cache_read_input_tokens: z.number(),
  cache_creation_input_tokens: z.number(),
  total_tokens: z.number(),
  successful_requests: z.number(),
  failed_requests: z.number(),
  api_requests: z.number(),
});
const metrics = used.extend({
  flat_cost: z.number(),
  ptu_hours: z.number(),
  compression_saved_tokens: z.number(),
  compression_savings_spend: z.number(),
  gateway_injected_caching_savings_spend: z.number(),
  autorouter_savings_spend: z.number(),
  total_response_time_ms: z.number(),
  timed_requests: z.number(),
});
const ofKeys = z.record(
  z.string(),
  z.object({
    metrics,
    metadata: z.object({
      key_alias: z.string().nullable(),
      team_id: z.string().nullable(),
      user_id: z.string().nullable(),
      user_email: z.string().nullable(),
      key_exists: z.boolean(),
    }),
  }),
);
const broken = z.record(
  z.string(),
  z.object({ metrics, metadata: jsonObject, api_key_breakdown: ofKeys }),
);

export const activityAnswer = z.object({
  results: z.array(
    z.object({
      date: z.string(),
      metrics,
      breakdown: z.object({
        models: broken,
        model_groups: broken,
        providers: broken,
        endpoints: broken,
        api_keys: ofKeys,
        entities: broken,
        mcp_servers: broken,
        guardrails: broken,
      }),
    }),
  ),
  metadata: z.object({
    total_spend: z.number(),
    total_prompt_tokens: z.number(),
    total_completion_tokens: z.number(),
    total_tokens: z.number(),
    total_api_requests: z.number(),
    total_successful_requests: z.number(),
    total_failed_requests: z.number(),
    total_cache_read_input_tokens: z.number(),
    total_cache_creation_input_tokens: z.number(),
    total_flat_cost: z.number(),
    total_ptu_hours: z.number(),
    total_compression_saved_tokens: z.number(),
    total_compression_savings_spend: z.number(),
    total_gateway_injected_caching_savings_spend: z.number(),
    total_autorouter_savings_spend: z.number(),
    total_response_time_ms: z.number(),
    total_timed_requests: z.number(),
    page: z.number(),
    total_pages: z.number(),
    has_more: z.boolean(),
  }),
});

/** One row of an export: what one id used on one day. */
export const exportRows = z.array(used.extend({ date: z.string(), id: z.string() }));

export const globalActivity = z.object({
  daily_data: z.array(
    z.object({ date: z.string(), api_requests: z.number(), total_tokens: z.number() }),
  ),
  sum_api_requests: z.number(),
  sum_total_tokens: z.number(),
});
export const modelActivity = z.array(
  z.object({
    model: z.string(),
    daily_data: z.array(
      z.object({
        model_group: z.string(),
        date: z.string(),
        api_requests: z.number(),
        total_tokens: z.number(),
      }),
    ),
    sum_api_requests: z.number(),
    sum_total_tokens: z.number(),
  }),
);
export const providerBudgets = z.object({
  providers: z.record(
    z.string(),
    z.object({
      budget_limit: z.number().nullable(),
      time_period: z.string().nullable(),
      spend: z.number(),
      budget_reset_at: z.string().nullable(),
    }),
  ),
});
