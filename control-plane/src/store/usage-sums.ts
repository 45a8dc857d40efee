import { pairId } from '@aigateway/contract/limits';
import type { LedgerEvent, UsageRecord } from '@aigateway/contract/usage';
import type { Dimension, LedgerSums } from './ledger.ts';
import { toColumn } from './sql/text.ts';

export const hourMs = 3_600_000;

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

/** Adds up records for the tables: each row once, in the order of its key, so that writers that meet wait in one order. */
export function sumUsage(records: readonly UsageRecord[]): {
  hourly: readonly HourSums[];
  daily: readonly DailySums[];
} {
  const hourly = new Map<string, HourSums>();
  const daily = new Map<string, DailySums>();
  for (const record of records) {
    const hour = record.startedAt - (record.startedAt % hourMs);
    const day = dayOf(record.startedAt);
    const ids = idsOf(record);
    const sums = sumsOf(record);
    for (const { dimension, id } of ids) {
      if (!countsIn(record, dimension)) continue;
      add(hourly, `${dimension}\0${id}\0${hour}`, { dimension, id, hour }, sums);
      const whole = { dimension, id, day, by_dimension: '' as const, by_id: '' };
      add(daily, `${dimension}\0\0${id}\0${day}`, whole, sums);
      for (const other of ids) {
        if (!isBrokenDown(dimension, other.dimension)) continue;
        const part = { dimension, id, day, by_dimension: other.dimension, by_id: other.id };
        add(daily, `${dimension}\0${other.dimension}\0${id}\0${day}\0${other.id}`, part, sums);
      }
    }
  }
  return { hourly: inOrder(hourly), daily: inOrder(daily) };
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

function add<Row extends object>(
  rows: Map<string, Row & LedgerSums>,
  name: string,
  row: Row,
  record: LedgerSums,
): void {
  let sums = rows.get(name);
  if (!sums) rows.set(name, (sums = { ...row, ...noSums }));
  for (const member of sumNames) sums[member] += record[member];
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

function inOrder<Row>(rows: ReadonlyMap<string, Row>): Row[] {
  return [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}
