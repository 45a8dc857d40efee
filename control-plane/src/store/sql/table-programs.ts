import { sql, type RawBuilder } from 'kysely';
import type { Columns, Dialect } from './dialect.ts';
import { sumNames } from './ledger-programs.ts';
import { query, type Program } from './program.ts';

/** A row by the names of its columns. */
export type TableRow = { readonly [column: string]: string | number };

type Table = {
  /** Its primary key, in the order that rows are read in. */
  readonly key: Columns;
  readonly rest: Columns;
};

const sums: Columns = Object.fromEntries(sumNames.map(([, column]) => [column, 'bigint' as const]));

/** Tables that are read and filled as they stand. */
const tables = {
  // By day: who keeps sums otherwise has those of one day together.
  usage_daily: {
    key: { dimension: 'text', by_dimension: 'text', day: 'text', id: 'text', by_id: 'text' },
    rest: sums,
  },
  usage_hour: { key: { dimension: 'text', id: 'text', hour: 'bigint' }, rest: sums },
  usage_correction: { key: { id: 'text' }, rest: {} },
  usage_mark: { key: { producer: 'text' }, rest: { sequence: 'bigint' } },
} as const satisfies { [name: string]: Table };

export type TableName = keyof typeof tables;

/** What moves a table's rows from store to store. */
export function tablePrograms(dialect: Dialect) {
  return {
    /** @param after - the last row of the page before */
    *readRows(
      name: TableName,
      after: TableRow | undefined,
      limit: number,
    ): Program<readonly TableRow[]> {
      const { key, rest }: Table = tables[name];
      const keys = refs(key);
      const values = Object.keys(key).map((column) => sql`${after?.[column]}`);
      const beyond = after ? sql`where (${keys}) > (${sql.join(values)})` : sql``;
      return yield* query<TableRow>(sql`
        select ${refs({ ...key, ...rest })} from ${sql.table(name)} ${beyond}
        order by ${keys} limit ${limit}`);
    },

    /** Makes rows as they are given, whatever stands in their place. Nobody else writes meanwhile. */
    *putRows(name: TableName, rows: readonly TableRow[]): Program<void> {
      const { key, rest }: Table = tables[name];
      const columns = refs({ ...key, ...rest });
      const replaced = Object.keys(rest).map(
        (column) => sql`${sql.ref(column)} = ${sql.ref(`excluded.${column}`)}`,
      );
      const instead =
        replaced.length === 0 ? sql`do nothing` : sql`do update set ${sql.join(replaced)}`;
      yield* query(sql`
        insert into ${sql.table(name)} (${columns})
        select ${columns} from ${dialect.rows(rows, { ...key, ...rest })}
        where true
        on conflict (${refs(key)}) ${instead}`);
    },
  };
}

function refs(columns: Columns): RawBuilder<unknown> {
  return sql.join(Object.keys(columns).map((column) => sql.ref(column)));
}
