import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configure } from '@aigateway/contract/compile';
import { connectRedis, type RedisConnection } from '@aigateway/proxy/stores/redis/connection';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../../smoke/free-port.ts';
import { startCluster } from '../../proxy/test/servers/redis-cluster.ts';
import {
  hasRedis7,
  hasRedisServer,
  startRedis,
  type RedisServer,
} from '../../proxy/test/servers/redis-server.ts';
import { makeCertificates } from '../../proxy/test/upstream/certificates.ts';
import { redisConnection } from '../src/redis-settings.ts';
import { GatewayProcess } from './gateway-process.ts';

type Environment = { [name: string]: string };

const base: Environment = {
  AIGATEWAY_SECRET: 'a-root-secret-of-more-than-thirty-two-bytes',
  AIGATEWAY_ROLE: 'control-plane',
};

const ends: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

async function server(args: string[] = [], port?: number): Promise<RedisServer> {
  const started = await startRedis({ args, ...(port !== undefined && { port }) });
  ends.push(() => started.stop());
  return started;
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'aigateway-redis-settings-'));
  ends.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function problems(environment: Environment, raw: object = {}): string[] {
  return configure(raw, { ...base, ...environment }).problems.map(
    ({ path, message }) => `${path.join('.')} ${message}`,
  );
}

/** Connects to what a configuration names. Resolves once it has, or rejects with the first error. */
async function connect(environment: Environment, raw: object = {}): Promise<RedisConnection> {
  const all = { ...base, ...environment };
  const { redis } = configure(raw, all).server;
  if (redis === undefined) return expect.unreachable('no Redis is named');
  const { promise: failed, reject } = Promise.withResolvers<never>();
  failed.catch(() => undefined);
  const connection = await connectRedis({
    ...redisConnection(redis, all),
    answerMs: 5_000,
    onError: reject,
  });
  ends.push(() => connection.close());
  const { client } = connection;
  const ready = new Promise<void>((resolve) => client.once('ready', () => resolve()));
  if (client.status !== 'ready') await Promise.race([ready, failed]);
  return connection;
}

/** Arguments with which redis-server speaks TLS only, made out to names. */
async function tls(...names: [string, ...string[]]) {
  const certificates = makeCertificates(names);
  ends.push(() => certificates.remove());
  const { directory, caFile, key, cert } = certificates;
  writeFileSync(join(directory, 'redis.key'), key);
  writeFileSync(join(directory, 'redis.pem'), cert);
  const files = ['--tls-cert-file', join(directory, 'redis.pem')];
  files.push('--tls-key-file', join(directory, 'redis.key'), '--tls-ca-cert-file', caFile);
  const port = await freePort();
  const args = ['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no', ...files];
  return { port, caFile, args, files };
}

/** A Redis that speaks TLS only. */
async function tlsServer(...names: [string, ...string[]]) {
  const { port, caFile, args } = await tls(...names);
  await server(args, port);
  return { port, caFile };
}

