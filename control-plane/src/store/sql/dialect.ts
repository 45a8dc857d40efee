import { sql, type RawBuilder } from 'kysely';

/** Columns of a list of rows and their types. */
export type Columns = { readonly [name: string]: 'text' | 'bigint' };

/** What the two databases say differently. All else is one text for both. */
export type Dialect = {
  readonly name: 'sqlite' | 'postgres';
  /** A list of rows as a source to select from: as many parameters however many there are. Absent members are null. */
  rows(rows: readonly object[], columns: Columns): RawBuilder<unknown>;
  /** Keeps the selected rows of a table for this transaction. SQLite's writers wait for each other anyway. */
  forUpdate(table: string): RawBuilder<unknown>;
  /** Keeps others from removing the selected rows of a table. */
  forShare(table: string): RawBuilder<unknown>;
  /** One row if there is a table of this name. */
  tableNamed(table: string): RawBuilder<unknown>;
  /** All values of a column in the order of the rows, as the text of a JSON array. */
  textsOf(column: RawBuilder<unknown>): RawBuilder<unknown>;
  /** The same of whole numbers, where the brackets may be others. */
  numbersOf(column: RawBuilder<unknown>): RawBuilder<unknown>;
  /** Type of text that is compared byte by byte: pages and locks go by its order. */
  readonly text: RawBuilder<unknown>;
  /** Ends the definition of a table that is read by its primary key. */
  readonly byPrimaryKey: RawBuilder<unknown>;
  /** True where single usage records are parts of one table, which the database reads in order. */
  readonly partitioned: boolean;
};

const nothing = sql``;

export const sqlite: Dialect = {
  name: 'sqlite',
  rows(rows, columns) {
    const names = Object.keys(columns);
    // By position: SQLite takes half the time to read a row by that.
    const values = rows.map((row) =>
      names.map((name) => (row as { [name: string]: unknown })[name]),
    );
    const selected = names.map((name, at) => sql`value ->> ${sql.lit(at)} as ${sql.ref(name)}`);
    return sql`(select ${sql.join(selected)} from json_each(${JSON.stringify(values)})) as given`;
  },
  forUpdate: () => nothing,
  forShare: () => nothing,
  tableNamed: (table) => sql`select 1 as found from sqlite_schema where name = ${table}`,
  textsOf: (column) => sql`json_group_array(${column})`,
  numbersOf: (column) => sql`json_group_array(${column})`,
  text: sql`text`,
  byPrimaryKey: sql`without rowid`,
  partitioned: false,
};

export const postgres: Dialect = {
  name: 'postgres',
  rows(rows, columns) {
    // An array for each column: PostgreSQL reads them in a fraction of the time that JSON takes it, and knows how many rows there are.
    // Texts compare as those of the tables do, whatever the language of the database: rows are sorted, and so locked, in the order of those.
    const arrays = Object.entries(columns).map(([name, type]) =>
      type === 'text'
        ? sql`${arrayOf(rows, name)}::text[] collate "C"`
        : sql`${arrayOf(rows, name)}::bigint[]`,
    );
    const names = Object.keys(columns).map((name) => sql.ref(name));
    return sql`unnest(${sql.join(arrays)}) as given(${sql.join(names)})`;
  },
  forUpdate: (table) => sql`for update of ${sql.table(table)}`,
  forShare: (table) => sql`for share of ${sql.table(table)}`,
  tableNamed: (table) => sql`select 1 as found where to_regclass(${table}) is not null`,
  textsOf: (column) => sql`coalesce(array_to_json(array_agg(${column}))::text, '[]')`,
  // In `{}`. To write them as JSON, or only to exchange the brackets, takes the server as long as all else does.
  numbersOf: (column) => sql`coalesce(array_agg(${column})::text, '{}')`,
  text: sql`text collate "C"`,
  byPrimaryKey: nothing,
  partitioned: true,
};

const quoted = /["\\]/;

type Value = string | number | null | undefined;

/** A column of rows as PostgreSQL writes arrays. */
function arrayOf(rows: readonly object[], name: string): string {
  let text = '';
  for (const row of rows) {
    const value = (row as { readonly [name: string]: Value })[name];
    text += `${text === '' ? '{' : ','}${elementOf(value)}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

function elementOf(value: Value): string {
  if (value === undefined || value === null) return 'null';
  if (typeof value === 'number') return String(value);
  return `"${quoted.test(value) ? value.replaceAll(/["\\]/g, '\\$&') : value}"`;
}
