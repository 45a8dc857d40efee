import { afterEach, describe, expect, it } from 'vitest';
import { chatBody, startGatewayUnderTest, type GatewayUnderTest } from '../gateway-under-test.ts';
import { rawSocket } from '../raw-socket.ts';

const allowedIps = ['203.0.113.0/24', '2001:db8::/32'];
const inside = '203.0.113.9';

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

async function start(trustedHops: number, allowed = allowedIps): Promise<void> {
  gateway = await startGatewayUnderTest({
    deployments: [{ resourceName: 'simulator', deployment: 'gpt-4o' }],
    options: { allowedIps: allowed },
    pipeline: { trustedHops },
  });
}

const statusFrom = async (forwarded: string, path = '/v1/models', body?: object) =>
  (await gateway.call(path, body, { headers: { 'x-forwarded-for': forwarded } })).status;

describe('allowed_ips', () => {
  it('lets calls of the networks in, on every path, and no others', async () => {
    await start(1);
    for (const [path, body] of [
      ['/v1/models', undefined],
      ['/v1/chat/completions', chatBody('gpt-4o', 'hi')],
      ['/health', undefined],
    ] as const) {
      for (const from of [inside, '2001:db8::1', `${inside}:50123`, '::ffff:203.0.113.9'])
        expect([path, from, await statusFrom(from, path, body)]).toEqual([path, from, 200]);
      for (const from of ['203.0.114.1', '2001:db9::1', '127.0.0.1', 'unknown'])
        expect([path, from, await statusFrom(from, path, body)]).toEqual([path, from, 403]);
    }
    expect(await statusFrom('203.0.114.1', '/no/such/path')).toBe(403);
  });

  it('believes what the proxies of the operator wrote, never what a caller put before it', async () => {
    await start(1);
    expect(await statusFrom(`${inside}, 198.51.100.7`)).toBe(403);
    expect(await statusFrom(`198.51.100.7, ${inside}`)).toBe(200);
    // Two header lines are one list.
    const socket = await rawSocket(gateway.url);
    socket.write(
      `GET /v1/models HTTP/1.1\r\nhost: a\r\nx-forwarded-for: ${inside}\r\nx-forwarded-for: 198.51.100.7\r\nconnection: close\r\n\r\n`,
    );
    expect(await socket.closed()).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('counts the connection where no proxy is trusted, whatever the header says', async () => {
    await start(0);
    expect(await statusFrom(inside)).toBe(403);
    await gateway.close();
    await start(0, ['127.0.0.0/8']);
    expect(await statusFrom('198.51.100.7')).toBe(200);
  });

  it('refuses in OpenAI’s form before it looks at a key or reads a body, and says so in log and metrics', async () => {
    await start(1);
    const socket = await rawSocket(gateway.url);
    socket.write(
      'POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer sk-wrong\r\nx-forwarded-for: 198.51.100.7\r\ncontent-length: 1000000\r\n\r\n',
    );
    const answer = await socket.closed();
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
    expect(answer.toLowerCase()).toContain('x-aigateway-layer: connection');
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toEqual({
      error: {
        message: expect.stringContaining('from your address'),
        type: 'auth_error',
        param: null,
        code: 'address_not_allowed',
      },
    });
    await gateway.until(() => gateway.log().includes('address_not_allowed'));
    expect(gateway.log()).toContain('"client":"198.51.100.7"');
    expect(await gateway.metrics()).toMatch(/code="address_not_allowed"[^\n]* 1$/m);
    expect(gateway.simulator.requests().filter(({ method }) => method === 'POST')).toEqual([]);
  });

  it('answers the probes of the platform, which has an address of its own', async () => {
    await start(0);
    for (const path of ['/health/liveliness', '/health/liveness', '/health/readiness'])
      expect([path, await statusFrom(inside, path)]).toEqual([path, 200]);
    expect(await statusFrom(inside, '/health/readiness/details')).toBe(403);
  });
});
