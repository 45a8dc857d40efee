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

/** From a network that is allowed, from another one, and from there with an allowed address put before it. */
async function answers(url: string): Promise<unknown[]> {
  const got = [];
  for (const from of ['203.0.113.9', '198.51.100.7', '203.0.113.9, 198.51.100.7'])
    got.push(await listsKeys(url, from));
  await gateway.until(/"client":"198\.51\.100\.7"/);
  return got;
}

const refused = [403, 'address_not_allowed'];
const held = [[200, undefined], refused, refused];

describe('allowed_ips of the configuration', () => {
  it('hold for the management API beside the models', async () => {
    expect(await answers(await start('all'))).toEqual(held);
  });

  it.skipIf(!hasRedisServer)('hold for a control plane by itself', async () => {
    redis = await startRedis();
    const url = await start('control-plane', { REDIS_URL: redis.url });
    expect(await answers(url)).toEqual(held);
    expect((await fetch(`${url}/health/liveliness`)).status).toBe(200);
  });
});
