import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { snapshotHeadKey, snapshotKeysKey } from '@aigateway/contract/channels';
import type { UsageRecord } from '@aigateway/contract/usage';
import { startSimulator, type Simulator } from '@aigateway/smoke/simulator/simulator';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../smoke/free-port.ts';
import { until } from '../../contract/test/until.ts';
import {
  postgresBinaries,
  startPostgres,
  type PostgresServer,
} from '../../control-plane/test/servers/postgres-server.ts';
import {
  hasRedisServer,
  startRedis,
  type RedisServer,
} from '../../proxy/test/servers/redis-server.ts';
import { startRelay, type TcpRelay } from '../../proxy/test/servers/tcp-relay.ts';
import { chat, metric, post, ready } from './calls.ts';
import { GatewayProcess, newFolder } from './gateway-process.ts';

const canRun = hasRedisServer && (await postgresBinaries()) !== undefined;
const canFillDisks = spawnSync('prlimit', ['--version']).status === 0;
const master = 'sk-master-0123456789abcdef';
const upstreamKey = 'an-upstream-key';
/** Processes start and stop in each of these. */
const limitMs = 180_000;

/** A proxy over all its lives: its directory stays. */
type Member = { readonly folder: string; readonly opsPort: number; process: GatewayProcess };

/**
 * What holds while something is away, row by row of docs/operations/failure-modes.md: a control plane and two proxies as processes,
 * over a real Redis, a real PostgreSQL and simulated Azure. Each test puts right again what it broke.
 */
