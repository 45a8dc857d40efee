/**
 * `npm run bench`: what the gateway costs, as ratios to two references measured in turns with it. The method and how to read the
 * figures are in docs/performance.md.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { commandOptions } from '../../scripts/command-options.ts';
import { shot } from './connection.ts';
import { goals, verdict } from './goals.ts';
import { type Cost, type Latency, measureCosts, measureLatency, type Plan } from './measure.ts';
import { residentBytes } from './process-usage.ts';
import { saturate } from './saturate.ts';
import { leaveCoreForTarget } from './server-process.ts';
import { type Soak, soak } from './soak.ts';
import { median } from './statistics.ts';
import { table } from './table.ts';
import {
  gatewayProgram,
  hasNginx,
  parseRunningTarget,
  startBare,
  startGateway,
  startNginx,
  startUpstream,
  type Surroundings,
  type Target,
} from './targets.ts';
import { type Workload, workloads } from './workloads.ts';

const help = `npm run bench -- [options]

  --targets LIST      of bare, nginx, gateway; the first is the reference (default: all that are installed)
                      "bare,bare" measures the noise: its ratios should be 1
  --build NAME=FILE   another bundle of this gateway, started beside it (repeatable)
  --also NAME=URL[,pid=N][,key=K]   a gateway already running, before the same upstream (repeatable)
  --upstream-port N   fixed port of the upstream, for --also
  --only LIST         of ${workloads.map(({ name }) => name).join(', ')}, latency, start, memory
  --windows N         windows of each target (default 5)
  --seconds N         length of a window (default 2)
  --soak              200,000 calls and 10,000 streams, a third of them cut, against the gateway; nothing else
  --json FILE         writes all figures there
`;

const starters: { [name: string]: (surroundings: Surroundings) => Promise<Target> } = {
  bare: startBare,
  nginx: startNginx,
  gateway: (surroundings) => startGateway(surroundings),
};

const soakCalls = 200_000;
const soakStreams = 10_000;
const latencyRates = [100, 300];
const manyKeys = 20_000;

const options = commandOptions(help, {
  targets: { type: 'string' },
  also: { type: 'string', multiple: true, default: [] },
  build: { type: 'string', multiple: true, default: [] },
  'upstream-port': { type: 'string' },
  only: { type: 'string' },
  windows: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '2' },
  soak: { type: 'boolean', default: false },
  json: { type: 'string' },
});

const wanted = options.only?.split(',');
const isWanted = (name: string): boolean => wanted?.includes(name) ?? true;
const plan: Plan = { windows: Number(options.windows), seconds: Number(options.seconds) };

/** Everything started, ended in the reverse order. */
const running: { stop(): Promise<void> }[] = [];
const folder = mkdtempSync(join(tmpdir(), 'aigateway-bench-'));

