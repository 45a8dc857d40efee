import type { JsonObject } from '@aigateway/contract/records';
import type * as z from 'zod';
import { seesAll } from '../auth/actor.ts';
import { teamAccess } from '../auth/rights.ts';
import { detailError } from '../errors.ts';
import type { Call, Outcome } from '../http/call.ts';
import { budgetResetAt, windowStartMs } from '../http/limits.ts';
import { findKey } from '../keys/service.ts';
import { currentSettings } from '../settings/service.ts';
import type { ActivityRow } from '../store/ledger.ts';
import { sumOf } from './activity.ts';
import { currentSpend } from './current.ts';
import { keyTokens } from './logs.ts';
import type { daysQuery, reportQuery, tagDaysQuery, usersBody } from './schema.ts';
import { dayOf, shortDate, sumsOf } from './service.ts';
import { usdOf } from './sums.ts';

type Days = { readonly fromDay: string; readonly toDay: string };

/** @throws ApiError 400 without dates, as LiteLLM answers */
function requiredDays({ start_date, end_date }: z.output<typeof daysQuery>): Days {
  if (start_date === undefined || end_date === undefined) {
    throw detailError(400, { error: 'Please provide start_date and end_date' });
  }
  return { fromDay: start_date, toDay: end_date };
}

/** What each kind of upstream cost. Deployments that are gone are of no known kind. */
export async function spendByProvider(
  call: Call,
  query: z.output<typeof daysQuery>,
): Promise<Outcome> {
  const { fromDay, toDay } = requiredDays(query);
  const providers = await providersById(call);
  const sums = new Map<string, number>();
  for (const { id, cost } of await sumsOf(call, 'deployment', { fromDay, toDay })) {
    const provider = providers.get(id) ?? 'unknown';
    sums.set(provider, (sums.get(provider) ?? 0) + cost);
  }
  return { answer: [...sums].map(([provider, spend]) => ({ provider, spend })) };
}

/** `azure` or `openai` by deployment. */
async function providersById(call: Call): Promise<ReadonlyMap<string, string>> {
  const providers = new Map(
    [...call.settings.fileModels].map(([id, { provider }]) => [id, provider]),
  );
  for await (const { model_id, litellm_params } of call.view.all('model')) {
    const { model } = litellm_params;
    const isOpenAi = typeof model === 'string' && model.startsWith('openai/');
    providers.set(model_id, isOpenAi ? 'openai' : 'azure');
  }
  return providers;
}

/** Budgets of providers, with what is spent of them: LiteLLM's `/provider/budgets`. */
export async function providerBudgets(call: Call): Promise<Outcome> {
  const configured = (await currentSettings(call, 'router_settings')).get('provider_budget_config');
  const budgets = Object.entries((configured?.value ?? {}) as { [provider: string]: JsonObject });
  const deployments = [...(budgets.length === 0 ? [] : await providersById(call))];
  const from = {
    ledger: call.ledger,
    findResets: (ids: readonly string[]) => call.view.getMany('spend_reset', ids),
  };
  const providers: [string, JsonObject][] = [];
  for (const [provider, { budget_limit, max_budget, time_period, budget_duration }] of budgets) {
    const period = time_period ?? budget_duration;
    const window = typeof period === 'string' ? period : null;
    const ids = deployments.flatMap(([id, own]) => (own === provider ? [id] : []));
    const spent = await currentSpend(from, 'deployment', ids, windowStartMs(window, call));
    const nanoUsd = [...spent.values()].reduce((sum, one) => sum + one, 0);
    providers.push([
      provider,
      {
        budget_limit: budget_limit ?? max_budget ?? null,
        time_period: window,
        spend: usdOf(nanoUsd),
        budget_reset_at: budgetResetAt(window, call),
      },
    ]);
  }
  return { answer: { providers: Object.fromEntries(providers) } };
}

/** What each tag of requests cost. */
export async function globalSpendByTag(
  call: Call,
  query: z.output<typeof tagDaysQuery>,
): Promise<Outcome> {
  const { fromDay, toDay } = requiredDays(query);
  const sums = await sumsOf(call, 'tag', { fromDay, toDay });
  const wanted = sums.filter(({ id }) => query.tags?.includes(id) ?? true);
  return {
    answer: {
      spend_per_tag: wanted.map(({ id, cost, requests }) => ({
        name: id,
        spend: cost,
        log_count: requests,
      })),
    },
  };
}

/** Names of all tags that requests ever had. */
export async function seenTagNames(call: Call): Promise<Outcome> {
  const sums = await sumsOf(call, 'tag', { fromDay: '1970-01-01' });
  return { answer: { tag_names: sums.map(({ id }) => id).sort() } };
}

/** Customers by what they spent, all in all or with one key. */
export async function spendByCustomer(
  call: Call,
  { api_key, startTime, endTime }: z.output<typeof usersBody>,
): Promise<Outcome> {
  const key = api_key ? await findKey(call, api_key) : undefined;
  if (api_key && !key) return { answer: [] };
  const rows = await call.ledger.activity({
    dimension: 'customer',
    fromDay: dayOf(startTime ?? 0),
    toDay: dayOf(endTime ?? call.now),
    over: 'days',
    ...(key && { by: 'key', byId: key.key_id }),
  });
  const customers = rows.map(({ id, sums: { requests, costNanoUsd } }) => ({
    end_user: id,
    total_count: requests,
    total_spend: usdOf(costNanoUsd),
  }));
  return { answer: customers.sort((one, other) => other.total_spend - one.total_spend) };
}

