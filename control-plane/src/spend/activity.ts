import type { JsonObject } from '@aigateway/contract/records';
import type * as z from 'zod';
import { isAdmin, seesAll } from '../auth/actor.ts';
import { isOrganizationAdmin, teamAccess } from '../auth/rights.ts';
import { detailError } from '../errors.ts';
import type { Call, Outcome } from '../http/call.ts';
import { findKey } from '../keys/service.ts';
import type { ActivityQuery, ActivityRow, Dimension, LedgerSums } from '../store/ledger.ts';
import { noSums, sumNames } from '../store/usage-sums.ts';
import type { activityQuery, exportQuery, wholeActivityQuery } from './schema.ts';
import { keyTokens } from './logs.ts';
import { modelActivity } from './model-activity.ts';
import { usdOf } from './sums.ts';

type WholeQuery = z.output<typeof wholeActivityQuery>;

/** Whose activity is asked for, on which of LiteLLM's paths. */
export type Entity = 'user' | 'team' | 'organization' | 'customer' | 'tag';

/** Days on a page unless the caller says otherwise. */
const pageSizes: { readonly [entity in Entity]: number } = {
  user: 50,
  team: 10,
  organization: 10,
  customer: 10,
  tag: 10,
};

/** What was used on each day, with models and keys told apart. */
export async function dailyActivity(
  call: Call,
  entity: Entity,
  query: z.output<typeof activityQuery>,
): Promise<Outcome> {
  return activity(call, entity, query, query.page, query.page_size ?? pageSizes[entity]);
}

/** The same, without pages. */
export async function activityInOnePage(
  call: Call,
  entity: Entity,
  query: WholeQuery,
): Promise<Outcome> {
  return activity(call, entity, query, 1, undefined);
}

/** The same as rows, one for each day and id, as JSON or as a table. */
export async function exportedActivity(
  call: Call,
  entity: Entity,
  { format, ...query }: z.output<typeof exportQuery>,
): Promise<Outcome> {
  const range = await rangeOf(call, entity, query);
  const { model } = query;
  const found = await call.ledger.activity({ ...range, ...ofModel(model) });
  const rows = found.map(({ day, id, sums }) => ({ date: day, id, ...metricsOf(sums) }));
  return format === 'json' ? { answer: rows } : { answer: asTable(rows), contentType: 'text/csv' };
}

const exportedNames = [
  'date',
  'id',
  'spend',
  'prompt_tokens',
  'completion_tokens',
  'cache_read_input_tokens',
  'cache_creation_input_tokens',
  'total_tokens',
  'successful_requests',
  'failed_requests',
  'api_requests',
] as const;

/** RFC 4180. Ids are others' to choose: what a spreadsheet would take for a formula is marked as text. */
function asTable(rows: readonly { readonly [name: string]: unknown }[]): string {
  const cell = (value: unknown) => {
    const text = String(value);
    const harmless = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
  };
  const lines = rows.map((row) => exportedNames.map((name) => cell(row[name])).join(','));
  return [exportedNames.join(','), ...lines, ''].join('\r\n');
}

/** @throws ApiError 400 without dates */
async function rangeOf(call: Call, entity: Entity, query: WholeQuery): Promise<Scope & Days> {
  const { start_date: fromDay, end_date: toDay } = query;
  if (fromDay === undefined || toDay === undefined) {
    throw detailError(400, { error: 'Please provide start_date and end_date' });
  }
  return { ...(await scopeOf(call, entity, query)), fromDay, toDay };
}

async function activity(
  call: Call,
  entity: Entity,
  query: WholeQuery,
  page: number,
  pageSize: number | undefined,
): Promise<Outcome> {
  const { model } = query;
  const range = await rangeOf(call, entity, query);
  const isByKey = range.dimension === 'key';
  const isOfAll = isByKey && range.ids === undefined && model === undefined;
  const days = (
    await call.ledger.activity(
      isOfAll
        ? { ...range, dimension: 'all', ids: ['all'] }
        : { ...range, ...ofModel(model), over: 'ids' },
    )
  ).toReversed();
  const size = pageSize ?? Math.max(days.length, 1);
  const shown = days.slice((page - 1) * size, page * size);
  const pages = Math.ceil(days.length / size);
  const total = sumOf(days);
  const { rowsOf, modelsOf, keysOf } = await partsOf(call, range, model, shown);
  const keyIdOf = ({ id, byId }: ActivityRow) => (isByKey ? id : (byId ?? ''));
  const tokens = await keyTokens(call, [...keysOf.values()].flat().map(keyIdOf));
  return {
    answer: {
      results: shown.map(({ day, sums }) => {
        const ofDay = rowsOf.get(day) ?? [];
        const models = grouped(modelsOf.get(day) ?? [], ({ byId }) => byId ?? '');
        return {
          date: day,
          metrics: metricsOf(sums),
          breakdown: {
            models,
            model_groups: models,
            providers: {},
            endpoints: {},
            api_keys: grouped(keysOf.get(day) ?? [], (row) => {
              const keyId = keyIdOf(row);
              return tokens.get(keyId)?.token ?? keyId;
            }),
            entities: isByKey ? {} : grouped(ofDay, ({ id }) => id),
            mcp_servers: {},
          },
        };
      }),
      metadata: {
        total_spend: usdOf(total.costNanoUsd),
        total_prompt_tokens: total.inputTokens,
        total_completion_tokens: total.outputTokens,
        total_tokens: total.inputTokens + total.outputTokens,
        total_api_requests: total.requests,
        total_successful_requests: total.requests - total.failed,
        total_failed_requests: total.failed,
        page,
        total_pages: pages,
        has_more: page < pages,
      },
    },
    ignored: query.api_key !== undefined && entity !== 'user' ? ['api_key'] : [],
  };
}