describe.skipIf(!hasRedisServer)('the Redis of the settings', () => {
  it('is one server with a user of its own, by address or by parts', async () => {
    const { port } = await server();
    const { client: admin } = await connect({ REDIS_URL: `redis://127.0.0.1:${port}` });
    await admin.call('ACL', 'SETUSER', 'gateway', 'on', '>pass/word', '~*', '+@all');
    const url = `redis://gateway:${encodeURIComponent('pass/word')}@127.0.0.1:${port}/3`;
    const parts = { REDIS_HOST: '127.0.0.1', REDIS_PORT: String(port), REDIS_DB: '3' };
    const signIn = { REDIS_USERNAME: 'gateway', REDIS_PASSWORD: 'pass/word' };
    const own = { redis_url: url };
    for (const [environment, raw] of [
      [{ REDIS_URL: url }, {}],
      [{ ...parts, ...signIn }, {}],
      [{ REDIS_URL: `redis://127.0.0.1:${port}/3`, ...signIn }, {}],
      [{}, { aigateway_settings: own }],
    ] as const) {
      const { client } = await connect(environment, raw);
      expect(await client.call('ACL', 'WHOAMI')).toBe('gateway');
      expect(await client.call('CLIENT', 'INFO')).toContain(' db=3 ');
    }
  });

  it('is the master that sentinels know', async () => {
    const master = await server(['--requirepass', 'of-the-master']);
    const settings = join(folder(), 'sentinel.conf');
    writeFileSync(
      settings,
      [
        `sentinel monitor main 127.0.0.1 ${master.port} 1`,
        'sentinel auth-pass main of-the-master',
        'requirepass of-the-sentinel',
      ].join('\n'),
    );
    const sentinel = await startRedis({ settings, args: ['--sentinel'] });
    ends.push(() => sentinel.stop());
    const { client } = await connect({
      REDIS_SENTINEL_NODES: JSON.stringify([['127.0.0.1', sentinel.port]]),
      REDIS_SERVICE_NAME: 'main',
      REDIS_SENTINEL_PASSWORD: 'of-the-sentinel',
      REDIS_PASSWORD: 'of-the-master',
    });
    expect(await client.info('server')).toContain(`tcp_port:${master.port}`);
  });

  it.skipIf(!hasRedis7)(
    'is the master that sentinels know, over TLS to the sentinels as to the master',
    async () => {
      const { port, caFile, args, files } = await tls('redis.internal', '127.0.0.1');
      const replicas = ['--tls-replication', 'yes'];
      await server([...args, ...replicas], port);
      const settings = join(folder(), 'sentinel.conf');
      writeFileSync(settings, `sentinel monitor main 127.0.0.1 ${port} 1`);
      const sentinelPort = await freePort();
      const sentinel = await startRedis({
        settings,
        port: sentinelPort,
        args: [
          '--sentinel',
          '--port',
          '0',
          '--tls-port',
          String(sentinelPort),
          '--tls-auth-clients',
          'no',
          ...files,
          ...replicas,
        ],
      });
      ends.push(() => sentinel.stop());
      const environment = {
        REDIS_SENTINEL_NODES: JSON.stringify([['127.0.0.1', sentinelPort]]),
        REDIS_SERVICE_NAME: 'main',
        REDIS_SSL: 'True',
      };
      const { client } = await connect({
        ...environment,
        REDIS_SSL_CA_CERTS: caFile,
        AIGATEWAY_REDIS_SERVER_NAME: 'redis.internal',
      });
      expect(await client.info('server')).toContain(`tcp_port:${port}`);
      // Nobody is believed without a certificate of a known authority, sentinels neither.
      await expect(connect(environment)).rejects.toThrow('sentinel');
      await expect(
        connect({
          ...environment,
          REDIS_SSL_CA_CERTS: caFile,
          AIGATEWAY_REDIS_SERVER_NAME: 'other',
        }),
      ).rejects.toThrow('sentinel');
    },
  );

  it('is a cluster, of which one server is named', async () => {
    const cluster = await startCluster();
    ends.push(() => cluster.stop());
    const nodes = [{ host: '127.0.0.1', port: cluster.port }];
    const { client } = await connect({ REDIS_CLUSTER_NODES: JSON.stringify(nodes) });
    expect(client.isCluster).toBe(true);
    expect(await client.set('a', '1')).toBe('OK');
    const listed = await connect(
      {},
      { aigateway_settings: { redis_cluster_nodes: [`127.0.0.1:${cluster.port}`] } },
    );
    expect(await listed.client.get('a')).toBe('1');
  });

  it.skipIf(!hasRedis7)(
    'is believed over TLS only with a certificate of its authority, made out to its name',
    async () => {
      const { port, caFile } = await tlsServer('redis.internal');
      const named = { REDIS_SSL_CA_CERTS: caFile, AIGATEWAY_REDIS_SERVER_NAME: 'redis.internal' };
      const url = { REDIS_URL: `rediss://127.0.0.1:${port}` };
      const { client } = await connect({ ...url, ...named });
      expect(await client.ping()).toBe('PONG');
      const parts = { REDIS_HOST: '127.0.0.1', REDIS_PORT: String(port), REDIS_SSL: 'True' };
      expect(await (await connect({ ...parts, ...named })).client.ping()).toBe('PONG');
      await expect(connect({ ...url, REDIS_SSL_CA_CERTS: caFile })).rejects.toThrow('altnames');
      await expect(connect(url)).rejects.toThrow('certificate');
    },
  );

  it('is entered with tokens of the identity that the platform gives the process', async () => {
    const { port } = await server();
    const objectId = '00000000-0000-4000-8000-0000000000aa';
    const { client: admin } = await connect({ REDIS_URL: `redis://127.0.0.1:${port}` });
    await admin.call('ACL', 'SETUSER', objectId, 'on', '>a-token', '~*', '+@all');
    const asked: string[] = [];
    const issuer: Server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.setHeader('content-type', 'application/json');
      const expires = Math.floor(Date.now() / 1000) + 3600;
      response.end(JSON.stringify({ access_token: 'a-token', expires_on: String(expires) }));
    });
    await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve));
    ends.push(() => new Promise((resolve) => issuer.close(resolve)));
    const endpoint = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/msi/token`;
    const identity = { IDENTITY_ENDPOINT: endpoint, IDENTITY_HEADER: 'a-header' };
    for (const [name, value] of Object.entries(identity)) {
      process.env[name] = value;
      ends.push(() => void delete process.env[name]);
    }
    const { client } = await connect({
      ...identity,
      REDIS_HOST: '127.0.0.1',
      REDIS_PORT: String(port),
      REDIS_USERNAME: objectId,
      AIGATEWAY_REDIS_IDENTITY: 'true',
    });
    expect(await client.call('ACL', 'WHOAMI')).toBe(objectId);
    expect(asked[0]).toContain(encodeURIComponent('https://redis.azure.com'));
  });

  it.skipIf(!hasRedis7)('is what planes meet in over TLS, as real processes', async () => {
    const { port, caFile } = await tlsServer('localhost');
    const environment = {
      ...base,
      LITELLM_MASTER_KEY: 'sk-master-0123456789abcdef',
      REDIS_URL: `rediss://localhost:${port}`,
      REDIS_SSL_CA_CERTS: caFile,
      HOST: '127.0.0.1',
      AIGATEWAY_STOP_DELAY: '0',
    };
    const started = ['control-plane', 'proxy'].map(
      (role) => new GatewayProcess(['--port', '0', '--role', role], environment),
    );
    ends.push(() => Promise.all(started.map((gateway) => gateway.stop())));
    const [, proxy] = await Promise.all(started.map((gateway) => gateway.url()));
    while ((await fetch(`${proxy}/health/readiness`)).status !== 200)
      await new Promise((resolve) => setTimeout(resolve, 50));
    const models = await fetch(`${proxy}/v1/models`, {
      headers: { authorization: `Bearer ${environment.LITELLM_MASTER_KEY}` },
    });
    expect(models.status).toBe(200);
  });
});

