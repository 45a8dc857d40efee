import { budgetWindow } from '@aigateway/contract/duration';
import type { JsonObject } from '@aigateway/contract/records';
import { noTokens, type LedgerEvent, type UsageRecord } from '@aigateway/contract/usage';
import { nanoUsdOf } from '../spend/sums.ts';
import type { Dimension, Ledger } from '../store/ledger.ts';
import {
  instantOf,
  keyIdOf,
  numberOf,
  optionalText,
  textOf,
  textsOf,
} from './litellm-documents.ts';

const chunkEvents = 500;

/** What is written when it is counted, and counted alike when it is not. */
export type SpendWriter = Pick<Ledger, 'append' | 'mark' | 'spend'>;

/**
 * Takes over single requests, each once however often this runs: those of one day are one producer, in the order they began. So it is
 * to run when LiteLLM has ended, or rows that come late in a day are left out.
 *
 * @param isApplied - false: nothing is written
 * @returns how many there are to take over
 */
export async function importRequests(
  rows: AsyncIterable<JsonObject>,
  ledger: SpendWriter,
  isApplied: boolean,
): Promise<{ taken: number; present: number }> {
  const counts = { taken: 0, present: 0 };
  let producer = '';
  let mark = 0;
  let sequence = 0;
  let events: LedgerEvent[] = [];
  const flush = async (): Promise<void> => {
    if (isApplied && events.length > 0) await ledger.append(producer, events);
    events = [];
  };
  for await (const row of rows) {
    const record = requestOf(row);
    if (record === undefined) continue;
    const day = new Date(record.startedAt).toISOString().slice(0, 10);
    if (producer !== `litellm-${day}`) {
      await flush();
      producer = `litellm-${day}`;
      mark = await ledger.mark(producer);
      sequence = 0;
    }
    sequence += 1;
    if (sequence <= mark) {
      counts.present += 1;
      continue;
    }
    counts.taken += 1;
    events.push({ sequence, record });
    if (events.length >= chunkEvents) await flush();
  }
  await flush();
  return counts;
}

/** LiteLLM's names of calls, with and without their `a` for asynchronous. */
const operations: { readonly [type: string]: string } = {
  completion: 'chat',
  text_completion: 'completions',
  embedding: 'embeddings',
  responses: 'responses',
};

function requestOf(row: JsonObject): UsageRecord | undefined {
  const started = instantOf(row['startTime']);
  if (started === null) return undefined;
  const startedAt = Date.parse(started);
  const ended = instantOf(row['endTime']);
  const keyId = keyOfHash(textOf(row['api_key']));
  const teamId = optionalText(row['team_id']) ?? undefined;
  const userId = optionalText(row['user']) ?? undefined;
  const isFailed = row['status'] === 'failure';
  const type = textOf(row['call_type']);
  return {
    version: 1,
    requestId: textOf(row['request_id']),
    startedAt,
    durationMs: ended === null ? 0 : Math.max(0, Date.parse(ended) - startedAt),
    keyId,
    ownerId: teamId ?? userId ?? keyId,
    teamId,
    userId,
    organizationId: optionalText(row['organization_id']) ?? undefined,
    customerId: optionalText(row['end_user']) ?? undefined,
    tags: textsOf(row['request_tags']),
    model: optionalText(row['model_group']) ?? textOf(row['model']),
    operation: operations[type] ?? operations[type.replace(/^a/, '')] ?? type,
    deploymentId: optionalText(row['model_id']) ?? undefined,
    stream: false,
    status: isFailed ? 500 : 200,
    outcome: isFailed ? 'failed' : 'completed',
    tokens: {
      ...noTokens,
      input: Math.max(0, numberOf(row['prompt_tokens'])),
      output: Math.max(0, numberOf(row['completion_tokens'])),
    },
    usageSource: 'measured',
    costNanoUsd: Math.max(0, nanoUsdOf(numberOf(row['spend']))),
    unpriced: false,
    attempts: [],
  };
}

/** The master key stands by its name. */
function keyOfHash(hash: string): string {
  return /^[0-9a-f]{64}$/.test(hash) ? keyIdOf(hash) : hash || 'litellm';
}

/** Who spent how much of a budget's present window, by LiteLLM's own count. */
export type Holder = {
  readonly dimension: Exclude<Dimension, 'model' | 'deployment'>;
  readonly id: string;
  readonly window: string | null;
  readonly usd: number;
};

export type Calendar = { readonly timezone: string; readonly budgetResetTime: string };

/**
 * What the ledger must be given so that each holder has spent in its present window what LiteLLM says: single requests that LiteLLM no
 * longer has, or never wrote down. Nothing for who has spent that much already.
 */
export async function missingSpend(
  holders: readonly Holder[],
  ledger: SpendWriter,
  calendar: Calendar,
  nowMs: number,
): Promise<UsageRecord[]> {
  const records: UsageRecord[] = [];
  const startOf = (window: string | null): number | undefined =>
    window === null
      ? undefined
      : budgetWindow(nowMs, window, calendar.timezone, calendar.budgetResetTime).startMs;
  const groups = Map.groupBy(
    holders.filter(({ usd }) => usd > 0),
    ({ dimension, window }) => `${dimension} ${window ?? ''}`,
  );
  for (const group of groups.values()) {
    const [{ dimension, window }] = group as [Holder];
    const fromMs = startOf(window);
    const spent = await ledger.spend({
      dimension,
      ids: group.map(({ id }) => id),
      ...(fromMs !== undefined && { fromMs }),
    });
    for (const { id, usd } of group) {
      const costNanoUsd = nanoUsdOf(usd) - (spent.get(id) ?? 0);
      if (costNanoUsd > 0) records.push(carriedOver(dimension, id, costNanoUsd, nowMs));
    }
  }
  return records;
}

const nobody = 'litellm';

/** One sum that is somebody's alone: the members above and below have theirs. */
function carriedOver(
  dimension: Holder['dimension'],
  id: string,
  costNanoUsd: number,
  nowMs: number,
): UsageRecord {
  const named = (wanted: Holder['dimension']): string | undefined =>
    dimension === wanted ? id : undefined;
  const keyId = named('key') ?? nobody;
  return {
    version: 1,
    requestId: `litellm-${dimension}-${id}`,
    startedAt: nowMs,
    durationMs: 0,
    keyId,
    ownerId: keyId,
    teamId: named('team'),
    userId: named('user'),
    organizationId: named('organization'),
    customerId: named('customer'),
    tags: dimension === 'tag' ? [id] : [],
    model: 'litellm',
    operation: 'carried over',
    stream: false,
    status: 200,
    outcome: 'completed',
    tokens: noTokens,
    usageSource: 'estimated',
    costNanoUsd,
    unpriced: false,
    attempts: [],
  };
}
