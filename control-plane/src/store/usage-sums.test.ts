import type { UsageRecord } from '@aigateway/contract/usage';
import { describe, expect, it } from 'vitest';
import { dayMs, hourMs, noon, usageRecord } from '../../test/conformance/documents.ts';
import type { LedgerEvent } from './ledger.ts';
import { sqlite } from './sql/dialect.ts';
import { ledgerPrograms } from './sql/ledger-programs.ts';
import { sqliteCompiler } from './sqlite/database.ts';
import { dayOf, sumNames, sumUsage, type DailySums, type HourSums } from './usage-sums.ts';

const records: readonly UsageRecord[] = Array.from({ length: 1000 }, (_, at) =>
  usageRecord({
    startedAt: noon + Math.floor(at / 400) * dayMs + (at % 3) * hourMs,
    keyId: `key-${at % 500}`,
    userId: `user-${at % 200}`,
    ...(at % 7 !== 0 && { teamId: `team-${at % 50}`, customerId: `customer-${at % 90}` }),
    tags: [`tag-${at % 10}`, 'nightly', 'nightly'],
    model: `model-${at % 20}`,
    deploymentId: `deployment-${at % 20}`,
    outcome: at % 4 === 0 ? 'failed' : 'completed',
    costNanoUsd: at,
  }),
);

type Row = HourSums | DailySums;

function keyOf(row: Row): string {
  return 'hour' in row
    ? [row.dimension, row.id, row.hour].join(' ')
    : [row.dimension, row.by_dimension, row.id, row.day, row.by_id].join(' ');
}

/** What rows are if each stands for what its key has. */
function byKey(rows: readonly Row[]): Map<string, Row> {
  const sums = new Map<string, Row>();
  for (const row of rows) {
    const own = sums.get(keyOf(row));
    if (own) for (const name of sumNames) own[name] += row[name];
    else sums.set(keyOf(row), { ...row });
  }
  return sums;
}

describe('sums of usage', () => {
  const { hourly, daily } = sumUsage(records);

  it('are of many records what those of each are together, each row once', () => {
    const single = records.map((record) => sumUsage([record]));
    for (const [groups, each] of [
      [hourly, single.flatMap((sums) => sums.hourly.flat())],
      [daily, single.flatMap((sums) => sums.daily.flat())],
    ] as const) {
      const rows: readonly Row[] = groups.flat();
      const expected = byKey(each);
      expect(rows.length).toBe(expected.size);
      expect(new Map(rows.map((row) => [keyOf(row), row]))).toEqual(expected);
    }
    const all = daily.flat().filter(({ dimension }) => dimension === 'all');
    expect(all.map(({ day, requests }) => [day, requests])).toEqual([
      [dayOf(noon), 400],
      [dayOf(noon + dayMs), 400],
      [dayOf(noon + 2 * dayMs), 200],
    ]);
  });

  it('are of a sum those of the dimensions that it counts in, and none of nothing', () => {
    const sum = { requests: 7, failed: 2, countsIn: ['team' as const] };
    const rows = sumUsage([usageRecord({ teamId: 'team', model: 'model', sum })]);
    const names = (groups: readonly (readonly Row[])[]): string[] =>
      groups.flat().map((row) => `${keyOf(row)}: ${row.requests}`);
    expect(names(rows.hourly)).toEqual([`team team ${noon}: 7`]);
    expect(names(rows.daily)).toEqual([
      `team  team ${dayOf(noon)} : 7`,
      `team deployment team ${dayOf(noon)} east: 7`,
      `team key team ${dayOf(noon)} key-1: 7`,
      `team model team ${dayOf(noon)} model: 7`,
    ]);
  });

  it('come in groups whose order is that of the tables, so that writers that meet wait for each other', () => {
    const names = (rows: readonly (readonly Row[])[]): string[][] =>
      rows.map((group) => [
        ...new Set(group.map((row) => `${row.dimension} ${'hour' in row ? '' : row.by_dimension}`)),
      ]);
    for (const groups of [names(hourly), names(daily)]) {
      expect(groups.filter((group) => group.length !== 1)).toEqual([]);
      const order = groups.flat();
      expect(order).toEqual([...new Set(order)].sort());
    }
  });

  it('are taken in a part at a time, so that nobody waits for all of a batch to be written down', () => {
    const events = records.map((record, at): LedgerEvent => ({ sequence: at + 1, record }));
    const program = ledgerPrograms(sqlite).appendUsage('producer', events, 0);
    const given: { [table: string]: number[] } = {};
    let step = program.next([]);
    while (!step.done) {
      const { sql, parameters } = step.value.compile(sqliteCompiler);
      const table = /insert into "(usage_\w+?)(_\d+)?" /.exec(sql)?.[1];
      const [rows] = parameters;
      if (table !== undefined && typeof rows === 'string')
        (given[table] ??= []).push((JSON.parse(rows) as unknown[]).length);
      step = program.next(
        sql.includes('select sequence')
          ? [{ sequence: 0 }]
          : [0, 1, 2].map((day) => ({ day: dayOf(noon + day * dayMs) })),
      );
    }
    expect(step.value).toEqual({ mark: 1000 });
    const { usage_record = [], usage_hour = [], usage_daily = [] } = given;
    const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0);
    expect([sum(usage_record), sum(usage_hour), sum(usage_daily)]).toEqual([
      1000,
      hourly.flat().length,
      daily.flat().length,
    ]);
    expect(Math.max(...usage_record)).toBeLessThanOrEqual(250);
    // A group is not torn apart: with two tags each a thousand requests may have as many as 2,000 rows of one.
    expect(Math.max(...usage_hour, ...usage_daily)).toBeLessThan(1000 + 2000);
  });
});