/** Requests and tokens of each day, by model; the most used first. */
export async function globalActivityByModel(
  call: Call,
  query: z.output<typeof daysQuery>,
): Promise<Outcome> {
  const rows = await call.ledger.activity({ dimension: 'model', ...requiredDays(query) });
  const models = [...Map.groupBy(rows, ({ id }) => id)].map(([model, own]) => {
    const total = sumOf(own);
    return {
      model,
      daily_data: own
        .toSorted((one, other) => (one.day < other.day ? -1 : 1))
        .map(({ day, sums }) => ({
          date: shortDate(day),
          api_requests: sums.requests,
          total_tokens: sums.inputTokens + sums.outputTokens,
        })),
      sum_api_requests: total.requests,
      sum_total_tokens: total.inputTokens + total.outputTokens,
    };
  });
  return { answer: models.sort((a, b) => b.sum_api_requests - a.sum_api_requests) };
}

/** LiteLLM's report on spend: by day and team or customer, or by key, each with its models. */
export async function spendReport(
  call: Call,
  query: z.output<typeof reportQuery>,
): Promise<Outcome> {
  const days = requiredDays(query);
  if (query.group_by === 'api_key') return { answer: await reportByKey(call, days, undefined) };
  return { answer: await reportByHolder(call, days, query.group_by, undefined) };
}

/** The same of one key, or of all that the caller sees. */
export async function keySpendReport(
  call: Call,
  { api_key, ...query }: z.output<typeof daysQuery> & { api_key?: string | undefined },
): Promise<Outcome> {
  const days = requiredDays(query);
  const visible = seesAll(call.actor)
    ? undefined
    : (await call.view.findAll('key', { user_id: call.actor.userId ?? '' })).map(
        ({ key_id }) => key_id,
      );
  if (api_key === undefined) return { answer: await reportByKey(call, days, visible) };
  const keyId = (await findKey(call, api_key))?.key_id;
  const mayKnow = keyId !== undefined && (visible?.includes(keyId) ?? true);
  return { answer: await reportByKey(call, days, mayKnow ? [keyId] : []) };
}

/** The same of one team, or of all that the caller administers. */
export async function teamSpendReport(
  call: Call,
  { team_id, ...query }: z.output<typeof daysQuery> & { team_id?: string | undefined },
): Promise<Outcome> {
  const days = requiredDays(query);
  let teams = team_id === undefined ? undefined : [team_id];
  if (!seesAll(call.actor)) {
    const own = await call.view.findAll('team', { member: call.actor.userId ?? '' });
    const access = await Promise.all(own.map((team) => teamAccess(call, team)));
    const administered = own.filter((_team, index) => access[index] === 'write');
    const ids = administered.map((team) => team.team_id);
    teams = teams === undefined ? ids : teams.filter((id) => ids.includes(id));
  }
  return { answer: await reportByHolder(call, days, 'team', teams) };
}

async function reportByKey(
  call: Call,
  days: Days,
  ids: readonly string[] | undefined,
): Promise<JsonObject[]> {
  const rows = await call.ledger.activity({
    dimension: 'key',
    by: 'model',
    over: 'days',
    ...days,
    ...(ids !== undefined && { ids }),
  });
  const keys = [...Map.groupBy(rows, ({ id }) => id)];
  const tokens = await keyTokens(
    call,
    keys.map(([id]) => id),
  );
  return keys.map(([id, own]) => ({
    api_key: tokens.get(id)?.token ?? id,
    ...costOf(own),
    model_details: byModel(own).map(([model, rest]) => ({ model, ...costOf(rest) })),
  }));
}

function costOf(rows: readonly ActivityRow[]): JsonObject {
  const { costNanoUsd, inputTokens, outputTokens } = sumOf(rows);
  return {
    total_cost: usdOf(costNanoUsd),
    total_input_tokens: inputTokens,
    total_output_tokens: outputTokens,
  };
}

async function reportByHolder(
  call: Call,
  days: Days,
  dimension: 'team' | 'customer',
  ids: readonly string[] | undefined,
): Promise<JsonObject[]> {
  const rows = await call.ledger.activity({
    dimension,
    by: 'model',
    ...days,
    ...(ids !== undefined && { ids }),
  });
  const teams =
    dimension === 'team'
      ? await call.view.getMany(
          'team',
          rows.map(({ id }) => id),
        )
      : undefined;
  const byDay = [...Map.groupBy(rows, ({ day }) => day)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return byDay.map(([day, ofDay]): JsonObject => ({
    group_by_day: `${day}T00:00:00+00:00`,
    [`${dimension}s`]: [...Map.groupBy(ofDay, ({ id }) => id)].map(([id, own]): JsonObject => ({
      ...(dimension === 'team'
        ? { team_id: id, team_name: teams?.get(id)?.team_alias ?? id }
        : { customer: id }),
      total_spend: usdOf(sumOf(own).costNanoUsd),
      metadata: byModel(own).map(([model, rest]): JsonObject => {
        const sums = sumOf(rest);
        return {
          model,
          spend: usdOf(sums.costNanoUsd),
          total_tokens: sums.inputTokens + sums.outputTokens,
        };
      }),
    })),
  }));
}

function byModel(rows: readonly ActivityRow[]): [string, ActivityRow[]][] {
  return [...Map.groupBy(rows, ({ byId }) => byId ?? '')];
}
