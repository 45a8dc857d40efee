import { readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const renewMs = 5_000;
/** A holder that has not renewed for so long is gone, whoever has its process id now. */
const staleMs = 15_000;

/**
 * Keeps a directory to one process: two that write the same files would make both worthless.
 *
 * @returns what gives the directory free
 * @throws {Error} naming the process that holds it
 */
export function lockDirectory(directory: string): () => void {
  const file = join(directory, 'lock');
  const holder = liveHolder(file);
  if (holder !== undefined) {
    throw new Error(`${directory} is in use by process ${holder}: give each process its own`);
  }
  rmSync(file, { force: true });
  writeFileSync(file, `${process.pid}\n`, { flag: 'wx', mode: 0o600 });
  const timer = setInterval(() => renew(file), renewMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    rmSync(file, { force: true });
  };
}

function renew(file: string): void {
  const now = new Date();
  try {
    utimesSync(file, now, now);
  } catch {
    // Somebody removed the file or the disk is away: what cannot be written will say so itself.
  }
}

/** In a container every process has the same id: then the one before is gone, or this one would not have it. */
function liveHolder(file: string): number | undefined {
  let holder: number;
  try {
    holder = Number(readFileSync(file, 'utf8'));
    if (Date.now() - statSync(file).mtimeMs > staleMs) return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return holder !== process.pid && isAlive(holder) ? holder : undefined;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