describe('settings of a Redis that cannot be used', () => {
  it('keep a gateway from starting without TLS to another machine', async () => {
    const gateway = new GatewayProcess(['--port', '0', '--role', 'control-plane'], {
      ...base,
      LITELLM_MASTER_KEY: 'sk-master-0123456789abcdef',
      REDIS_URL: 'redis://user:a-secret-password@redis.example:6379',
    });
    ends.push(() => gateway.stop());
    expect(await gateway.ended()).toBe(1);
    expect(gateway.errors).toContain('redis.example is not on this machine');
    expect(gateway.errors + gateway.output).not.toContain('a-secret-password');
  });

  it.each([
    [{ REDIS_SENTINEL_NODES: '[["a",26379]]' }, 'redis_sentinels watch no master'],
    [
      { REDIS_HOST: 'a', AIGATEWAY_REDIS_IDENTITY: 'true' },
      'redis_identity signs in under no name',
    ],
    [
      {
        REDIS_HOST: 'a',
        REDIS_USERNAME: 'u',
        REDIS_PASSWORD: 'p',
        AIGATEWAY_REDIS_IDENTITY: 'true',
      },
      'redis_identity and redis_password are two ways to sign in',
    ],
    [{ REDIS_CLUSTER_NODES: 'a:0' }, 'redis_cluster_nodes must be a list of servers'],
    [{ REDIS_CLUSTER_NODES: 'a', REDIS_DB: '1' }, 'redis_db a cluster has one database'],
    [{ REDIS_HOST: 'a', REDIS_PORT: '0' }, 'redis_port must be a whole number'],
  ])('are named: %o', (environment, problem) => {
    expect(problems(environment).join('\n')).toContain(problem);
  });

  it('are not answered by going in without a password', () => {
    const settings = { redis_host: 'a', redis_password: 'os.environ/NOT_SET' };
    expect(problems({}, { aigateway_settings: settings }).join('\n')).toContain('NOT_SET');
  });
});
