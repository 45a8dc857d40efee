import type { UsageRecord } from '@aigateway/contract/usage';
import type { ActivityQuery, ActivityRow, Dimension, Ledger, LedgerEvent } from '../ledger.ts';
import {
  checkActivity,
  checkDay,
  checkEvent,
  eventsAfter,
  logPageOf,
  type LogPage,
} from '../prepared-usage.ts';
import { fromColumn, toColumn, toCursor } from '../sql/text.ts';
import { dayOf, hourMs, isSingle } from '../usage-sums.ts';
import {
  additionsOf,
  overallPartition,
  plus,
  sumPartition,
  SumWriter,
  toSums,
  type SumItem,
  type SumRow,
} from './cosmos-sums.ts';
import { ledgerLines, loadLedgerLines } from './cosmos-ledger-lines.ts';
import { forEach, nameOf, pause, unpack, type Item, type Items } from './items.ts';
import {
  batchItems,
  correctionPartition,
  dayItem,
  dayPartition,
  indexed,
  markPartition,
  recordPartition,
  type BatchItem,
  type CorrectionItem,
  type MarkItem,
} from './ledger-items.ts';

type Row = { readonly sequence: number; readonly producer: string; readonly record: UsageRecord };

export type CosmosLedger = {
  readonly port: Ledger;
  /** Waits for what is under way. */
  settled(): Promise<void>;
};

/**
 * The ledger in Cosmos DB. An append writes the records, then the sums of every id that they concern, then the producer's mark; each
 * item of sums says up to where it has a producer's events, so an append that broke off and comes again, in other slices or at the same
 * time elsewhere, adds to those only that have not had it.
 */
