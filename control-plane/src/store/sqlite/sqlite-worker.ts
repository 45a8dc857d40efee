import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { migrations } from '../migrations/index.ts';
import { checkWhole } from '../migrations/schema.ts';
import { sqlite } from '../sql/dialect.ts';
import type { Program } from '../sql/program.ts';
import { isReading, storePrograms } from '../sql/programs.ts';
import { Database } from './database.ts';
import {
  toMessage,
  type CallMessage,
  type ResultMessage,
  type SqliteWorkerData,
} from './messages.ts';

/*
 * The thread that holds SQLite: its statements are synchronous, and whatever a report takes, it takes from nobody else.
 */

/** Calls that are answered together at most: the first waits for the last. */
const batchSize = 256;

const port = parentPort;
if (!port) throw new Error('this file is the store’s worker thread');
const { path, isSnapshot } = workerData as SqliteWorkerData;
const programs = storePrograms(sqlite);
let database: Database;

try {
  database = opened();
  port.on('message', (first: CallMessage | 'close') => answer(first));
  port.postMessage({ call: 0, ok: true, value: undefined } satisfies ResultMessage);
} catch (error) {
  port.postMessage({ call: 0, ok: false, error: toMessage(error) } satisfies ResultMessage);
}

/** The database with its schema. One that cannot be used is let go of before anybody hears of it: others may want the file. */
function opened(): Database {
  const one = new Database(path, isSnapshot);
  try {
    if (isSnapshot) checkWhole(one.run(programs.appliedMigrations()));
    else {
      for (const { id } of migrations) {
        one.transaction(() => one.run(programs.applyMigration(id, Date.now())));
      }
    }
    return one;
  } catch (error) {
    one.close();
    throw error;
  }
}

/** Answers what has come in so far in the order it came; all the writes among it are one commit. */
function answer(first: CallMessage | 'close'): void {
  const calls: CallMessage[] = [];
  let message: CallMessage | 'close' | undefined = first;
  while (message !== undefined && message !== 'close') {
    calls.push(message);
    message = calls.length < batchSize ? next() : undefined;
  }
  if (calls.length > 0) for (const result of resultsOf(calls)) port?.postMessage(result);
  if (message === 'close') {
    database.close();
    port?.close();
  }
}

function next(): CallMessage | 'close' | undefined {
  if (!port) return undefined;
  return (receiveMessageOnPort(port) as { message: CallMessage | 'close' } | undefined)?.message;
}

function resultsOf(calls: readonly CallMessage[]): readonly ResultMessage[] {
  if (calls.every(({ name }) => isReading(name))) return calls.map((call) => attempt(call, run));
  try {
    return database.transaction(() =>
      calls.map((call) => attempt(call, (each) => database.part(() => run(each)))),
    );
  } catch (error) {
    return calls.map(({ call }) => ({ call, ok: false, error: toMessage(error) }));
  }
}

function attempt(call: CallMessage, work: (call: CallMessage) => unknown): ResultMessage {
  try {
    return { call: call.call, ok: true, value: work(call) };
  } catch (error) {
    return { call: call.call, ok: false, error: toMessage(error) };
  }
}

function run({ name, args }: CallMessage): unknown {
  // The types of a call were checked where it was made: `Run`.
  const program = programs[name] as (...args: readonly unknown[]) => Program<unknown>;
  return database.run(program(...args));
}
