import type { ActivityQuery, LedgerEvent, LogQuery } from './ledger.ts';
import { fromCursor, toColumn } from './sql/text.ts';
import { isBrokenDown } from './usage-sums.ts';

/** The end of the last day that is written with four digits for the year. */
const endOfTimeMs = Date.UTC(10_000, 0, 1);
const largestPage = 1000;
const dayForm = /^\d{4}-\d{2}-\d{2}$/;

/** What single records are looked up by. */
export const lookups = ['requestId', 'keyId', 'userId', 'teamId', 'customerId', 'model'] as const;
export type Lookup = (typeof lookups)[number];

/** Which page of single records is asked for; texts in the form of columns. */
export type LogPage = {
  limit: number;
  after: { startedAt: number; producer: string; sequence: number } | undefined;
  fromMs: number;
  /** Not included. */
  toMs: number;
  where: readonly { name: Lookup; value: string }[];
  /** Undefined = whether they failed or not. */
  failed: boolean | undefined;
};

/** The events that lead on from a mark without a gap, and the mark after them. */
export function eventsAfter(
  before: number,
  events: readonly LedgerEvent[],
): { fresh: readonly LedgerEvent[]; mark: number } {
  const fresh: LedgerEvent[] = [];
  let mark = before;
  for (const event of events) {
    if (event.sequence <= mark) continue;
    if (event.sequence !== mark + 1) break;
    fresh.push(event);
    mark += 1;
  }
  return { fresh, mark };
}

/** @throws {RangeError} for a page that is none */
export function logPageOf(asked: LogQuery): LogPage {
  return {
    limit: Math.min(asked.limit, largestPage),
    after: asked.after === undefined ? undefined : placeOf(asked.after),
    fromMs: asked.fromMs ?? 0,
    toMs: asked.toMs ?? endOfTimeMs,
    where: lookups.flatMap((name) => {
      const value = asked[name];
      return value === undefined ? [] : [{ name, value: toColumn(value) }];
    }),
    failed: asked.status && asked.status === 'failure',
  };
}

/** @throws {RangeError} for days and numbers of rows that are none, and a breakdown that is not kept */
export function checkActivity(asked: ActivityQuery): void {
  const { dimension, by, byId, fromDay, toDay, highest } = asked;
  if (by === undefined && byId !== undefined) {
    throw new RangeError('usage that is not broken down has no parts');
  }
  if (highest !== undefined && !(Number.isSafeInteger(highest) && highest > 0)) {
    throw new RangeError('a number of rows is 1 or more');
  }
  if (by !== undefined && !isBrokenDown(dimension, by)) {
    throw new RangeError(`usage of a ${dimension} is not broken down by ${by}`);
  }
  checkDay(fromDay);
  checkDay(toDay);
}

function placeOf(after: string): LogPage['after'] {
  const [startedAt, producer, sequence] = fromCursor(after, ['number', 'string', 'number']);
  return { startedAt: Number(startedAt), producer: String(producer), sequence: Number(sequence) };
}

/**
 * What is no number would spoil sums for good.
 *
 * @throws {RangeError}
 */
export function checkEvent({ sequence, record }: LedgerEvent): void {
  const { startedAt, tokens, costNanoUsd, corrects, sum } = record;
  const used = { costNanoUsd, ...tokens };
  const counted = sum === undefined ? {} : { requests: sum.requests, failed: sum.failed };
  for (const [name, amount] of Object.entries({ sequence, startedAt, ...used, ...counted })) {
    const least = corrects !== undefined && name in used ? -Infinity : 0;
    if (!Number.isSafeInteger(amount) || amount < least) {
      throw new RangeError(`${name} of usage record ${sequence} is no whole number`);
    }
  }
  if (startedAt >= endOfTimeMs)
    throw new RangeError(`startedAt of usage record ${sequence} is no time`);
}

export function checkDay(day: string): string {
  if (!dayForm.test(day)) throw new RangeError('a day is written YYYY-MM-DD');
  return day;
}
