import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Simulator } from '@aigateway/smoke/simulator/simulator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
const upstreamKey = 'an-upstream-key-of-the-restoration';

describe.skipIf(!hasRedisServer)('an older backup that is restored while proxies serve', () => {
  const started: GatewayProcess[] = [];
  const folders = { control: newFolder(), proxy: newFolder() };
  const backup = join(folders.control, 'store.backup');
  let simulator: Simulator;
  let redis: RedisServer;

  beforeAll(async () => {
    simulator = await startAzureOfOneModel(upstreamKey);
    redis = await startRedis();
    writeConfigurationOfOneModel(folders.control, simulator, upstreamKey);
  });
  afterAll(async () => {
    for (const gateway of started) await gateway.stop();
    await redis.stop();
    await simulator.close();
  });

  function run(folder: string, ...args: string[]): GatewayProcess {
    const environment = {
      AIGATEWAY_SECRET: 'a-root-secret-of-more-than-thirty-two-bytes',
      LITELLM_MASTER_KEY: master,
      REDIS_URL: redis.url,
      AIGATEWAY_STOP_DELAY: '0',
      HOST: '127.0.0.1',
    };
    const gateway = new GatewayProcess(args, environment, folder);
    started.push(gateway);
    return gateway;
  }

  const startControl = () =>
    run(folders.control, '--port', '0', '--role', 'control-plane', '--config', 'config.yaml');
  const startProxy = () => run(folders.proxy, '--port', '0', '--role', 'proxy');

  async function stop({ child }: GatewayProcess): Promise<void> {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }

  /** As docs/operations/backup.md has it: only the control plane is stopped. */
  async function restore(control: GatewayProcess, meanwhile: () => Promise<void>) {
    await stop(control);
    for (const end of ['', '-wal', '-shm']) {
      rmSync(join(folders.control, '.aigateway', `gateway.db${end}`), { force: true });
    }
    const job = run(folders.control, '--restore', `apply:${backup}`);
    expect([await job.ended(), job.errors]).toEqual([0, '']);
    await meanwhile();
    return startControl();
  }

  it('gets back what proxies still have on their disks, goes on without the rest and says so, and counts nothing twice', async () => {
    let control = startControl();
    let api = await control.url();
    let proxy = startProxy();
    let url = await proxy.url();
    await ready(url);
    const made = await post(api, '/key/generate', master, { max_budget: 100 });
    const { key } = (await made.json()) as { key: string };
    const calls = async (count: number): Promise<void> => {
      for (let call = 0; call < count; call += 1) expect((await chat(url, key)).status).toBe(200);
    };
    const spend = async (): Promise<number> => {
      const answer = await fetch(`${api}/key/info?key=${key}`, {
        headers: { authorization: `Bearer ${master}` },
      });
      return ((await answer.json()) as { info: { spend: number } }).info.spend;
    };
    const counted = async (one: number, count: number): Promise<void> => {
      const nanoUsd = (usd: number): number => Math.round(usd * 1e9);
      await until(
        async () => nanoUsd(await spend()),
        (known) => known >= nanoUsd(one) * count,
      );
      expect(nanoUsd(await spend())).toBe(nanoUsd(one) * count);
    };

    await calls(1);
    await until(spend, (known) => known > 0);
    const one = await spend();
    await calls(1);
    await counted(one, 2);
    const job = run(folders.control, '--backup', backup);
    expect([await job.ended(), job.errors]).toEqual([0, '']);

    // Counted in the store that is given up, and still in the file that the proxy writes to.
    await calls(3);
    await counted(one, 5);
    control = await restore(control, () => calls(1));
    api = await control.url();
    await counted(one, 6);
    expect(control.output).not.toContain('usage is missing');

    // A proxy that starts begins a new file, and drops the one before once all in it is counted.
    await stop(proxy);
    proxy = startProxy();
    url = await proxy.url();
    await ready(url);
    await calls(1);
    await counted(one, 7);
    await calls(1);
    await counted(one, 8);
    control = await restore(control, () => calls(1));
    api = await control.url();
    // Two of the backup, and three since the proxy began anew.
    await counted(one, 5);
    const [line = ''] = /.*usage is missing.*/.exec(control.output) ?? [];
    expect(JSON.parse(line)).toMatchObject({ from: 3, to: 6 });
    await calls(1);
    await counted(one, 6);
  }, 600_000);
});
