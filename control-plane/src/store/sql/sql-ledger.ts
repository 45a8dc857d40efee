import type { UsageRecord } from '@aigateway/contract/usage';
import type { ActivityRow, Ledger, LedgerSums } from '../ledger.ts';
import { checkActivity, checkDay, checkEvent, logPageOf, type LogPage } from '../prepared-usage.ts';
import { hourMs } from '../usage-sums.ts';
import {
  type ActivityColumns,
  failedColumn,
  type RecordColumn,
  type RecordPage,
} from './ledger-programs.ts';
import type { Run } from './programs.ts';
import { ledgerLines, loadLedgerLines } from './sql-ledger-lines.ts';
import { fromColumn, toColumn, toCursor } from './text.ts';

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
    async append(producer, events, floor = 0) {
      events.forEach(checkEvent);
      const named = toColumn(producer);
      for (;;) {
        const result = await run('appendUsage', named, events, floor);
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
    async activity(asked) {
      checkActivity(asked);
      const { dimension, by, byId, ids, fromDay, toDay, over, highest } = asked;
      const columns = await run('activity', {
        dimension,
        by: by ?? '',
        byId: byId === undefined ? undefined : toColumn(byId),
        ids: ids?.map(toColumn),
        fromDay,
        toDay,
        over,
        highest,
      });
      return rowsOf(columns, by !== undefined);
    },
    async lastUse(dimension, ids) {
      const rows = await run('lastUse', dimension, ids.map(toColumn));
      return new Map(rows.map(({ id, hour }) => [fromColumn(id), hour]));
    },
    async logs(asked) {
      const page = logPageOf(asked);
      const { limit } = page;
      const rows = await run('usageRecords', { ...columnsOf(page), limit: limit + 1 });
      const shown = rows.slice(0, limit).map(({ record }) => JSON.parse(record) as UsageRecord);
      const last = rows[limit - 1];
      if (rows.length <= limit || !last) return { rows: shown };
      return { rows: shown, next: toCursor([last.started_at, last.producer, last.sequence]) };
    },
    dropOldestLogs: async (before) => run('dropOldestUsageDay', checkDay(before)),
    all: () => ledgerLines(run),
    load: (lines) => loadLedgerLines(run, lines),
  };
}

function columnsOf({ where, failed, ...page }: LogPage): RecordPage {
  const columns: { column: RecordColumn; value: string | number }[] = where.map(
    ({ name, value }) => ({ column: recordColumns[name], value }),
  );
  if (failed !== undefined) columns.push({ column: 'failed', value: failedColumn(failed) });
  return { ...page, where: columns };
}

function rowsOf(columns: ActivityColumns, isBrokenDown: boolean): ActivityRow[] {
  const ids = textsOf(columns.id);
  const parts = textsOf(columns.by_id);
  const requests = numbersOf(columns.requests);
  const failed = numbersOf(columns.failed);
  const inputTokens = numbersOf(columns.inputTokens);
  const cachedInputTokens = numbersOf(columns.cachedInputTokens);
  const cacheWriteTokens = numbersOf(columns.cacheWriteTokens);
  const outputTokens = numbersOf(columns.outputTokens);
  const reasoningTokens = numbersOf(columns.reasoningTokens);
  const costNanoUsd = numbersOf(columns.costNanoUsd);
  return textsOf(columns.day).map((day, at) => {
    const sums: LedgerSums = {
      requests: requests[at] ?? 0,
      failed: failed[at] ?? 0,
      inputTokens: inputTokens[at] ?? 0,
      cachedInputTokens: cachedInputTokens[at] ?? 0,
      cacheWriteTokens: cacheWriteTokens[at] ?? 0,
      outputTokens: outputTokens[at] ?? 0,
      reasoningTokens: reasoningTokens[at] ?? 0,
      costNanoUsd: costNanoUsd[at] ?? 0,
    };
    const id = fromColumn(ids[at] ?? '');
    return isBrokenDown ? { day, id, byId: fromColumn(parts[at] ?? ''), sums } : { day, id, sums };
  });
}

function textsOf(column: string): readonly string[] {
  return JSON.parse(column) as string[];
}

function numbersOf(column: string): readonly number[] {
  return JSON.parse(`[${column.slice(1, -1)}]`) as number[];
}
