import { spawnSync } from 'node:child_process';
import { Cluster } from 'ioredis';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../../../smoke/free-port.ts';
import {
  connectRedis,
  parseRedisUrl,
  type RedisConnection,
} from '../../src/stores/redis/connection.ts';
import { createRedisLimiter } from '../../src/stores/redis/limiter.ts';
import { stillClock } from '../gateway-under-test.ts';
import { whenServing } from '../servers/redis-cluster.ts';
import {
  hasRedis7,
  hasRedisServer,
  startRedis,
  type RedisServer,
} from '../servers/redis-server.ts';

describe.skipIf(!hasRedisServer)('connections to Redis', () => {
  const ends: (() => Promise<void> | void)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  });

  async function server(args: string[] = [], port?: number): Promise<RedisServer> {
    const started = await startRedis({ args, ...(port !== undefined && { port }) });
    ends.push(() => started.stop());
    return started;
  }

  async function connect(options: Parameters<typeof connectRedis>[0]): Promise<RedisConnection> {
    const connection = await connectRedis(options);
    ends.push(() => connection.close());
    const { client } = connection;
    if (client.status !== 'ready') {
      await new Promise<void>((resolve) => client.once('ready', () => resolve()));
    }
    return connection;
  }

  it('refuses a command at once while there is no Redis, and never ends the process', async () => {
    const port = await freePort();
    const errors: string[] = [];
    const connection = await connectRedis({
      ...parseRedisUrl(`redis://127.0.0.1:${port}`),
      onError: ({ message }) => errors.push(message),
    });
    ends.push(() => connection.close());
    await expect(connection.client.get('x')).rejects.toThrow('enableOfflineQueue');
    await new Promise<void>((resolve) => connection.client.once('reconnecting', () => resolve()));
    expect(errors.join()).toContain('ECONNREFUSED');
  });

  it('shows renewed tokens to live connections and to those to come', async () => {
    const { url } = await server(['--requirepass', 'first']);
    const passwords = ['first', 'second'];
    const { client } = await connect({
      address: parseRedisUrl(url).address,
      signIn: {
        username: 'default',
        // Over at once, so that it is renewed as soon as may be.
        token: async () => ({ value: passwords.shift() ?? 'second', expiresAt: 0 }),
      },
      tokenUseMs: 1,
    });
    await client.config('SET', 'requirepass', 'second');
    const renewed = await new Promise<boolean>((resolve) => {
      const look = (): void => {
        if (passwords.length === 0) resolve(true);
        else setImmediate(look);
      };
      look();
    });
    expect(renewed).toBe(true);
    const again = new Promise<void>((resolve) => client.once('ready', () => resolve()));
    client.disconnect(true);
    await again;
    expect(await client.ping()).toBe('PONG');
  });

  it.skipIf(!hasRedis7)('speaks TLS to a server whose authority it is given', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'aigateway-tls-'));
    ends.push(() => rmSync(folder, { recursive: true, force: true }));
    const at = (name: string): string => join(folder, name);
    writeFileSync(
      at('openssl.cnf'),
      '[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nCN=localhost\n[ext]\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n',
    );
    const made = spawnSync('openssl', [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
      '-keyout',
      at('key.pem'),
      '-out',
      at('cert.pem'),
      '-config',
      at('openssl.cnf'),
    ]);
    expect(made.status).toBe(0);
    const port = await freePort();
    const files = [
      '--tls-cert-file',
      at('cert.pem'),
      '--tls-key-file',
      at('key.pem'),
      '--tls-ca-cert-file',
      at('cert.pem'),
    ];
    await server(
      ['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no', ...files],
      port,
    );
    const ca = readFileSync(at('cert.pem'), 'utf8');
    const { client } = await connect({
      address: { kind: 'single', host: 'localhost', port },
      tls: { ca },
    });
    expect(await client.ping()).toBe('PONG');
  });

  it.skipIf(!hasRedis7)(
    'keeps all counters of a holder in one slot of a cluster, and limits there too',
    async () => {
      const args = ['--cluster-enabled', 'yes'];
      const servers = [await server(args), await server(args), await server(args)];
      const nodes = servers.map(({ port }) => ({ host: '127.0.0.1', port }));
      const create = [
        '--cluster',
        'create',
        ...nodes.map(({ port }) => `127.0.0.1:${port}`),
        '--cluster-yes',
      ];
      expect(spawnSync('redis-cli', create).status).toBe(0);
      await Promise.all(servers.map(({ port }) => whenServing(port)));
      const { client } = await connect({ address: { kind: 'cluster', nodes } });
      expect(client).toBeInstanceOf(Cluster);
      const limiters = [1, 2, 3].map(() =>
        createRedisLimiter({ redis: client, withoutRedis: 'closed', tendMs: 0, answerMs: 10_000 }),
      );
      ends.push(async () => {
        await Promise.all(limiters.map((limiter) => limiter.close()));
      });
      for (let holder = 0; holder < 12; holder += 1) {
        const scopes = ['api_key' as const, 'team' as const].map((kind) => ({
          kind,
          id: `${holder}`,
          label: `${holder}`,
          limits: {
            tokensPerMinute: 1e6,
            parallelRequests: 10,
            budgets: [{ maxNanoUsd: 1e9, window: '1mo' }, { maxNanoUsd: 1e9 }],
          },
        }));
        const answers = await Promise.all(
          Array.from({ length: 30 }, async (_, at) =>
            limiters[at % 3]?.reserve({ scopes, tokens: 10, costNanoUsd: 10 }),
          ),
        );
        const held = answers.filter((answer) => answer !== undefined && !('refused' in answer));
        expect(held.length).toBeGreaterThan(0);
        expect(held.length).toBeLessThanOrEqual(10);
      }
      expect(limiters.map(({ isAway }) => isAway)).toEqual([false, false, false]);
    },
  );

  it.skipIf(!hasRedis7)('follows a master that sentinels have replaced', async () => {
    const master = await server();
    const replica = await server(['--replicaof', '127.0.0.1', String(master.port)]);
    const folder = mkdtempSync(join(tmpdir(), 'aigateway-sentinel-'));
    ends.push(() => rmSync(folder, { recursive: true, force: true }));
    const settings = join(folder, 'sentinel.conf');
    writeFileSync(
      settings,
      [
        `sentinel monitor main 127.0.0.1 ${master.port} 1`,
        'sentinel down-after-milliseconds main 300',
        'sentinel failover-timeout main 3000',
      ].join('\n'),
    );
    const sentinel = await startRedis({ settings, args: ['--sentinel'] });
    ends.push(() => sentinel.stop());
    const { client } = await connect({
      address: {
        kind: 'sentinel',
        master: 'main',
        sentinels: [{ host: '127.0.0.1', port: sentinel.port }],
      },
    });
    const replicated = async (): Promise<boolean> =>
      /master_link_status:up/.test(
        spawnSync('redis-cli', [
          '-p',
          String(replica.port),
          'info',
          'replication',
        ]).stdout.toString(),
      );
    while (!(await replicated())) await new Promise((resolve) => setImmediate(resolve));
    const limiter = createRedisLimiter({
      redis: client,
      withoutRedis: 'closed',
      tendMs: 0,
      // No minute ends while the servers change.
      clock: stillClock(),
      timeOf: 'clock',
    });
    ends.push(() => limiter.close());
    await limiter.tend();
    await master.stop();
    const scope = {
      kind: 'api_key' as const,
      id: 'k',
      label: 'k',
      limits: { requestsPerMinute: 5 },
    };
    const request = { scopes: [scope], tokens: 0, costNanoUsd: 0 };
    await expect(Promise.resolve().then(() => limiter.reserve(request))).rejects.toThrow(
      'cannot tell',
    );
    while (limiter.isAway) {
      await limiter.tend();
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Another server: what was granted of the minute is not known to it.
    expect(await limiter.reserve(request)).toMatchObject({ limitType: 'requests' });
    expect(await client.set('written', 'again')).toBe('OK');
  });
});
