import { ConflictError, StoreUnavailableError, UniqueError } from '../entities.ts';
import type { ProgramName } from '../sql/programs.ts';

/** What the worker thread is started with. */
export type SqliteWorkerData = { path: string; isSnapshot: boolean };

/** What the store asks its worker thread to do. */
export type CallMessage = { call: number; name: ProgramName; args: readonly unknown[] };

/** What comes back. `ready` has call 0. */
export type ResultMessage = { call: number } & (
  | { ok: true; value: unknown }
  | { ok: false; error: ErrorMessage }
);

/** An error as it passes between threads, which keeps neither its class nor its members. */
export type ErrorMessage =
  | { is: 'conflict'; kind: ConflictError['kind']; id: string }
  | { is: 'unique'; kind: UniqueError['kind']; index: string }
  | { is: 'unavailable' | 'range' | 'other'; message: string };

/** SQLite's codes for what is away, full, locked or broken; anything else is a fault of ours. */
const unavailableCodes: ReadonlySet<number> = new Set([
  5, // SQLITE_BUSY
  6, // SQLITE_LOCKED
  7, // SQLITE_NOMEM
  8, // SQLITE_READONLY
  10, // SQLITE_IOERR
  11, // SQLITE_CORRUPT
  13, // SQLITE_FULL
  14, // SQLITE_CANTOPEN
  26, // SQLITE_NOTADB
]);

export function toMessage(error: unknown): ErrorMessage {
  if (error instanceof ConflictError) return { is: 'conflict', kind: error.kind, id: error.id };
  if (error instanceof UniqueError) return { is: 'unique', kind: error.kind, index: error.index };
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof RangeError) return { is: 'range', message };
  const { errcode, syscall } = error as { errcode?: number; syscall?: string };
  // The lower byte is the code; the rest says more about it. The file system's errors name the call that failed.
  const away = errcode === undefined ? syscall !== undefined : unavailableCodes.has(errcode & 0xff);
  return { is: away ? 'unavailable' : 'other', message };
}

export function fromMessage(error: ErrorMessage): Error {
  switch (error.is) {
    case 'conflict':
      return new ConflictError(error.kind, error.id);
    case 'unique':
      return new UniqueError(error.kind, error.index);
    case 'range':
      return new RangeError(error.message);
    case 'unavailable':
      return new StoreUnavailableError('SQLite cannot be used', {
        cause: new Error(error.message),
      });
    case 'other':
      return new Error(error.message);
  }
}
