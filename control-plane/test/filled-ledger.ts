import type { UsageRecord } from '@aigateway/contract/usage';
import type { DatabaseSync } from 'node:sqlite';
import { sql, type RawBuilder } from 'kysely';
import { Client } from 'pg';
import { postgresCompiler } from '../src/store/postgres/database.ts';
import { postgres, sqlite, type Columns, type Dialect } from '../src/store/sql/dialect.ts';
import { ledgerPrograms, rowOf, sumNames, tableOf } from '../src/store/sql/ledger-programs.ts';
import { query, type Program } from '../src/store/sql/program.ts';
import { sqliteCompiler } from '../src/store/sqlite/database.ts';
import { dayOf, hourMs, sumUsage } from '../src/store/usage-sums.ts';

const dayMs = 24 * hourMs;

/** Requests that are spread evenly over days, for a database that makes their rows itself. */
export type Filling = {
  readonly producer: string;
  /** Milliseconds since the epoch, the beginning of a UTC day. */
  readonly from: number;
  readonly days: number;
  readonly requestsADay: number;
  /** Requests differ by these, one after the other, and else by id and time only. */
  readonly kinds: readonly UsageRecord[];
};

/** The request with which a filling begins is 0. */
export function filledRecord(filling: Filling, at: number): UsageRecord {
  const { from, requestsADay, kinds } = filling;
  const ofDay = at % requestsADay;
  const kind = kinds[at % kinds.length];
  if (!kind) throw new RangeError('a filling needs a kind of request');
  return {
    ...kind,
    requestId: `${filling.producer}-${at}`,
    startedAt:
      from + Math.floor(at / requestsADay) * dayMs + Math.floor((ofDay * dayMs) / requestsADay),
  };
}

/** Each day in a transaction: with `wal_level=minimal` PostgreSQL then writes no log of it. */
export async function fillPostgres(connectionString: string, filling: Filling): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  const run = async (program: Program<void>): Promise<void> => {
    let step = program.next([]);
    while (!step.done) {
      const { sql: text, parameters } = step.value.compile(postgresCompiler);
      step = program.next((await client.query(text, [...parameters])).rows as unknown[]);
    }
  };
  await run(prepareFilling(postgres, filling));
  for (let day = 0; day < filling.days; day += 1) {
    await client.query('begin');
    await run(fillDay(postgres, filling, day));
    await client.query('commit');
  }
  await client.query('analyze');
  await client.end();
}

export function fillSqlite(database: DatabaseSync, filling: Filling): void {
  const run = (program: Program<void>): void => {
    let step = program.next([]);
    while (!step.done) {
      const { sql: text, parameters } = step.value.compile(sqliteCompiler);
      step = program.next(database.prepare(text).all(...(parameters as (string | number)[])));
    }
  };
  run(prepareFilling(sqlite, filling));
  for (let day = 0; day < filling.days; day += 1) {
    database.exec('begin immediate');
    run(fillDay(sqlite, filling, day));
    database.exec('commit');
  }
}

const kindColumns: Columns = {
  kind: 'bigint',
  key_id: 'text',
  user_id: 'text',
  team_id: 'text',
  customer_id: 'text',
  model: 'text',
  failed: 'bigint',
  before_id: 'text',
  before_time: 'text',
  after_time: 'text',
};
const sumColumns: Columns = {
  kind: 'bigint',
  dimension: 'text',
  by_dimension: 'text',
  id: 'text',
  by_id: 'text',
  ...Object.fromEntries(sumNames.map(([name]) => [name, 'bigint'])),
};

/** What the days of a filling are made from, in tables that go with the connection. */
function* prepareFilling(dialect: Dialect, { kinds }: Filling): Program<void> {
  yield* keep(dialect, 'filled_kind', kindColumns, kinds.map(kindRow));
  const sums = kinds.flatMap((record, kind) =>
    sumUsage([record])
      .daily.flat()
      .map((row) => ({ kind, ...row })),
  );
  yield* keep(dialect, 'filled_sum', sumColumns, sums);
}

function* keep(
  dialect: Dialect,
  table: string,
  columns: Columns,
  rows: readonly object[],
): Program<void> {
  const names = sql.join(Object.keys(columns).map((name) => sql.ref(name)));
  yield* query(sql`drop table if exists ${sql.table(table)}`);
  yield* query(
    sql`create temporary table ${sql.table(table)} as select ${names} from ${dialect.rows(rows, columns)}`,
  );
  yield* query(sql`create index ${sql.ref(`${table}_kind`)} on ${sql.table(table)} (kind)`);
}

