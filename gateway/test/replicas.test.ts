import { startSimulator, type Simulator } from '@aigateway/smoke/simulator/simulator';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { hasRedisServer, startRedis } from '../../proxy/test/servers/redis-server.ts';
import { GatewayProcess } from './gateway-process.ts';

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator();
});
afterAll(() => simulator.close());

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function start(environment: Record<string, string>): Promise<[GatewayProcess, string]> {
  const gateway = new GatewayProcess(['--port', '0', '--role', 'proxy'], {
    AIGATEWAY_SECRET: 'a-root-secret-of-more-than-thirty-two-bytes',
    AZURE_OPENAI_URL: simulator.url,
    AZURE_OPENAI_API_KEY: 'simulated-key',
    AIGATEWAY_ALLOW_INSECURE_UPSTREAM: 'true',
    PROXY_API_KEY: 'sk-a-key-of-the-callers',
    HOST: '127.0.0.1',
    ...environment,
  });
  ends.push(() => gateway.stop());
  return [gateway, await gateway.url()];
}

async function readiness(url: string): Promise<unknown> {
  const answer = await fetch(`${url}/health/readiness`);
  expect(answer.status).toBe(200);
  return answer.json();
}

describe('two replicas', () => {
  it('that share no Redis say so at the start and to whoever asks whether they are ready', async () => {
    const [gateway, url] = await start({ AIGATEWAY_REPLICAS: '2' });
    const [line] = await gateway.until(/\{[^\n]*2 replicas without a Redis[^\n]*\n/);
    expect(JSON.parse(line)).toMatchObject({
      level: 'warn',
      code: 'risk',
      setting: 'aigateway_settings.replicas',
    });
    expect(await readiness(url)).toMatchObject({
      status: 'healthy',
      warning: expect.stringContaining('up to 2 times as much'),
    });
  });

  it.skipIf(!hasRedisServer)('that share one have nothing to warn of', async () => {
    const redis = await startRedis();
    ends.push(() => redis.stop());
    const [gateway, url] = await start({ AIGATEWAY_REPLICAS: '2', REDIS_URL: redis.url });
    expect(await readiness(url)).toEqual({ status: 'healthy' });
    expect(gateway.output).not.toContain('replicas without');
  });
});