describe.skipIf(!canRun)('while something is away', { timeout: limitMs }, () => {
  let simulator: Simulator;
  let east: TcpRelay;
  let issuer: TcpRelay;
  let redis: RedisServer;
  let postgres: PostgresServer;
  let common: Record<string, string>;
  let database: string;
  let controlFolder: string;
  let control: GatewayProcess;
  let api: string;
  let proxies: [Member, Member];
  const folders: string[] = [];

  beforeAll(async () => {
    [simulator, redis, postgres] = await Promise.all([
      startSimulator({
        config: {
          resources: ['east', 'west'].map((name) => ({
            name,
            keys: [upstreamKey],
            deployments: ['gpt-4o', 'gpt-4o-mini'].map((model) => ({ name: model, model })),
          })),
        },
      }),
      startRedis(),
      startPostgres(),
    ]);
    const port = Number(new URL(simulator.url).port);
    [east, issuer] = await Promise.all([startRelay(port), startRelay(port)]);
    database = await postgres.createDatabase();
    common = {
      AIGATEWAY_SECRET: 'a-root-secret-of-more-than-thirty-two-bytes',
      AIGATEWAY_STOP_DELAY: '0',
      AIGATEWAY_WITHOUT_REDIS: 'closed',
      LITELLM_MASTER_KEY: master,
      REDIS_URL: redis.url,
      HOST: '127.0.0.1',
      IDENTITY_ENDPOINT: `http://127.0.0.1:${issuer.port}/msi/token`,
      IDENTITY_HEADER: 'simulated-identity-header',
    };
    const job = new GatewayProcess(['--migrate', 'apply'], { ...common, DATABASE_URL: database });
    if ((await job.ended()) !== 0) throw new Error(`the store was not migrated: ${job.errors}`);
    await job.stop();
    controlFolder = folder();
    writeFileSync(join(controlFolder, 'config.yaml'), JSON.stringify(configuration()));
    control = startControl();
    api = await control.url();
    proxies = [await startProxy(), await startProxy()];
    await Promise.all(proxies.map(async ({ process }) => ready(await process.url())));
  }, limitMs);
  afterEach(async () => {
    process.kill(redis.pid, 'SIGCONT');
    east.mend();
    issuer.mend();
    simulator.clearFaults();
    if (hasEnded(control)) {
      control = startControl();
      api = await control.url();
    }
    for (const [at, { process: one, folder: own }] of proxies.entries()) {
      if (hasEnded(one)) proxies[at] = await startProxy(own);
    }
    await Promise.all(proxies.map(async ({ process }) => ready(await process.url())));
  }, limitMs);
  afterAll(async () => {
    await Promise.all(
      [control, ...(proxies ?? []).map((one) => one.process)].map((one) => one?.stop()),
    );
    for (const path of folders) rmSync(path, { recursive: true, force: true });
    await Promise.all([east?.close(), issuer?.close(), redis?.stop(), postgres?.stop()]);
    await simulator?.close();
  });

  function folder(): string {
    const path = newFolder();
    folders.push(path);
    return path;
  }

  function configuration(): object {
    const model = (name: string, base: string, params: object) => ({
      model_name: name,
      litellm_params: {
        model: 'azure/gpt-4o',
        api_base: base,
        api_version: '2024-10-21',
        ...params,
      },
    });
    const eastUrl = `http://127.0.0.1:${east.port}/east`;
    const key = { api_key: upstreamKey };
    return {
      model_list: [
        model('gpt-4o', eastUrl, key),
        model('gpt-4o', simulator.resourceUrl('west'), key),
        model('east-only', eastUrl, key),
        model('mini-of-east', eastUrl, { ...key, model: 'azure/gpt-4o-mini' }),
        model('by-identity', simulator.resourceUrl('west'), {
          azure_credential: 'managed-identity',
        }),
      ],
      router_settings: { fallbacks: [{ 'east-only': ['gpt-4o'] }] },
      aigateway_settings: { allow_insecure_upstream: true },
    };
  }

  function startControl(): GatewayProcess {
    return new GatewayProcess(
      ['--port', '0', '--role', 'control-plane', '--config', 'config.yaml'],
      { ...common, DATABASE_URL: database },
      controlFolder,
    );
  }

  async function startProxy(own = folder()): Promise<Member> {
    const opsPort = await freePort();
    const started = new GatewayProcess(
      ['--port', '0', '--role', 'proxy'],
      { ...common, AIGATEWAY_OPS_PORT: String(opsPort) },
      own,
    );
    return { folder: own, opsPort, process: started };
  }

  function hasEnded({ child }: GatewayProcess): boolean {
    return child.exitCode !== null || child.signalCode !== null;
  }

  /** Ends a process at once, as a machine does that is gone. */
  async function kill(one: GatewayProcess): Promise<void> {
    one.child.kill('SIGKILL');
    await one.ended();
  }

  function urls(): Promise<string[]> {
    return Promise.all(proxies.map(({ process }) => process.url()));
  }

  /** A key that the store has; proxies may not know of it yet. */
  async function generate(limits: object = {}): Promise<{ key: string; keyId: string }> {
    const answer = await post(api, '/key/generate', master, limits);
    expect(answer.status).toBe(200);
    const made = (await answer.json()) as { key: string; key_id: string };
    return { key: made.key, keyId: made.key_id };
  }

  /** A key that both proxies know: just after a control plane has begun they are still being told everything. */
  async function newKey(limits?: object): Promise<{ key: string; keyId: string }> {
    const made = await generate(limits);
    for (const url of await urls()) {
      await until(
        async () => {
          const headers = { authorization: `Bearer ${made.key}` };
          return (await fetch(`${url}/v1/models`, { headers })).status;
        },
        (status) => status === 200,
      );
    }
    return made;
  }

  /** Calls by both proxies in turns. @returns their statuses */
  async function statuses(count: number, key: string, model?: string): Promise<number[]> {
    const both = await urls();
    return Promise.all(
      Array.from({ length: count }, async (_, at) => {
        const answer = await chat(both[at % both.length] ?? '', key, model);
        await answer.text();
        return answer.status;
      }),
    );
  }

  /** What the store has counted of a key. */
  async function counted(keyId: string): Promise<UsageRecord[]> {
    const rows = await postgres.query('select record from usage_record', 'test1');
    return rows
      .map(({ record }) => JSON.parse(String(record)) as UsageRecord)
      .filter((record) => record.keyId === keyId);
  }

  async function withRedis<Result>(ask: (client: Redis) => Promise<Result>): Promise<Result> {
    const client = new Redis(redis.url);
    try {
      return await ask(client);
    } finally {
      client.disconnect();
    }
  }

  it('an Azure resource: the others of the group answer, it rests, and comes back by itself', async () => {
    const { key } = await newKey();
    const [url = ''] = await urls();
    const resting = async () => {
      const answer = await fetch(`${url}/health`, {
        headers: { authorization: `Bearer ${master}` },
      });
      const { unhealthy_endpoints: rows } = (await answer.json()) as {
        unhealthy_endpoints: { model: string }[];
      };
      return rows.length;
    };
    expect(new Set(await statuses(4, key))).toEqual(new Set([200]));
    east.cut();
    await until(
      async () => {
        expect(new Set(await statuses(4, key))).toEqual(new Set([200]));
        return resting();
      },
      (count) => count > 0,
    );
    // The model that only this resource has is answered by its fallback.
    expect(new Set(await statuses(4, key, 'east-only'))).toEqual(new Set([200]));
    east.mend();
    await until(
      async () => {
        expect(new Set(await statuses(4, key))).toEqual(new Set([200]));
        await statuses(2, key, 'east-only');
        return resting();
      },
      (count) => count === 0,
    );
  });

  it('all deployments of a model: 429 with the true time, and nothing is sent before it', async () => {
    const { key } = await newKey();
    const [url = ''] = await urls();
    simulator.fault({ kind: 'rate-limit', deployment: 'gpt-4o-mini', retryAfterMs: 45_000 });
    const sent = () =>
      simulator.requests().filter(({ deployment }) => deployment === 'gpt-4o-mini').length;
    await until(
      async () => (await chat(url, key, 'mini-of-east')).headers.get('x-should-retry'),
      () => sent() > 0,
    );
    const before = sent();
    const refused = await chat(url, key, 'mini-of-east');
    expect(refused.status).toBe(429);
    const waitSeconds = Number(refused.headers.get('retry-after'));
    expect(waitSeconds).toBeGreaterThan(0);
    expect(waitSeconds).toBeLessThanOrEqual(45);
    expect(sent()).toBe(before);
  });

  it('Entra: tokens that are there are used', async () => {
    const { key } = await newKey();
    expect(new Set(await statuses(4, key, 'by-identity'))).toEqual(new Set([200]));
    issuer.cut();
    expect(new Set(await statuses(10, key, 'by-identity'))).toEqual(new Set([200]));
  });

  it('a Redis that hangs for the whole of a load: calls are served, usage waits and is counted once, changes follow', async () => {
    const [free, limited] = [await newKey(), await newKey({ rpm_limit: 1000 })];
    expect(new Set(await statuses(4, free.key))).toEqual(new Set([200]));
    expect(new Set(await statuses(4, limited.key))).toEqual(new Set([200]));
    process.kill(redis.pid, 'SIGSTOP');
    expect(new Set(await statuses(40, free.key))).toEqual(new Set([200]));
    // Leases are spent, what comes after them is refused; nobody is let in uncounted, nobody waits for ever.
    await until(
      () => statuses(20, limited.key),
      (found) => found.every((status) => status === 503),
    );
    const made = await generate();
    // Unknown is not invalid.
    expect(new Set(await statuses(2, made.key))).toEqual(new Set([503]));
    expect(new Set(await statuses(20, free.key))).toEqual(new Set([200]));
    process.kill(redis.pid, 'SIGCONT');
    await until(
      () => statuses(2, made.key),
      (found) => found.every((status) => status === 200),
    );
    await until(
      () => statuses(2, limited.key),
      (found) => found.every((status) => status === 200),
    );
    const records = await until(
      () => counted(free.keyId),
      ({ length }) => length >= 64,
    );
    expect(new Set(records.map(({ requestId }) => requestId)).size).toBe(64);
    expect(records).toHaveLength(64);
  });

  it('the store: the management API answers 503 in LiteLLM’s form, calls are served, usage waits and is counted once', async () => {
    const { key, keyId } = await newKey();
    expect(new Set(await statuses(4, key))).toEqual(new Set([200]));
    await postgres.shutDown();
    try {
      const refused = await post(api, '/key/generate', master, {});
      expect(refused.status).toBe(503);
      expect(await refused.json()).toMatchObject({
        error: { type: 'no_db_connection', code: '503' },
      });
      expect(new Set(await statuses(20, key))).toEqual(new Set([200]));
    } finally {
      await postgres.startUp();
    }
    const records = await until(
      () => counted(keyId),
      ({ length }) => length >= 24,
    );
    expect(new Set(records.map(({ requestId }) => requestId)).size).toBe(24);
    expect(records).toHaveLength(24);
    await newKey();
  });

  it('the control plane: proxies serve on, also one that starts now, and usage waits', async () => {
    const { key, keyId } = await newKey();
    expect(new Set(await statuses(4, key))).toEqual(new Set([200]));
    await kill(control);
    expect(new Set(await statuses(10, key))).toEqual(new Set([200]));
    const fresh = await startProxy();
    try {
      const url = await fresh.process.url();
      await ready(url);
      expect((await chat(url, key)).status).toBe(200);
      fresh.process.child.kill('SIGTERM');
      expect(await fresh.process.ended()).toBe(0);
    } finally {
      await fresh.process.stop();
    }
    control = startControl();
    api = await control.url();
    const records = await until(
      () => counted(keyId),
      ({ length }) => length >= 15,
    );
    expect(records).toHaveLength(15);
    await newKey();
  });

  it('control plane and Redis: a proxy starts from what it knew, and one that knows nothing says so', async () => {
    const { key, keyId } = await newKey();
    const kept = join(proxies[0].folder, '.aigateway', 'snapshot.jsonl');
    await until(
      () => readFileSync(kept, 'utf8'),
      (text) => text.includes(keyId),
    );
    await kill(control);
    process.kill(redis.pid, 'SIGSTOP');
    await kill(proxies[0].process);
    proxies[0] = await startProxy(proxies[0].folder);
    const fresh = await startProxy();
    try {
      const [known, unknown] = await Promise.all([proxies[0].process.url(), fresh.process.url()]);
      await ready(known);
      expect((await chat(known, key)).status).toBe(200);
      // Wrong, or made a moment ago: nobody can tell.
      const untold = await chat(known, 'sk-never-made');
      expect(untold.status).toBe(503);
      expect(untold.headers.get('x-aigateway-layer')).toBe('authenticate');
      expect(await untold.json()).toMatchObject({ error: { code: 'key_lookup_unavailable' } });
      const refused = await chat(unknown, key);
      expect(refused.status).toBe(503);
      expect(await refused.json()).toMatchObject({ error: { code: 'not_ready' } });
      expect((await fetch(`${unknown}/health/readiness`)).status).toBe(503);
    } finally {
      await fresh.process.stop();
    }
  });

  it('a snapshot that somebody forged: proxies keep what they hold, and say so, until it is published anew', async () => {
    const { key } = await newKey();
    const blocked = await newKey();
    await post(api, '/key/block', master, { key: blocked.key });
    await until(
      () => statuses(2, blocked.key),
      (found) => found.every((status) => status === 401),
    );
    const refused = () => metric(proxies[0].opsPort, 'snapshot_refused_total');
    const before = await refused();
    await withRedis(async (client) => {
      const keys = snapshotKeysKey(Number(await client.hget(snapshotHeadKey, 'generation')));
      const text = (await client.hget(keys, blocked.keyId)) ?? '';
      await client.hset(keys, blocked.keyId, text.replace('"blocked":true', '"blocked":false'));
      await client.hset(snapshotHeadKey, 'sealed', 'forged', 'revision', '99999999999999');
    });
    await until(refused, (count) => count > before);
    const [url = ''] = await urls();
    expect((await fetch(`${url}/health/readiness`)).status).toBe(200);
    expect(new Set(await statuses(4, key))).toEqual(new Set([200]));
    expect(new Set(await statuses(4, blocked.key))).toEqual(new Set([401]));
    expect(proxies[0].process.output).toContain('"reason":"forged"');
    // The control plane finds it when it renews the head.
    const made = await newKey();
    expect(new Set(await statuses(2, made.key))).toEqual(new Set([200]));
    expect(new Set(await statuses(4, blocked.key))).toEqual(new Set([401]));
  });

  it.skipIf(!canFillDisks)(
    'the disk of a proxy: calls are refused before they are sent, and let in again when it takes writes',
    async () => {
      const { key, keyId } = await newKey();
      const [url = ''] = await urls();
      const from = simulator.requests().at(-1)?.sequence ?? 0;
      const sent = () =>
        simulator
          .requests()
          .filter(({ sequence, operation }) => sequence > from && operation !== undefined);
      await until(
        async () => (await chat(url, key)).status,
        (status) => status === 200,
      );
      const limit = (size: string) =>
        spawnSync('prlimit', [
          '--pid',
          String(proxies[0].process.child.pid),
          `--fsize=${size}:unlimited`,
        ]);
      expect(limit('1').status).toBe(0);
      const refused = await until(
        () => chat(url, key),
        ({ status }) => status === 503,
      );
      expect(await refused.json()).toMatchObject({ error: { code: 'accounting_unavailable' } });
      const before = sent().length;
      expect((await chat(url, key)).status).toBe(503);
      expect(sent()).toHaveLength(before);
      limit('unlimited');
      await until(
        async () => (await chat(url, key)).status,
        (status) => status === 200,
      );
      // What the disk had not taken is written after all: nothing that was sent is missing.
      await until(
        async () => {
          const ids = new Set((await counted(keyId)).map(({ requestId }) => requestId));
          return sent().filter(({ headers }) => !ids.has(headers['x-ms-client-request-id'] ?? ''));
        },
        (missing) => missing.length === 0,
      );
    },
  );

  it('a proxy that is killed: its slots return, the call it had is counted once, its directory serves on', async () => {
    const { key, keyId } = await newKey({ max_parallel_requests: 1 });
    const [first = '', second = ''] = await urls();
    const fault = simulator.fault({ kind: 'stall', at: 'before-headers' });
    const lost = chat(first, key).catch(() => undefined);
    await until(
      () => simulator.counters().inFlight,
      (count) => count > 0,
    );
    fault.remove();
    expect((await chat(second, key)).status).toBe(429);
    await kill(proxies[0].process);
    await lost;
    await until(
      async () => (await chat(second, key)).status,
      (status) => status === 200,
    );
    proxies[0] = await startProxy(proxies[0].folder);
    await ready(await proxies[0].process.url());
    const records = await until(
      () => counted(keyId),
      ({ length }) => length >= 2,
    );
    expect(records.map(({ usageSource }) => usageSource).toSorted()).toEqual([
      'estimated',
      'measured',
    ]);
  });
});
