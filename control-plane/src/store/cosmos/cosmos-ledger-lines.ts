import type { UsageRecord } from '@aigateway/contract/usage';
import { StoreChangedError } from '../entities.ts';
import type { Dimension, LedgerEvent, LedgerLine } from '../ledger.ts';
import { dayOf, dimensions, hourMs, noSums } from '../usage-sums.ts';
import {
  batchItems,
  correctionPartition,
  dayItem,
  dayPartition,
  markPartition,
  recordPartition,
  type BatchItem,
  type CorrectionItem,
  type MarkItem,
} from './ledger-items.ts';
import {
  overallPartition,
  overallPlace,
  sumPartition,
  sumPlace,
  toRow,
  toSums,
  type SumItem,
  type SumPlace,
  type SumRow,
} from './cosmos-sums.ts';
import { forEach, nameOf, pause, unpack, type Item, type Items } from './items.ts';

/** Items that are read at once. */
const readTogether = 16;

/**
 * All that the ledger's items hold.
 *
 * @throws {StoreChangedError} where an item has events that the producer's mark does not cover: an append is under way, or broke off
 */
export async function* ledgerLines(items: Items): AsyncGenerator<LedgerLine> {
  const marks = await marksOf(items);
  const known = new Map(marks.map(({ producer, sequence }) => [nameOf(producer), sequence]));
  const check = (name: string, sequence: number): void => {
    if (sequence > (known.get(name) ?? 0)) throw new StoreChangedError();
  };
  yield* recordLines(items, check);
  for (const dimension of dimensions) {
    yield* dimension === 'all' ? allLines(items, check) : sumLines(items, dimension, check);
  }
  const corrections = items.query<CorrectionItem>(
    correctionPartition,
    'SELECT * FROM c WHERE IS_DEFINED(c.producer)',
    [],
  );
  for await (const { id, corrects } of corrections) yield { is: 'correction', id: corrects ?? id };
  for (const { producer, sequence } of marks) yield { is: 'mark', producer, sequence };
}

/** Every producer's mark. */
export async function marksOf(items: Items): Promise<readonly MarkItem[]> {
  const marks: MarkItem[] = [];
  const text = 'SELECT c.producer, c.sequence FROM c WHERE IS_DEFINED(c.producer)';
  for await (const mark of items.query<MarkItem>(markPartition, text, [])) marks.push(mark);
  return marks;
}

type Check = (producerName: string, sequence: number) => void;

async function* recordLines(items: Items, check: Check): AsyncGenerator<LedgerLine> {
  const days = items.query<string>(dayPartition, 'SELECT VALUE c.day FROM c WHERE c.day >= @0', [
    '',
  ]);
  for await (const day of days) {
    const pk = recordPartition(day);
    const batches: { id: string; producer: string; first: number }[] = [];
    const found = items.query<{ id: string; producer: string }>(
      pk,
      'SELECT c.id, c.producer FROM c WHERE c.newest >= 0',
      [],
    );
    for await (const { id, producer } of found) {
      batches.push({ id, producer, first: Number(id.slice(id.lastIndexOf(':') + 1)) });
    }
    batches.sort((a, b) => compare(a.producer, b.producer) || a.first - b.first);
    let producer: string | undefined;
    // What came twice, in other slices, stands in items that overlap.
    let seen = new Set<number>();
    for (const batch of batches) {
      if (batch.producer !== producer) seen = new Set();
      ({ producer } = batch);
      for (const sequence of seen) if (sequence < batch.first) seen.delete(sequence);
      const read = await items.read<BatchItem>(pk, batch.id);
      if (!read) throw new StoreChangedError();
      const records = JSON.parse(await unpack(read.item.records)) as [number, UsageRecord][];
      for (const [sequence, record] of records) {
        check(nameOf(producer), sequence);
        if (seen.has(sequence)) continue;
        seen.add(sequence);
        yield { is: 'usage', producer, sequence, record };
      }
    }
  }
}

/** Every id of a dimension, a day at a time: the overviews name them. */
async function* sumLines(
  items: Items,
  dimension: Dimension,
  check: Check,
): AsyncGenerator<LedgerLine> {
  const overviews = items.query<SumItem>(
    overallPartition(dimension),
    'SELECT c.day, c.parts, c.marks FROM c WHERE c.day >= @0',
    [''],
  );
  for await (const { day, parts, marks } of overviews) {
    checkMarks(marks, check);
    const ids = (parts[dimension] ?? []).map(([id]) => id);
    for (let from = 0; from < ids.length; from += readTogether) {
      const read = await Promise.all(
        ids
          .slice(from, from + readTogether)
          .map((id) => items.read<SumItem>(sumPartition(dimension, id), day)),
      );
      for (const one of read) {
        if (!one) continue;
        checkMarks(one.item.marks, check);
        yield* linesOf(one.item);
      }
    }
  }
}

