import { afterEach, describe, expect, it } from 'vitest';
import {
  hasRedisServer,
  startRedis,
  type RedisServer,
} from '../../proxy/test/servers/redis-server.ts';
import { GatewayProcess } from './gateway-process.ts';

const master = 'sk-master-0123456789abcdef';
const text = JSON.stringify({
  general_settings: { allowed_ips: ['203.0.113.0/24'] },
  aigateway_settings: { trusted_hops: 1 },
});

let redis: RedisServer | undefined;
let gateway: GatewayProcess;
afterEach(async () => {
  await gateway.stop();
  await redis?.stop();
  redis = undefined;
});

function start(role: string, environment: Record<string, string> = {}): Promise<string> {
  gateway = new GatewayProcess(['--port', '0', '--role', role], {
    AIGATEWAY_CONFIG_TEXT: text,
    AIGATEWAY_SECRET: 'a-root-secret-of-more-than-thirty-two-bytes',
    AIGATEWAY_HOST: '127.0.0.1',
    AIGATEWAY_OPS_PORT: '0',
    AIGATEWAY_STOP_DELAY: '0',
    LITELLM_MASTER_KEY: master,
    ...environment,
  });
  return gateway.url();
}

async function listsKeys(url: string, forwarded: string): Promise<unknown[]> {
  const answer = await fetch(`${url}/key/list`, {
    headers: { authorization: `Bearer ${master}`, 'x-forwarded-for': forwarded },
  });
  const { error } = (await answer.json()) as { error?: { code: string } };
  return [answer.status, error?.code];
}

async function expectToHold(url: string): Promise<void> {
  expect(await listsKeys(url, '203.0.113.9')).toEqual([200, undefined]);
  const refused = [403, 'address_not_allowed'];
  expect(await listsKeys(url, '198.51.100.7')).toEqual(refused);
  expect(await listsKeys(url, '203.0.113.9, 198.51.100.7')).toEqual(refused);
  await gateway.until(/"client":"198\.51\.100\.7"/);
}

describe('allowed_ips of the configuration', () => {
  it('hold for the management API beside the models', async () => {
    await expectToHold(await start('all'));
  });

  it.skipIf(!hasRedisServer)('hold for a control plane by itself', async () => {
    redis = await startRedis();
    await expectToHold(await start('control-plane', { REDIS_URL: redis.url }));
    expect((await fetch(`${await gateway.url()}/health/liveliness`)).status).toBe(200);
  });
});
