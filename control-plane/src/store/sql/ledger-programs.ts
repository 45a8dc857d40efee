import type { UsageRecord } from '@aigateway/contract/usage';
import { sql, type RawBuilder } from 'kysely';
import type { ActivityQuery, Dimension, LedgerEvent, LedgerSums } from '../ledger.ts';
import type { Columns, Dialect } from './dialect.ts';
import { query, type Program } from './program.ts';
import { toColumn } from './text.ts';
import { eventsAfter } from '../prepared-usage.ts';
import { dayOf, hourMs, isSingle, sumUsage } from '../usage-sums.ts';

const dayMs = 24 * hourMs;

/** Rows of one statement that takes usage in: whoever waits for its answer lets others have their turn of the event loop. */
const recordsAtOnce = 250;
const sumsAtOnce = 1000;

/** How long the table of all days is waited for. Meanwhile usage and reports may wait too. */
const tableWaitMs = 500;

/** What is looked up among single records; texts in the form of columns. */
export type RecordPage = {
  limit: number;
  after: { startedAt: number; producer: string; sequence: number } | undefined;
  fromMs: number;
  /** Not included. */
  toMs: number;
  /** Columns and the value that each must have. */
  where: readonly { column: RecordColumn; value: string | number }[];
};

export type RecordColumn =
  | 'request_id'
  | 'key_id'
  | 'user_id'
  | 'team_id'
  | 'customer_id'
  | 'model'
  | 'failed';

export type RecordRow = { started_at: number; producer: string; sequence: number; record: string };

export type ActivityFilter = {
  dimension: Dimension;
  by: Dimension | '';
  byId: string | undefined;
  ids: readonly string[] | undefined;
  fromDay: string;
  toDay: string;
  over: ActivityQuery['over'];
  highest: number | undefined;
};

const places = ['day', 'id', 'by_id'] as const;

/** Activity by columns, each as long as the others: `dialect.textsOf`, `dialect.numbersOf`. */
export type ActivityColumns = {
  readonly [name in (typeof places)[number] | keyof LedgerSums]: string;
};

/** Members of sums and their columns. */
export const sumNames: readonly (readonly [keyof LedgerSums, string])[] = [
  ['requests', 'requests'],
  ['failed', 'failed'],
  ['inputTokens', 'input_tokens'],
  ['cachedInputTokens', 'cached_input_tokens'],
  ['cacheWriteTokens', 'cache_write_tokens'],
  ['outputTokens', 'output_tokens'],
  ['reasoningTokens', 'reasoning_tokens'],
  ['costNanoUsd', 'cost_nano_usd'],
];

const hourKey: Columns = { dimension: 'text', id: 'text', hour: 'bigint' };
const dailyKey: Columns = {
  dimension: 'text',
  by_dimension: 'text',
  id: 'text',
  day: 'text',
  by_id: 'text',
};
const recordColumns: Columns = {
  started_at: 'bigint',
  producer: 'text',
  sequence: 'bigint',
  request_id: 'text',
  key_id: 'text',
  user_id: 'text',
  team_id: 'text',
  customer_id: 'text',
  model: 'text',
  failed: 'bigint',
  record: 'text',
};
const indexedColumns = ['request_id', 'key_id', 'user_id', 'team_id', 'customer_id'] as const;

/** Defines a table of single usage records: `end` follows the columns, which are the same for all days. */
export function recordTable(
  dialect: Dialect,
  table: string,
  end: RawBuilder<unknown>,
): RawBuilder<unknown>[] {
  const { text } = dialect;
  return [
    sql`
      create table ${sql.table(table)} (
        started_at bigint not null,
        producer ${text} not null,
        sequence bigint not null,
        request_id ${text} not null,
        key_id ${text} not null,
        user_id ${text},
        team_id ${text},
        customer_id ${text},
        model ${text} not null,
        failed smallint not null,
        record text not null,
        primary key (started_at, producer, sequence)
      ) ${end}`,
    ...indexedColumns.map(
      (column) => sql`
        create index ${sql.ref(`${table}_${column}`)} on ${sql.table(table)} (${sql.ref(column)}, started_at)
        where ${sql.ref(column)} is not null`,
    ),
  ];
}