async function* allLines(items: Items, check: Check): AsyncGenerator<LedgerLine> {
  const found = items.query<SumItem>(
    sumPartition('all', 'all'),
    'SELECT * FROM c WHERE c.day >= @0 AND IS_DEFINED(c.sums)',
    [''],
  );
  for await (const item of found) {
    checkMarks(item.marks, check);
    yield* linesOf(item);
  }
}

function checkMarks(marks: SumItem['marks'], check: Check): void {
  for (const [producer, sequence] of Object.entries(marks)) check(producer, sequence);
}

function* linesOf({
  dimension,
  name: id,
  day,
  sums,
  hours,
  parts,
}: SumItem): Generator<LedgerLine> {
  if (sums) yield { is: 'day', dimension, id, day, by: '', byId: '', sums: toSums(sums) };
  for (const [hour, costNanoUsd] of Object.entries(hours ?? {})) {
    yield {
      is: 'hour',
      dimension,
      id,
      hour: Date.parse(day) + Number(hour) * hourMs,
      sums: { ...noSums, costNanoUsd },
    };
  }
  for (const [by, rows] of Object.entries(parts) as [Dimension, [string, SumRow][]][]) {
    for (const [byId, row] of rows) {
      yield { is: 'day', dimension, id, day, by, byId, sums: toSums(row) };
    }
  }
}

/** Makes items as the lines say. */
export async function loadLedgerLines(items: Items, lines: readonly LedgerLine[]): Promise<void> {
  const records: (LedgerEvent & { producer: string })[] = [];
  const sums = new SumSetter();
  const others: Item[] = [];
  for (const line of lines) {
    switch (line.is) {
      case 'usage':
        records.push(line);
        break;
      case 'day':
        sums.addDay(line);
        break;
      case 'hour':
        sums.addHour(line);
        break;
      case 'correction': {
        const own: CorrectionItem = {
          pk: correctionPartition,
          id: nameOf(line.id),
          corrects: line.id,
          producer: '',
          sequence: 0,
        };
        others.push(own);
        break;
      }
      case 'mark': {
        const { producer, sequence } = line;
        const own: MarkItem = { pk: markPartition, id: nameOf(producer), producer, sequence };
        others.push(own);
        break;
      }
    }
  }
  for (const [day, ofDay] of Map.groupBy(records, ({ record }) => dayOf(record.startedAt))) {
    others.push(dayItem(day));
    for (const [producer, events] of Map.groupBy(ofDay, (event) => event.producer)) {
      const inOrder = events.toSorted((a, b) => a.sequence - b.sequence);
      for await (const item of batchItems(day, producer, inOrder)) others.push(item);
    }
  }
  await forEach(others, (item) => put(items, item.pk, item.id, () => item));
  await forEach([...sums.places.values()], ({ place, apply }) =>
    put<SumItem>(items, place.pk, place.id, (before) => {
      const item = (before ?? { ...place, parts: {}, marks: {} }) as unknown as Draft;
      for (const change of apply) change(item);
      return item;
    }),
  );
}

/** An item of sums that is being changed. */
type Draft = Item & {
  sums?: SumRow;
  cost?: number;
  hours?: { [hour: string]: number };
  parts: { [dimension: string]: [string, SumRow][] };
};

/** What lines say of items of sums, each item once. */
class SumSetter {
  readonly places = new Map<string, { place: SumPlace; apply: ((item: Draft) => void)[] }>();

  addDay({ dimension, id, day, by, byId, sums }: LedgerLine & { is: 'day' }): void {
    const row = toRow(sums);
    const one = { dimension, id };
    if (by !== '') {
      const other = { dimension: by, id: byId };
      this.#add(sumPlace(one, day), (item) => setPart(item, other, row));
      return;
    }
    this.#add(sumPlace(one, day), (item) => {
      item.sums = row;
      item.cost = sums.costNanoUsd;
      item.hours ??= {};
    });
    if (dimension === 'all') return;
    this.#add(overallPlace(one, day), (item) => setPart(item, one, row));
  }

  addHour({ dimension, id, hour, sums }: LedgerLine & { is: 'hour' }): void {
    const hourOfDay = String(Math.floor((hour % (24 * hourMs)) / hourMs));
    this.#add(sumPlace({ dimension, id }, dayOf(hour)), (item) => {
      item.hours = { ...item.hours, [hourOfDay]: sums.costNanoUsd };
    });
  }

  #add(place: SumPlace, change: (item: Draft) => void): void {
    const name = `${place.pk} ${place.id}`;
    let known = this.places.get(name);
    if (!known) this.places.set(name, (known = { place, apply: [] }));
    known.apply.push(change);
  }
}

function setPart(
  item: Draft,
  { dimension, id }: { dimension: Dimension; id: string },
  row: SumRow,
) {
  const rows = new Map(item.parts[dimension]);
  rows.set(id, row);
  item.parts[dimension] = [...rows];
}

async function put<T extends Item>(
  items: Items,
  pk: string,
  id: string,
  next: (before: T | undefined) => Item,
): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    const read = await items.read<T>(pk, id);
    const item = next(read?.item);
    const written = read ? await items.replace(item, read.tag) : await items.create(item);
    if (written !== undefined) return;
    await pause(tries);
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
