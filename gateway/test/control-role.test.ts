import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../smoke/free-port.ts';
import { rawSocket } from '../../proxy/test/raw-socket.ts';
import {
  hasRedisServer,
  startRedis,
  type RedisServer,
} from '../../proxy/test/servers/redis-server.ts';
import { GatewayProcess } from './gateway-process.ts';

const master = 'sk-master-0123456789abcdef';

let redis: RedisServer;
let control: GatewayProcess;
let url: string;
let ops: string;

beforeAll(async () => {
  if (!hasRedisServer) return;
  redis = await startRedis();
  const opsPort = await freePort();
  ops = `http://127.0.0.1:${opsPort}`;
  control = new GatewayProcess(['--port', '0', '--role', 'control-plane'], {
    AIGATEWAY_SECRET: 'a-root-secret-of-more-than-thirty-two-bytes',
    LITELLM_MASTER_KEY: master,
    REDIS_URL: redis.url,
    HOST: '127.0.0.1',
    AIGATEWAY_OPS_PORT: String(opsPort),
    AIGATEWAY_STOP_DELAY: '3',
    AIGATEWAY_HEADERS_TIMEOUT: '0.5',
    AIGATEWAY_MAX_HEADER_BYTES: '8192',
    AIGATEWAY_BASE_PATH: '/manager',
    AIGATEWAY_CORS_ORIGINS: 'https://console.example',
    AIGATEWAY_TRUSTED_HOPS: '1',
  });
  url = await control.url();
});
afterAll(async () => {
  await control?.stop();
  await redis?.stop();
});

async function statusOfRaw(...lines: string[]): Promise<string> {
  const socket = await rawSocket(url);
  socket.write(lines.join('\r\n'));
  const text = await socket.closed();
  return text.split('\r\n', 1)[0] ?? '';
}

describe.skipIf(!hasRedisServer)('a control plane by itself', () => {
  it('bounds the heads of requests in size and time, as a proxy does', async () => {
    const large = `x-large: ${'x'.repeat(9000)}`;
    expect(await statusOfRaw('GET /key/list HTTP/1.1', 'host: a', large, '', '')).toContain('431');
    expect(await statusOfRaw('GET /key/list HTTP/1.1', 'host: a')).toContain('408');
  });

  it('takes targets in absolute form below its base path, and says what it does not take', async () => {
    const target = 'GET http://other.example/manager/routes HTTP/1.1';
    expect(await statusOfRaw(target, 'host: a', 'connection: close', '', '')).toContain('200');
    expect(await statusOfRaw('GET /manager/routes HTTP/1.1', '', '')).toContain('400');
    const head = [
      'GET /manager/routes HTTP/1.1',
      'host: a',
      'expect: x',
      'x-request-id: expects-x',
    ];
    expect(await statusOfRaw(...head, '', '')).toContain('417');
    const [line] = await control.until(/.*expects-x.*/);
    expect(JSON.parse(line)).toMatchObject({ event: 'management', status: 417 });
  });

  it('takes two Authorization headers for none, whichever is right', async () => {
    const right = `authorization: Bearer ${master}`;
    const wrong = 'authorization: Bearer sk-another';
    for (const pair of [
      [right, wrong],
      [wrong, right],
    ]) {
      const head = ['GET /user/list HTTP/1.1', 'host: a', ...pair, 'connection: close', '', ''];
      expect(await statusOfRaw(...head)).toContain('401');
    }
  });

  it('is published under a base path and lets the browsers of listed origins call', async () => {
    const origin = 'https://console.example';
    const answer = await fetch(`${url}/manager/routes`, { headers: { origin } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
    const asked = await fetch(`${url}/manager/key/generate`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST' },
    });
    expect(asked.status).toBe(204);
    const other = await fetch(`${url}/routes`, { headers: { origin: 'https://other.example' } });
    expect(other.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('has an operations port', async () => {
    expect((await fetch(`${ops}/livez`)).status).toBe(200);
    expect((await fetch(`${ops}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${ops}/metrics`)).text()).toContain('aigateway_process_cpu');
  });

  it('leaves a line and a count of every call, under the path as it is declared', async () => {
    const asked = await fetch(`${url}/user/info?user_id=an-id-in-a-query`, {
      headers: {
        authorization: `Bearer ${master}`,
        'x-request-id': 'an-id-of-the-caller',
        'x-forwarded-for': '203.0.113.9, 198.51.100.7',
      },
    });
    await asked.text();
    expect(asked.headers.get('x-request-id')).toBe('an-id-of-the-caller');
    const regenerated = await fetch(`${url}/key/sk-a-key-in-a-path-0123/regenerate`, {
      method: 'POST',
      headers: { authorization: `Bearer ${master}`, 'x-request-id': 'another-id' },
    });
    await regenerated.text();
    await fetch(`${url}/no-such-path-of-anybody`, { headers: { 'x-request-id': 'the-last-id' } });

    await control.until(/the-last-id.*"endpoint":"unknown"/);
    const lines = control.output
      .split('\n')
      .filter((line) => line.includes('"event":"management"'))
      .map((line) => JSON.parse(line) as { requestId: string });
    expect(lines.find(({ requestId }) => requestId === 'an-id-of-the-caller')).toMatchObject({
      level: 'info',
      client: '198.51.100.7',
      method: 'GET',
      endpoint: '/user/info',
      status: asked.status,
      keyId: 'litellm_proxy_master_key',
      role: 'proxy_admin',
    });
    expect(lines.find(({ requestId }) => requestId === 'another-id')).toMatchObject({
      endpoint: '/key/:key/regenerate',
      status: regenerated.status,
    });
    const metrics = await (await fetch(`${ops}/metrics`)).text();
    expect(metrics).toContain(
      `aigateway_management_requests_total{route="/key/:key/regenerate",method="POST",status="${regenerated.status}"} 1`,
    );
    expect(metrics).toContain('aigateway_management_request_duration_seconds_bucket');
    for (const text of [control.output, metrics]) {
      for (const hidden of ['sk-a-key-in-a-path', 'an-id-in-a-query', 'no-such-path', master])
        expect(text).not.toContain(hidden);
    }
  });

  it('is not ready from the stop signal on, yet finishes what is asked', async () => {
    control.child.kill('SIGTERM');
    await control.until(/stopping/);
    expect((await fetch(`${ops}/readyz`)).status).toBe(503);
    expect((await fetch(`${url}/health/readiness`)).status).toBe(503);
    const late = await fetch(`${url}/routes`);
    expect(late.status).toBe(200);
    expect(await control.ended()).toBe(0);
  });

  it('is pointed out by a proxy that has models of its own, and so takes nothing from it', async () => {
    const alone = new GatewayProcess(['--port', '0', '--role', 'proxy'], {
      AIGATEWAY_SECRET: 'a-root-secret-of-more-than-thirty-two-bytes',
      AZURE_OPENAI_URL: 'https://nobody.openai.azure.com',
      AZURE_OPENAI_API_KEY: 'key',
      PROXY_API_KEY: 'sk-of-the-proxy-0123456789',
      REDIS_URL: redis.url,
      HOST: '127.0.0.1',
    });
    try {
      await alone.url();
      const [warning] = await alone.until(/.*keys made there are refused here.*/);
      expect(JSON.parse(warning)).toMatchObject({ level: 'warn', setting: 'model_list' });
    } finally {
      await alone.stop();
    }
  });
});
