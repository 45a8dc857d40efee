import { closeSync, chmodSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import {
  DummyDriver,
  Kysely,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import type { Program, Rows } from '../sql/program.ts';

/** How long another process that writes to the same file is waited for. */
const busyTimeoutMs = 5_000;
const keptStatements = 500;

type SqlValue = string | number | null;

/** Makes SQL of statements, and runs none. */
export const sqliteCompiler = new Kysely<unknown>({
  dialect: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
});

/** A connection that runs programs at once and to their end. For a thread of its own: nothing else happens meanwhile. */
export class Database {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /**
   * @param path - of the file, readable by its owner alone; `:memory:` for none
   * @param isSnapshot - the file is there, and is read as it stands now until it is closed
   */
  constructor(path: string, isSnapshot = false) {
    if (isSnapshot) {
      this.#database = new DatabaseSync(path, { timeout: busyTimeoutMs, readOnly: true });
      // The first statement that reads decides which state of the file is seen.
      this.#database.exec('begin');
      return;
    }
    if (path !== ':memory:') {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      closeSync(openSync(path, 'a', 0o600));
      chmodSync(path, 0o600);
    }
    this.#database = new DatabaseSync(path, { timeout: busyTimeoutMs });
    // With a log beside the file a commit need not wait for the disk: a crash of the machine may lose the last commits, never order.
    this.#database.exec('pragma journal_mode = wal; pragma synchronous = normal');
  }

  run<T>(program: Program<T>): T {
    let step = program.next([]);
    while (!step.done) {
      const { sql, parameters } = step.value.compile(sqliteCompiler);
      step = program.next(this.#query(sql, parameters as readonly SqlValue[]));
    }
    return step.value;
  }

  /** Runs `work` in a transaction; what it throws takes all of it back. */
  transaction<T>(work: () => T): T {
    return this.#atomic('begin immediate', 'commit', 'rollback', work);
  }

  /** Runs `work` within a transaction so that what it throws takes back only its own part. */
  part<T>(work: () => T): T {
    return this.#atomic('savepoint part', 'release part', 'rollback to part; release part', work);
  }

  close(): void {
    this.#database.close();
  }

  #atomic<T>(begin: string, end: string, undo: string, work: () => T): T {
    this.#database.exec(begin);
    try {
      const result = work();
      this.#database.exec(end);
      return result;
    } catch (error) {
      // A full disk, among others, has ended the transaction already.
      if (this.#database.isTransaction) this.#database.exec(undo);
      throw error;
    }
  }

  #query(sql: string, parameters: readonly SqlValue[]): Rows {
    let statement = this.#statements.get(sql);
    if (!statement) {
      if (this.#statements.size >= keptStatements) this.#statements.clear();
      statement = this.#database.prepare(sql);
      // A sum may be above what a number holds exactly; it would be refused.
      statement.setReadBigInts(true);
      this.#statements.set(sql, statement);
    }
    return statement.all(...parameters).map((row) => {
      for (const name in row) if (typeof row[name] === 'bigint') row[name] = Number(row[name]);
      return row;
    });
  }
}
