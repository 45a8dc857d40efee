import type { JsonObject } from '@aigateway/contract/records';
import type * as z from 'zod';
import { isAdmin, seesAll } from '../auth/actor.ts';
import { isOrganizationAdmin, teamAccess } from '../auth/rights.ts';
import { detailError } from '../errors.ts';
import type { Call, Outcome } from '../http/call.ts';
import { currentSecret } from '../keys/row.ts';
import { findKey } from '../keys/service.ts';
import type { TeamDocument } from '../store/documents.ts';
import type { ActivityQuery, ActivityRow, Dimension, LedgerSums } from '../store/ledger.ts';
import { add, noSums } from '../store/usage-sums.ts';
import type { activityQuery, exportQuery, wholeActivityQuery } from './schema.ts';
import { deploymentActivity, modelActivity } from './breakdowns.ts';
import { providersById } from './providers.ts';
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
  const rows = found.map(({ day, id, sums }) => ({ date: day, id, ...usedOf(sums) }));
  const ignored = ignoredOf(entity, query);
  return format === 'json'
    ? { answer: rows, ignored }
    : { answer: asTable(rows), contentType: 'text/csv', ignored };
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
  const { rowsOf, modelsOf, keysOf, deploymentsOf } = await partsOf(call, range, model, shown);
  const rows = [...rowsOf.values()].flat();
  const keyIdOf = ({ id, byId }: ActivityRow) => (isByKey ? id : (byId ?? ''));
  const keys = await keyNames(call, [...keysOf.values()].flat().map(keyIdOf));
  const names = await namesOf(call, range.dimension, rows);
  const providers = deploymentsOf.size === 0 ? undefined : await providersById(call);
  const byKeys = (of: readonly ActivityRow[]) =>
    grouped(of, (row) => keys(keyIdOf(row)).token, {
      metadata: ([row]) => (row === undefined ? {} : keys(keyIdOf(row)).metadata),
    });
  // Sums of three at once are not kept: of one key or one owner alone they are those of two.
  const isOfOne = range.ids?.length === 1;
  return {
    answer: {
      results: shown.map(({ day, sums }) => {
        const ofDay = rowsOf.get(day) ?? [];
        const ofKeys = byKeys(keysOf.get(day) ?? []);
        const models = grouped(modelsOf.get(day) ?? [], ({ byId }) => byId ?? '', {
          keys: (own) => (isByKey && isOfOne ? byKeys(own) : {}),
        });
        return {
          date: day,
          metrics: metricsOf(sums),
          breakdown: {
            models,
            model_groups: models,
            providers: grouped(
              deploymentsOf.get(day) ?? [],
              ({ byId }) => providers?.get(byId ?? '') ?? 'unknown',
              { keys: () => ({}) },
            ),
            endpoints: {},
            api_keys: ofKeys,
            entities: isByKey
              ? {}
              : grouped(ofDay, ({ id }) => id, {
                  metadata: ([row]) => names(row?.id ?? ''),
                  keys: () => (isOfOne ? ofKeys : {}),
                }),
            mcp_servers: {},
            guardrails: {},
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
        total_cache_read_input_tokens: total.cachedInputTokens,
        total_cache_creation_input_tokens: total.cacheWriteTokens,
        total_flat_cost: 0,
        total_ptu_hours: 0,
        total_compression_saved_tokens: 0,
        total_compression_savings_spend: 0,
        total_gateway_injected_caching_savings_spend: 0,
        total_autorouter_savings_spend: 0,
        total_response_time_ms: 0,
        total_timed_requests: 0,
        page,
        total_pages: pages,
        has_more: page < pages,
      },
    },
    ignored: ignoredOf(entity, query),
  };
}

/** What chooses among the ids of each entity. */
const filters = {
  user: ['api_key', 'user_id'],
  team: ['team_ids'],
  organization: ['organization_ids'],
  customer: ['end_user_ids'],
  tag: ['tags'],
} as const satisfies { readonly [entity in Entity]: readonly (keyof WholeQuery)[] };

/** Filters of other entities: sums are not kept of two. */
function ignoredOf(entity: Entity, query: WholeQuery): string[] {
  const own: readonly string[] = filters[entity];
  return Object.values(filters)
    .flat()
    .filter((name) => query[name] !== undefined && !own.includes(name));
}

type ByDay = ReadonlyMap<string, readonly ActivityRow[]>;

/** What the days of a page are made of: ids, and of all ids together models, keys and deployments. */
async function partsOf(
  call: Call,
  range: Scope & Days,
  model: string | undefined,
  shown: readonly ActivityRow[],
): Promise<{ rowsOf: ByDay; modelsOf: ByDay; keysOf: ByDay; deploymentsOf: ByDay }> {
  const [newest, oldest] = [shown[0], shown.at(-1)];
  if (!newest || !oldest) {
    const none: ByDay = new Map();
    return { rowsOf: none, modelsOf: none, keysOf: none, deploymentsOf: none };
  }
  // Days without use lie between those of a page at most.
  const page = { ...range, fromDay: oldest.day, toDay: newest.day };
  const isByKey = range.dimension === 'key';
  const [rows, models, keys, deployments] = await Promise.all([
    call.ledger.activity({ ...page, ...ofModel(model) }),
    model === undefined ? modelActivity(call, page) : undefined,
    // Of one model there are no sums by key but for keys themselves.
    isByKey || model !== undefined ? [] : call.ledger.activity({ ...page, by: 'key', over: 'ids' }),
    // Nor by deployment.
    model === undefined ? deploymentActivity(call, page) : [],
  ]);
  const dayOf = ({ day }: ActivityRow) => day;
  const rowsOf = Map.groupBy(rows, dayOf);
  return {
    rowsOf,
    modelsOf: models === undefined ? rowsOf : Map.groupBy(models, dayOf),
    keysOf: isByKey ? rowsOf : Map.groupBy(keys, dayOf),
    deploymentsOf: Map.groupBy(deployments, dayOf),
  };
}

/** How LiteLLM shows the key of an id. */
async function keyNames(
  call: Call,
  ids: readonly string[],
): Promise<(id: string) => { token: string; metadata: JsonObject }> {
  const keys = await call.view.getMany('key', ids);
  const users = await call.view.getMany(
    'user',
    [...keys.values()].flatMap(({ user_id }) => user_id ?? []),
  );
  // Once for each key: it stands in every day.
  const shown = new Map(
    [...new Set(ids)].map((id) => {
      const key = keys.get(id);
      const metadata = {
        key_alias: key?.key_alias ?? null,
        team_id: key?.team_id ?? null,
        user_id: key?.user_id ?? null,
        user_email: users.get(key?.user_id ?? '')?.user_email ?? null,
        key_exists: key !== undefined,
      };
      return [id, { token: key === undefined ? id : currentSecret(key).hash, metadata }];
    }),
  );
  return (id) => shown.get(id) ?? { token: id, metadata: {} };
}

/** What LiteLLM tells of whom a report is about. */
async function namesOf(
  call: Call,
  dimension: Dimension,
  rows: readonly ActivityRow[],
): Promise<(id: string) => JsonObject> {
  const ids = [...new Set(rows.map(({ id }) => id))];
  switch (dimension) {
    case 'team': {
      const teams = await call.view.getMany('team', ids);
      return (id) => ({ team_alias: teams.get(id)?.team_alias ?? null });
    }
    case 'organization': {
      const found = await call.view.getMany('organization', ids);
      return (id) => ({ organization_alias: found.get(id)?.organization_alias ?? null });
    }
    case 'customer': {
      const customers = await call.view.getMany('customer', ids);
      return (id) => ({ alias: customers.get(id)?.alias ?? null });
    }
    default:
      return () => ({});
  }
}

/** Whether the caller sees what all of a team used: whoever administers it, and members where the team permits it. */
export async function seesTeamActivity(call: Call, team: TeamDocument): Promise<boolean> {
  const access = await teamAccess(call, team);
  return (
    access === 'write' ||
    (access !== undefined && team.team_member_permissions.includes('/team/daily/activity'))
  );
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
        if (await seesTeamActivity(call, team)) visible.push(team.team_id);
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

type Details = {
  readonly metadata?: (rows: readonly ActivityRow[]) => JsonObject;
  /** Absent: keys themselves have no keys. */
  readonly keys?: (rows: readonly ActivityRow[]) => JsonObject;
};

/** @param rows - of one day */
function grouped(
  rows: readonly ActivityRow[],
  nameOf: (row: ActivityRow) => string,
  { metadata, keys }: Details,
): JsonObject {
  const groups = Map.groupBy(rows, nameOf);
  return Object.fromEntries(
    Array.from(groups, ([name, group]) => {
      const metrics = metricsOf(sumOf(group));
      const own = metadata?.(group) ?? {};
      const answer = keys
        ? { metrics, metadata: own, api_key_breakdown: keys(group) }
        : { metrics, metadata: own };
      return [name, answer];
    }),
  );
}

/** The sum of several rows. */
export function sumOf(rows: readonly ActivityRow[]): LedgerSums {
  const [first] = rows;
  // A report has a row for most of what it shows.
  if (rows.length === 1 && first) return first.sums;
  const sum = { ...noSums };
  for (const { sums } of rows) add(sum, sums);
  return sum;
}

/**
 * Of what LiteLLM sums besides there is none here: reserved throughput has no price of its own, nothing is compressed, no request is
 * timed by day.
 */
function metricsOf(sums: LedgerSums): JsonObject {
  return {
    ...usedOf(sums),
    // Written out: a report has thousands of these, and to copy members from a second object takes three times as long.
    flat_cost: 0,
    ptu_hours: 0,
    compression_saved_tokens: 0,
    compression_savings_spend: 0,
    gateway_injected_caching_savings_spend: 0,
    autorouter_savings_spend: 0,
    total_response_time_ms: 0,
    timed_requests: 0,
  };
}

function usedOf(sums: LedgerSums): JsonObject {
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