const idMark = 'the id of the request';
const timeMark = 8_888_888_888_888;

/** The text of a record, cut where its id and its time stand. */
function kindRow(record: UsageRecord, kind: number): object {
  const row = rowOf('', {
    sequence: 0,
    record: { ...record, requestId: idMark, startedAt: timeMark },
  });
  const [before_id = '', rest = ''] = row.record.split(idMark);
  const [before_time = '', after_time = ''] = rest.split(String(timeMark));
  return { ...row, kind, before_id, before_time, after_time };
}

/** Requests of one day of a filling, the first being 0, and their sums: what an append of each would have made of an empty day. */
function* fillDay(dialect: Dialect, filling: Filling, day: number): Program<void> {
  const { producer, from, requestsADay, kinds } = filling;
  const first = day * requestsADay;
  const start = from + day * dayMs;
  const name = dayOf(start);
  const table = sql.table(tableOf(name));
  if (dialect.partitioned) {
    // Without its indexes, which are made at once when it becomes a part of the whole.
    yield* query(sql`insert into usage_day (day) values (${name})`);
    yield* query(sql`create table ${table} (like usage_record)`);
  } else {
    yield* ledgerPrograms(dialect).addUsageDays([name]);
  }
  const at = sql`(n + ${sql.lit(first)})`;
  const startedAt = sql`(${sql.lit(start)} + n * ${sql.lit(dayMs)} / ${sql.lit(requestsADay)})`;
  const requests = sql`
    (select n, ${at} % ${sql.lit(kinds.length)} as kind, ${startedAt} as started_at
     from ${numbers(dialect, requestsADay)}) as request`;
  yield* query(sql`
    insert into ${table}
      (started_at, producer, sequence, request_id, key_id, user_id, team_id, customer_id, model, failed, record)
    select started_at, ${sql.lit(producer)}, ${at} + 1, ${sql.lit(`${producer}-`)} || ${at}, key_id, user_id, team_id, customer_id,
      model, failed, before_id || ${sql.lit(`${producer}-`)} || ${at} || before_time || started_at || after_time
    from ${requests} join filled_kind on filled_kind.kind = request.kind`);
  if (dialect.partitioned) {
    yield* query(sql`
      alter table usage_record attach partition ${table}
      for values from (${sql.lit(start)}) to (${sql.lit(start + dayMs)})`);
  }

  yield* query(sql`drop table if exists filled_count`);
  yield* query(sql`
    create temporary table filled_count as
    select kind, started_at - started_at % ${sql.lit(hourMs)} as hour, count(*) as times
    from ${requests} group by 1, 2`);
  const columns = sql.join(sumNames.map(([, column]) => sql.ref(column)));
  const sums = sql.join(
    sumNames.map(([sum]) => sql`sum(filled_sum.${sql.ref(sum)} * counted.times)`),
  );
  yield* query(sql`
    insert into usage_hour (dimension, id, hour, ${columns})
    select dimension, id, hour, ${sums}
    from filled_sum join filled_count as counted on counted.kind = filled_sum.kind
    where by_dimension = '' group by dimension, id, hour`);
  yield* query(sql`
    insert into usage_daily (dimension, by_dimension, id, day, by_id, ${columns})
    select dimension, by_dimension, id, ${sql.lit(name)}, by_id, ${sums}
    from filled_sum join (select kind, sum(times) as times from filled_count group by kind) as counted on counted.kind = filled_sum.kind
    group by dimension, by_dimension, id, by_id`);
  yield* query(sql`
    insert into usage_mark (producer, sequence) values (${sql.lit(producer)}, ${sql.lit(first + requestsADay)})
    on conflict (producer) do update set sequence = excluded.sequence`);
}

function numbers(dialect: Dialect, count: number): RawBuilder<unknown> {
  const last = sql.lit(count - 1);
  return dialect.name === 'postgres'
    ? sql`generate_series(0::bigint, ${last}) as n`
    : sql`(with recursive numbers(n) as (select 0 union all select n + 1 from numbers where n < ${last}) select n from numbers)`;
}
