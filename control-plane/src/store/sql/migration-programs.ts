import { sql } from 'kysely';
import { migrations } from '../migrations/index.ts';
import type { Dialect } from './dialect.ts';
import { query, type Program } from './program.ts';

/** A step of the schema as it stands in one store. */
export type MigrationStatus = {
  readonly id: number;
  readonly name: string;
  /** Milliseconds since the epoch; null when it is still to be made. */
  readonly appliedAt: number | null;
};

type Applied = { id: number; name: string; applied_at: number };

/** What brings a store's tables to the schema that this release works with. */
export function migrationPrograms(dialect: Dialect) {
  function* applied(): Program<readonly Applied[]> {
    // Asked before it is read: a database without the table is one where nothing was made, and looking changes nothing.
    const [found] = yield* query(dialect.tableNamed('schema_migration'));
    if (!found) return [];
    return yield* query<Applied>(
      sql`select id, name, applied_at from schema_migration order by id`,
    );
  }

  return {
    /** The ids of the steps that were made. */
    *appliedMigrations(): Program<readonly number[]> {
      return (yield* applied()).map(({ id }) => id);
    },

    /** Every step, also those of a later release that were made here. */
    *migrationStatus(): Program<readonly MigrationStatus[]> {
      const made = yield* applied();
      const known = migrations.map(({ id, name }) => ({
        id,
        name,
        appliedAt: made.find((row) => row.id === id)?.applied_at ?? null,
      }));
      const later = made
        .filter(({ id }) => migrations.every((migration) => migration.id !== id))
        .map(({ id, name, applied_at }) => ({ id, name, appliedAt: applied_at }));
      return [...known, ...later];
    },

    /** Makes one step, unless it was made. All of it or nothing: an interrupted run goes on where it stopped. */
    *applyMigration(id: number, nowMs: number): Program<void> {
      const migration = migrations.find((known) => known.id === id);
      if (!migration) throw new RangeError(`there is no migration ${id}`);
      yield* query(sql`
        create table if not exists schema_migration (
          id bigint primary key,
          name text not null,
          applied_at bigint not null
        )`);
      if ((yield* applied()).some((made) => made.id === id)) return;
      for (const statement of migration.up(dialect)) yield* query(statement);
      yield* query(sql`
        insert into schema_migration (id, name, applied_at) values (${id}, ${migration.name}, ${nowMs})`);
    },

    /** Takes back one step, unless it was not made. */
    *revertMigration(id: number): Program<void> {
      const migration = migrations.find((known) => known.id === id);
      if (!migration)
        throw new RangeError(`migration ${id} is of a later release: take it back with that one`);
      if ((yield* applied()).every((made) => made.id !== id)) return;
      for (const statement of migration.down(dialect)) yield* query(statement);
      yield* query(sql`delete from schema_migration where id = ${id}`);
    },
  };
}
