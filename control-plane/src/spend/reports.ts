import type { JsonObject } from '@aigateway/contract/records';
import type * as z from 'zod';
import { seesAll } from '../auth/actor.ts';
import { isOrganizationAdmin } from '../auth/rights.ts';
import { type ApiError, detailError, proxyError } from '../errors.ts';
import type { Call, Outcome } from '../http/call.ts';
import { budgetResetAt, windowStartMs } from '../http/limits.ts';
import { currentSecret } from '../keys/row.ts';
import { findKey } from '../keys/service.ts';
import { currentSettings } from '../settings/service.ts';
import type { ActivityRow } from '../store/ledger.ts';
import { dayOf } from '../store/usage-sums.ts';
import { seesTeamActivity, sumOf } from './activity.ts';
import { currentSpend } from './current.ts';
import { providersById } from './providers.ts';
import type {
  daysQuery,
  keyDaysQuery,
  organizationDaysQuery,
  reportQuery,
  tagDaysQuery,
  teamDaysQuery,
  userDaysQuery,
  usersBody,
} from './schema.ts';
import { beyond, nobody } from './beyond.ts';
import { ownActivity, recentDay, shortDate, sumsOf } from './service.ts';
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
  if (query.start_date === undefined || query.end_date === undefined)
    throw proxyError(400, 'bad_request', 'Please provide start_date and end_date');
  const sums = await sumsOf(call, 'tag', { fromDay: query.start_date, toDay: query.end_date });
  const isWanted = query.tags?.includes('all-tags') !== false;
  const wanted = sums.filter(({ id }) => isWanted || query.tags?.includes(id));
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

const mostCustomers = 100;
const mostModels = 10;

/** Customers by what they spent in the last 30 days or a time that is named, all in all or with one key. */
export async function spendByCustomer(
  call: Call,
  { api_key, startTime, endTime }: z.output<typeof usersBody>,
): Promise<Outcome> {
  const key = api_key ? await findKey(call, api_key) : undefined;
  if (api_key && !key) return { answer: [] };
  const rows = await call.ledger.activity({
    dimension: 'customer',
    fromDay: startTime === null || startTime === undefined ? recentDay(call) : dayOf(startTime),
    toDay: dayOf(endTime ?? call.now),
    over: 'days',
    ...(key && { by: 'key', byId: key.key_id }),
  });
  const customers = rows.map(({ id, sums: { requests, costNanoUsd } }) => ({
    end_user: id,
    total_count: requests,
    total_spend: usdOf(costNanoUsd),
  }));
  const dearest = customers.sort((one, other) => other.total_spend - one.total_spend);
  return { answer: dearest.slice(0, mostCustomers) };
}

/** Requests and tokens of each day, by model; the most used first. Whoever is no administrator has its own. */
export async function globalActivityByModel(
  call: Call,
  query: z.output<typeof daysQuery>,
): Promise<Outcome> {
  const days = requiredDays(query);
  const own = ownActivity(call);
  const rows =
    own === undefined
      ? await call.ledger.activity({ dimension: 'model', ...days })
      : (await call.ledger.activity({ ...own, by: 'model', ...days })).map((row) => ({
          ...row,
          id: row.byId ?? '',
        }));
  const models = [...Map.groupBy(rows, ({ id }) => id)].map(([model, own]) => {
    const total = sumOf(own);
    return {
      model,
      daily_data: own
        .toSorted((one, other) => (one.day < other.day ? -1 : 1))
        .map(({ day, sums }) => ({
          model_group: model,
          date: shortDate(day),
          api_requests: sums.requests,
          total_tokens: sums.inputTokens + sums.outputTokens,
        })),
      sum_api_requests: total.requests,
      sum_total_tokens: total.inputTokens + total.outputTokens,
    };
  });
  const busiest = models.sort((a, b) => b.sum_api_requests - a.sum_api_requests);
  return { answer: busiest.slice(0, mostModels) };
}

