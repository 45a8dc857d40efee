import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely';
import { DatabaseError, type ClientBase } from 'pg';
import { StoreUnavailableError } from '../entities.ts';
import { postgres } from '../sql/dialect.ts';
import type { Program } from '../sql/program.ts';
import { storePrograms, type ProgramName } from '../sql/programs.ts';
import { portError } from './connection.ts';

/** Makes SQL of statements, and runs none. */
export const postgresCompiler = new Kysely<unknown>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
});

const programs = storePrograms(postgres);

/** Runs a program of the store over a connection. */
export async function runProgram(
  client: ClientBase,
  name: ProgramName,
  args: readonly unknown[],
): Promise<unknown> {
  // The types of a call were checked where it was made: `Run`.
  const program = (programs[name] as (...args: readonly unknown[]) => Program<unknown>)(...args);
  let step = program.next([]);
  while (!step.done) {
    const { sql, parameters } = step.value.compile(postgresCompiler);
    step = program.next(await rowsOf(client, sql, parameters));
  }
  return step.value;
}

/** Runs a program in a transaction: all of it happens or nothing. */
export async function runInTransaction(
  client: ClientBase,
  name: ProgramName,
  args: readonly unknown[],
): Promise<unknown> {
  await rowsOf(client, 'begin');
  try {
    const result = await runProgram(client, name, args);
    await rowsOf(client, 'commit');
    return result;
  } catch (error) {
    if (!isBroken(error)) await rowsOf(client, 'rollback');
    throw error;
  }
}

/** One statement, with errors as the port has them. */
export async function rowsOf(
  client: ClientBase,
  sql: string,
  parameters: readonly unknown[] = [],
): Promise<readonly unknown[]> {
  try {
    return (await client.query(sql, [...parameters])).rows as unknown[];
  } catch (error) {
    throw portError(error);
  }
}

/** Whether an error leaves the connection in a state that nobody knows: what the server answered does not. */
export function isBroken(error: unknown): boolean {
  return error instanceof StoreUnavailableError && !(error.cause instanceof DatabaseError);
}