export function cosmosLedger(items: Items): CosmosLedger {
  const sums = new SumWriter(items);
  const underWay = new Set<Promise<unknown>>();

  async function append(
    producer: string,
    events: readonly LedgerEvent[],
    floor: number,
  ): Promise<number> {
    const id = nameOf(producer);
    const marked = await items.read<MarkItem>(markPartition, id);
    const before = marked?.item.sequence ?? 0;
    const { fresh, mark } = eventsAfter(Math.max(before, floor), events);
    if (mark === before) return mark;
    const counted = await withoutRepeatedCorrections(producer, fresh);
    const single = counted.filter(isSingle);
    const days = Map.groupBy(single, ({ record }) => dayOf(record.startedAt));
    for (const [day, ofDay] of days) await keepRecords(day, producer, ofDay);
    await forEach(additionsOf(counted), (additions) => sums.add(id, additions));
    return raiseMark(producer, mark);
  }

  /** The first to come has a correction for itself, and still has it when it comes again. */
  async function withoutRepeatedCorrections(
    producer: string,
    events: readonly LedgerEvent[],
  ): Promise<readonly LedgerEvent[]> {
    const counted: LedgerEvent[] = [];
    for (const event of events) {
      const { corrects } = event.record;
      if (corrects !== undefined) {
        const column = toColumn(corrects);
        const own: CorrectionItem = {
          pk: correctionPartition,
          id: nameOf(column),
          corrects: column,
          producer,
          sequence: event.sequence,
        };
        const first = await firstOf(own);
        if (first.producer !== producer || first.sequence !== event.sequence) continue;
      }
      counted.push(event);
    }
    return counted;
  }

  /** The item as it was made first, by whomever. */
  async function firstOf<T extends Item>(own: T): Promise<T> {
    for (let tries = 0; ; tries += 1) {
      if ((await items.create(own)) !== undefined) return own;
      const read = await items.read<T>(own.pk, own.id);
      if (read) return read.item;
      await pause(tries);
    }
  }

  /** Never lowers it: another may be further. */
  async function raiseMark(producer: string, sequence: number): Promise<number> {
    const id = nameOf(producer);
    for (let tries = 0; ; tries += 1) {
      const read = await items.read<MarkItem>(markPartition, id);
      if (read && read.item.sequence >= sequence) return read.item.sequence;
      const next: MarkItem = { pk: markPartition, id, producer, sequence };
      const written = read ? await items.replace(next, read.tag) : await items.create(next);
      if (written !== undefined) return sequence;
      await pause(tries);
    }
  }

  async function keepRecords(
    day: string,
    producer: string,
    events: readonly LedgerEvent[],
  ): Promise<void> {
    for await (const item of batchItems(day, producer, events)) {
      for (let tries = 0; (await items.create(item)) === undefined; tries += 1) {
        const read = await items.read<BatchItem>(item.pk, item.id);
        // One that begins here and ends later has all of this.
        if (read && read.item.last >= item.last) break;
        if (read && (await items.replace(item, read.tag)) !== undefined) break;
        await pause(tries);
      }
    }
    // Afterwards: the day may be dropped meanwhile.
    if (!(await items.read(dayPartition, day))) await items.create(dayItem(day));
  }

  async function batchesOf(day: string): Promise<readonly string[]> {
    const text = 'SELECT VALUE c.id FROM c WHERE c.newest >= 0';
    return collect<string>(items.query(recordPartition(day), text, []));
  }

  /** The rows of a day that match, the newest first. */
  async function* rowsOf(day: string, page: LogPage): AsyncIterable<Row> {
    const parameters: (string | number)[] = [page.fromMs, page.toMs];
    const conditions = page.where.flatMap(({ name, value }) => {
      if (!(indexed as readonly string[]).includes(name)) return [];
      parameters.push(value);
      return [` AND ARRAY_CONTAINS(c.lookup.${name}, @${parameters.length - 1})`];
    });
    const text = `SELECT c.producer, c.newest, c.records FROM c WHERE c.newest >= @0 AND c.oldest < @1${conditions.join('')} ORDER BY c.newest DESC`;
    let pool: Row[] = [];
    const seen = new Set<string>();
    for await (const batch of items.query<BatchItem>(recordPartition(day), text, parameters)) {
      const newer = pool.filter(({ record }) => record.startedAt > batch.newest);
      pool = pool.filter(({ record }) => record.startedAt <= batch.newest);
      yield* newer.toSorted(newestFirst);
      const records = JSON.parse(await unpack(batch.records)) as [number, UsageRecord][];
      for (const [sequence, record] of records) {
        const row = { sequence, producer: batch.producer, record };
        const place = `${sequence} ${batch.producer}`;
        if (seen.has(place) || !matches(row, page)) continue;
        seen.add(place);
        pool.push(row);
      }
    }
    yield* pool.toSorted(newestFirst);
  }

  async function daysBetween(fromMs: number, toMs: number): Promise<string[]> {
    const text = 'SELECT VALUE c.day FROM c WHERE c.day >= @0 AND c.day <= @1';
    const between = [dayOf(Math.max(fromMs, 0)), dayOf(Math.max(toMs - 1, 0))];
    return (await collect<string>(items.query(dayPartition, text, between)))
      .toSorted()
      .toReversed();
  }

  async function spendOf(dimension: Dimension, id: string, fromMs: number): Promise<number> {
    const pk = sumPartition(dimension, id);
    if (fromMs <= 0) {
      const text = 'SELECT VALUE SUM(c.cost) FROM c WHERE IS_DEFINED(c.cost)';
      const [total] = await collect<number | undefined>(items.query(pk, text, []));
      return total ?? 0;
    }
    const day = dayOf(fromMs);
    const text = 'SELECT c.day, c.cost, c.hours FROM c WHERE c.day >= @0 AND IS_DEFINED(c.cost)';
    const firstHour = Math.floor((fromMs % (24 * hourMs)) / hourMs);
    let total = 0;
    for await (const row of items.query<Required<SumItem>>(pk, text, [day])) {
      const hours = Object.entries(row.hours).filter(([hour]) => Number(hour) >= firstHour);
      total += row.day === day ? hours.reduce((sum, [, cost]) => sum + cost, 0) : row.cost;
    }
    return total;
  }

  async function lastHourOf(dimension: Dimension, id: string): Promise<number | undefined> {
    const text =
      'SELECT c.day, c.sums, c.hours FROM c WHERE IS_DEFINED(c.cost) ORDER BY c.day DESC';
    const rows = items.query<Required<SumItem>>(sumPartition(dimension, id), text, []);
    for await (const { day, sums: row, hours } of rows) {
      if (toSums(row).requests === 0) continue;
      return Date.parse(day) + Math.max(0, ...Object.keys(hours).map(Number)) * hourMs;
    }
    return undefined;
  }

  async function activityOf(
    dimension: Dimension,
    by: Dimension | undefined,
    id: string,
    [fromDay, toDay]: readonly [string, string],
  ): Promise<readonly Activity[]> {
    const select = by === undefined ? 'c.day, c.sums' : `c.day, c.parts["${by}"] AS broken`;
    const there = by === undefined ? 'c.sums' : `c.parts["${by}"]`;
    const text = `SELECT ${select} FROM c WHERE c.day >= @0 AND c.day <= @1 AND IS_DEFINED(${there})`;
    const rows = items.query<{ day: string; sums: SumRow; broken: [string, SumRow][] }>(
      sumPartition(dimension, id),
      text,
      [fromDay, toDay],
    );
    const found: Activity[] = [];
    for await (const { day, sums: all, broken } of rows) {
      if (by === undefined) found.push({ day, id, byId: '', sums: all });
      else for (const [byId, part] of broken) found.push({ day, id, byId, sums: part });
    }
    return found;
  }

  /** Every id of a dimension. */
  async function overall(
    dimension: Dimension,
    [fromDay, toDay]: readonly [string, string],
  ): Promise<readonly Activity[]> {
    const text = 'SELECT c.day, c.parts FROM c WHERE c.day >= @0 AND c.day <= @1';
    const rows = items.query<SumItem>(overallPartition(dimension), text, [fromDay, toDay]);
    const found: Activity[] = [];
    for await (const { day, parts } of rows) {
      for (const [id, all] of parts[dimension] ?? []) found.push({ day, id, byId: '', sums: all });
    }
    return found;
  }

  const port: Ledger = {
    async append(producer, events, floor = 0) {
      events.forEach(checkEvent);
      const appended = append(toColumn(producer), events, floor);
      underWay.add(appended);
      return appended.finally(() => underWay.delete(appended));
    },
    async mark(producer) {
      const read = await items.read<MarkItem>(markPartition, nameOf(toColumn(producer)));
      return read?.item.sequence ?? 0;
    },
    async spend({ dimension, ids, fromMs = 0 }) {
      const spent = new Map<string, number>();
      await forEach([...new Set(ids.map(toColumn))], async (id) => {
        const cost = await spendOf(dimension, id, fromMs);
        if (cost !== 0) spent.set(fromColumn(id), cost);
      });
      return spent;
    },
    async activity(asked) {
      const { dimension, by } = asked;
      const ids = dimension === 'all' ? ['all'] : asked.ids;
      checkActivity(asked);
      const range = [asked.fromDay, asked.toDay] as const;
      const found: Activity[] = [];
      if (ids === undefined && by === undefined) {
        found.push(...(await overall(dimension, range)));
      } else {
        const all = ids?.map(toColumn) ?? (await overall(dimension, range)).map(({ id }) => id);
        await forEach([...new Set(all)], async (id) => {
          found.push(...(await activityOf(dimension, by, id, range)));
        });
      }
      return chosenOf(found, asked).map(({ day, id, byId, sums: row }): ActivityRow => ({
        day,
        id: fromColumn(id),
        ...(by !== undefined && { byId: fromColumn(byId) }),
        sums: toSums(row),
      }));
    },
    async lastUse(dimension, ids) {
      const used = new Map<string, number>();
      await forEach([...new Set(ids.map(toColumn))], async (id) => {
        const hour = await lastHourOf(dimension, id);
        if (hour !== undefined) used.set(fromColumn(id), hour);
      });
      return used;
    },
    async logs(asked) {
      const page = logPageOf(asked);
      const toMs = Math.min(page.toMs, page.after ? page.after.startedAt + 1 : Infinity);
      const rows: Row[] = [];
      for (const day of await daysBetween(page.fromMs, toMs)) {
        for await (const row of rowsOf(day, { ...page, toMs })) {
          rows.push(row);
          if (rows.length > page.limit) break;
        }
        if (rows.length > page.limit) break;
      }
      const shown = rows.slice(0, page.limit).map(({ record }) => record);
      const last = rows[page.limit - 1];
      if (rows.length <= page.limit || !last) return { rows: shown };
      const { record, producer, sequence } = last;
      return { rows: shown, next: toCursor([record.startedAt, producer, sequence]) };
    },
    async dropOldestLogs(before) {
      const text = 'SELECT VALUE c.day FROM c WHERE c.day < @0';
      const days = await collect<string>(items.query(dayPartition, text, [checkDay(before)]));
      const [oldest] = days.toSorted();
      if (oldest === undefined) return undefined;
      // One after the other: a removal costs what the writing did, and usage that comes in is not to wait for it.
      for (const id of await batchesOf(oldest)) await items.remove(recordPartition(oldest), id);
      await items.remove(dayPartition, oldest);
      // What came in between saw the day and did not make it anew.
      if ((await batchesOf(oldest)).length > 0) await items.create(dayItem(oldest));
      return oldest;
    },
    all: () => ledgerLines(items),
    load: (lines) => loadLedgerLines(items, lines),
  };
  return {
    port,
    settled: async () => void (await Promise.allSettled(underWay)),
  };
}

