import { Client, Pool, type PoolClient } from 'pg';
import { migrations } from '../migrations/index.ts';
import { checkWhole } from '../migrations/schema.ts';
import { isReading, type ProgramName, type ResultOf, type Run } from '../sql/programs.ts';
import { sqlStore } from '../sql/sql-store.ts';
import type { Store, StoreSnapshot } from '../store.ts';
import { driverOptions, isRetried, portError, type PostgresOptions } from './connection.ts';
import { isBroken, rowsOf, runInTransaction, runProgram } from './database.ts';

/** Tries of a transaction that others got in the way of. */
const tries = 5;

/**
 * A store in a PostgreSQL database (14 or later), over one pool of connections. Its tables are another program's to make
 * (`createPostgresMigrator`).
 *
 * @throws {StoreUnavailableError} if the server cannot be reached
 * @throws {Error} if the database lacks a migration of this release
 */
export async function createPostgresStore(options: PostgresOptions): Promise<Store> {
  const pool = new Pool(driverOptions(options));
  // Of a connection that nobody uses at the moment: the pool has replaced it, and without a listener the process would end.
  pool.on('error', ignore);
  // One that breaks while it is used fails its statement, and the event comes besides: as early as with the word that it is open.
  pool.on('connect', (client) => client.on('error', ignore));

  const run: Run = async <Name extends ProgramName>(name: Name, ...args: readonly unknown[]) => {
    const runOnce = isReading(name) ? runProgram : runInTransaction;
    for (let left = tries - 1; ; left -= 1) {
      try {
        return (await withClient(pool, (client) => runOnce(client, name, args))) as ResultOf<Name>;
      } catch (error) {
        if (left === 0 || !isRetried(error)) throw error;
      }
    }
  };

  const close = async (): Promise<void> => {
    if (!pool.ending) await pool.end();
  };
  try {
    await checkSchema(run);
  } catch (error) {
    await close();
    throw error;
  }
  return sqlStore(run, close);
}

/**
 * A store's database as it stands now, whoever writes to it meanwhile: one transaction, which sees one state and cannot write.
 *
 * @throws {StoreUnavailableError} if the server cannot be reached
 * @throws {Error} if it is of another release's schema
 */
export async function createPostgresSnapshot(options: PostgresOptions): Promise<StoreSnapshot> {
  const client = new Client({
    ...driverOptions(options),
    // Between two pages may lie as long as whoever takes them needs.
    idle_in_transaction_session_timeout: 0,
  });
  // It fails the statement under way, and the next.
  client.on('error', ignore);
  await client.connect().catch((error: unknown) => {
    throw portError(error);
  });
  const run: Run = async <Name extends ProgramName>(name: Name, ...args: readonly unknown[]) =>
    (await runProgram(client, name, args)) as ResultOf<Name>;
  const close = (): Promise<void> => client.end();
  try {
    await rowsOf(client, 'begin isolation level repeatable read, read only');
    checkWhole(await run('appliedMigrations'));
    // A day that is dropped is gone for all, also for those who began before and have not come to it.
    await rowsOf(client, 'lock table usage_record in access share mode');
  } catch (error) {
    await close();
    throw error;
  }
  return { ...sqlStore(run, close), kind: 'postgres', confirm: () => Promise.resolve() };
}

async function withClient<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    throw portError(error);
  });
  let broken = false;
  try {
    return await work(client);
  } catch (error) {
    broken = isBroken(error);
    throw error;
  } finally {
    client.release(broken);
  }
}

function ignore(): void {}

/** A later release's migrations are no hindrance: the release before can always live with them. */
async function checkSchema(run: Run): Promise<void> {
  const made = new Set(await run('appliedMigrations'));
  const missing = migrations.filter(({ id }) => !made.has(id));
  if (missing.length === 0) return;
  const names = missing.map(({ id, name }) => `${id} (${name})`).join(', ');
  throw new Error(`the database lacks migrations ${names}: apply them with --migrate apply`);
}
