import { Client } from 'pg';
import type { MigrationStatus } from '../sql/migration-programs.ts';
import { driverOptions, portError, type PostgresOptions } from './connection.ts';
import { rowsOf, runInTransaction, runProgram } from './database.ts';

/** Which lock two migrating processes meet at: a number that nothing else in the database uses, we hope. */
const lockId = 0x61_69_67_77;

/** Brings a database's schema to a release, and back. One at a time: a second process waits for the first. */
export interface Migrator {
  /** Every step, made or not, also those of a later release that were made here. */
  status(): Promise<readonly MigrationStatus[]>;
  /** The steps that `apply` would make. Changes nothing. */
  plan(): Promise<readonly MigrationStatus[]>;
  /**
   * Makes the missing steps one after the other. Each happens as a whole or not at all, so an interrupted run is resumed by the next.
   *
   * @returns the steps that were made
   */
  apply(): Promise<readonly MigrationStatus[]>;
  /**
   * Takes back the steps after this one, the newest first, with the data in what they added. 0 takes back all.
   *
   * @returns the steps that were taken back
   */
  rollback(to: number): Promise<readonly MigrationStatus[]>;
  close(): Promise<void>;
}

/**
 * @param options - with no limit on how long a statement takes, unless it is given: a large table takes its time
 * @throws {StoreUnavailableError} if the server cannot be reached
 */
export async function createPostgresMigrator(options: PostgresOptions): Promise<Migrator> {
  const client = new Client({
    ...driverOptions(options),
    statement_timeout: options.statementTimeoutMs ?? 0,
    query_timeout: 0,
  });
  // It fails the statement under way, and the next.
  client.on('error', () => undefined);
  await client.connect().catch((error: unknown) => {
    throw portError(error);
  });

  const status = async (): Promise<readonly MigrationStatus[]> =>
    (await runProgram(client, 'migrationStatus', [])) as MigrationStatus[];

  const locked = async <T>(work: () => Promise<T>): Promise<T> => {
    await rowsOf(client, 'select pg_advisory_lock($1)', [lockId]);
    try {
      return await work();
    } finally {
      // Where the connection is gone the lock is too.
      await rowsOf(client, 'select pg_advisory_unlock($1)', [lockId]).catch(() => undefined);
    }
  };

  return {
    status,
    plan: async () => (await status()).filter(({ appliedAt }) => appliedAt === null),
    apply: () =>
      locked(async () => {
        const missing = (await status()).filter(({ appliedAt }) => appliedAt === null);
        for (const { id } of missing) {
          await runInTransaction(client, 'applyMigration', [id, Date.now()]);
        }
        const made = new Set(missing.map(({ id }) => id));
        return (await status()).filter(({ id }) => made.has(id));
      }),
    rollback: (to) =>
      locked(async () => {
        const later = (await status()).filter(({ id, appliedAt }) => id > to && appliedAt !== null);
        for (const { id } of later.toReversed()) {
          await runInTransaction(client, 'revertMigration', [id]);
        }
        return later;
      }),
    close: () => client.end(),
  };
}
