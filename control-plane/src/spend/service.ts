import type { JsonObject } from '@aigateway/contract/records';
import { seesAll } from '../auth/actor.ts';
import type { Call, Outcome } from '../http/call.ts';
import { detailError } from '../errors.ts';
import { currentSecret, keyRows } from '../keys/row.ts';
import { findKey } from '../keys/service.ts';
import { currentSettings } from '../settings/service.ts';
import type { ActivityRow, Dimension } from '../store/ledger.ts';
import { dayOf } from '../store/usage-sums.ts';
import { userRows } from '../users/row.ts';
import { sumOf } from './activity.ts';
import { beyond, nobody } from './beyond.ts';
import { keyTokens } from './logs.ts';
import { usdOf } from './sums.ts';

const dayMs = 86_400_000;
const reportedDays = 30;
const firstDay = '1970-01-01';
/** Teams in a ranking, as in LiteLLM. */
const mostTeams = 10;

/** Keys by what they spent, those that the caller sees. */
export async function spendByKey(call: Call, limit: number): Promise<Outcome> {
  const { actor } = call;
  const keys = seesAll(actor)
    ? await call.view.findAll('key', {})
    : await call.view.findAll('key', { user_id: actor.userId ?? '' });
  return { answer: highest(await keyRows(call, keys), limit) };
}

/** @throws ApiError 403 for somebody else, for who is no administrator */
export async function spendByUser(
  call: Call,
  { user_id: id, limit }: { user_id?: string | undefined; limit: number },
): Promise<Outcome> {
  const { actor } = call;
  if (!seesAll(actor) && id !== undefined && id !== actor.userId)
    throw detailError(403, { error: 'Not authorized to view spend for another user.' });
  const users = seesAll(actor)
    ? id === undefined
      ? await call.view.findAll('user', {})
      : [...(await call.view.getMany('user', [id])).values()]
    : actor.user === undefined
      ? []
      : [actor.user];
  return { answer: highest(await userRows(call, users), limit) };
}

function highest(rows: JsonObject[], limit: number): JsonObject[] {
  return rows.sort((one, other) => Number(other['spend']) - Number(one['spend'])).slice(0, limit);
}

type Days = { start_date?: string | undefined; end_date?: string | undefined };

export async function spendByTag(call: Call, { start_date, end_date }: Days): Promise<Outcome> {
  const sums = await sumsOf(call, 'tag', { fromDay: start_date ?? firstDay, toDay: end_date });
  return {
    answer: sums.map(({ id, cost, requests }) => ({
      individual_request_tag: id,
      log_count: requests,
      total_spend: cost,
    })),
  };
}

/** What the whole gateway spent in the last 30 days, as LiteLLM counts it here. */
export async function globalSpend(call: Call): Promise<Outcome> {
  const { costNanoUsd } = sumOf(
    await call.ledger.activity({
      dimension: 'all',
      fromDay: recentDay(call),
      toDay: dayOf(call.now),
      over: 'days',
    }),
  );
  const budget = (await currentSettings(call, 'litellm_settings')).get('max_budget')?.value;
  const max_budget = typeof budget === 'number' ? budget : null;
  return { answer: { spend: usdOf(costNanoUsd), max_budget } };
}

export async function globalSpendByDay(call: Call, named: string | undefined): Promise<Outcome> {
  const key = named === undefined ? undefined : await findKey(call, named);
  const rows = await call.ledger.activity({
    ...(named === undefined
      ? { dimension: 'all' as const }
      : { dimension: 'key' as const, ids: key === undefined ? [] : [key.key_id] }),
    fromDay: recentDay(call),
    toDay: dayOf(call.now),
  });
  return {
    answer: byDay(rows).map(([date, own]) => ({
      date,
      spend: usdOf(sumOf(own).costNanoUsd),
      ...(key !== undefined && { api_key: currentSecret(key).hash }),
    })),
  };
}

export async function globalSpendByKey(call: Call, limit: number): Promise<Outcome> {
  const sums = await sumsOf(call, 'key', { fromDay: recentDay(call), highest: limit });
  const tokens = await keyTokens(
    call,
    sums.map(({ id }) => id),
  );
  const keys = await call.view.getMany(
    'key',
    sums.map(({ id }) => id),
  );
  return {
    answer: sums.map(({ id, cost }) => ({
      api_key: tokens.get(id)?.token ?? id,
      key_alias: keys.get(id)?.key_alias ?? null,
      key_name: tokens.get(id)?.name ?? null,
      total_spend: cost,
    })),
  };
}

export async function globalSpendByModel(call: Call, limit: number): Promise<Outcome> {
  const sums = await sumsOf(call, 'model', { fromDay: recentDay(call), highest: limit });
  return { answer: sums.map(({ id, cost }) => ({ model: id, total_spend: cost })) };
}

