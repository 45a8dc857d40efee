import type { Simulator } from '@aigateway/smoke/simulator/simulator';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../contract/test/until.ts';
import {
  hasRedisServer,
  startRedis,
  type RedisServer,
} from '../../proxy/test/servers/redis-server.ts';
import { chat, post, ready } from './calls.ts';
import { GatewayProcess, newFolder } from './gateway-process.ts';
import { startAzureOfOneModel, writeConfigurationOfOneModel } from './one-model.ts';

const master = 'sk-master-0123456789abcdef';
const upstreamKey = 'an-upstream-key';

let started: GatewayProcess[];
let simulator: Simulator;
let redis: RedisServer | undefined;
/** Calls of the test's key that were answered. */
let letThrough: number;

beforeEach(async () => {
  started = [];
  redis = undefined;
  letThrough = 0;
  simulator = await startAzureOfOneModel(upstreamKey);
});
afterEach(async () => {
  await Promise.all(started.map((gateway) => gateway.stop()));
  await redis?.stop();
  await simulator.close();
});

/** Where keys are managed, and where calls go, to each in turn. */
type Running = { readonly api: string; readonly urls: readonly string[] };

function start(args: string[], folder: string, more: Record<string, string>): GatewayProcess {
  const gateway = new GatewayProcess(
    ['--port', '0', ...args],
    {
      AIGATEWAY_SECRET: 'a-root-secret-of-more-than-thirty-two-bytes',
      LITELLM_MASTER_KEY: master,
      AIGATEWAY_STOP_DELAY: '0',
      HOST: '127.0.0.1',
      ...more,
    },
    folder,
  );
  started.push(gateway);
  return gateway;
}

async function inOneProcess(folder: string): Promise<Running> {
  writeConfigurationOfOneModel(folder, simulator, upstreamKey);
  const api = await start(['--role', 'all', '--config', 'config.yaml'], folder, {}).url();
  return { api, urls: [api] };
}

async function overRedis(folder: string): Promise<Running> {
  redis ??= await startRedis();
  const shared = { REDIS_URL: redis.url };
  writeConfigurationOfOneModel(folder, simulator, upstreamKey);
  const control = start(['--role', 'control-plane', '--config', 'config.yaml'], folder, shared);
  const api = await control.url();
  const proxies = [newFolder(), newFolder()].map((own) => start(['--role', 'proxy'], own, shared));
  const urls = await Promise.all(proxies.map((proxy) => proxy.url()));
  await Promise.all(urls.map(ready));
  return { api, urls };
}

async function newKey(api: string, fields: object): Promise<string> {
  const answer = await post(api, '/key/generate', master, fields);
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { key: string }).key;
}

/** Changes a key, or its team, while nobody gets through with it: the next call that is answered otherwise meets the change. */
async function change(
  { api, urls }: Running,
  key: string,
  fields: (used: { spend: number }) => object,
  holder: { readonly key: string } | { readonly team_id: string } = { key },
): Promise<void> {
  const kind = 'key' in holder ? 'key' : 'team';
  const manage = async (action: string, body: object) =>
    expect((await post(api, `/${kind}/${action}`, master, { ...holder, ...body })).status).toBe(
      200,
    );
  await manage('block', {});
  for (const url of urls) {
    await until(
      () => call(url, key),
      (status) => status === 401,
    );
  }
  const used = await counted(api, key);
  await manage('update', fields(used));
  await manage('unblock', {});
}

/** What the ledger has of a key, once it has all that was let through. */
async function counted(api: string, key: string): Promise<{ spend: number }> {
  const headers = { authorization: `Bearer ${master}` };
  const get = async (path: string) => (await fetch(api + path, { headers })).json();
  await until(
    async () => ((await get(`/spend/logs?api_key=${key}`)) as unknown[]).length,
    (length) => length === letThrough,
  );
  return ((await get(`/key/info?key=${key}`)) as { info: { spend: number } }).info;
}

async function call(url: string, key: string): Promise<number> {
  const { status } = await chat(url, key);
  if (status === 200) letThrough += 1;
  return status;
}

let turn = 0;

/** The first answer that is not for a key that is blocked or not known yet. */
function answerOf({ urls }: Running, key: string): Promise<number> {
  turn += 1;
  const url = urls[turn % urls.length] ?? '';
  return until(
    () => call(url, key),
    (status) => status !== 401,
  );
}

const shapes: readonly (readonly [string, (folder: string) => Promise<Running>])[] = [
  ['in one process', inOneProcess],
  ...(hasRedisServer ? ([['over Redis', overRedis]] as const) : []),
];

describe.each(shapes)('a limit that lasts, %s', (_, begin) => {
  it('of requests in total lets so many through and no more, also after a restart', async () => {
    const folder = newFolder();
    const running = await begin(folder);
    const key = await newKey(running.api, { max_requests: 3 });
    const statuses = [];
    for (let at = 0; at < 5; at += 1) statuses.push(await answerOf(running, key));
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
    await change(running, key, () => ({ max_requests: 4 }));
    expect([await answerOf(running, key), await answerOf(running, key)]).toEqual([200, 429]);

    for (const { child } of started) child.kill('SIGTERM');
    await Promise.all(started.map((gateway) => gateway.ended()));
    expect(await answerOf(await begin(folder), key)).toBe(429);
  });

  it('counts what a key did before it was given one', async () => {
    const running = await begin(newFolder());
    const key = await newKey(running.api, {});
    expect([await answerOf(running, key), await answerOf(running, key)]).toEqual([200, 200]);
    // Counted from zero it would let some calls through.
    await change(running, key, ({ spend }) => ({ max_budget: spend }));
    expect(await answerOf(running, key)).toBe(429);
    await change(running, key, () => ({ max_budget: 1000, max_requests: letThrough }));
    expect(await answerOf(running, key)).toBe(429);
    await change(running, key, () => ({ max_requests: letThrough + 1 }));
    expect([await answerOf(running, key), await answerOf(running, key)]).toEqual([200, 429]);
  });

  it('counts what the keys of a team spent on a model before the team was given a budget for it', async () => {
    const running = await begin(newFolder());
    const team = { team_id: 'search' };
    await post(running.api, '/team/new', master, team);
    const key = await newKey(running.api, team);
    const other = await newKey(running.api, team);
    expect([await answerOf(running, key), await answerOf(running, key)]).toEqual([200, 200]);
    const give = (model: string, max: (spend: number) => number) =>
      change(
        running,
        key,
        ({ spend }) => ({
          model_max_budget: { [model]: { max_budget: max(spend), budget_duration: '30d' } },
        }),
        team,
      );
    // Counted from zero it would let some calls through.
    await give('g*', (spend) => spend);
    expect([await answerOf(running, key), await answerOf(running, other)]).toEqual([429, 429]);
    await give('g*', () => 1000);
    expect(await answerOf(running, other)).toBe(200);
  });
});
