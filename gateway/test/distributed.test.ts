import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { Simulator } from '@aigateway/smoke/simulator/simulator';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '../../smoke/free-port.ts';
import { until } from '../../contract/test/until.ts';
import {
  hasRedisServer,
  startRedis,
  type RedisServer,
} from '../../proxy/test/servers/redis-server.ts';
import { chat, metric, post, ready } from './calls.ts';
import { GatewayProcess, newFolder } from './gateway-process.ts';
import { startAzureOfOneModel, writeConfigurationOfOneModel } from './one-model.ts';

const master = 'sk-master-0123456789abcdef';
const upstreamKey = 'an-upstream-key-that-must-not-be-seen';

let started: GatewayProcess[];
let simulator: Simulator;
let redis: RedisServer;

beforeEach(async () => {
  started = [];
  simulator = await startAzureOfOneModel(upstreamKey);
  redis = await startRedis();
});
afterEach(async () => {
  await Promise.all(started.map((gateway) => gateway.stop()));
  await redis.stop();
  await simulator.close();
});

function environment(): Record<string, string> {
  return {
    AIGATEWAY_SECRET: 'a-root-secret-of-more-than-thirty-two-bytes',
    LITELLM_MASTER_KEY: master,
    REDIS_URL: redis.url,
    AIGATEWAY_STOP_DELAY: '0',
    HOST: '127.0.0.1',
  };
}

/** Models, and secrets in the clear, as a file may have them. */
function controlPlane(folder = newFolder(), more: Record<string, string> = {}): GatewayProcess {
  writeConfigurationOfOneModel(folder, simulator, upstreamKey, {
    extra_headers: { 'x-canary': `${upstreamKey}-in-a-header` },
    extra_body: { user: `${upstreamKey}-in-a-body` },
  });
  return start(['--role', 'control-plane', '--config', 'config.yaml'], folder, more);
}

function start(
  args: string[],
  folder = newFolder(),
  more: Record<string, string> = {},
): GatewayProcess {
  const gateway = new GatewayProcess(
    ['--port', '0', ...args],
    { ...environment(), ...more },
    folder,
  );
  started.push(gateway);
  return gateway;
}

/** All names and values of a server, as text. */
async function everythingIn({ url }: RedisServer): Promise<string> {
  const client = new Redis(url);
  try {
    const names = await client.keys('*');
    const values = await Promise.all(names.map((name) => client.dumpBuffer(name)));
    return [...names, ...values.map((value) => value?.toString('latin1') ?? '')].join('\n');
  } finally {
    client.disconnect();
  }
}

