import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { StoreUnavailableError } from '../entities.ts';
import type { ProgramName, ResultOf, Run } from '../sql/programs.ts';
import { sqlStore } from '../sql/sql-store.ts';
import type { Store, StoreSnapshot } from '../store.ts';
import {
  fromMessage,
  type CallMessage,
  type ResultMessage,
  type SqliteWorkerData,
} from './messages.ts';

export type SqliteOptions = {
  /** The file, made with its directory when there is none; `:memory:` for a store that ends with the process. */
  path: string;
};

type Pending = { resolve: (value: unknown) => void; reject: (error: Error) => void };

/**
 * A store in one file, in a worker thread of its own (design: a report cannot stall a stream). Brings its tables to this release's
 * schema by itself.
 *
 * @throws {StoreUnavailableError} if the file cannot be opened or is no store
 */
export function createSqliteStore({ path }: SqliteOptions): Promise<Store> {
  return open({ path, isSnapshot: false });
}

/**
 * A store's file as it stands now, whoever writes to it meanwhile.
 *
 * @throws {StoreUnavailableError} if there is no such file, or it is no store
 * @throws {Error} if it is of another release's schema
 */
export async function createSqliteSnapshot({ path }: SqliteOptions): Promise<StoreSnapshot> {
  const store = await open({ path, isSnapshot: true });
  return { ...store, kind: 'sqlite', confirm: () => Promise.resolve() };
}

async function open(workerData: SqliteWorkerData): Promise<Store> {
  // The thread's program stands beside this file: as source, and in the bundle.
  const program = new URL(`./sqlite-worker${extname(import.meta.url)}`, import.meta.url);
  const worker = new Worker(program, { workerData });
  const pending = new Map<number, Pending>();
  let calls = 0;
  let ended: Error | undefined;

  const answered = (call: number): Promise<unknown> =>
    new Promise((resolve, reject) => pending.set(call, { resolve, reject }));

  function end(cause: Error): void {
    ended ??= new StoreUnavailableError('SQLite’s thread has ended', { cause });
    for (const { reject } of pending.values()) reject(ended);
    pending.clear();
  }

  worker.on('message', (result: ResultMessage) => {
    const call = pending.get(result.call);
    pending.delete(result.call);
    if (result.ok) call?.resolve(result.value);
    else call?.reject(fromMessage(result.error));
  });
  worker.on('error', end);
  worker.on('exit', () => end(new Error('it is not running')));

  const run: Run = async <Name extends ProgramName>(name: Name, ...args: readonly unknown[]) => {
    if (ended) throw ended;
    calls += 1;
    const result = answered(calls);
    worker.postMessage({ call: calls, name, args } satisfies CallMessage);
    return (await result) as ResultOf<Name>;
  };

  await answered(0);
  return sqlStore(run, async () => {
    if (ended) return;
    worker.postMessage('close');
    await once(worker, 'exit');
  });
}
