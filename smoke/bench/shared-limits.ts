import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { shot } from './connection.ts';
import { measureLatency, type Latency } from './measure.ts';
import { cpuMicroseconds } from './process-usage.ts';
import { saturate, until } from './saturate.ts';
import { leaveCoreForTarget } from './server-process.ts';
import { median } from './statistics.ts';
import { keyHeaders, startGateway, startUpstream, type Target } from './targets.ts';
import { workloads } from './workloads.ts';

/** What limits shared through Redis cost through the whole gateway. */
export type SharedLimitsCost = {
  /** CPU time of both gateways for a call, microseconds, median of the windows. */
  readonly alone: number;
  readonly shared: number;
  /** Shared to alone: the median over windows of the two beside each other, and the same for alone to itself, which is the noise. */
  readonly ratio: number;
  readonly noise: number;
  /** At a steady rate of one key through one gateway: alone, alone again, shared; what is added is to the first. */
  readonly latencies: readonly Latency[];
  /** Calls that did not end with 200, of those alone and of those that share. The other figures mean nothing where there are any. */
  readonly failures: { readonly alone: number; readonly shared: number };
};

const keys = 100;
const limits = { rpm_limit: 6000, tpm_limit: 60_000_000, max_budget: 1e6 };
/** What idled was given back: steady load is what is measured, so each window has a lead-in. */
const leadInMs = 3000;
/** Connections to each gateway, one for each key: fewer keys would have more calls than their limits let through. */
const connections = keys;
/** As many for each gateway as any target of the benchmark gets: what Redis adds is more code, which takes calls to be compiled. */
const warmUpCalls = 80_000;

/**
 * Measures two gateways that count limits by themselves beside two that share them, in windows that take turns: 100 keys of 6,000 calls a
 * minute. Without enough calls a second to reach a limit none is refused.
 *
 * @param perSecond - rate at which latency is measured, below a key's limit
 */
export async function measureSharedLimits(
  redisUrl: string,
  plan: { windows: number; seconds: number; perSecond: number },
): Promise<SharedLimitsCost> {
  const folder = mkdtempSync(join(tmpdir(), 'aigateway-bench-limits-'));
  const core = leaveCoreForTarget();
  const [workload] = workloads;
  if (workload === undefined) throw new Error('there is no workload');
  const upstream = await startUpstream(folder);
  const started: Target[] = [];
  const pair = async (options: { redisUrl?: string }): Promise<Target[]> => {
    const surroundings = { upstreamPort: upstream.port, folder, core };
    const two = [
      await startGateway(surroundings, { keys, limits, ...options }),
      await startGateway(surroundings, { keys, limits, ...options }),
    ];
    started.push(...two);
    return two;
  };
  const failures = new Map<readonly Target[], number>();
  /** @returns CPU time of both for a call */
  const load = async (targets: readonly Target[], goOn: () => boolean): Promise<number> => {
    const before = cpuOf(targets);
    const endings = await Promise.all(
      targets.flatMap(({ port }) =>
        Array.from({ length: connections }, (_, at) => {
          const headers = keyHeaders(at);
          return saturate(shot(port, workload.path, workload.body, headers), 1, goOn);
        }),
      ),
    );
    const good = endings.reduce((sum, { ok }) => sum + ok, 0);
    const bad = endings.reduce(
      (sum, { refused, broken, late }) => sum + refused + broken + late,
      0,
    );
    failures.set(targets, (failures.get(targets) ?? 0) + bad);
    return (cpuOf(targets) - before) / good;
  };
  try {
    const [alone, shared] = [await pair({}), await pair({ redisUrl })];
    for (const targets of [alone, shared]) {
      let left = warmUpCalls;
      await load(targets, () => left-- > 0);
    }
    const rows: { first: number; shared: number; second: number }[] = [];
    for (let window = 0; window < plan.windows; window += 1) {
      const next = async (targets: readonly Target[]) => {
        await load(targets, until(leadInMs));
        return load(targets, until(plan.seconds * 1000));
      };
      rows.push({
        first: await next(alone),
        shared: await next(shared),
        second: await next(alone),
      });
    }
    const named = (name: string, target: Target | undefined): Target[] =>
      target === undefined ? [] : [{ ...target, name }];
    const latencies = await measureLatency(
      workload,
      [
        ...named('in process', alone[0]),
        ...named('in process again', alone[0]),
        ...named('Redis', shared[0]),
      ],
      plan.perSecond,
      plan,
    );
    return {
      alone: median(rows.flatMap(({ first, second }) => [first, second])),
      shared: median(rows.map((row) => row.shared)),
      ratio: median(rows.map((row) => (2 * row.shared) / (row.first + row.second))),
      noise: median(rows.map(({ first, second }) => second / first)),
      latencies,
      failures: {
        alone: (failures.get(alone) ?? 0) + latencies.slice(0, 2).reduce(failuresIn, 0),
        shared: (failures.get(shared) ?? 0) + latencies.slice(2).reduce(failuresIn, 0),
      },
    };
  } finally {
    await Promise.all(started.map((target) => target.stop()));
    await upstream.stop();
    rmSync(folder, { recursive: true });
  }
}

function failuresIn(sum: number, { failures }: Latency): number {
  return sum + failures;
}

function cpuOf(targets: readonly Target[]): number {
  return targets.reduce((sum, { pid }) => sum + (pid === undefined ? 0 : cpuMicroseconds(pid)), 0);
}
