import { createHash } from 'node:crypto';
import type { Dimension, LedgerEvent, LedgerSums } from '../ledger.ts';
import {
  countsIn,
  dayOf,
  hourMs,
  idsOf,
  isBrokenDown,
  noSums,
  sumNames,
  sumsOf,
} from '../usage-sums.ts';
import { nameOf, pause, type Item, type Items } from './items.ts';

/** Sums as they are kept: members of `LedgerSums` in the order of `sumNames`. */
export type SumRow = readonly number[];

/** What is known of one id on one day, or of a part of those it is broken down by. */
export type SumItem = Item & {
  readonly dimension: Dimension;
  /** In the form of columns; empty where the item is of all ids of the dimension. */
  readonly name: string;
  readonly day: string;
  /** All in all; absent where the item holds only breakdowns. */
  readonly sums?: SumRow;
  readonly cost?: number;
  /** Nano-USD by hour of the day. */
  readonly hours?: { readonly [hour: string]: number };
  /** By dimension, then id in the form of columns. */
  readonly parts: { readonly [dimension: string]: readonly (readonly [string, SumRow])[] };
  /** By producer: every event of it up to here that concerns this item is in it. */
  readonly marks: { readonly [producer: string]: number };
};

/** What one event adds to one item. */
type Addition = {
  readonly sequence: number;
  readonly hour: number;
  readonly sums: SumRow;
  /** Undefined adds to the whole. */
  readonly part: { readonly dimension: Dimension; readonly id: string } | undefined;
};

/** Where sums of a day are kept. */
export type SumPlace = Pick<SumItem, 'pk' | 'id' | 'dimension' | 'name' | 'day'>;

type DimensionId = { readonly dimension: Dimension; readonly id: string };

export type Additions = SumPlace & { readonly additions: Addition[] };

/** All ids of a dimension may be too many for one item a day: they go to several, by the digest of their ids. */
const buckets = 4;

/** The partition of one id: who asks about a tenant reads that tenant's alone. */
export function sumPartition(dimension: Dimension, id: string): string {
  return `${dimension}:${nameOf(id)}`;
}

/** The partition of all ids of a dimension. */
export function overallPartition(dimension: Dimension): string {
  return `all:${dimension}`;
}

export function sumPlace({ dimension, id: name }: DimensionId, day: string): SumPlace {
  return { pk: sumPartition(dimension, name), id: day, dimension, name, day };
}

export function overallPlace({ dimension, id }: DimensionId, day: string): SumPlace {
  return { pk: overallPartition(dimension), id: `${day}${bucketOf(id)}`, dimension, name: '', day };
}

/** What events add, each item once. */
export function additionsOf(events: readonly LedgerEvent[]): readonly Additions[] {
  const places = new Map<string, Additions>();
  for (const { sequence, record } of events) {
    const day = dayOf(record.startedAt);
    const hour = Math.floor((record.startedAt % (24 * hourMs)) / hourMs);
    const sums = toRow(sumsOf(record));
    const add = (at: SumPlace, part: Addition['part']): void => {
      const place = `${at.pk} ${at.id}`;
      let known = places.get(place);
      if (!known) places.set(place, (known = { ...at, additions: [] }));
      known.additions.push({ sequence, hour, sums, part });
    };
    const ids = idsOf(record);
    for (const one of ids) {
      if (!countsIn(record, one.dimension)) continue;
      add(sumPlace(one, day), undefined);
      // Of all there is one id.
      if (one.dimension !== 'all') add(overallPlace(one, day), one);
      for (const other of ids) {
        if (isBrokenDown(one.dimension, other.dimension)) add(sumPlace(one, day), other);
      }
    }
  }
  return [...places.values()];
}

function bucketOf(id: string): string {
  return `:${(createHash('sha256').update(id).digest()[0] ?? 0) % buckets}`;
}

export function toRow(sums: LedgerSums): SumRow {
  return sumNames.map((name) => sums[name]);
}

/** A row as the port has it. */
export function toSums(row: SumRow): LedgerSums {
  const sums = { ...noSums };
  for (const [at, name] of sumNames.entries()) sums[name] = row[at] ?? 0;
  return sums;
}

type Waiting = {
  readonly producer: string;
  readonly given: Additions;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
};

/** Adds to items. What comes for one while it is being written waits, and is the next write of it, all together. */
export class SumWriter {
  readonly #items: Items;
  readonly #waiting = new Map<string, Waiting[]>();

  constructor(items: Items) {
    this.#items = items;
  }

  add(producer: string, given: Additions): Promise<void> {
    return new Promise((resolve, reject) => {
      const place = `${given.pk} ${given.id}`;
      const waiting = this.#waiting.get(place);
      const one = { producer, given, resolve, reject };
      if (waiting) {
        waiting.push(one);
        return;
      }
      this.#waiting.set(place, [one]);
      void this.#work(place);
    });
  }

  async #work(place: string): Promise<void> {
    for (;;) {
      const taken = this.#waiting.get(place) ?? [];
      if (taken.length === 0) {
        this.#waiting.delete(place);
        return;
      }
      this.#waiting.set(place, []);
      try {
        await this.#write(taken);
        for (const { resolve } of taken) resolve();
      } catch (error) {
        for (const { reject } of taken) reject(error);
      }
    }
  }

  async #write(taken: readonly Waiting[]): Promise<void> {
    const [first] = taken;
    if (!first) return;
    const { additions: _additions, ...place } = first.given;
    const { pk, id } = place;
    for (let tries = 0; ; tries += 1) {
      const read = await this.#items.read<SumItem>(pk, id);
      const next = added(read?.item ?? { ...place, parts: {}, marks: {} }, taken);
      // Others have counted all of it.
      if (!next) return;
      const written = read
        ? await this.#items.replace(next, read.tag)
        : await this.#items.create(next);
      if (written !== undefined) return;
      await pause(tries);
    }
  }
}

/** @returns the item with what is new; undefined when nothing is */
function added(item: SumItem, taken: readonly Waiting[]): SumItem | undefined {
  const marks = new Map(Object.entries(item.marks));
  const by = new Map(
    Object.entries(item.parts).map(([dimension, rows]) => [dimension, new Map(rows)]),
  );
  const hours = new Map(Object.entries(item.hours ?? {}));
  let sums = item.sums;
  let isNew = false;
  for (const { producer, given } of taken) {
    const mark = marks.get(producer) ?? 0;
    for (const { sequence, hour, sums: more, part } of given.additions) {
      if (sequence <= mark) continue;
      isNew = true;
      marks.set(producer, Math.max(marks.get(producer) ?? 0, sequence));
      if (!part) {
        sums = plus(sums, more);
        hours.set(String(hour), (hours.get(String(hour)) ?? 0) + (more.at(-1) ?? 0));
        continue;
      }
      let rows = by.get(part.dimension);
      if (!rows) by.set(part.dimension, (rows = new Map()));
      rows.set(part.id, plus(rows.get(part.id), more));
    }
  }
  if (!isNew) return undefined;
  const { pk, id, dimension, name, day } = item;
  return {
    pk,
    id,
    dimension,
    name,
    day,
    ...(sums && { sums, cost: sums.at(-1) ?? 0, hours: Object.fromEntries(hours) }),
    parts: Object.fromEntries([...by].map(([dimension, rows]) => [dimension, [...rows]])),
    marks: Object.fromEntries(marks),
  };
}

/** Both together. */
export function plus(sums: SumRow | undefined, more: SumRow): SumRow {
  return sums ? sums.map((value, at) => value + (more[at] ?? 0)) : more;
}
