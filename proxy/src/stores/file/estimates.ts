import { appendFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UsageRecord } from '@aigateway/contract/usage';
import { estimateLifeMs, type Clock, type Estimates } from '../../ports.ts';
import { MemoryEstimates } from '../memory/estimates.ts';

/** One line: an estimate that is held, or the id alone of one that is not any more. */
type Line = { readonly id: string; readonly record?: UsageRecord };

/**
 * Estimates of one process that outlive it, in `estimates.jsonl` of a directory. What is held is in memory as well; the file is
 * written at its end, and anew when it is opened.
 *
 * @throws {Error} if the directory cannot be written
 */
export async function openEstimates(directory: string, clock: Clock): Promise<Estimates> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, 'estimates.jsonl');
  const held = await heldIn(path, clock.now() - estimateLifeMs);
  const text = [...held].map(([id, record]) => lineOf({ id, record })).join('');
  await writeFile(`${path}.new`, text, { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
  const memory = new MemoryEstimates(clock);
  for (const [id, record] of held) await memory.hold(id, record);
  return {
    async hold(id, record) {
      await memory.hold(id, record);
      await appendFile(path, lineOf({ id, record }));
    },
    find: (id) => memory.find(id),
    async drop(id) {
      const wasThere = await memory.drop(id);
      if (wasThere) await appendFile(path, lineOf({ id }));
      return wasThere;
    },
  };
}

function lineOf(line: Line): string {
  return `${JSON.stringify(line)}\n`;
}

/** What a file holds of calls that began since a time. A line that was cut off, and so never answered for, is passed over. */
async function heldIn(path: string, since: number): Promise<Map<string, UsageRecord>> {
  const held = new Map<string, UsageRecord>();
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  for (const written of text.split('\n')) {
    const line = parsed(written);
    if (line?.record === undefined) held.delete(line?.id ?? '');
    else if (line.record.startedAt > since) held.set(line.id, line.record);
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