describe.skipIf(!hasRedisServer)('proxies that follow a control plane through Redis', () => {
  it('take its models and keys, and share what each key may do', async () => {
    const control = controlPlane();
    const api = await control.url();
    expect((await fetch(`${api}/health/readiness`)).status).toBe(200);
    const proxies = [start(['--role', 'proxy']), start(['--role', 'proxy'])];
    const urls = await Promise.all(proxies.map((proxy) => proxy.url()));
    await Promise.all(urls.map(ready));

    const made = await post(api, '/key/generate', master, { models: ['gpt-4o'], rpm_limit: 4 });
    const { key } = (await made.json()) as { key: string };
    const statuses: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      for (const url of urls) statuses.push((await chat(url, key)).status);
    }
    expect(statuses[0]).toBe(200);
    // A minute may begin in between, but not twice.
    expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(8);
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(4);

    await post(api, '/key/block', master, { key });
    for (const url of urls) {
      await until(
        async () => (await chat(url, key)).status,
        (status) => status === 401,
      );
    }
  });

  it('count every call once, and show what it cost where the key is asked for', async () => {
    const control = controlPlane();
    const api = await control.url();
    const proxy = start(['--role', 'proxy']);
    const url = await proxy.url();
    await ready(url);
    const made = await post(api, '/key/generate', master, {});
    const { key } = (await made.json()) as { key: string };
    for (let call = 0; call < 3; call += 1) expect((await chat(url, key)).status).toBe(200);
    const spend = async () => {
      const answer = await fetch(`${api}/key/info?key=${key}`, {
        headers: { authorization: `Bearer ${master}` },
      });
      return ((await answer.json()) as { info: { spend: number } }).info.spend;
    };
    const lines = await until(
      () =>
        Promise.resolve(proxy.output.split('\n').filter((line) => line.includes('"event":"call"'))),
      ({ length }) => length === 3,
    );
    const cost = lines.reduce(
      (sum, line) => sum + (JSON.parse(line) as { costNanoUsd: number }).costNanoUsd,
      0,
    );
    expect(cost).toBeGreaterThan(0);
    const spent = await until(spend, (usd) => usd >= cost / 1e9);
    expect(spent).toBeCloseTo(cost / 1e9, 9);
  });

  it('show how their deployments fared, each what all of them saw, and the control plane as well', async () => {
    const control = controlPlane();
    const api = await control.url();
    const proxies = [start(['--role', 'proxy']), start(['--role', 'proxy'])];
    const urls = await Promise.all(proxies.map((proxy) => proxy.url()));
    await Promise.all(urls.map(ready));
    const asked = async (url: string, path: string) => {
      const headers = { authorization: `Bearer ${master}` };
      return (await (await fetch(`${url}${path}`, { headers })).json()) as {
        health_checks: { checked_by: string; status: string; error_message: string }[];
        latest_health_checks: Record<string, { status: string; model_name: string }>;
      };
    };
    const latest = async (url: string) =>
      Object.values((await asked(url, '/health/latest')).latest_health_checks);
    const [one = '', other = ''] = urls;
    simulator.fault({ kind: 'rate-limit', retryAfterMs: 60_000 });
    expect((await chat(one, master)).status).toBe(429);
    // Its own deployment is well.
    await until(
      () => latest(other),
      ([check]) => check?.status === 'unhealthy',
    );
    expect((await chat(other, master)).status).toBe(429);
    simulator.clearFaults();

    const pids = new Set(proxies.map(({ child }) => String(child.pid)));
    for (const url of [api, ...urls]) {
      const { health_checks: checks } = await until(
        () => asked(url, '/health/history?model=gpt-4o&status_filter=unhealthy'),
        ({ health_checks: { length } }) => length === 2,
      );
      expect(new Set(checks.map((check) => check.checked_by.split('/')[1]))).toEqual(pids);
      expect(checks[0]).toMatchObject({ error_message: 'RateLimitError' });
      expect(await latest(url)).toMatchObject([{ status: 'unhealthy', model_name: 'gpt-4o' }]);
    }
  });

  it('show how far they are with what they are told and what they have to tell', async () => {
    const [controlOps, proxyOps] = await Promise.all([freePort(), freePort()]);
    const control = controlPlane(newFolder(), { AIGATEWAY_OPS_PORT: String(controlOps) });
    const api = await control.url();
    const proxy = start(['--role', 'proxy'], newFolder(), {
      AIGATEWAY_OPS_PORT: String(proxyOps),
    });
    const url = await proxy.url();
    await ready(url);
    const before = await metric(proxyOps, 'snapshot_revision');
    const made = await post(api, '/key/generate', master, {});
    const { key } = (await made.json()) as { key: string };
    await until(
      () => metric(proxyOps, 'snapshot_revision'),
      (revision) => revision > before,
    );
    expect((await chat(url, key)).status).toBe(200);
    await until(
      () => metric(controlOps, 'usage_taken_total'),
      (taken) => taken >= 1,
    );
    await until(
      () => metric(proxyOps, 'usage_spool_events'),
      (events) => events === 0,
    );
    expect(await metric(controlOps, 'usage_refused_total')).toBe(0);
    expect(await metric(proxyOps, 'snapshot_refused_total')).toBe(0);

    await redis.stop();
    expect((await chat(url, key)).status).toBe(200);
    await until(
      () => metric(proxyOps, 'snapshot_connected'),
      (connected) => connected === 0,
    );
    expect(await metric(proxyOps, 'usage_spool_events')).toBe(1);
    const age = await metric(proxyOps, 'snapshot_age_seconds');
    expect(await (await fetch(`${url}/health/readiness`)).json()).toMatchObject({
      status: 'healthy',
      snapshot: { revision: before + 1, connected: false },
    });
    expect(await metric(proxyOps, 'snapshot_age_seconds')).toBeGreaterThan(age);
  });

  it('go on while Redis is away, and start from what they knew', async () => {
    const control = controlPlane();
    const api = await control.url();
    const folder = newFolder();
    const proxy = start(['--role', 'proxy'], folder);
    const url = await proxy.url();
    await ready(url);
    const made = await post(api, '/key/generate', master, {});
    const { key } = (await made.json()) as { key: string };
    expect((await chat(url, key)).status).toBe(200);
    const kept = join(folder, '.aigateway', 'snapshot.jsonl');
    await until(
      () => Promise.resolve(existsSync(kept)),
      (isThere) => isThere,
    );
    await redis.stop();
    expect((await chat(url, key)).status).toBe(200);
    proxy.child.kill('SIGTERM');
    await proxy.ended();
    const again = start(['--role', 'proxy'], folder);
    const urlAgain = await again.url();
    await ready(urlAgain);
    expect((await chat(urlAgain, master)).status).toBe(200);
  });

  it('hand no budget out again when Redis has lost its data and the proxy that spent it is gone', async () => {
    const control = controlPlane();
    const api = await control.url();
    const first = start(['--role', 'proxy']);
    const url = await first.url();
    await ready(url);
    const made = await post(api, '/key/generate', master, { max_budget: 0.001 });
    const { key } = (await made.json()) as { key: string };
    const info = async () => {
      const answer = await fetch(`${api}/key/info?key=${key}`, {
        headers: { authorization: `Bearer ${master}` },
      });
      return ((await answer.json()) as { info: { spend: number } }).info;
    };
    let calls = 0;
    while ((await chat(url, key)).status === 200) calls += 1;
    expect(calls).toBeGreaterThan(0);
    // Everything is counted before the proxy is gone.
    first.child.kill('SIGTERM');
    await first.ended();
    const client = new Redis(redis.url);
    await until(info, ({ spend }) => spend > 0);
    await until(
      async () => (await client.keys('aigateway:usage:*:stream')).length,
      (streams) => streams > 0,
    );
    const waiting = async () => {
      const streams = await client.keys('aigateway:usage:*:stream');
      return Promise.all(streams.map((stream) => client.xlen(stream)));
    };
    await until(waiting, (lengths) => lengths.every((length) => length === 0));
    await client.flushall();

    const second = start(['--role', 'proxy']);
    const next = await second.url();
    await ready(next);
    await until(
      () => client.exists('aigateway:budgets:kept'),
      (count) => count === 1,
    );
    client.disconnect();
    const refused = await chat(next, key);
    expect(refused.status).toBe(429);
    expect(await refused.text()).toContain('budget');
  });

  it('leave no key and no secret of an upstream in Redis', async () => {
    const control = controlPlane();
    const api = await control.url();
    const made = await post(api, '/key/generate', master, {});
    const { key } = (await made.json()) as { key: string };
    const dump = await everythingIn(redis);
    expect(dump).toContain('aigateway');
    for (const secret of [key, master, upstreamKey]) expect(dump).not.toContain(secret);
    expect(readFileSync(join(control.folder, 'config.yaml'), 'utf8')).toContain(upstreamKey);
  });
});