/** What a store does for the port `Ledger`. */
export function ledgerPrograms(dialect: Dialect) {
  return {
    /** @returns the mark, or the days that must be there before (`addUsageDays`) */
    *appendUsage(
      producer: string,
      events: readonly LedgerEvent[],
      floor: number,
    ): Program<{ mark: number } | { missingDays: readonly string[] }> {
      yield* query(sql`
        insert into usage_mark (producer, sequence) values (${producer}, 0)
        on conflict (producer) do nothing`);
      const [marked] = yield* query<{ sequence: number }>(sql`
        select sequence from usage_mark where producer = ${producer} ${dialect.forUpdate('usage_mark')}`);
      const before = marked?.sequence ?? 0;
      const { fresh, mark } = eventsAfter(Math.max(before, floor), events);
      if (mark === before) return { mark };

      const days = new Set(fresh.filter(isSingle).map(({ record }) => dayOf(record.startedAt)));
      const given = [...days].toSorted().map((day) => ({ day }));
      const there = yield* query<{ day: string }>(sql`
        select usage_day.day from ${dialect.rows(given, { day: 'text' })}
        join usage_day on usage_day.day = given.day
        order by usage_day.day
        ${dialect.forShare('usage_day')}`);
      if (there.length < given.length) {
        const known = new Set(there.map(({ day }) => day));
        return { missingDays: given.flatMap(({ day }) => (known.has(day) ? [] : [day])) };
      }

      if (fresh.length > 0) {
        const counted = yield* withoutRepeatedCorrections(fresh);
        const single = counted.filter(isSingle);
        for (const [day, ofDay] of Map.groupBy(single, ({ record }) => dayOf(record.startedAt))) {
          for (let at = 0; at < ofDay.length; at += recordsAtOnce)
            yield* insertRecords(day, producer, ofDay.slice(at, at + recordsAtOnce));
        }
        const { hourly, daily } = sumUsage(counted.map(({ record }) => record));
        for (const rows of joined(hourly)) yield* addSums('usage_hour', hourKey, rows);
        for (const rows of joined(daily)) yield* addSums('usage_daily', dailyKey, rows);
      }
      yield* query(sql`update usage_mark set sequence = ${mark} where producer = ${producer}`);
      return { mark };
    },

    /** Single records of days that are there (`addUsageDays`), as another ledger has them; sums and marks are left as they are. */
    *loadRecords(day: string, producer: string, events: readonly LedgerEvent[]): Program<void> {
      yield* insertRecords(
        day,
        producer,
        events,
        sql`on conflict (started_at, producer, sequence) do nothing`,
      );
    },

    /**
     * A place for the single records of each day. In a transaction of its own: PostgreSQL locks the whole table for it against others who
     * add to it, and only after all days are named. Whoever names days meanwhile waits for one of them, and has not locked the table.
     */
    *addUsageDays(days: readonly string[]): Program<void> {
      const given = days.toSorted().map((day) => ({ day }));
      const added = yield* query<{ day: string }>(sql`
        insert into usage_day (day) select day from ${dialect.rows(given, { day: 'text' })}
        where true
        order by day
        on conflict (day) do nothing returning day`);
      for (const { day } of added) {
        const table = tableOf(day);
        if (!dialect.partitioned) {
          for (const statement of recordTable(dialect, table, dialect.byPrimaryKey))
            yield* query(statement);
          continue;
        }
        const from = Date.parse(day);
        // To make it as a partition would wait for all who read the whole table, a backup among them, and keep others from it meanwhile.
        yield* query(sql`
          create table ${sql.table(table)}
          (like usage_record including defaults including constraints including generated)`);
        yield* query(sql`
          alter table usage_record attach partition ${sql.table(table)}
          for values from (${sql.lit(from)}) to (${sql.lit(from + dayMs)})`);
      }
    },

    /**
     * One day in a transaction: whoever counts in it comes after, and SQLite has its turn for others between two days. PostgreSQL takes a
     * part of a table away only while nobody has the table, and who comes meanwhile waits as well: it gives up soon.
     *
     * @returns the day
     */
    *dropOldestUsageDay(before: string): Program<string | undefined> {
      const [oldest] = yield* query<{ day: string }>(sql`
        select day from usage_day where day < ${before}
        order by day limit 1 ${dialect.forUpdate('usage_day')}`);
      if (oldest === undefined) return undefined;
      yield* query(sql`delete from usage_day where day = ${oldest.day}`);
      if (dialect.partitioned) yield* query(sql`set local lock_timeout = ${sql.lit(tableWaitMs)}`);
      // Somebody may have dropped it by hand.
      yield* query(sql`drop table if exists ${sql.table(tableOf(oldest.day))}`);
      return oldest.day;
    },

    *usageMark(producer: string): Program<number> {
      const [row] = yield* query<{ sequence: number }>(
        sql`select sequence from usage_mark where producer = ${producer}`,
      );
      return row?.sequence ?? 0;
    },

    /** @param fromMs - a whole hour; the rest of its day goes by hours, later days as a whole */
    *spend(
      dimension: Dimension,
      ids: readonly string[],
      fromMs: number | undefined,
    ): Program<readonly { id: string; cost: number }[]> {
      const chosen = sql`dimension = ${dimension} and id in (${idsFrom(ids)})`;
      const days = sql`select id, cost_nano_usd from usage_daily where ${chosen} and by_dimension = ''`;
      if (fromMs === undefined) return yield* sumCosts(days);
      const nextDayMs = fromMs - (fromMs % dayMs) + dayMs;
      return yield* sumCosts(sql`
        select id, cost_nano_usd from usage_hour
        where ${chosen} and hour >= ${fromMs} and hour < ${nextDayMs}
        union all ${days} and day >= ${dayOf(nextDayMs)}`);
    },

    /** @returns columns, each as one text, which takes a fraction of the time that so many rows do */
    *activity({
      dimension,
      by,
      byId,
      ids,
      fromDay,
      toDay,
      over,
      highest,
    }: ActivityFilter): Program<ActivityColumns> {
      const added = over && { days: 'day', ids: 'id' }[over];
      const grouped = places.map((column) =>
        column === added ? sql`min(${sql.ref(column)}) as ${sql.ref(column)}` : sql.ref(column),
      );
      const sums = sumNames.map(([name, column]) => {
        const sum = added === undefined ? sql.ref(column) : sql`sum(${sql.ref(column)})`;
        return sql`${sum} as ${sql.ref(name)}`;
      });
      const chosen = ids ? sql` and id in (${idsFrom(ids)})` : sql``;
      const part = byId === undefined ? sql`` : sql` and by_id = ${byId}`;
      const groups = { days: sql`group by id, by_id`, ids: sql`group by day, by_id` };
      const first = highest === undefined ? sql`` : sql`"costNanoUsd" desc, `;
      const limit = highest === undefined ? sql`` : sql`limit ${highest}`;
      const columns = [
        ...places.map((name) => sql`${dialect.textsOf(sql.ref(name))} as ${sql.ref(name)}`),
        ...sumNames.map(([name]) => sql`${dialect.numbersOf(sql.ref(name))} as ${sql.ref(name)}`),
      ];
      const [found] = yield* query<ActivityColumns>(sql`
        select ${sql.join(columns)} from (
          select ${sql.join([...grouped, ...sums])} from usage_daily
          where dimension = ${dimension} and by_dimension = ${by} and day >= ${fromDay} and day <= ${toDay}${chosen}${part}
          ${over ? groups[over] : sql``}
          order by ${first}day, id, by_id ${limit}) as found`);
      if (found) return found;
      throw new Error('the database did not answer');
    },

    /** The day first: of hours that came from another kind of store not even the requests may be known. */
    *lastUse(
      dimension: Dimension,
      ids: readonly string[],
    ): Program<readonly { id: string; hour: number }[]> {
      const days = yield* query<{ id: string; day: string | null }>(sql`
        select given.id, (
          select day from usage_daily
          where dimension = ${dimension} and by_dimension = '' and usage_daily.id = given.id and requests > 0
          order by day desc limit 1) as day
        from ${dialect.rows(
          [...new Set(ids)].map((id) => ({ id })),
          { id: 'text' },
        )}`);
      const given = days.flatMap(({ id, day }) =>
        day === null ? [] : [{ id, from_ms: Date.parse(day), to_ms: Date.parse(day) + dayMs }],
      );
      return yield* query(sql`
        select given.id, coalesce(max(hour), min(from_ms)) as hour
        from ${dialect.rows(given, { id: 'text', from_ms: 'bigint', to_ms: 'bigint' })}
        left join usage_hour
        on dimension = ${dimension} and usage_hour.id = given.id and hour >= from_ms and hour < to_ms
        group by given.id`);
    },

    *usageRecords(page: RecordPage): Program<readonly RecordRow[]> {
      const toMs = Math.min(page.toMs, page.after ? page.after.startedAt + 1 : Infinity);
      const rows: RecordRow[] = [];
      for (const table of yield* recordTables(page.fromMs, toMs)) {
        const limit = page.limit - rows.length;
        rows.push(...(yield* recordsOf(table, { ...page, limit })));
        if (rows.length >= page.limit) break;
      }
      return rows;
    },
  };

  /** Without the corrections of what was corrected before, by this producer or another. */
  function* withoutRepeatedCorrections(
    events: readonly LedgerEvent[],
  ): Program<readonly LedgerEvent[]> {
    const given = new Set(events.flatMap(({ record }) => record.corrects ?? []));
    if (given.size === 0) return events;
    const ids = [...given].toSorted().map((id) => ({ id: toColumn(id) }));
    const added = yield* query<{ id: string }>(sql`
      insert into usage_correction (id) select id from ${dialect.rows(ids, { id: 'text' })}
      where true
      order by id
      on conflict (id) do nothing returning id`);
    const fresh = new Set(added.map(({ id }) => id));
    return events.filter(
      ({ record: { corrects } }) => corrects === undefined || fresh.delete(toColumn(corrects)),
    );
  }

  function* insertRecords(
    day: string,
    producer: string,
    events: readonly LedgerEvent[],
    end = sql``,
  ): Program<void> {
    const names = sql.join(Object.keys(recordColumns).map((name) => sql.ref(name)));
    const rows = events.map((event) => rowOf(producer, event));
    yield* query(sql`
      insert into ${sql.table(tableOf(day))} (${names})
      select ${names} from ${dialect.rows(rows, recordColumns)}
      where true
      ${end}`);
  }

  function* addSums(table: string, key: Columns, rows: readonly LedgerSums[]): Program<void> {
    const keys = sql.join(Object.keys(key).map((name) => sql.ref(name)));
    const columns: Columns = {
      ...key,
      ...Object.fromEntries(sumNames.map(([name]) => [name, 'bigint'])),
    };
    const given = sql.join(sumNames.map(([name]) => sql.ref(name)));
    const sums = sql.join(sumNames.map(([, column]) => sql.ref(column)));
    const added = sql.join(
      sumNames.map(
        ([, column]) =>
          sql`${sql.ref(column)} = ${sql.ref(`${table}.${column}`)} + ${sql.ref(`excluded.${column}`)}`,
      ),
    );
    yield* query(sql`
      insert into ${sql.table(table)} (${keys}, ${sums})
      select ${keys}, ${given} from ${dialect.rows(rows, columns)}
      where true
      order by ${keys}
      on conflict (${keys}) do update set ${added}`);
  }

  function idsFrom(ids: readonly string[]): RawBuilder<unknown> {
    return sql`select id from ${dialect.rows(
      ids.map((id) => ({ id })),
      { id: 'text' },
    )}`;
  }

  function* sumCosts(costs: RawBuilder<unknown>): Program<readonly { id: string; cost: number }[]> {
    return yield* query(sql`
      select id, sum(cost_nano_usd) as cost from (${costs}) as costs
      group by id having sum(cost_nano_usd) <> 0`);
  }

  /** Tables that hold the records of a time, one after the other in the order of pages. */
  function* recordTables(fromMs: number, toMs: number): Program<readonly string[]> {
    if (dialect.partitioned) return ['usage_record'];
    const days = yield* query<{ day: string }>(sql`select day from usage_day order by day desc`);
    return days.flatMap(({ day }) =>
      Date.parse(day) < toMs && Date.parse(day) + dayMs > fromMs ? [tableOf(day)] : [],
    );
  }

  function* recordsOf(
    table: string,
    { limit, after, fromMs, toMs, where }: RecordPage,
  ): Program<readonly RecordRow[]> {
    const conditions = [
      sql`started_at >= ${fromMs}`,
      sql`started_at < ${toMs}`,
      ...where.map(({ column, value }) => sql`${sql.ref(column)} = ${value}`),
    ];
    if (after) {
      conditions.push(
        sql`(started_at, producer, sequence) < (${after.startedAt}, ${after.producer}, ${after.sequence})`,
      );
    }
    return yield* query<RecordRow>(sql`
      select started_at, producer, sequence, record from ${sql.table(table)}
      where ${sql.join(conditions, sql` and `)}
      order by started_at desc, producer desc, sequence desc
      limit ${limit}`);
  }
}

