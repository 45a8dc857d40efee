import type { RawBuilder } from 'kysely';

/** Rows as a driver gives them: members named by the statement, whole numbers as numbers. */
export type Rows = readonly unknown[];

/**
 * What a store does for one call, as a generator of statements that is handed their rows. So one text serves a synchronous
 * connection in a worker thread and an asynchronous one in a pool, and whoever runs it decides about transactions, retries and
 * batches. A program may be run again from its start: it has no effect but its statements.
 */
export type Program<T> = Generator<RawBuilder<unknown>, T, Rows>;

/** One statement, with the type of its rows. */
export function* query<Row>(statement: RawBuilder<unknown>): Program<readonly Row[]> {
  return (yield statement) as readonly Row[];
}
