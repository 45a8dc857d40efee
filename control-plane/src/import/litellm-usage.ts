import type { JsonObject } from '@aigateway/contract/records';
import { noTokens, type LedgerEvent, type UsageRecord } from '@aigateway/contract/usage';
import { nanoUsdOf } from '../spend/sums.ts';
import type { Ledger } from '../store/ledger.ts';
import { dayOf } from '../store/usage-sums.ts';
import { Cells, type DailyTable, dailyTables, eventsOf } from './litellm-daily.ts';
import type { LitellmDatabase } from './litellm-database.ts';
import {
  instantOf,
  numberOf,
  objectOf,
  optionalText,
  textOf,
  textsOf,
} from './litellm-documents.ts';
import { keyOfHash } from './litellm-sum.ts';

const chunkEvents = 500;

type Counts = { taken: number; present: number };
type UsageWriter = Pick<Ledger, 'append' | 'mark'>;

/**
 * Takes over single requests, and of LiteLLM's sums by day what is not among them: each once however often this runs. The requests of one
 * day are one producer, in the order they began, and so are the sums of each table. So it is to run when LiteLLM has ended, or what
 * comes late in a day is left out.
 *
 * @param isApplied - false: nothing is written
 * @returns how many there are to take over
 */
export async function importUsage(
  from: LitellmDatabase,
  ledger: UsageWriter,
  isApplied: boolean,
): Promise<{ requests: Counts; sums: Counts }> {
  const requests = { taken: 0, present: 0 };
  const sums = { taken: 0, present: 0 };
  const give = async (producer: string, events: readonly LedgerEvent[], counts: Counts) => {
    const mark = await ledger.mark(producer);
    const fresh = events.filter(({ sequence }) => sequence > mark);
    counts.taken += fresh.length;
    counts.present += events.length - fresh.length;
    for (let at = 0; isApplied && at < fresh.length; at += chunkEvents)
      await ledger.append(producer, fresh.slice(at, at + chunkEvents));
  };
  const days = dailyTables.map((daily) => new Days(daily, from));
  const finishDay = async (day: string, known: KnownDay): Promise<void> => {
    for (const [index, { daily }] of days.entries()) {
      const cells = await days[index]?.take(day);
      if (cells === undefined) continue;
      const producer = `${daily.table}-${day}`;
      const beyond = cells.beyond(known.cells[index] ?? new Cells(daily.owner));
      const events = eventsOf(beyond, daily, producer, day);
      // Requests that were taken over one by one, and that LiteLLM has dropped since, are in its sums for ever.
      const wereMore = (await ledger.mark(requestsOf(day))) > known.requests;
      if (wereMore) sums.present += events.length;
      else await give(producer, events, sums);
    }
  };
  /** Days that have sums alone. */
  const finishDaysBefore = async (end: string | undefined): Promise<void> => {
    for (;;) {
      let first: string | undefined;
      for (const one of days) {
        // One connection answers one question after the other.
        const next = await one.next();
        if (first === undefined || (next !== undefined && next < first)) first = next;
      }
      if (first === undefined || (end !== undefined && first >= end)) return;
      await finishDay(first, new KnownDay());
    }
  };
  let day: string | undefined;
  let known = new KnownDay();
  let events: LedgerEvent[] = [];
  const flush = async (): Promise<void> => {
    if (day !== undefined) await give(requestsOf(day), events, requests);
    events = [];
  };
  for await (const row of from.rows('LiteLLM_SpendLogs')) {
    const record = requestOf(row);
    if (record === undefined) continue;
    const own = dayOf(record.startedAt);
    if (own !== day) {
      await flush();
      if (day !== undefined) await finishDay(day, known);
      await finishDaysBefore(own);
      day = own;
      known = new KnownDay();
    }
    known.count(record);
    events.push({ sequence: known.requests, record });
    if (events.length >= chunkEvents) await flush();
  }
  await flush();
  if (day !== undefined) await finishDay(day, known);
  await finishDaysBefore(undefined);
  return { requests, sums };
}

/** The producer that a day's single requests come from. */
function requestsOf(day: string): string {
  return `litellm-${day}`;
}

/** What is known of a day request by request. */
class KnownDay {
  requests = 0;
  readonly cells = dailyTables.map(({ owner }) => new Cells(owner));

  count(record: UsageRecord): void {
    this.requests += 1;
    for (const cells of this.cells) cells.count(record);
  }
}

/** A table of sums, a day at a time. */
class Days {
  readonly daily: DailyTable;
  readonly #rows: AsyncIterator<JsonObject>;
  #row: Promise<IteratorResult<JsonObject>> | undefined;

  constructor(daily: DailyTable, from: LitellmDatabase) {
    this.daily = daily;
    this.#rows = from.rows(daily.table)[Symbol.asyncIterator]();
  }

  /** The day that comes next. */
  async next(): Promise<string | undefined> {
    for (;;) {
      this.#row ??= this.#rows.next();
      const { done, value } = await this.#row;
      if (done === true) return undefined;
      const day = textOf(value['date']).slice(0, 10);
      if (/^\d{4}-\d{2}-\d{2}$/.test(day) && !Number.isNaN(Date.parse(day))) return day;
      this.#row = undefined;
    }
  }

  /** The sums of a day, if it is the one that comes next. */
  async take(day: string): Promise<Cells | undefined> {
    let cells: Cells | undefined;
    while ((await this.next()) === day) {
      const row = await this.#row;
      this.#row = undefined;
      cells ??= new Cells(this.daily.owner);
      if (row?.done === false) cells.add(row.value, this.daily.column);
    }
    return cells;
  }
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
  const usage = objectOf(objectOf(row['metadata'])['usage_object']);
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
      cachedInput: cachedTokens(usage),
      output: Math.max(0, numberOf(row['completion_tokens'])),
    },
    usageSource: 'measured',
    costNanoUsd: Math.max(0, nanoUsdOf(numberOf(row['spend']))),
    unpriced: false,
    attempts: [],
  };
}

function cachedTokens(usage: JsonObject): number {
  const own = numberOf(usage['cache_read_input_tokens']);
  const ofDetails = numberOf(objectOf(usage['prompt_tokens_details'])['cached_tokens']);
  return Math.max(0, Math.trunc(own > 0 ? own : ofDetails));
}
