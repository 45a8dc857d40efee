import type { UsageRecord } from '@aigateway/contract/usage';
import type { ActivityRow, Ledger, LedgerEvent, LogQuery } from '../ledger.ts';
import { failedColumn, type RecordPage } from './ledger-programs.ts';
import type { Run } from './programs.ts';
import { fromColumn, fromCursor, toColumn, toCursor } from './text.ts';
import { hourMs, isBrokenDown } from './usage-sums.ts';

/** The end of the last day that is written with four digits for the year. */
const endOfTimeMs = Date.UTC(10_000, 0, 1);
const largestPage = 1000;
const dayForm = /^\d{4}-\d{2}-\d{2}$/;

const recordColumns = {
  requestId: 'request_id',
  keyId: 'key_id',
  userId: 'user_id',
  teamId: 'team_id',
  customerId: 'customer_id',
  model: 'model',
} as const;

export function sqlLedger(run: Run): Ledger {
  return {
    async append(producer, events) {
      events.forEach(checkEvent);
      const named = toColumn(producer);
      for (;;) {
        const result = await run('appendUsage', named, events);
        if ('mark' in result) return result.mark;
        await run('addUsageDays', result.missingDays);
      }
    },
    mark: (producer) => run('usageMark', toColumn(producer)),
    async spend({ dimension, ids, fromMs }) {
      const from = fromMs === undefined ? undefined : fromMs - (fromMs % hourMs);
      const rows = await run('spend', dimension, ids.map(toColumn), from);
      return new Map(rows.map(({ id, cost }) => [fromColumn(id), cost]));
    },
    async activity({ dimension, by, ids, fromDay, toDay }) {
      if (by !== undefined && !isBrokenDown(dimension, by)) {
        throw new RangeError(`usage of a ${dimension} is not broken down by ${by}`);
      }
      const rows = await run('activity', {
        dimension,
        by: by ?? '',
        ids: ids?.map(toColumn),
        fromDay: checkDay(fromDay),
        toDay: checkDay(toDay),
      });
      return rows.map(({ day, id, by_id, ...sums }): ActivityRow => ({
        day,
        id: fromColumn(id),
        ...(by !== undefined && { byId: fromColumn(by_id) }),
        sums,
      }));
    },
    async logs(asked) {
      const limit = Math.min(asked.limit, largestPage);
      const rows = await run('usageRecords', { ...pageOf(asked), limit: limit + 1 });
      const page = rows.slice(0, limit).map(({ record }) => JSON.parse(record) as UsageRecord);
      const last = rows[limit - 1];
      if (rows.length <= limit || !last) return { rows: page };
      return { rows: page, next: toCursor([last.started_at, last.producer, last.sequence]) };
    },
    dropLogsBefore: async (day) => run('dropUsageDays', checkDay(day)),
  };
}

function pageOf(asked: LogQuery): Omit<RecordPage, 'limit'> {
  const names = Object.keys(recordColumns) as (keyof typeof recordColumns)[];
  const where: { column: RecordPage['where'][number]['column']; value: string | number }[] =
    names.flatMap((name) => {
      const value = asked[name];
      return value === undefined ? [] : [{ column: recordColumns[name], value: toColumn(value) }];
    });
  if (asked.status)
    where.push({ column: 'failed', value: failedColumn(asked.status === 'failure') });
  return {
    where,
    fromMs: asked.fromMs ?? 0,
    toMs: asked.toMs ?? endOfTimeMs,
    after: asked.after === undefined ? undefined : placeOf(asked.after),
  };
}

function placeOf(after: string): RecordPage['after'] {
  const [startedAt, producer, sequence] = fromCursor(after, ['number', 'string', 'number']);
  return { startedAt: Number(startedAt), producer: String(producer), sequence: Number(sequence) };
}

/** What is no number here would spoil sums for good. */
function checkEvent({ sequence, record }: LedgerEvent): void {
  const { startedAt, tokens, costNanoUsd, corrects } = record;
  const used = { costNanoUsd, ...tokens };
  for (const [name, amount] of Object.entries({ sequence, startedAt, ...used })) {
    const least = corrects !== undefined && name in used ? -Infinity : 0;
    if (!Number.isSafeInteger(amount) || amount < least) {
      throw new RangeError(`${name} of usage record ${sequence} is no whole number`);
    }
  }
  if (startedAt >= endOfTimeMs)
    throw new RangeError(`startedAt of usage record ${sequence} is no time`);
}

function checkDay(day: string): string {
  if (!dayForm.test(day)) throw new RangeError('a day is written YYYY-MM-DD');
  return day;
}
