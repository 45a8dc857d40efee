import { DatabaseSync } from 'node:sqlite';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logPageOf } from '../../src/store/prepared-usage.ts';
import { postgresCompiler } from '../../src/store/postgres/database.ts';
import { createPostgresMigrator } from '../../src/store/postgres/postgres-migrator.ts';
import { createPostgresStore } from '../../src/store/postgres/postgres-store.ts';
import { postgres, sqlite } from '../../src/store/sql/dialect.ts';
import type { Program } from '../../src/store/sql/program.ts';
import { storePrograms } from '../../src/store/sql/programs.ts';
import { sqliteCompiler } from '../../src/store/sqlite/database.ts';
import { createSqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import type { Store } from '../../src/store/store.ts';
import {
  postgresBinaries,
  startPostgres,
  type PostgresServer,
} from '../servers/postgres-server.ts';
import { dayMs, noon, usageRecord } from './documents.ts';

/*
 * What dashboards and budgets ask is answered from indexes: rows are counted that were looked at and not wanted, and no time is.
 */

const days = 20;
const keys = 60;
const firstDay = '2026-11-01';
const from = Date.parse(firstDay);

/** Enough that a plan which reads all of it is not taken by chance. */
async function fill({ ledger }: Store): Promise<void> {
  let sequence = 0;
  for (let day = 0; day < days; day += 1) {
    const events = Array.from({ length: keys * 4 }, (_, at) => {
      sequence += 1;
      return {
        sequence,
        record: usageRecord({
          requestId: `request-${sequence}`,
          startedAt: from + day * dayMs + at * 300_000,
          keyId: `key-${at % keys}`,
          userId: `user-${at % 40}`,
          teamId: `team-${at % 30}`,
          customerId: `customer-${at % 50}`,
          model: `model-${at % 7}`,
          deploymentId: `deployment-${at % 7}`,
          tags: [`tag-${at % 5}`],
        }),
      };
    });
    await ledger.append('producer', events);
  }
}

type Query = {
  readonly name: string;
  readonly program: (programs: Programs) => Program<unknown>;
  /** Rows that leave the database, where it is about that. */
  readonly rows?: number;
};
type Programs = ReturnType<typeof storePrograms>;

const range = { fromDay: '2026-11-10', toDay: '2026-11-12' };
type Activity = Parameters<Programs['activity']>[0];
const activity = (asked: Pick<Activity, 'dimension'> & Partial<Activity>) =>
  function* (programs: Programs): Program<readonly unknown[]> {
    const { day } = yield* programs.activity({
      by: '',
      byId: undefined,
      ids: undefined,
      over: undefined,
      highest: undefined,
      ...range,
      ...asked,
    });
    return JSON.parse(day) as unknown[];
  };
const page = (where: Parameters<typeof logPageOf>[0]) => {
  const { fromMs, toMs, after } = logPageOf(where);
  return { fromMs, toMs, after, limit: where.limit, where: [] };
};

const queries: readonly Query[] = [
  {
    name: 'spend of some keys, ever',
    program: (programs) => programs.spend('key', ['key-1', 'key-2'], undefined),
  },
  {
    name: 'spend of some teams since an hour',
    program: (programs) => programs.spend('team', ['team-1', 'team-2'], noon - 20 * dayMs),
  },
  {
    name: 'activity of some teams',
    program: activity({ dimension: 'team', ids: ['team-1'] }),
    rows: 3,
  },
  {
    name: 'activity of some teams by model',
    program: activity({ dimension: 'team', by: 'model', ids: ['team-1'] }),
  },
  {
    name: 'activity of some teams with one model',
    program: activity({ dimension: 'team', by: 'model', byId: 'model-1', ids: ['team-1'] }),
    rows: 3,
  },
  {
    name: 'keys of each day, of all teams together',
    program: activity({ dimension: 'team', by: 'key', over: 'ids' }),
    rows: 3 * keys,
  },
  {
    name: 'days of some teams together',
    program: activity({ dimension: 'team', ids: ['team-1', 'team-2'], over: 'ids' }),
    rows: 3,
  },
  {
    name: 'the keys that cost the most',
    program: activity({ dimension: 'key', over: 'days', highest: 5 }),
    rows: 5,
  },
  {
    name: 'activity of every key',
    program: activity({ dimension: 'key' }),
    rows: 3 * keys,
  },
  {
    name: 'activity of everything',
    program: activity({ dimension: 'all', ids: ['all'] }),
    rows: 3,
  },
  {
    name: 'the newest requests',
    program: (programs) => programs.usageRecords(page({ limit: 50 })),
  },
  {
    name: 'a page of requests within days',
    program: (programs) =>
      programs.usageRecords(page({ limit: 50, fromMs: from + 3 * dayMs, toMs: from + 9 * dayMs })),
  },
  ...(['request_id', 'key_id', 'user_id', 'team_id', 'customer_id'] as const).map((column) => ({
    name: `requests by ${column}`,
    program: (programs: Programs) =>
      programs.usageRecords({
        ...page({ limit: 10 }),
        where: [{ column, value: `${column.slice(0, -3)}-7` }],
      }),
  })),
  { name: 'the mark of a producer', program: (programs) => programs.usageMark('producer') },
];

/** Rows that are read and not returned, for each that is: a page of an index at most. */
const mostWasted = 100;

type Plan = {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  'Rows Removed by Index Recheck'?: number;
  Plans?: Plan[];
};

function nodesOf(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}

describe.skipIf(!(await postgresBinaries()))('plans of PostgreSQL', () => {
  let server: PostgresServer;
  let client: Client;
  const programs = storePrograms(postgres);
  beforeAll(async () => {
    server = await startPostgres();
    const connectionString = await server.createDatabase();
    const migrator = await createPostgresMigrator({ connectionString });
    await migrator.apply();
    await migrator.close();
    const store = await createPostgresStore({ connectionString });
    await fill(store);
    await store.close();
    client = new Client({ connectionString });
    await client.connect();
    await client.query('analyze');
  });
  afterAll(async () => {
    await client.end();
    await server.stop();
  });

  it.each(queries)('$name: from an index', async ({ program, rows: most }) => {
    const work = program(programs);
    let step = work.next([]);
    let statements = 0;
    while (!step.done) {
      const { sql, parameters } = step.value.compile(postgresCompiler);
      const { rows } = await client.query(`explain (analyze, format json) ${sql}`, [...parameters]);
      const [{ 'QUERY PLAN': plans }] = rows as [{ 'QUERY PLAN': [{ Plan: Plan }] }];
      const nodes = nodesOf(plans[0].Plan);
      const read = nodes.filter((node) =>
        /^usage_(daily|hour|record)/.test(node['Relation Name'] ?? ''),
      );
      // A single page holds the marks, and a day's few hours here: no index makes that cheaper.
      expect(read.filter((node) => node['Node Type'] === 'Seq Scan')).toEqual([]);
      const wasted = nodes.reduce(
        (sum, node) =>
          sum +
          node['Actual Loops'] *
            ((node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0)),
        0,
      );
      expect(wasted).toBeLessThanOrEqual(mostWasted);
      statements += 1;
      step = work.next((await client.query(sql, [...parameters])).rows as unknown[]);
    }
    expect(statements).toBeGreaterThan(0);
    if (most !== undefined) expect(step.value).toHaveLength(most);
  });
});

describe('plans of SQLite', () => {
  const folder = mkdtempSync(join(tmpdir(), 'aigateway-plans-'));
  const path = join(folder, 'store.db');
  const programs = storePrograms(sqlite);
  let database: DatabaseSync;
  beforeAll(async () => {
    const store = await createSqliteStore({ path });
    await fill(store);
    await store.close();
    database = new DatabaseSync(path);
  });
  afterAll(() => {
    database.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each(queries)('$name: from an index', ({ program, rows: most }) => {
    const work = program(programs);
    let step = work.next([]);
    let statements = 0;
    while (!step.done) {
      const { sql, parameters } = step.value.compile(sqliteCompiler);
      const given = parameters as (string | number | null)[];
      const plan = database.prepare(`explain query plan ${sql}`).all(...given);
      // A table in the order of its key, from the place where the page begins, is no search and reads no more than the page.
      const scans = plan
        .map(({ detail }) => String(detail))
        .filter((detail) => /^SCAN usage_(?!day\b)/.test(detail));
      expect(scans).toEqual([]);
      statements += 1;
      step = work.next(database.prepare(sql).all(...given));
    }
    expect(statements).toBeGreaterThan(0);
    if (most !== undefined) expect(step.value).toHaveLength(most);
  });
});
