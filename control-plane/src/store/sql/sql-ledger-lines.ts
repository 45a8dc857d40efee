import type { UsageRecord } from '@aigateway/contract/usage';
import type { Dimension, LedgerLine, LedgerSums } from '../ledger.ts';
import { logPageOf } from '../prepared-usage.ts';
import { dayOf, isBrokenDown, noSums } from '../usage-sums.ts';
import { sumNames, type RecordPage } from './ledger-programs.ts';
import type { Run } from './programs.ts';
import type { TableName, TableRow } from './table-programs.ts';

const pageRows = 1000;

/** All that the ledger's tables hold, a page at a time. */
export async function* ledgerLines(run: Run): AsyncGenerator<LedgerLine> {
  yield* recordLines(run);
  for await (const row of rowsOf(run, 'usage_daily')) {
    const dimension = row['dimension'] as Dimension;
    const by = row['by_dimension'] as Dimension | '';
    // Pairs stood both ways round once.
    if (by !== '' && !isBrokenDown(dimension, by)) continue;
    yield {
      is: 'day',
      dimension,
      id: String(row['id']),
      day: String(row['day']),
      by,
      byId: String(row['by_id']),
      sums: sumsIn(row),
    };
  }
  for await (const row of rowsOf(run, 'usage_hour')) {
    yield {
      is: 'hour',
      dimension: row['dimension'] as Dimension,
      id: String(row['id']),
      hour: Number(row['hour']),
      sums: sumsIn(row),
    };
  }
  for await (const row of rowsOf(run, 'usage_correction')) {
    yield { is: 'correction', id: String(row['id']) };
  }
  for await (const row of rowsOf(run, 'usage_mark')) {
    yield { is: 'mark', producer: String(row['producer']), sequence: Number(row['sequence']) };
  }
}

/** Fills the tables. */
export async function loadLedgerLines(run: Run, lines: readonly LedgerLine[]): Promise<void> {
  const records: (LedgerLine & { is: 'usage' })[] = [];
  const rows = new Map<TableName, TableRow[]>();
  const add = (table: TableName, row: TableRow): void => {
    let of = rows.get(table);
    if (!of) rows.set(table, (of = []));
    of.push(row);
  };
  for (const line of lines) {
    switch (line.is) {
      case 'usage':
        records.push(line);
        break;
      case 'day': {
        const { dimension, id, day, by, byId, sums } = line;
        const key = { dimension, id, day, by_dimension: by, by_id: byId };
        add('usage_daily', { ...key, ...columnsOf(sums) });
        break;
      }
      case 'hour': {
        const { dimension, id, hour, sums } = line;
        add('usage_hour', { dimension, id, hour, ...columnsOf(sums) });
        break;
      }
      case 'correction':
        add('usage_correction', { id: line.id });
        break;
      case 'mark':
        add('usage_mark', { producer: line.producer, sequence: line.sequence });
        break;
    }
  }
  const days = Map.groupBy(records, ({ record }) => dayOf(record.startedAt));
  if (days.size > 0) await run('addUsageDays', [...days.keys()]);
  for (const [day, ofDay] of days) {
    for (const [producer, events] of Map.groupBy(ofDay, (line) => line.producer)) {
      await run('loadRecords', day, producer, events);
    }
  }
  for (const [table, of] of rows) await run('putRows', table, of);
}

async function* recordLines(run: Run): AsyncGenerator<LedgerLine> {
  const { fromMs, toMs } = logPageOf({ limit: pageRows });
  const page: RecordPage = { fromMs, toMs, where: [], limit: pageRows, after: undefined };
  for (;;) {
    const rows = await run('usageRecords', page);
    for (const { producer, sequence, record } of rows) {
      yield { is: 'usage', producer, sequence, record: JSON.parse(record) as UsageRecord };
    }
    const last = rows.at(-1);
    if (!last) return;
    page.after = {
      startedAt: last.started_at,
      producer: last.producer,
      sequence: last.sequence,
    };
  }
}

async function* rowsOf(run: Run, table: TableName): AsyncGenerator<TableRow> {
  let after: TableRow | undefined;
  do {
    const rows = await run('readRows', table, after, pageRows);
    yield* rows;
    after = rows.at(-1);
  } while (after);
}

function sumsIn(row: TableRow): LedgerSums {
  const sums = { ...noSums };
  for (const [name, column] of sumNames) sums[name] = Number(row[column]);
  return sums;
}

function columnsOf(sums: LedgerSums): TableRow {
  return Object.fromEntries(sumNames.map(([name, column]) => [column, sums[name]]));
}
