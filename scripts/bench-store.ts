/** `npm run bench:store`; docs/performance.md has the last figures. */
import { createServer } from 'node:http';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { DatabaseSync } from 'node:sqlite';
import { hashSecret } from '../contract/src/key.ts';
import type { UsageRecord } from '../contract/src/usage.ts';
import { createControlPlane } from '../control-plane/src/control-plane.ts';
import { createPostgresMigrator } from '../control-plane/src/store/postgres/postgres-migrator.ts';
import { createPostgresStore } from '../control-plane/src/store/postgres/postgres-store.ts';
import { createSqliteStore } from '../control-plane/src/store/sqlite/sqlite-store.ts';
import type { Store } from '../control-plane/src/store/store.ts';
import { dayOf } from '../control-plane/src/store/usage-sums.ts';
import { batchSize } from '../control-plane/src/usage/consumer.ts';
import {
  keyDocument,
  teamDocument,
  usageRecord,
} from '../control-plane/test/conformance/documents.ts';
import { fillPostgres, fillSqlite } from '../control-plane/test/filled-ledger.ts';
import { startPostgres } from '../control-plane/test/servers/postgres-server.ts';
import { settings } from '../control-plane/test/settings.ts';
import { cpuMicroseconds } from '../smoke/bench/process-usage.ts';
import { quantile } from '../smoke/bench/statistics.ts';
import { table } from '../smoke/bench/table.ts';
import { commandOptions } from './command-options.ts';

const help = `npm run bench:store -- [options]

How much usage a store takes in, how fast it answers reports over millions of requests, also while old ones are dropped, and whether
SQLite holds its process up.

  --store KIND    postgres (default) or sqlite
  --rows N        requests to report on (default 5000000)
  --events N      requests to take in (default 40000)
  --calls N       of each report (default 30)
  --only LIST     of rollup, loop, reports, cleanup (default: all)
`;

const options = commandOptions(help, {
  store: { type: 'string', default: 'postgres' },
  rows: { type: 'string', default: '5000000' },
  events: { type: 'string', default: '40000' },
  calls: { type: 'string', default: '30' },
  only: { type: 'string', default: 'rollup,loop,reports,cleanup' },
});
const kind = options.store === 'sqlite' ? 'sqlite' : 'postgres';
const requests = Number(options.rows);
const rollupEvents = Number(options.events);
const callsEach = Number(options.calls);
const parts = new Set(options.only.split(','));

const [keys, teams, users, models, customers, days] = [500, 50, 200, 20, 100, 30];
const dayMs = 86_400_000;
/** Today is the day after the last one that has usage. */
const today = Date.UTC(2026, 10, 26);
const masterKey = 'sk-master-key-of-the-benchmark';
const folder = mkdtempSync(join(tmpdir(), 'aigateway-bench-store-'));
const path = join(folder, 'store.db');

const server =
  kind === 'postgres'
    ? await startPostgres([
        'shared_buffers=512MB',
        'max_wal_size=4GB',
        'maintenance_work_mem=256MB',
        // What is filled in goes without a log then.
        'wal_level=minimal',
        'max_wal_senders=0',
      ])
    : undefined;
process.once('uncaughtExceptionMonitor', () => void server?.stop());
const connectionString = (await server?.createDatabase()) ?? '';
if (server) {
  const migrator = await createPostgresMigrator({ connectionString });
  await migrator.apply();
  await migrator.close();
}
const store: Store = server
  ? await createPostgresStore({ connectionString })
  : await createSqliteStore({ path });

/** A request with all that usage is summed by. */
function record(at: number, startedAt = today): UsageRecord {
  const key = at % keys;
  return usageRecord({
    requestId: `request-${at}`,
    startedAt: startedAt + (at % 86_400) * 1000,
    keyId: `key-${key}`,
    keyAlias: `alias of key ${key}`,
    ownerId: `team-${key % teams}`,
    teamId: `team-${key % teams}`,
    userId: `user-${key % users}`,
    organizationId: 'organization-1',
    customerId: `customer-${at % customers}`,
    tags: [`tag-${at % 10}`, 'nightly'],
    model: `model-${at % models}`,
    deploymentId: `deployment-${at % models}`,
    attempts: [
      {
        deploymentId: `deployment-${at % models}`,
        status: 200,
        reason: 'answered',
        durationMs: 800,
      },
    ],
  });
}

const lines: string[][] = [['what', 'figure']];
function show(what: string, figure: string): void {
  lines.push([what, figure]);
  console.log(`${what}: ${figure}`);
}

/** CPU seconds of this process, and of PostgreSQL's where there is one. */
function cpuSeconds(): number {
  if (!server) return ownSeconds();
  const children = readdirSync('/proc').filter(
    (name) => /^\d+$/.test(name) && parentOf(name) === server.pid,
  );
  const theirs = children.reduce((sum, pid) => sum + cpuMicroseconds(Number(pid)), 0);
  return ownSeconds() + theirs / 1e6;
}

function ownSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function parentOf(pid: string): number {
  try {
    return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    return 0;
  }
}

let taken = 0;
/** Usage of several producers, as consumers bring it: batches as large as theirs, one producer's one after the other. */
async function append(producer: string, count: number): Promise<void> {
  let mark = await store.ledger.mark(producer);
  const end = mark + count;
  while (mark < end) {
    const events = Array.from({ length: Math.min(batchSize, end - mark) }, (_, index) => {
      taken += 1;
      return { sequence: mark + index + 1, record: record(taken) };
    });
    mark = await store.ledger.append(producer, events);
  }
}

async function rollup(): Promise<void> {
  const producers = ['proxy-1', 'proxy-2', 'proxy-3', 'proxy-4'];
  await Promise.all(producers.map((producer) => append(producer, 1000)));
  const began = performance.now();
  const cpu = cpuSeconds();
  const own = ownSeconds();
  const microseconds = (used: number): string => ((used * 1e6) / rollupEvents).toFixed(0);
  await Promise.all(producers.map((producer) => append(producer, rollupEvents / producers.length)));
  const seconds = (performance.now() - began) / 1000;
  show('usage events taken in', `${Math.round(rollupEvents / seconds)}/s`);
  show(
    'CPU time an event, of which in this process',
    `${microseconds(cpuSeconds() - cpu)}, ${microseconds(ownSeconds() - own)} µs`,
  );
}

/** What the loop of this process notices of a store that works as hard as it can: the longest turns, beside those without. */
async function loop(): Promise<void> {
  const watch = async (work: () => Promise<unknown>): Promise<string> => {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    await work();
    delay.disable();
    return [50, 99, 100].map((percent) => (delay.percentile(percent) / 1e6).toFixed(1)).join(' / ');
  };
  const rest = (ms: number): Promise<void> =>
    new Promise((resolve) => void setTimeout(resolve, ms));
  const write = Array.from({ length: 4 }, (_, at) =>
    Array.from({ length: 250 }, (_event, index) => ({
      sequence: index + 1,
      record: record(at * 250 + index),
    })),
  );
  show(
    'turns of the event loop, p50 / p99 / longest, at rest',
    `${await watch(() => rest(3000))} ms`,
  );
  const paced = async (): Promise<void> => {
    // 2,000 events a second, whoever else is late.
    for (let round = 0; round < 12; round += 1) {
      await Promise.all([
        rest(250),
        store.ledger.append(
          `loop-${round}`,
          (write[round % 4] ?? []).concat(
            Array.from({ length: 250 }, (_, index) => ({
              sequence: 251 + index,
              record: record(index),
            })),
          ),
        ),
      ]);
    }
  };
  show('the same while 2,000 events/s come in', `${await watch(paced)} ms`);
}

/**
 * Requests as they come in one after the other: a key has four models and customers, so that its sums are broken down by more than one.
 */
const kinds = Array.from({ length: 4 * keys }, (_, at) => {
  const round = Math.floor(at / keys);
  const model = (at + 5 * round) % models;
  return {
    ...record(at),
    customerId: `customer-${(at + 25 * round) % customers}`,
    model: `model-${model}`,
    deploymentId: `deployment-${model}`,
  };
});

async function fill(producer: string, from: number): Promise<void> {
  const began = performance.now();
  const filling = { producer, from, days, requestsADay: Math.round(requests / days), kinds };
  if (server) {
    await fillPostgres(connectionString, filling);
  } else {
    const database = new DatabaseSync(path);
    database.exec('pragma cache_size = -400000; pragma synchronous = off');
    fillSqlite(database, filling);
    database.close();
  }
  console.log(
    `filled ${filling.requestsADay * days} requests of ${days} days in ${((performance.now() - began) / 1000).toFixed(0)} s`,
  );
}

async function people(): Promise<void> {
  for (let from = 0; from < keys; from += 100) {
    await store.entities.write(
      Array.from({ length: 100 }, (_, index) => {
        const key = from + index;
        const id = `key-${key}`;
        const document = keyDocument(id, {
          key_alias: `alias of ${id}`,
          user_id: `user-${key % users}`,
          team_id: `team-${key % teams}`,
          secrets: [{ hash: hashSecret(id), name: 'sk-...0000', not_after: null }],
        });
        return { kind: 'key' as const, id, document };
      }),
    );
  }
  await store.entities.write(
    Array.from({ length: teams }, (_, team) => ({
      kind: 'team' as const,
      id: `team-${team}`,
      document: teamDocument(`team-${team}`, { team_alias: `team ${team}` }),
    })),
  );
}

