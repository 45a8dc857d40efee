import { shot } from './connection.ts';
import { openLoop } from './open-loop.ts';
import { cpuMicroseconds } from './process-usage.ts';
import { type Endings, noEndings, saturate, until } from './saturate.ts';
import { median, quantile } from './statistics.ts';
import type { Target } from './targets.ts';
import type { Workload } from './workloads.ts';

/** Cost of a workload on one target; times are medians over the windows. */
export type Cost = {
  workload: string;
  target: string;
  /** CPU time of the target's process per call; absent where it cannot be seen. */
  cpuMicroseconds?: number;
  /** The same in each window. */
  windows: number[];
  /** Median over the windows of the ratio to the first target's window beside it. */
  ratio?: number;
  callsPerSecond: number;
  /** Calls that did not end with 200. The other figures mean nothing where there are any. */
  failures: number;
};

/** Calls until V8 has compiled what a call runs through as far as it ever will. */
const warmUpCalls = 40_000;

/** How often and how long to measure. */
export type Plan = { windows: number; seconds: number };

function failuresOf(endings: Endings): number {
  return endings.refused + endings.broken + endings.late;
}

/**
 * Measures what a call costs each target, saturated, in windows that take turns (A, B, C, A, B, C…), so that whatever else the
 * machine does meets all alike. Before the first window each answers as many calls as its code needs to be compiled for good.
 * Ratios are to the first target.
 */
export async function measureCosts(
  workload: Workload,
  targets: readonly Target[],
  plan: Plan,
): Promise<Cost[]> {
  const rows = targets.map((target) => ({
    target,
    cpu: [] as number[],
    perSecond: [] as number[],
    failures: 0,
  }));
  for (const { target } of rows) {
    let left = Math.ceil(warmUpCalls / Math.max(1, workload.events / 4));
    const aim = shot(target.port, workload.path, workload.body, target.headers);
    await saturate(aim, workload.connections, () => left-- > 0);
  }
  for (let window = 0; window < plan.windows; window += 1) {
    for (const row of rows) {
      const { target } = row;
      const before = target.pid === undefined ? undefined : cpuMicroseconds(target.pid);
      const started = performance.now();
      const endings = await saturate(
        shot(target.port, workload.path, workload.body, target.headers),
        workload.connections,
        until(plan.seconds * 1000),
      );
      const seconds = (performance.now() - started) / 1000;
      row.failures += failuresOf(endings);
      row.perSecond.push(endings.ok / seconds);
      if (target.pid !== undefined && before !== undefined && endings.ok > 0) {
        row.cpu.push((cpuMicroseconds(target.pid) - before) / endings.ok);
      }
    }
  }
  const reference = rows[0]?.cpu ?? [];
  return rows.map((row) => ({
    workload: workload.name,
    target: row.target.name,
    windows: row.cpu,
    ...(row.cpu.length > 0
      ? {
          cpuMicroseconds: median(row.cpu),
          ratio: median(row.cpu.map((cost, window) => cost / (reference[window] ?? Number.NaN))),
        }
      : {}),
    callsPerSecond: median(row.perSecond),
    failures: row.failures,
  }));
}

/** Latency of a target at a steady rate, in milliseconds; `added` is what it has more than the upstream by itself. */
export type Latency = {
  target: string;
  perSecond: number;
  p50: number;
  p99: number;
  addedP50: number;
  addedP99: number;
  failures: number;
};

const deadlineMs = 5000;

/**
 * Measures latency at a steady rate in windows that take turns.
 *
 * @param targets - the first is the upstream itself: what the others add is counted from it, window by window
 */
export async function measureLatency(
  workload: Workload,
  targets: readonly Target[],
  perSecond: number,
  plan: Plan,
): Promise<Latency[]> {
  const rows = targets.map((target) => ({
    target,
    p50: [] as number[],
    p99: [] as number[],
    endings: noEndings(),
  }));
  for (let window = -1; window < plan.windows; window += 1) {
    for (const row of rows) {
      const { port, headers } = row.target;
      const { latencies, endings } = await openLoop(
        shot(port, workload.path, workload.body, headers),
        { perSecond, seconds: plan.seconds, deadlineMs },
      );
      for (const ending of ['ok', 'refused', 'broken', 'late', 'cut'] as const) {
        row.endings[ending] += endings[ending];
      }
      if (window < 0) continue;
      row.p50.push(quantile(latencies, 0.5));
      row.p99.push(quantile(latencies, 0.99));
    }
  }
  const direct = rows[0];
  return rows.map((row) => ({
    target: row.target.name,
    perSecond,
    p50: median(row.p50),
    p99: median(row.p99),
    addedP50: median(row.p50.map((value, at) => value - (direct?.p50[at] ?? Number.NaN))),
    addedP99: median(row.p99.map((value, at) => value - (direct?.p99[at] ?? Number.NaN))),
    failures: failuresOf(row.endings),
  }));
}
