/**
 * What steps of later releases may do to a schema, all at once (`src/store/migrations/migrations.test.ts` lets none do more): each table has
 * columns that this release does not know, and an index over one of them; there are tables that it does not know; and the step is in
 * the list of those that were made.
 *
 * @param tables - all that there are, without parts of others
 */
export function laterSchema(tables: readonly string[]): readonly string[] {
  return [
    'create table later_table (id text primary key)',
    ...tables.flatMap((table) => [
      `alter table ${table} add column later_text text`,
      `alter table ${table} add column later_number bigint not null default 7`,
      `create index later_${table} on ${table} (later_number)`,
    ]),
    `insert into schema_migration (id, name, applied_at) values (9999, 'later', 1)`,
  ];
}