const between = `start_date=${dayOf(today - days * dayMs)}&end_date=${dayOf(today)}`;
const times = `start_date=${dayOf(today - days * dayMs)}%2000:00:00&end_date=${dayOf(today)}%2000:00:00`;
/** What dashboards ask for. */
const reports = [
  '/global/spend',
  '/global/spend/logs',
  '/global/spend/keys?limit=10',
  '/global/spend/models?limit=10',
  '/global/spend/teams',
  `/global/spend/tags?${between}`,
  `/global/activity?${between}`,
  `/global/activity/model?${between}`,
  `/global/spend/report?${between}`,
  `/global/spend/report?${between}&group_by=api_key`,
  '/spend/keys',
  '/spend/tags',
  '/key/list?page=1&size=50&return_full_object=true',
  `/user/daily/activity?${between}`,
  `/user/daily/activity?${between}&user_id=user-7`,
  `/team/daily/activity?${between}`,
  `/team/daily/activity?${between}&team_ids=team-7`,
  `/tag/daily/activity?${between}`,
  `/spend/logs/v2?${times}&page=1&page_size=50`,
  `/spend/logs/v2?${times}&page=1&page_size=50&team_id=team-7`,
  `/spend/logs/v2?${times}&page=1&page_size=50&user_id=user-7`,
  `/spend/logs?request_id=reported-123456`,
];

async function served<T>(
  work: (get: (report: string) => Promise<number>) => Promise<T>,
): Promise<T> {
  const { handler } = createControlPlane({
    store,
    clock: { now: () => today },
    masterKeyHash: () => hashSecret(masterKey),
    settings: () => settings,
    sealer: { seal: (secret) => secret },
    tellSpend: () => Promise.resolve(),
    onChange: () => undefined,
    onFault: (message, cause) => console.error(message, cause),
  });
  const http = createServer(handler);
  await new Promise<void>((resolve) => void http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  try {
    return await work(async (report) => {
      const began = performance.now();
      const answer = await fetch(`http://127.0.0.1:${port}${report}`, {
        headers: { authorization: `Bearer ${masterKey}` },
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${report}: ${answer.status} ${text.slice(0, 300)}`);
      return performance.now() - began;
    });
  } finally {
    http.closeAllConnections();
    http.close();
  }
}

async function measureReports(): Promise<void> {
  await people();
  await fill('reported', today - days * dayMs);
  await served(async (get) => {
    for (const report of reports) {
      await get(report);
      const took: number[] = [];
      const cpu = cpuSeconds();
      for (let call = 0; call < callsEach; call += 1) took.push(await get(report));
      const cpuMs = ((cpuSeconds() - cpu) * 1000) / callsEach;
      show(
        report.replaceAll(/(start|end)_date=[^&]*&?/g, '').replace(/[?&]$/, ''),
        `p50 ${quantile(took, 0.5).toFixed(0)}, p95 ${quantile(took, 0.95).toFixed(0)} ms, CPU ${cpuMs.toFixed(0)} ms`,
      );
    }
  });
}

/** Old requests go while dashboards ask. */
async function cleanup(): Promise<void> {
  await fill('old', today - 2 * days * dayMs);
  const asked = [
    '/global/spend/logs',
    `/global/activity?${between}`,
    `/team/daily/activity?${between}&team_ids=team-7`,
    `/spend/logs/v2?${times}&page=1&page_size=50&team_id=team-7`,
  ];
  await served(async (get) => {
    const round = async (): Promise<number[]> => {
      const took: number[] = [];
      for (const report of asked) took.push(await get(report));
      return took;
    };
    const before: number[] = [];
    for (let call = 0; call < callsEach; call += 1) before.push(...(await round()));
    let isOver = false;
    const began = performance.now();
    const dropAll = async (): Promise<void> => {
      const before = dayOf(today - days * dayMs);
      let dropped = 0;
      while ((await store.ledger.dropOldestLogs(before)) !== undefined) dropped += 1;
      isOver = true;
      show(
        `dropping ${dropped} of ${2 * days} days, ${requests} of ${2 * requests} requests`,
        `${((performance.now() - began) / 1000).toFixed(2)} s`,
      );
    };
    const dropping = dropAll();
    const during: number[] = [];
    do during.push(...(await round()));
    while (!isOver);
    await dropping;
    show(
      'p95 of four dashboards before and meanwhile',
      `${quantile(before, 0.95).toFixed(0)} and ${quantile(during, 0.95).toFixed(0)} ms, the longest ${Math.max(...during).toFixed(0)} ms`,
    );
  });
}

try {
  console.log(
    `${kind}, ${keys} keys, ${teams} teams, ${users} users, ${models} models, ${customers} customers`,
  );
  if (parts.has('rollup')) await rollup();
  if (parts.has('loop')) await loop();
  if (parts.has('reports')) await measureReports();
  if (parts.has('cleanup')) await cleanup();
  console.log(`\n${table(lines)}`);
} finally {
  await store.close();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
}
