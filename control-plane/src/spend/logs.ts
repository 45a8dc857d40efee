import type { JsonObject } from '@aigateway/contract/records';
import type { UsageRecord } from '@aigateway/contract/usage';
import type * as z from 'zod';
import { seesAll } from '../auth/actor.ts';
import { teamAccess } from '../auth/rights.ts';
import { detailError, notFound } from '../errors.ts';
import type { Call, Outcome } from '../http/call.ts';
import { currentSecret } from '../keys/row.ts';
import { findKey } from '../keys/service.ts';
import type { LogQuery } from '../store/ledger.ts';
import type { logsQuery, pagedLogsQuery } from './schema.ts';
import { modelActivity } from './breakdowns.ts';
import { providersById } from './providers.ts';
import { usdOf } from './sums.ts';

const dayMs = 86_400_000;
/** Rows that are counted at most; beyond, the total says that it is capped. */
const countedRows = 1000;
/** Rows of one request without pages at most. */
const mostRows = 1000;

type Filter = Omit<LogQuery, 'limit' | 'after'>;

/** LiteLLM's older form: rows, or with dates a sum for each day. */
export async function spendLogs(call: Call, query: z.output<typeof logsQuery>): Promise<Outcome> {
  const { start_date: start, end_date: end } = query;
  const filter = await visibleFilter(call, {
    ...(query.request_id !== undefined && { requestId: query.request_id }),
    ...(query.user_id !== undefined && { userId: query.user_id }),
    ...(query.api_key !== undefined && { keyId: await keyIdOf(call, query.api_key) }),
    ...(start !== undefined && { fromMs: Date.parse(start) }),
    ...(end !== undefined && { toMs: Date.parse(end) + dayMs }),
  });
  const isOfOne = query.request_id !== undefined;
  if (start === undefined || end === undefined || !query.summarize || isOfOne) {
    const { rows } = await call.ledger.logs({ ...filter, limit: mostRows });
    return { answer: await logRows(call, rows) };
  }
  return { answer: await dailySums(call, filter, start, end) };
}

async function dailySums(
  call: Call,
  filter: Filter,
  fromDay: string,
  toDay: string,
): Promise<JsonObject[]> {
  const { keyId, userId } = filter;
  if (keyId !== undefined && userId !== undefined) {
    // Sums of a key hold every call of it: they are shown to whom it belongs.
    const key = await call.view.get('key', keyId);
    if (key?.user_id !== userId) return [];
  }
  const scope =
    keyId !== undefined
      ? ({ dimension: 'key', ids: [keyId] } as const)
      : userId !== undefined
        ? ({ dimension: 'user', ids: [userId] } as const)
        : ({ dimension: 'key' } as const);
  const range = { ...scope, fromDay, toDay };
  const [rows, byModel] = await Promise.all([
    call.ledger.activity(range),
    modelActivity(call, range),
  ]);
  const keyIds = scope.dimension === 'key' ? rows.map(({ id }) => id) : [];
  const tokens = await keyTokens(call, keyIds);
  const modelsOf = Map.groupBy(byModel, ({ day }) => day);
  return [...Map.groupBy(rows, ({ day }) => day)].map(([day, ofDay]): JsonObject => {
    const users: { [id: string]: number } = {};
    const keys: { [token: string]: number } = {};
    for (const { id, sums } of ofDay) {
      const key = tokens.get(id);
      const user = scope.dimension === 'user' ? id : key?.userId;
      if (scope.dimension === 'key') keys[key?.token ?? id] = usdOf(sums.costNanoUsd);
      if (user) users[user] = (users[user] ?? 0) + usdOf(sums.costNanoUsd);
    }
    const models: { [model: string]: number } = {};
    for (const { byId, sums } of modelsOf.get(day) ?? []) {
      if (byId !== undefined) models[byId] = usdOf(sums.costNanoUsd);
    }
    const nano = ofDay.reduce((sum, { sums }) => sum + sums.costNanoUsd, 0);
    return { ...keys, startTime: day, spend: usdOf(nano), users, models };
  });
}

export async function pageOfLogs(
  call: Call,
  query: z.output<typeof pagedLogsQuery>,
): Promise<Outcome> {
  const model = query.model_group ?? query.model;
  const filter = await visibleFilter(call, {
    fromMs: query.start_date,
    toMs: query.end_date,
    ...(query.request_id !== undefined && { requestId: query.request_id }),
    ...(query.user_id !== undefined && { userId: query.user_id }),
    ...(query.team_id !== undefined && { teamId: query.team_id }),
    ...(query.end_user !== undefined && { customerId: query.end_user }),
    ...(query.api_key !== undefined && { keyId: await keyIdOf(call, query.api_key) }),
    ...(model !== undefined && { model }),
    ...(query.status_filter !== undefined && { status: query.status_filter }),
  });
  const { page, page_size: size } = query;
  const from = (page - 1) * size;
  const wanted = Math.max(countedRows, from + size);
  // Pages far back are walked to, and what lies before them is not kept.
  const shown: UsageRecord[] = [];
  let total = 0;
  let after: string | undefined;
  do {
    const more = await call.ledger.logs({
      ...filter,
      limit: Math.min(countedRows, wanted - total),
      ...(after !== undefined && { after }),
    });
    shown.push(...more.rows.slice(Math.max(0, from - total), Math.max(0, from + size - total)));
    total += more.rows.length;
    after = more.next;
  } while (after !== undefined && total < wanted);
  return {
    answer: {
      data: await logRows(call, shown),
      total,
      page,
      page_size: size,
      total_pages: Math.ceil(total / size),
      total_is_capped: after !== undefined,
    },
  };
}