/** LiteLLM's report on spend: by day and team or customer, or by key, each with its models. */
export async function spendReport(
  call: Call,
  query: z.output<typeof reportQuery>,
): Promise<Outcome> {
  const days = requiredDays(query);
  if (query.customer_id !== undefined && query.team_id !== undefined) {
    throw detailError(400, {
      error: 'No sums are kept of a customer within a team: ask for one of them.',
    });
  }
  if (query.api_key !== undefined) {
    const keyId = (await findKey(call, query.api_key))?.key_id;
    return { answer: await reportByKey(call, days, keyId === undefined ? [] : [keyId]) };
  }
  if (query.internal_user_id !== undefined)
    return { answer: await reportOn(call, days, 'user', query.internal_user_id) };
  if (query.group_by === 'api_key') return { answer: await reportByKey(call, days, undefined) };
  const { team_id: teamId, customer_id: customerId } = query;
  if (teamId !== undefined) return { answer: await reportByHolder(call, days, 'team', teamId) };
  const dimension = customerId === undefined ? query.group_by : 'customer';
  return { answer: await reportByHolder(call, days, dimension, customerId) };
}

/** What keys cost, with their models: the caller's own key, one that it sees, or for an administrator every one. */
export async function keySpendReport(
  call: Call,
  { api_key, ...query }: z.output<typeof keyDaysQuery>,
): Promise<Outcome> {
  const days = reportedDays(query);
  const { actor } = call;
  if (api_key === undefined) {
    const own = actor.key === undefined ? [] : [actor.key.key_id];
    return { answer: await reportByKey(call, days, seesAll(actor) ? undefined : own) };
  }
  const key = await findKey(call, api_key);
  const mayKnow =
    seesAll(actor) ||
    key?.key_id === actor.key?.key_id ||
    (key?.user_id !== null && key?.user_id === actor.userId);
  return {
    answer: await reportByKey(call, days, key !== undefined && mayKnow ? [key.key_id] : []),
  };
}

/** What a user's keys cost, with their models: the caller itself, or for an administrator anybody. */
export async function userSpendReport(
  call: Call,
  { internal_user_id: asked, ...query }: z.output<typeof userDaysQuery>,
): Promise<Outcome> {
  const days = reportedDays(query);
  const id = reportedId(asked, call.actor.userId, 'internal_user_id');
  if (id !== call.actor.userId && !seesAll(call.actor)) throw notYours('internal_user_id');
  return { answer: await reportOn(call, days, 'user', id) };
}

/** What a team's keys cost, with their models, for those who see its activity; the team of the caller's key where none is named. */
export async function teamSpendReport(
  call: Call,
  { team_id: asked, ...query }: z.output<typeof teamDaysQuery>,
): Promise<Outcome> {
  const days = reportedDays(query);
  const id = reportedId(asked, call.actor.key?.team_id ?? undefined, 'team_id');
  if (!seesAll(call.actor)) {
    const team = await call.view.get('team', id);
    if (team === undefined || !(await seesTeamActivity(call, team))) throw notYours('team_id');
  }
  return { answer: await reportOn(call, days, 'team', id) };
}

/** What an organization's keys cost, with their models, for those who administer it. */
export async function organizationSpendReport(
  call: Call,
  { organization_id: asked, ...query }: z.output<typeof organizationDaysQuery>,
): Promise<Outcome> {
  const days = reportedDays(query);
  const own = call.actor.key?.organization_id ?? undefined;
  const id = reportedId(asked, own, 'organization_id');
  if (!seesAll(call.actor) && !(await isOrganizationAdmin(call, id)))
    throw notYours('organization_id');
  return { answer: await reportOn(call, days, 'organization', id) };
}

/** @throws ApiError 400 without dates or with days that end before they begin, as LiteLLM answers */
function reportedDays({ start_date, end_date }: z.output<typeof daysQuery>): Days {
  if (start_date === undefined || end_date === undefined)
    throw detailError(400, 'Please provide start_date and end_date');
  if (end_date < start_date) throw detailError(400, 'start_date must be on or before end_date');
  return { fromDay: start_date, toDay: end_date };
}