type Activity = {
  readonly day: string;
  readonly id: string;
  readonly byId: string;
  readonly sums: SumRow;
};

/** What is asked for of what was read: items hold the sums of many ids, so a query of them could leave nothing unread. */
function chosenOf(
  found: readonly Activity[],
  { byId, over, highest }: ActivityQuery,
): readonly Activity[] {
  const part = byId === undefined ? undefined : toColumn(byId);
  const wanted = part === undefined ? found : found.filter((row) => row.byId === part);
  const inOrder = wanted.toSorted(byPlace);
  const rows = over === undefined ? inOrder : addedUp(inOrder, over).toSorted(byPlace);
  if (highest === undefined) return rows;
  return rows.toSorted((a, b) => (b.sums.at(-1) ?? 0) - (a.sums.at(-1) ?? 0)).slice(0, highest);
}

/** @param rows - in the order of their places */
function addedUp(rows: readonly Activity[], over: 'days' | 'ids'): Activity[] {
  const sums = new Map<string, Activity>();
  for (const row of rows) {
    const group = `${over === 'days' ? row.id : row.day}\0${row.byId}`;
    const first = sums.get(group);
    sums.set(group, first ? { ...first, sums: plus(first.sums, row.sums) } : row);
  }
  return [...sums.values()];
}

function matches({ record, producer, sequence }: Row, page: LogPage): boolean {
  const { startedAt } = record;
  if (startedAt < page.fromMs || startedAt >= page.toMs) return false;
  if (page.failed !== undefined && page.failed !== (record.outcome !== 'completed')) return false;
  for (const { name, value } of page.where) {
    const own = record[name];
    if (own === undefined || toColumn(own) !== value) return false;
  }
  const { after } = page;
  if (!after) return true;
  return (
    newestFirst(
      {
        sequence: after.sequence,
        producer: after.producer,
        record: { startedAt: after.startedAt },
      },
      { sequence, producer, record },
    ) < 0
  );
}

type Place = { sequence: number; producer: string; record: { startedAt: number } };

function newestFirst(a: Place, b: Place): number {
  return (
    b.record.startedAt - a.record.startedAt ||
    compare(b.producer, a.producer) ||
    b.sequence - a.sequence
  );
}

function byPlace(a: Activity, b: Activity): number {
  return compare(a.day, b.day) || compare(a.id, b.id) || compare(a.byId, b.byId);
}

/** Texts in the form of columns have no characters of two units, so this is the order of their bytes. */
function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

async function collect<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const row of rows) all.push(row);
  return all;
}