/** Teams in the last 30 days, by their names; requests without a team are `Unassigned`, as in LiteLLM. */
export async function globalSpendByTeam(call: Call): Promise<Outcome> {
  const held = await activity(call, 'team', recentDay(call));
  const every = await activity(call, 'all', recentDay(call));
  const rows = [...held, ...beyond(every, held, () => '')];
  const teams = await call.view.getMany(
    'team',
    held.map(({ id }) => id),
  );
  const nameOf = (id: string) => (id === nobody ? 'Unassigned' : (teams.get(id)?.team_alias ?? id));
  const total = [...Map.groupBy(rows, ({ id }) => nameOf(id))]
    .map(([name, own]) => ({ team_id: name, total_spend: usdOf(sumOf(own).costNanoUsd) }))
    .sort((one, other) => other.total_spend - one.total_spend);
  return {
    answer: {
      daily_spend: byDay(rows).map(([date, ofDay]): JsonObject => ({
        ...Object.fromEntries(
          [...Map.groupBy(ofDay, ({ id }) => nameOf(id))].map(([name, own]) => [
            name,
            usdOf(sumOf(own).costNanoUsd),
          ]),
        ),
        date,
      })),
      teams: total.map(({ team_id: name }) => name),
      total_spend_per_team: total.slice(0, mostTeams),
    },
  };
}

/** What a caller who is no administrator may see of the gateway's activity: its own. */
export function ownActivity({
  actor,
}: Call): { readonly dimension: 'user' | 'key'; readonly ids: readonly string[] } | undefined {
  if (seesAll(actor)) return undefined;
  if (actor.userId !== undefined) return { dimension: 'user', ids: [actor.userId] };
  return { dimension: 'key', ids: actor.key === undefined ? [] : [actor.key.key_id] };
}

export async function globalActivity(call: Call, { start_date, end_date }: Days): Promise<Outcome> {
  const rows = await call.ledger.activity({
    ...(ownActivity(call) ?? { dimension: 'all' }),
    fromDay: start_date ?? recentDay(call),
    toDay: end_date ?? dayOf(call.now),
  });
  const total = sumOf(rows);
  return {
    answer: {
      daily_data: byDay(rows).map(([day, own]) => {
        const sums = sumOf(own);
        return {
          date: shortDate(day),
          api_requests: sums.requests,
          total_tokens: sums.inputTokens + sums.outputTokens,
        };
      }),
      sum_api_requests: total.requests,
      sum_total_tokens: total.inputTokens + total.outputTokens,
    },
  };
}

/** Begins to count anew for every key and team; what was logged stays. */
export async function resetAllSpend(call: Call): Promise<Outcome> {
  for await (const { key_id } of call.view.all('key')) call.spend.reset('key', key_id, 0);
  for await (const { team_id } of call.view.all('team')) call.spend.reset('team', team_id, 0);
  return {
    answer: { message: 'Spend for all API Keys and Teams reset successfully', status: 'success' },
    subject: 'all',
  };
}

/** Rows by day, the oldest first. */
function byDay(rows: readonly ActivityRow[]): [string, ActivityRow[]][] {
  return [...Map.groupBy(rows, ({ day }) => day)].toSorted(([one], [other]) =>
    one < other ? -1 : 1,
  );
}

/** What each id of a dimension cost over some days, the most first. */
export async function sumsOf(
  call: Call,
  dimension: Dimension,
  {
    fromDay,
    toDay = dayOf(call.now),
    highest,
  }: { fromDay: string; toDay?: string | undefined; highest?: number },
) {
  const rows = await call.ledger.activity({
    dimension,
    fromDay,
    toDay,
    over: 'days',
    ...(highest !== undefined && { highest }),
  });
  return rows
    .map(({ id, sums: { costNanoUsd, requests } }) => ({ id, cost: usdOf(costNanoUsd), requests }))
    .sort((one, other) => other.cost - one.cost);
}

function activity(
  call: Call,
  dimension: Dimension,
  fromDay: string,
  toDay = dayOf(call.now),
): Promise<readonly ActivityRow[]> {
  return call.ledger.activity({ dimension, fromDay, toDay });
}

/** The first of the days that reports are over where nobody names them. */
export function recentDay(call: Call): string {
  return dayOf(call.now - reportedDays * dayMs);
}

/** `Nov 21`, as LiteLLM's charts label days. */
export function shortDate(day: string): string {
  return shortDates.format(new Date(day));
}

const shortDates = new Intl.DateTimeFormat('en-US', {
  month: 'short',
  day: '2-digit',
  timeZone: 'UTC',
});
