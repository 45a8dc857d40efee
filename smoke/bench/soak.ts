import { setTimeout as sleep } from 'node:timers/promises';
import { shot } from './connection.ts';
import { residentBytes } from './process-usage.ts';
import { type Endings, saturate } from './saturate.ts';
import { slope } from './statistics.ts';
import type { Target } from './targets.ts';
import type { Workload } from './workloads.ts';

/** What a long run did to a process's memory. */
export type Soak = {
  workload: string;
  calls: number;
  endings: Endings;
  firstBytes: number;
  peakBytes: number;
  lastBytes: number;
  /** Of the run's second half, when caches and heap have found their size: about 0 unless something is kept per call. */
  bytesPerCall: number;
};

const samples = 100;
/** Where an answer is cut: well inside every stream. */
const cutAfterBytes = 10_000;

/**
 * Sends a fixed number of calls and watches the process's resident memory.
 *
 * @param cutEvery - every so-manieth call hangs up in the middle of its answer; undefined for none
 */
export async function soak(
  target: Target & { pid: number },
  workload: Workload,
  calls: number,
  cutEvery?: number,
): Promise<Soak> {
  const points: { x: number; y: number }[] = [];
  let begun = 0;
  const goOn = (): boolean => {
    if (begun % Math.ceil(calls / samples) === 0) {
      points.push({ x: begun, y: residentBytes(target.pid) });
    }
    return begun++ < calls;
  };
  const endings = await saturate(
    shot(target.port, workload.path, workload.body, target.headers),
    workload.connections,
    goOn,
    (call) => (cutEvery !== undefined && call % cutEvery === 0 ? cutAfterBytes : undefined),
  );
  // What is freed late (sockets in their last state, delayed timers) is not a leak.
  await sleep(2000);
  const lastBytes = residentBytes(target.pid);
  const resident = points.map(({ y }) => y);
  return {
    workload: workload.name,
    calls,
    endings,
    firstBytes: resident[0] ?? lastBytes,
    peakBytes: Math.max(...resident, lastBytes),
    lastBytes,
    bytesPerCall: slope(points.slice(points.length / 2)),
  };
}
