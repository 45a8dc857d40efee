import { once } from 'node:events';
import { join } from 'node:path';
import { logRetentionLeaseKey } from '@aigateway/contract/channels';
import { createSqliteStore } from '@aigateway/control-plane/store/sqlite/sqlite-store';
import { redisLease } from '@aigateway/control-plane/usage/lease';
import { createLogKeeper } from '@aigateway/control-plane/usage/log-retention';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import { usageRecord } from '../../control-plane/test/conformance/documents.ts';
import { hasRedisServer, startRedis } from '../../proxy/test/servers/redis-server.ts';
import { freePort } from '../../smoke/free-port.ts';
import { GatewayProcess, newFolder } from './gateway-process.ts';

const dayMs = 86_400_000;
const master = 'sk-master-0123456789abcdef';

let closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.toReversed()) await close();
  closing = [];
});

describe('a gateway that keeps usage for some time', () => {
  const start = async (folder: string, config: string, ops = 0) => {
    const gateway = new GatewayProcess(
      ['--port', '0'],
      {
        AIGATEWAY_PROFILE: 'development',
        AIGATEWAY_STOP_DELAY: '0',
        AIGATEWAY_OPS_PORT: String(ops),
        LITELLM_MASTER_KEY: master,
        AIGATEWAY_CONFIG_TEXT: config,
      },
      folder,
    );
    closing.push(() => gateway.stop());
    return { gateway, url: await gateway.url() };
  };
  const stop = async ({ gateway }: Awaited<ReturnType<typeof start>>) => {
    gateway.child.kill('SIGTERM');
    await gateway.ended();
  };
  const headers = { authorization: `Bearer ${master}`, 'content-type': 'application/json' };
  const read = async (url: string, path: string): Promise<unknown> =>
    (await fetch(url + path, { headers })).json();
  /** A folder whose store has usage of these ages, in days. */
  const folderWith = async (...ages: readonly number[]): Promise<string> => {
    const folder = newFolder();
    const store = await createSqliteStore({ path: join(folder, '.aigateway', 'gateway.db') });
    const events = ages.map((age, at) => ({
      sequence: at + 1,
      record: usageRecord({ requestId: `age-${age}`, startedAt: Date.now() - age * dayMs }),
    }));
    await store.ledger.append('before', events);
    await store.close();
    return folder;
  };
  const dropped = /\{[^\n]*"days":(\d+)[^\n]*"msg":"old usage was dropped"[^\n]*\}/;
  const requests = async (url: string) =>
    ((await read(url, '/spend/logs')) as { request_id: string }[]).map((row) => row.request_id);

  it('drops what is older by itself, says so, and keeps the sums of it', async () => {
    const folder = await folderWith(50, 40, 0);
    const opsPort = await freePort();
    const config = 'general_settings: {maximum_spend_logs_retention_period: 30d}';
    const { gateway, url } = await start(folder, config, opsPort);
    const [, days] = await gateway.until(dropped);
    expect(days).toBe('2');
    expect(await requests(url)).toEqual(['age-0']);
    const everyDay = 'start_date=2020-01-01&end_date=2099-12-31';
    expect(await read(url, `/global/activity?${everyDay}`)).toMatchObject({ sum_api_requests: 3 });
    const metrics = await (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text();
    expect(metrics).toContain('\naigateway_usage_dropped_days_total 2\n');
    expect(metrics).toContain('\naigateway_usage_drop_failing 0\n');
  });

  it('goes by what the management API sets where the file leaves it open', async () => {
    const folder = await folderWith(40, 0);
    const before = await start(folder, '{}');
    expect(await requests(before.url)).toEqual(['age-0', 'age-40']);
    const change = { general_settings: { maximum_spend_logs_retention_period: '30d' } };
    const changed = await fetch(`${before.url}/config/update`, {
      method: 'POST',
      headers,
      body: JSON.stringify(change),
    });
    expect(changed.status).toBe(200);
    await stop(before);
    const config = 'general_settings: {maximum_spend_logs_retention_period: 90d}';
    const file = await start(folder, config);
    expect(await requests(file.url)).toEqual(['age-0', 'age-40']);
    await stop(file);
    expect(file.gateway.output).not.toMatch(dropped);
    const after = await start(folder, '{}');
    await after.gateway.until(dropped);
    expect(await requests(after.url)).toEqual(['age-0']);
  });
});

describe.skipIf(!hasRedisServer)('several control planes that keep usage for some time', () => {
  it('drop it one at a time, and each when the other is done or gone', async () => {
    const server = await startRedis();
    closing.push(() => server.stop());
    const redis = new Redis(server.url);
    closing.push(async () => {
      redis.disconnect();
      await once(redis, 'end');
    });
    const days = ['2026-01-01', '2026-01-02'];
    const begun = Promise.withResolvers<void>();
    const hold = Promise.withResolvers<void>();
    const asked: string[] = [];
    const keeper = (name: string) =>
      createLogKeeper({
        ledger: {
          async dropOldestLogs() {
            asked.push(name);
            begun.resolve();
            await hold.promise;
            return days.shift();
          },
        },
        retention: () => Promise.resolve({ periodMs: dayMs, everyMs: dayMs }),
        lease: redisLease(redis, logRetentionLeaseKey, 600_000),
        pollMs: 0,
      });
    const [one, other] = [keeper('one'), keeper('other')];
    const dropping = one.look();
    await begun.promise;
    expect(await other.look()).toBe(0);
    expect(asked).toEqual(['one']);
    hold.resolve();
    expect(await dropping).toBe(2);
    expect(await redis.exists(logRetentionLeaseKey)).toBe(0);
    expect(await other.look()).toBe(0);
    expect(asked.filter((name) => name === 'other')).toHaveLength(1);

    // One that was killed holds it until it runs out, and no longer.
    const killed = redisLease(redis, logRetentionLeaseKey, 1);
    expect(await killed.take()).toBe(true);
    days.push('2026-01-03');
    const third = keeper('third');
    for (let waiting = true; waiting;) {
      expect([0, 1]).toContain(await third.look());
      waiting = days.length > 0;
    }
    expect(await killed.renew()).toBe(false);
  });
});