type ByDay = ReadonlyMap<string, readonly ActivityRow[]>;

/** What the days of a page are made of: ids, models of all ids together, keys of all ids together. */
async function partsOf(
  call: Call,
  range: Scope & Days,
  model: string | undefined,
  shown: readonly ActivityRow[],
): Promise<{ rowsOf: ByDay; modelsOf: ByDay; keysOf: ByDay }> {
  const [newest, oldest] = [shown[0], shown.at(-1)];
  if (!newest || !oldest) return { rowsOf: new Map(), modelsOf: new Map(), keysOf: new Map() };
  // Days without use lie between those of a page at most.
  const page = { ...range, fromDay: oldest.day, toDay: newest.day };
  const isByKey = range.dimension === 'key';
  const [rows, models, keys] = await Promise.all([
    call.ledger.activity({ ...page, ...ofModel(model) }),
    model === undefined ? modelActivity(call, page) : undefined,
    // Of one model there are no sums by key but for keys themselves.
    isByKey || model !== undefined ? [] : call.ledger.activity({ ...page, by: 'key', over: 'ids' }),
  ]);
  const dayOf = ({ day }: ActivityRow) => day;
  const rowsOf = Map.groupBy(rows, dayOf);
  return {
    rowsOf,
    modelsOf: models === undefined ? rowsOf : Map.groupBy(models, dayOf),
    keysOf: isByKey ? rowsOf : Map.groupBy(keys, dayOf),
  };
}

function ofModel(model: string | undefined): Pick<ActivityQuery, 'by' | 'byId'> {
  return model === undefined ? {} : { by: 'model', byId: model };
}

type Days = { readonly fromDay: string; readonly toDay: string };

type Scope = { readonly dimension: Dimension; readonly ids?: readonly string[] };

/** What the caller may see of what it asks for. */
async function scopeOf(call: Call, entity: Entity, query: WholeQuery): Promise<Scope> {
  const { actor } = call;
  const all = seesAll(actor);
  if (query.api_key !== undefined && entity === 'user') {
    const key = await findKey(call, query.api_key);
    const mayKnow = all || (key?.user_id !== null && key?.user_id === actor.userId);
    return { dimension: 'key', ids: key !== undefined && mayKnow ? [key.key_id] : [] };
  }
  switch (entity) {
    case 'user': {
      if (all) {
        // Calls without a user are in it as well, so that the sum is the whole.
        return query.user_id === undefined
          ? { dimension: 'key' }
          : { dimension: 'user', ids: [query.user_id] };
      }
      if (query.user_id !== undefined && query.user_id !== actor.userId) {
        throw detailError(403, { error: 'You may see your own activity only.' });
      }
      return actor.userId === undefined
        ? { dimension: 'key', ids: actor.key === undefined ? [] : [actor.key.key_id] }
        : { dimension: 'user', ids: [actor.userId] };
    }
    case 'team': {
      if (all) return within('team', query.team_ids);
      const own = await call.view.findAll('team', { member: actor.userId ?? '' });
      const visible: string[] = [];
      for (const team of own) {
        const mayKnow =
          (await teamAccess(call, team)) === 'write' ||
          team.team_member_permissions.includes('/team/daily/activity');
        if (mayKnow) visible.push(team.team_id);
      }
      return {
        dimension: 'team',
        ids: visible.filter((id) => query.team_ids?.includes(id) ?? true),
      };
    }
    case 'organization': {
      if (all) return within('organization', query.organization_ids);
      const visible: string[] = [];
      for (const id of query.organization_ids ?? []) {
        if (await isOrganizationAdmin(call, id)) visible.push(id);
      }
      return { dimension: 'organization', ids: visible };
    }
    case 'customer':
      return onlyAdmins(call, within('customer', query.end_user_ids));
    case 'tag':
      return onlyAdmins(call, within('tag', query.tags));
  }
}

function within(dimension: Dimension, ids: readonly string[] | undefined): Scope {
  return ids === undefined ? { dimension } : { dimension, ids };
}

function onlyAdmins(call: Call, scope: Scope): Scope {
  if (!isAdmin(call.actor) && !seesAll(call.actor)) {
    throw detailError(403, { error: 'Only proxy admins see this activity.' });
  }
  return scope;
}

/** @param rows - of one day */
function grouped(rows: readonly ActivityRow[], nameOf: (row: ActivityRow) => string): JsonObject {
  const groups = Map.groupBy(rows, nameOf);
  return Object.fromEntries(
    [...groups].map(([name, group]) => [name, { metrics: metricsOf(sumOf(group)), metadata: {} }]),
  );
}

/** The sum of several rows. */
export function sumOf(rows: readonly ActivityRow[]): LedgerSums {
  const sum = { ...noSums };
  for (const { sums } of rows) {
    for (const name of sumNames) sum[name] += sums[name];
  }
  return sum;
}

function metricsOf(sums: LedgerSums): JsonObject {
  return {
    spend: usdOf(sums.costNanoUsd),
    prompt_tokens: sums.inputTokens,
    completion_tokens: sums.outputTokens,
    cache_read_input_tokens: sums.cachedInputTokens,
    cache_creation_input_tokens: sums.cacheWriteTokens,
    total_tokens: sums.inputTokens + sums.outputTokens,
    successful_requests: sums.requests - sums.failed,
    failed_requests: sums.failed,
    api_requests: sums.requests,
  };
}