/** One request. @throws ApiError 404 for one that does not exist or that the caller does not see */
export async function spendLog(call: Call, requestId: string): Promise<Outcome> {
  const filter = await visibleFilter(call, { requestId });
  const { rows } = await call.ledger.logs({ ...filter, limit: 1 });
  if (rows.length === 0) throw notFound('Request', 'request_id');
  const [row] = await logRows(call, rows);
  return { answer: row };
}

/** What the caller asks for, narrowed to what it may see: its own calls, and those of teams it administers. */
async function visibleFilter(call: Call, filter: Filter): Promise<Filter> {
  const { actor } = call;
  if (seesAll(actor)) return filter;
  if (filter.teamId !== undefined) {
    const team = await call.view.get('team', filter.teamId);
    const access = team && (await teamAccess(call, team));
    if (access === 'write' || (access && team?.team_member_permissions.includes('/spend/logs')))
      return filter;
  }
  if (actor.userId === undefined) return { ...filter, keyId: actor.key?.key_id ?? '' };
  if (filter.userId !== undefined && filter.userId !== actor.userId) {
    throw detailError(403, { error: 'You may see your own spend only.' });
  }
  return { ...filter, userId: actor.userId };
}

async function keyIdOf(call: Call, named: string): Promise<string> {
  return (await findKey(call, named))?.key_id ?? named;
}

/** Hashes and owners of keys, by id; keys that are gone are left out. */
export async function keyTokens(
  call: Call,
  keyIds: readonly string[],
): Promise<ReadonlyMap<string, { token: string; userId: string | null; name: string }>> {
  const keys = await call.view.getMany('key', keyIds);
  return new Map(
    [...keys].map(([keyId, key]) => {
      const { hash, name } = currentSecret(key);
      return [keyId, { token: hash, userId: key.user_id, name }];
    }),
  );
}

/** LiteLLM's names of calls. */
const callTypes: { readonly [operation: string]: string } = {
  chat: 'acompletion',
  completions: 'atext_completion',
  embeddings: 'aembedding',
  responses: 'aresponses',
};

async function logRows(call: Call, records: readonly UsageRecord[]): Promise<JsonObject[]> {
  const tokens = await keyTokens(
    call,
    records.map(({ keyId }) => keyId),
  );
  const providers = records.length === 0 ? undefined : await providersById(call);
  return records.map((record): JsonObject => {
    const { tokens: used, startedAt, durationMs, firstOutputMs } = record;
    const token = tokens.get(record.keyId)?.token ?? record.keyId;
    return {
      request_id: record.requestId,
      call_type: callTypes[record.operation] ?? record.operation,
      api_key: token,
      spend: usdOf(record.costNanoUsd),
      total_tokens: used.input + used.output,
      prompt_tokens: used.input,
      completion_tokens: used.output,
      startTime: new Date(startedAt).toISOString(),
      endTime: new Date(startedAt + durationMs).toISOString(),
      completionStartTime:
        firstOutputMs === undefined ? null : new Date(startedAt + firstOutputMs).toISOString(),
      request_duration_ms: durationMs,
      model: record.servedModel ?? record.model,
      model_id: record.deploymentId ?? '',
      model_group: record.model,
      custom_llm_provider: providers?.get(record.deploymentId ?? '') ?? 'unknown',
      user: record.userId ?? '',
      team_id: record.teamId ?? null,
      organization_id: record.organizationId ?? null,
      end_user: record.customerId ?? '',
      request_tags: [...record.tags],
      status: record.outcome === 'completed' ? 'success' : 'failure',
      messages: {},
      response: {},
      metadata: {
        user_api_key: token,
        user_api_key_alias: record.keyAlias ?? null,
        user_api_key_team_id: record.teamId ?? null,
        user_api_key_user_id: record.userId ?? null,
        usage_object: { ...used },
        usage_source: record.usageSource,
        attempted_retries: Math.max(0, record.attempts.length - 1),
        outcome: record.outcome,
        status_code: record.status,
        is_correction: record.corrects !== undefined,
      },
    };
  });
}
