import { pairId } from '@aigateway/contract/limits';
import type { LedgerEvent, UsageRecord } from '@aigateway/contract/usage';
import type { Dimension, LedgerSums } from './ledger.ts';
import { toColumn } from './sql/text.ts';

export const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Sums of one id of a dimension in one hour. Texts in the form of columns. */
export type HourSums = LedgerSums & { dimension: Dimension; id: string; hour: number };

/** Sums of one id in one UTC day, all in all (`by_…` empty) or broken down by another dimension's id. */
export type DailySums = LedgerSums & {
  dimension: Dimension;
  id: string;
  day: string;
  by_dimension: Dimension | '';
  by_id: string;
};

/** Every dimension. */
export const dimensions = [
  'key',
  'user',
  'team',
  'organization',
  'customer',
  'model',
  'deployment',
  'tag',
  'member',
  'key_model',
  'all',
] as const satisfies readonly Dimension[];

/** Whom a report is about: what it wants to know is which keys, models or deployments it was. */
const owners: ReadonlySet<Dimension> = new Set(['user', 'team', 'organization', 'customer', 'tag']);

/** What sums are broken down by, and whose besides the owners'. Each pair stands once: the other way round nobody asks. */
const brokenDownBy: { readonly [by in Dimension]?: ReadonlySet<Dimension> } = {
  key: owners,
  model: new Set([...owners, 'key']),
  deployment: new Set([...owners, 'key', 'model']),
};

/** Whether sums of one dimension are kept broken down by another. */
export function isBrokenDown(dimension: Dimension, by: Dimension): boolean {
  return brokenDownBy[by]?.has(dimension) ?? false;
}

/** The UTC day of a time, `YYYY-MM-DD`. */
export function dayOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}

/** The members of sums. */
export const sumNames = [
  'requests',
  'failed',
  'inputTokens',
  'cachedInputTokens',
  'cacheWriteTokens',
  'outputTokens',
  'reasoningTokens',
  'costNanoUsd',
] as const satisfies readonly (keyof LedgerSums)[];

/** Sums for the tables, each row once, in groups: writers that meet wait in one order if they take the groups as they stand, and rows in the order of their keys. */
export type UsageSums = {
  /** Rows of one dimension. */
  readonly hourly: readonly (readonly HourSums[])[];
  /** Rows of one dimension, broken down by one or not at all. */
  readonly daily: readonly (readonly DailySums[])[];
};

/** One id on one day: all in all, by hour, and with each other id that it is broken down by. */
type IdSums = {
  readonly dimension: Dimension;
  readonly id: string;
  readonly day: string;
  readonly whole: LedgerSums;
  readonly hours: Map<number, LedgerSums>;
  readonly parts: Map<IdSums, LedgerSums>;
};

type Day = { readonly name: string; readonly ids: Map<Dimension, Map<string, IdSums>> };

/** Adds up records. */
export function sumUsage(records: readonly UsageRecord[]): UsageSums {
  const days = new Map<number, Day>();
  for (const record of records) {
    const { startedAt } = record;
    const hour = startedAt - (startedAt % hourMs);
    const start = startedAt - (startedAt % dayMs);
    let day = days.get(start);
    if (!day) days.set(start, (day = { name: dayOf(start), ids: new Map() }));
    const sums = sumsOf(record);
    const ids: IdSums[] = [];
    for (const { dimension, id } of idsOf(record)) {
      let byId = day.ids.get(dimension);
      if (!byId) day.ids.set(dimension, (byId = new Map()));
      let one = byId.get(id);
      if (!one) {
        const whole = { ...noSums };
        one = { dimension, id, day: day.name, whole, hours: new Map(), parts: new Map() };
        byId.set(id, one);
      }
      ids.push(one);
    }
    for (const one of ids) {
      if (!countsIn(record, one.dimension)) continue;
      add(one.whole, sums);
      add(sumsIn(one.hours, hour), sums);
      for (const other of ids) {
        if (isBrokenDown(one.dimension, other.dimension)) add(sumsIn(one.parts, other), sums);
      }
    }
  }
  return inGroups([...days.values()]);
}