function reportedId(asked: string | undefined, own: string | undefined, name: string): string {
  const id = asked ?? own;
  if (id !== undefined) return id;
  throw detailError(400, `No ${name} associated with this API key; pass a ${name} query param`);
}

function notYours(name: string): ApiError {
  return detailError(403, `Not authorized to view spend for a ${name} other than your own`);
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
  return keyRows(
    call,
    Map.groupBy(rows, ({ id }) => id),
    rows,
  );
}

/**
 * What each key cost within one of its owners, the dearest first. Of owner, key and model together no sums are kept: the models are those
 * of the key, which as a rule has one owner.
 */
async function reportOn(
  call: Call,
  days: Days,
  dimension: 'user' | 'team' | 'organization',
  id: string,
): Promise<JsonObject[]> {
  const rows = await call.ledger.activity({
    dimension,
    ids: [id],
    by: 'key',
    over: 'days',
    ...days,
  });
  const keys = Map.groupBy(rows, ({ byId }) => byId ?? '');
  const models =
    keys.size === 0
      ? []
      : await call.ledger.activity({
          dimension: 'key',
          ids: [...keys.keys()],
          by: 'model',
          over: 'days',
          ...days,
        });
  return keyRows(call, keys, models, dimension === 'organization');
}

/** @param models - of these keys, by id */
async function keyRows(
  call: Call,
  keys: ReadonlyMap<string, readonly ActivityRow[]>,
  models: readonly ActivityRow[],
  withTeams = false,
): Promise<JsonObject[]> {
  const documents = await call.view.getMany('key', [...keys.keys()]);
  const modelsOf = Map.groupBy(models, ({ id }) => id);
  const nanoUsd = (rows: readonly ActivityRow[]) => sumOf(rows).costNanoUsd;
  return [...keys]
    .toSorted(([, one], [, other]) => nanoUsd(other) - nanoUsd(one))
    .map(([id, own]) => {
      const key = documents.get(id);
      return {
        api_key: key === undefined ? id : currentSecret(key).hash,
        ...costOf(own),
        model_details: byModel(modelsOf.get(id) ?? []).map(([model, rest]) => ({
          ...(withTeams && { team_id: key?.team_id ?? null }),
          model,
          ...costOf(rest),
        })),
      };
    });
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
  id: string | undefined,
): Promise<JsonObject[]> {
  const held = await call.ledger.activity({
    dimension,
    by: 'model',
    ...days,
    ...(id !== undefined && { ids: [id] }),
  });
  const every = id === undefined ? await call.ledger.activity({ dimension: 'model', ...days }) : [];
  const rows = [...held, ...beyond(every, held, ({ id: model, byId }) => byId ?? model)];
  const teams =
    dimension === 'team'
      ? await call.view.getMany(
          'team',
          held.map((row) => row.id),
        )
      : undefined;
  const named = (holder: string): JsonObject => {
    if (dimension === 'customer') return { customer: holder };
    if (holder === nobody) return { team_id: null, team_name: 'Unassigned Team' };
    return { team_id: holder, team_name: teams?.get(holder)?.team_alias ?? holder };
  };
  const byDay = [...Map.groupBy(rows, ({ day }) => day)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return byDay.map(([day, ofDay]): JsonObject => ({
    group_by_day: `${day}T00:00:00+00:00`,
    [`${dimension}s`]: [...Map.groupBy(ofDay, (row) => row.id)].map(
      ([holder, own]): JsonObject => ({
        ...named(holder),
        total_spend: usdOf(sumOf(own).costNanoUsd),
        metadata: byModel(own).map(([model, rest]): JsonObject => {
          const sums = sumOf(rest);
          return {
            model,
            spend: usdOf(sums.costNanoUsd),
            total_tokens: sums.inputTokens + sums.outputTokens,
          };
        }),
      }),
    ),
  }));
}

function byModel(rows: readonly ActivityRow[]): [string, ActivityRow[]][] {
  return [...Map.groupBy(rows, ({ byId }) => byId ?? '')];
}
