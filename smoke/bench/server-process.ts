import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A server started for a measurement. */
export type ServerProcess = {
  pid: number;
  port: number;
  /** From its start to its first good answer. */
  readyMs: number;
  stop(): Promise<void>;
};

const readyLimitMs = 60_000;
const stopLimitMs = 15_000;

/**
 * Moves this process, and all that it starts from now on, to the first core, so that a server measured can have the second for
 * itself.
 *
 * @returns the core for servers measured; undefined without a second core or without `taskset`: figures are noisier then
 */
export function leaveCoreForTarget(): number | undefined {
  if (availableParallelism() < 2) return undefined;
  try {
    execFileSync('taskset', ['-acp', '0', String(process.pid)], { stdio: 'ignore' });
    return 1;
  } catch {
    return undefined;
  }
}

/**
 * Starts a server and waits until it answers with 200.
 *
 * @param name - of the log file in `folder`
 * @param readyPath - asked until it answers 200
 * @param core - where it runs, if not wherever this process does
 * @throws {Error} with the end of its log, when it ends or stays silent for a minute
 */
export async function startServer(options: {
  name: string;
  folder: string;
  command: readonly [string, ...string[]];
  environment?: Readonly<Record<string, string>>;
  port: number;
  readyPath: string;
  core?: number | undefined;
}): Promise<ServerProcess> {
  const { port, environment } = options;
  const log = join(options.folder, `${options.name}.log`);
  const onCore = options.core === undefined ? [] : ['taskset', '-c', String(options.core)];
  const [file, ...args] = [...onCore, ...options.command];
  const descriptor = openSync(log, 'w');
  const started = performance.now();
  // Standard input stays open while this process lives: our own servers end with it, however it ends.
  const child = spawn(file!, args, {
    stdio: ['pipe', descriptor, descriptor],
    cwd: options.folder, // away from any `.env` of the one who measures
    env: { ...process.env, ...environment },
  });
  closeSync(descriptor);
  let problem: string | undefined;
  child.once('error', (error) => (problem = error.message));
  child.once('exit', (code, signal) => (problem = `it ended (${code ?? signal})`));
  const url = `http://127.0.0.1:${port}${options.readyPath}`;
  while (!(await answers(url))) {
    if (performance.now() - started > readyLimitMs) problem = 'it was not ready within a minute';
    if (problem !== undefined) {
      await stop(child);
      throw new Error(`${options.name}: ${problem}\n${readFileSync(log, 'utf8').slice(-2000)}`);
    }
    await sleep(5);
  }
  return {
    pid: child.pid!,
    port,
    readyMs: performance.now() - started,
    stop: () => stop(child),
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false; // not listening yet
  }
}

/** Asks a process to end, and ends it where it does not. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), stopLimitMs);
  await ended;
  clearTimeout(late);
}
