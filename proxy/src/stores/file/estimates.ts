import { appendFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UsageRecord } from '@aigateway/contract/usage';
import type { Clock, Estimates } from '../../ports.ts';
import { MemoryEstimates } from '../memory/estimates.ts';

/** One line: an estimate that is held, or the id alone of one that is not any more. */
type Line = { readonly id: string; readonly record?: UsageRecord };

/** Lines that a file may have before it is looked at whether they are worth keeping. */
const fewLines = 10_000;

/**
 * Estimates of one process that outlive it, in `estimates.jsonl` of a directory. What is held is in memory as well; the file is
 * written at its end, and anew when it is opened and whenever more than half of it is of no use.
 *
 * @throws {Error} if the directory cannot be written
 */
export async function openEstimates(directory: string, clock: Clock): Promise<Estimates> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, 'estimates.jsonl');
  const memory = new MemoryEstimates(clock);
  for (const [id, record] of await recordsIn(path)) await memory.hold(id, record);
  let kept = await writeAnew(path, memory);
  let lines = kept;

  const append = async (line: Line): Promise<void> => {
    await appendFile(path, lineOf(line));
    lines += 1;
    if (lines < Math.max(fewLines, 2 * kept)) return;
    // A file that cannot be written anew is longer than it need be, and is tried again after as many lines.
    kept = await writeAnew(path, memory).catch(() => lines);
    lines = kept;
  };
  let last: Promise<void> = Promise.resolve();
  // One after the other: what is added while the file is written anew would be lost.
  const inTurn = (line: Line): Promise<void> => {
    const turn = last.then(() => append(line));
    last = turn.catch(() => undefined);
    return turn;
  };
  return {
    async hold(id, record) {
      await memory.hold(id, record);
      await inTurn({ id, record });
    },
    find: (id) => memory.find(id),
    async drop(id) {
      const wasThere = await memory.drop(id);
      if (wasThere) await inTurn({ id });
      return wasThere;
    },
  };
}

/** @returns how many lines it has */
async function writeAnew(path: string, memory: MemoryEstimates): Promise<number> {
  const lines = [...memory.held()].map(([id, record]) => lineOf({ id, record }));
  await writeFile(`${path}.new`, lines.join(''), { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
  return lines.length;
}

function lineOf(line: Line): string {
  return `${JSON.stringify(line)}\n`;
}

/** What a file holds. A line that was cut off, and so never answered for, is passed over. */
async function recordsIn(path: string): Promise<Map<string, UsageRecord>> {
  const held = new Map<string, UsageRecord>();
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  for (const written of text.split('\n')) {
    const line = parsed(written);
    if (line?.record === undefined) held.delete(line?.id ?? '');
    else held.set(line.id, line.record);
  }
  return held;
}

function parsed(text: string): Line | undefined {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return undefined;
  }
}