async function stopAll(): Promise<void> {
  for (const one of running.splice(0).toReversed()) await one.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<number> {
  if (process.platform !== 'linux') throw new Error('CPU time is read from /proc: Linux only');
  const core = leaveCoreForTarget();
  const fixedPort = options['upstream-port'] ? Number(options['upstream-port']) : undefined;
  const upstream = await startUpstream(folder, fixedPort);
  running.push(upstream);
  const surroundings = { upstreamPort: upstream.port, folder, core };
  console.log(
    `Node ${process.version}, ${cpus()[0]?.model ?? 'unknown CPU'}, ` +
      `${core === undefined ? 'cores shared' : 'the target on a core of its own'}, ` +
      `${plan.windows} windows of ${plan.seconds} s, gateway: ${relative('.', gatewayProgram())}`,
  );
  if (options.soak) return soakGateway(surroundings);

  const names = (options.targets ?? `bare,${hasNginx() ? 'nginx,' : ''}gateway`).split(',');
  if (options.targets === undefined && !hasNginx()) console.log('nginx is not installed: left out');
  const targets: Target[] = [];
  for (const [at, name] of names.entries()) {
    const start = starters[name];
    if (start === undefined) throw new Error(`no target is called ${name}`);
    const target = await start(surroundings);
    running.push(target);
    targets.push(names.indexOf(name) < at ? { ...target, name: `${name}-${at}` } : target);
  }
  for (const build of options.build) {
    const [name, file] = build.split('=', 2);
    if (!name || !file) throw new Error(`not NAME=FILE: ${build}`);
    const target = await startGateway(surroundings, { program: resolve(file) });
    running.push(target);
    targets.push({ ...target, name });
  }
  targets.push(...options.also.map(parseRunningTarget));

  const costs: Cost[] = [];
  for (const workload of workloads.filter(({ name }) => isWanted(name))) {
    const measured = await measureCosts(workload, targets, plan);
    costs.push(...measured);
    printCosts(workload, measured);
  }
  const latencies = isWanted('latency') ? await printLatencies(upstream.port, targets) : [];
  const starts = isWanted('start') ? await printStarts(names, surroundings) : [];
  const memory =
    isWanted('memory') && names.includes('gateway') ? await printMemory(surroundings) : undefined;
  write({ costs, latencies, starts, memory });
  const failures = [...costs, ...latencies].reduce((sum, { failures: some }) => sum + some, 0);
  if (failures > 0) console.log(`\n${failures} calls failed: these figures mean nothing.`);
  return failures > 0 ? 1 : 0;
}

function write(figures: object): void {
  if (options.json === undefined) return;
  const conditions = { date: new Date().toISOString(), node: process.version, ...plan };
  writeFileSync(options.json, `${JSON.stringify({ ...conditions, ...figures }, undefined, 2)}\n`);
}

function printCosts(workload: Workload, costs: readonly Cost[]): void {
  const goal = workload.goal;
  const bounds = goal ? ` (gateway to bare: at most ${goal.must}, aim ${goal.aim})` : '';
  console.log(`\n${workload.what}, ${workload.connections} at once, saturated${bounds}`);
  const rows = costs.map((cost) => [
    cost.target,
    cost.ratio?.toFixed(2) ?? '-',
    cost.cpuMicroseconds?.toFixed(1) ?? '-',
    cost.windows.length > 0
      ? `${Math.min(...cost.windows).toFixed(1)}–${Math.max(...cost.windows).toFixed(1)}`
      : '-',
    cost.callsPerSecond.toFixed(0),
    ...(workload.events > 0
      ? [
          cost.cpuMicroseconds ? (cost.cpuMicroseconds / workload.events).toFixed(2) : '-',
          (cost.callsPerSecond * workload.events).toFixed(0),
        ]
      : []),
    String(cost.failures),
    costVerdict(workload, cost, costs),
  ]);
  const perEvent = workload.events > 0 ? ['µs/event', 'events/s'] : [];
  const head = [
    'target',
    'ratio',
    'µs CPU/call',
    'range',
    'calls/s',
    ...perEvent,
    'failed',
    'goal',
  ];
  console.log(table([head, ...rows]));
}

/** The bounds of the gateway's costs: ratios mean what they say only where the first target is the bare one. */
function costVerdict({ name, goal }: Workload, cost: Cost, costs: readonly Cost[]): string {
  if (cost.target !== 'gateway' || goal === undefined || costs[0]?.target !== 'bare') return '-';
  const nginx = costs.find(({ target }) => target === 'nginx')?.ratio;
  const toNginx = nginx === undefined ? undefined : (cost.ratio ?? Number.NaN) / nginx;
  return name === 'chat-1k' && toNginx !== undefined
    ? verdict([cost.ratio, goal.must], [toNginx, goals.chatToNginx])
    : verdict([cost.ratio, goal.must]);
}

async function printLatencies(
  upstreamPort: number,
  targets: readonly Target[],
): Promise<Latency[]> {
  const direct = { name: 'direct', port: upstreamPort, headers: {}, stop: () => Promise.resolve() };
  const latencies: Latency[] = [];
  const workload = workloads[0]!;
  for (const rate of latencyRates) {
    const measured = await measureLatency(workload, [direct, ...targets], rate, plan);
    latencies.push(...measured);
    console.log(`\n${workload.what}, ${rate} calls/s whatever comes, milliseconds`);
    const rows = measured.map((one) => [
      one.target,
      ...[one.p50, one.p99, one.addedP50, one.addedP99].map((value) => value.toFixed(2)),
      String(one.failures),
      one.target === 'gateway'
        ? verdict([one.addedP50, goals.addedP50Ms], [one.addedP99, goals.addedP99Ms])
        : '-',
    ]);
    console.log(
      table([['target', 'p50', 'p99', 'added p50', 'added p99', 'failed', 'goal'], ...rows]),
    );
  }
  return latencies;
}

type Start = { target: string; readyMs: number; runs: number[] };

async function printStarts(names: readonly string[], surroundings: Surroundings): Promise<Start[]> {
  const starts: Start[] = [];
  for (const name of new Set(names)) {
    const runs: number[] = [];
    for (let window = 0; window < plan.windows; window += 1) {
      const target = await starters[name]!(surroundings);
      runs.push(target.readyMs ?? Number.NaN);
      await target.stop();
    }
    starts.push({ target: name, readyMs: median(runs), runs });
  }
  console.log('\nfrom start to the first good answer, milliseconds');
  const rows = starts.map(({ target, readyMs, runs }) => [
    target,
    readyMs.toFixed(0),
    `${Math.min(...runs).toFixed(0)}–${Math.max(...runs).toFixed(0)}`,
    target === 'gateway' ? verdict([readyMs, goals.readyMs]) : '-',
  ]);
  console.log(table([['target', 'median', 'range', 'goal'], ...rows]));
  return starts;
}

async function printMemory(
  surroundings: Surroundings,
): Promise<{ keys: number; idleBytes: number; warmBytes: number }> {
  const target = await startGateway(surroundings, { keys: manyKeys });
  running.push(target);
  const idleBytes = residentBytes(pidOf(target));
  let left = 5000;
  const workload = workloads[0]!;
  const aim = shot(target.port, workload.path, workload.body, target.headers);
  await saturate(aim, workload.connections, () => left-- > 0);
  const warmBytes = residentBytes(pidOf(target));
  await target.stop();
  console.log(
    `\ngateway with ${manyKeys} keys: ${megabytes(idleBytes)} when ready, ${megabytes(warmBytes)} after 5000 calls: ${verdict([warmBytes, goals.warmBytes])}`,
  );
  return { keys: manyKeys, idleBytes, warmBytes };
}

async function soakGateway(surroundings: Surroundings): Promise<number> {
  const target = await startGateway(surroundings);
  running.push(target);
  const watched = { ...target, pid: pidOf(target) };
  // In bursts most streams would be over before they can be cut.
  const stream = workloads.find(({ name }) => name === 'stream-one-by-one')!;
  const soaks: Soak[] = [
    await soak(watched, workloads[0]!, soakCalls),
    await soak(watched, stream, soakStreams, 3),
  ];
  const rows = soaks.map((one) => [
    one.workload,
    String(one.calls),
    String(one.endings.cut),
    String(one.endings.refused + one.endings.broken + one.endings.late),
    ...[one.firstBytes, one.peakBytes, one.lastBytes].map(megabytes),
    one.bytesPerCall.toFixed(0),
  ]);
  const head = ['workload', 'calls', 'cut', 'failed', 'first', 'peak', 'last', 'bytes/call'];
  console.log(`\nresident memory over a long run; bytes/call in its second half`);
  console.log(table([head, ...rows]));
  write({ soaks });
  return rows.some((row) => row[3] !== '0') ? 1 : 0;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function pidOf(target: Target): number {
  if (target.pid === undefined) throw new Error(`${target.name} has no process to look into`);
  return target.pid;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void stopAll().then(() => process.exit(130)));
}
try {
  process.exitCode = await run();
} catch (error) {
  console.error(`Cannot measure: ${(error as Error).message}`);
  process.exitCode = 1;
} finally {
  await stopAll();
}