/** Groups one after the other, so many together that a statement is worth its while. */
function* joined<Row>(groups: readonly (readonly Row[])[]): Iterable<readonly Row[]> {
  let rows: Row[] = [];
  for (const group of groups) {
    rows = rows.concat(group);
    if (rows.length < sumsAtOnce) continue;
    yield rows;
    rows = [];
  }
  if (rows.length > 0) yield rows;
}

/** Where the single records of a day are. */
export function tableOf(day: string): string {
  return `usage_record_${day.replaceAll('-', '')}`;
}

/** A single record in its columns. */
export function rowOf(
  producer: string,
  { sequence, record }: LedgerEvent,
): { readonly [column: string]: string | number | null; readonly record: string } {
  return {
    started_at: record.startedAt,
    producer,
    sequence,
    request_id: toColumn(record.requestId),
    key_id: toColumn(record.keyId),
    user_id: columnOf(record.userId),
    team_id: columnOf(record.teamId),
    customer_id: columnOf(record.customerId),
    model: toColumn(record.model),
    failed: failedColumn(record.outcome !== 'completed'),
    record: JSON.stringify(record satisfies UsageRecord),
  };
}

/** SQL's form of whether a request failed. */
export function failedColumn(failed: boolean): number {
  return failed ? 1 : 0;
}

function columnOf(text: string | undefined): string | null {
  return text === undefined ? null : toColumn(text);
}
