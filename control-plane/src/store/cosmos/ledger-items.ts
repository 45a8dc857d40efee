import type { LedgerEvent } from '../ledger.ts';
import { toColumn } from '../sql/text.ts';
import { nameOf, pack, type Item } from './items.ts';

/** Every event of a producer up to its sequence is counted. */
export type MarkItem = Item & { readonly producer: string; readonly sequence: number };

/** Which event counts as the correction of something. */
export type CorrectionItem = Item & {
  readonly producer: string;
  readonly sequence: number;
  /** Of what, in the form of columns; absent in items of before, whose id says it mostly. */
  readonly corrects?: string;
};

/** A day that has single records. */
export type DayItem = Item & { readonly day: string };

/** Single records of one producer and day that came together. */
export type BatchItem = Item & {
  readonly producer: string;
  /** Times of the oldest and the newest. */
  readonly oldest: number;
  readonly newest: number;
  readonly last: number;
  /** Values that records are looked up by, in the form of columns. */
  readonly lookup: { readonly [name in Indexed]: readonly string[] };
  /** Packed JSON: sequences and records. */
  readonly records: string;
};

/** What batches of records are found by. */
export const indexed = ['requestId', 'keyId', 'userId', 'teamId', 'customerId'] as const;
type Indexed = (typeof indexed)[number];

/** Characters of records in one item, which holds 2 MB. */
const mostText = 400_000;

export const markPartition = 'marks';
export const dayPartition = 'days';
export const correctionPartition = 'corrections';

export function dayItem(day: string): DayItem {
  return { pk: dayPartition, id: day, day };
}

export function recordPartition(day: string): string {
  return `records:${day}`;
}

/** Events of one producer and day, in the order of their sequence, as items. */
export async function* batchItems(
  day: string,
  producer: string,
  events: readonly LedgerEvent[],
): AsyncGenerator<BatchItem> {
  for (const part of partsOf(events)) yield await batchItem(day, producer, part);
}

function* partsOf(events: readonly LedgerEvent[]): Iterable<readonly [LedgerEvent, string][]> {
  let part: [LedgerEvent, string][] = [];
  let size = 0;
  for (const event of events) {
    const text = JSON.stringify([event.sequence, event.record]);
    if (size > 0 && size + text.length > mostText) {
      yield part;
      part = [];
      size = 0;
    }
    part.push([event, text]);
    size += text.length;
  }
  if (part.length > 0) yield part;
}

async function batchItem(
  day: string,
  producer: string,
  part: readonly (readonly [LedgerEvent, string])[],
): Promise<BatchItem> {
  const events = part.map(([event]) => event);
  const times = events.map(({ record }) => record.startedAt);
  const valuesOf = (name: Indexed): string[] => [
    ...new Set(
      events.flatMap(({ record }) => (record[name] === undefined ? [] : [toColumn(record[name])])),
    ),
  ];
  return {
    pk: recordPartition(day),
    id: `${nameOf(producer)}:${events[0]?.sequence}`,
    producer,
    oldest: Math.min(...times),
    newest: Math.max(...times),
    last: events.at(-1)?.sequence ?? 0,
    lookup: {
      requestId: valuesOf('requestId'),
      keyId: valuesOf('keyId'),
      userId: valuesOf('userId'),
      teamId: valuesOf('teamId'),
      customerId: valuesOf('customerId'),
    },
    records: await pack(`[${part.map(([, text]) => text).join(',')}]`),
  };
}