function inGroups(days: readonly Day[]): UsageSums {
  const hourly: HourSums[][] = [];
  const daily: DailySums[][] = [];
  for (const dimension of dimensions.toSorted()) {
    const named = days.flatMap((day) => [...(day.ids.get(dimension)?.values() ?? [])]);
    const ids = named.filter(({ hours }) => hours.size > 0);
    if (ids.length === 0) continue;
    hourly.push(
      ids.flatMap(({ id, hours }) =>
        Array.from(hours, ([hour, sums]) => ({ dimension, id, hour, ...sums })),
      ),
    );
    daily.push(
      ids.map(({ id, day, whole }) => ({
        dimension,
        id,
        day,
        by_dimension: '',
        by_id: '',
        ...whole,
      })),
    );
    const parts = new Map<Dimension, DailySums[]>();
    for (const { id, day, parts: own } of ids) {
      for (const [{ dimension: by_dimension, id: by_id }, sums] of own) {
        let rows = parts.get(by_dimension);
        if (!rows) parts.set(by_dimension, (rows = []));
        rows.push({ dimension, id, day, by_dimension, by_id, ...sums });
      }
    }
    for (const by of [...parts.keys()].sort()) daily.push(parts.get(by) ?? []);
  }
  return { hourly, daily };
}

function sumsIn<Place>(places: Map<Place, LedgerSums>, place: Place): LedgerSums {
  let sums = places.get(place);
  if (!sums) places.set(place, (sums = { ...noSums }));
  return sums;
}

/** Whether a record counts in a dimension; in others it only says what that is broken down by. */
export function countsIn({ sum }: UsageRecord, dimension: Dimension): boolean {
  return sum === undefined || sum.countsIn.includes(dimension);
}

/** Whether an event is kept among single records. */
export function isSingle({ record }: LedgerEvent): boolean {
  return record.sum === undefined;
}

/** Everything that a record names, each id once. Texts in the form of columns. */
export function idsOf(record: UsageRecord): { dimension: Dimension; id: string }[] {
  const ids: readonly [Dimension, string | undefined][] = [
    ['key', record.keyId],
    ['user', record.userId],
    ['team', record.teamId],
    ['organization', record.organizationId],
    ['customer', record.customerId],
    ['model', record.model],
    ['deployment', record.deploymentId],
    ['member', pairOf(record.teamId, record.userId)],
    ['key_model', pairOf(record.keyId, record.model)],
    ['all', 'all'],
    ...[...new Set(record.tags)].map((tag): [Dimension, string] => ['tag', tag]),
  ];
  return ids.flatMap(([dimension, id]) =>
    id === undefined ? [] : [{ dimension, id: toColumn(id) }],
  );
}

function pairOf(one: string | undefined, other: string | undefined): string | undefined {
  return one === undefined || other === undefined ? undefined : pairId(one, other);
}

/** Adds to sums. Member by member: a loop over their names takes several times as long, and this runs fifty times for a request. */
export function add(sums: LedgerSums, more: LedgerSums): void {
  sums.requests += more.requests;
  sums.failed += more.failed;
  sums.inputTokens += more.inputTokens;
  sums.cachedInputTokens += more.cachedInputTokens;
  sums.cacheWriteTokens += more.cacheWriteTokens;
  sums.outputTokens += more.outputTokens;
  sums.reasoningTokens += more.reasoningTokens;
  sums.costNanoUsd += more.costNanoUsd;
}

/** What one record adds to sums. */
export function sumsOf({ corrects, sum, outcome, tokens, costNanoUsd }: UsageRecord): LedgerSums {
  const requests = corrects === undefined ? 1 : 0;
  return {
    requests: sum?.requests ?? requests,
    failed: sum?.failed ?? (outcome === 'completed' ? 0 : requests),
    inputTokens: tokens.input,
    cachedInputTokens: tokens.cachedInput,
    cacheWriteTokens: tokens.cacheWrite,
    outputTokens: tokens.output,
    reasoningTokens: tokens.reasoning,
    costNanoUsd,
  };
}

/** Of nothing. */
export const noSums: LedgerSums = Object.freeze({
  requests: 0,
  failed: 0,
  inputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
  costNanoUsd: 0,
});
