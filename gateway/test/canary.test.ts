import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startSimulator, type Simulator } from '@aigateway/smoke/simulator/simulator';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../smoke/free-port.ts';
import { until } from '../../contract/test/until.ts';
import {
  startPostgres,
  type PostgresServer,
} from '../../control-plane/test/servers/postgres-server.ts';
import {
  hasRedisServer,
  startRedis,
  type RedisServer,
} from '../../proxy/test/servers/redis-server.ts';
import { GatewayProcess, newFolder } from './gateway-process.ts';

/** One of each kind of secret, so that what is found somewhere tells where it came from. */
const canaries = {
  master: 'sk-canary-master-0123456789',
  root: 'canary-root-secret-of-more-than-32-bytes',
  salt: 'canary-salt-key-of-more-than-32-bytes',
  database: 'canary-password-of-the-database',
  virtual: 'sk-canary-virtual-0123456789',
  rotated: 'sk-canary-rotated-0123456789',
  unknown: 'sk-canary-unknown-0123456789',
  upstreamOfFile: 'canary-upstream-key-of-the-file',
  upstreamOfModel: 'canary-upstream-key-of-a-model',
  upstreamOfCredential: 'canary-upstream-key-of-a-credential',
  header: 'canary-header-of-a-model',
  bodyParameter: 'canary-body-parameter-of-a-model',
  prompt: 'canary-text-of-a-prompt',
};

let postgres: PostgresServer;
let simulator: Simulator;
beforeAll(async () => {
  postgres = await startPostgres();
  simulator = await startSimulator({
    config: {
      resources: ['file', 'model', 'credential'].map((name) => ({
        name,
        keys: [`canary-upstream-key-of-${name === 'file' ? 'the' : 'a'}-${name}`],
        deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }],
      })),
    },
  });
});
afterAll(async () => {
  await simulator.close();
  await postgres.stop();
});

const running: GatewayProcess[] = [];
afterEach(async () => {
  for (const process of running.splice(0)) await process.stop();
});

function start(args: readonly string[], environment: Record<string, string>): GatewayProcess {
  const folder = newFolder();
  writeFileSync(
    join(folder, 'config.yaml'),
    JSON.stringify({
      model_list: [
        {
          model_name: 'of-file',
          litellm_params: {
            model: 'azure/gpt-4o',
            api_base: simulator.resourceUrl('file'),
            api_version: 'v1',
            api_key: 'os.environ/CANARY_UPSTREAM_KEY',
          },
        },
      ],
    }),
  );
  const process = new GatewayProcess(
    ['--port', '0', ...args],
    {
      AIGATEWAY_SECRET: canaries.root,
      AIGATEWAY_STOP_DELAY: '0',
      AIGATEWAY_LOG_LEVEL: 'trace',
      AIGATEWAY_ALLOW_INSECURE_UPSTREAM: 'true',
      LITELLM_MASTER_KEY: canaries.master,
      LITELLM_SALT_KEY: canaries.salt,
      CANARY_UPSTREAM_KEY: canaries.upstreamOfFile,
      HOST: '127.0.0.1',
      ...environment,
    },
    folder,
  );
  running.push(process);
  return process;
}

type Answer = { status: number; text: string };

async function send(
  url: string,
  path: string,
  body: object | string | undefined,
  key: string = canaries.master,
): Promise<Answer> {
  const response = await fetch(url + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: response.status, text: await response.text() };
}

const chat = (model: string) => ({
  model,
  messages: [{ role: 'user', content: canaries.prompt }],
});

/** Puts every canary where it belongs, and goes the ways on which one could get lost. @returns everything that was answered but models' texts and new keys */
async function fly(api: string, models: string, key: string): Promise<string> {
  const shown: Answer[] = [];
  const manage = async (path: string, body?: object) => {
    const answer = await send(api, path, body);
    expect([path, answer.status]).toEqual([path, 200]);
    return answer;
  };
  const credential = {
    api_key: canaries.upstreamOfCredential,
    api_base: simulator.resourceUrl('credential'),
    api_version: 'v1',
  };
  shown.push(
    await manage('/credentials', { credential_name: 'c', credential_values: credential }),
    await manage('/model/new', {
      model_name: 'of-credential',
      litellm_params: { model: 'azure/gpt-4o', litellm_credential_name: 'c' },
    }),
    await manage('/model/new', {
      model_name: 'of-model',
      litellm_params: {
        model: 'azure/gpt-4o',
        api_base: simulator.resourceUrl('model'),
        api_version: 'v1',
        api_key: canaries.upstreamOfModel,
        extra_headers: { 'x-canary': canaries.header },
        extra_body: { metadata: { canary: canaries.bodyParameter } },
      },
      model_info: { id: 'of-model' },
    }),
  );
  // The only answers that show a key, once.
  await manage('/key/generate', {
    key: canaries.virtual,
    key_alias: 'virtual',
    // Without effect as long as the configuration does not allow it.
    metadata: { message_logging: true },
  });
  await manage('/key/regenerate', {
    key: canaries.virtual,
    new_key: canaries.rotated,
    grace_period: '1h',
  });
  for (const model of ['of-file', 'of-model', 'of-credential']) {
    await until(
      async () => (await send(models, '/v1/chat/completions', chat(model), key)).status,
      (status) => status === 200,
    );
  }
  for (const error of ['500-internal', '401-invalid-key'] as const) {
    const fault = simulator.fault({ kind: 'error', error, times: 3 });
    shown.push(await send(models, '/v1/chat/completions', chat('of-model'), key));
    fault.remove();
  }
  // Its answer names the key as it was asked for; where else that is left is what is looked for.
  await send(api, `/key/info?key=${canaries.rotated}`, undefined);
  shown.push(
    await send(models, '/v1/chat/completions', chat('of-model'), canaries.unknown),
    await send(models, '/v1/chat/completions', `{"model":"of-model","x":"${canaries.prompt}`, key),
    await send(models, '/v1/chat/completions', { ...chat('of-model'), api_key: 'x' }, key),
    await send(models, '/v1/models', undefined, key),
    await send(api, '/key/block', { key: canaries.unknown }),
    await send(api, '/model/info', undefined),
    await send(api, '/credentials', undefined),
    await send(api, '/audit', undefined),
    await send(api, '/manage/audit/export', undefined),
    await send(api, '/spend/logs?summarize=false', undefined),
  );
  return shown.map(({ text }) => text).join('\n');
}

/** Every file below a folder but the configuration itself. */
function filesIn(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'config.yaml')
    .map((entry) => `${entry.name}\n${readFileSync(join(entry.parentPath, entry.name), 'latin1')}`)
    .join('\n');
}

async function everythingIn({ url }: RedisServer): Promise<string> {
  const client = new Redis(url);
  try {
    await client.config('SET', 'rdbcompression', 'no');
    const names = await client.keys('*');
    const values = await Promise.all(names.map((name) => client.dumpBuffer(name)));
    return [...names, ...values.map((value) => value?.toString('latin1') ?? '')].join('\n');
  } finally {
    client.disconnect();
  }
}

async function everythingStored(database: string): Promise<string> {
  const rows = await postgres.query(
    `select query_to_xml('select * from ' || quote_ident(table_name), true, false, '')::text as content
     from information_schema.tables where table_schema = 'public'`,
    database,
  );
  return rows.map(({ content }) => String(content)).join('\n');
}

async function metricsOf(opsPort: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text();
}

/** @param sinks - by name; each must hold something, or nothing was searched */
function expectNoCanary(sinks: { readonly [name: string]: string }): void {
  const found = Object.entries(sinks).flatMap(([sink, text]) =>
    text.length < 50
      ? [`${sink} is empty`]
      : Object.entries(canaries).flatMap(([kind, canary]) =>
          text.includes(canary) ? [`${kind} in ${sink}`] : [],
        ),
  );
  expect(found).toEqual([]);
}

it.skipIf(!hasRedisServer)(
  'no secret and no prompt is left anywhere between proxies, Redis, PostgreSQL and a control plane',
  async () => {
    const redis = await startRedis();
    try {
      const plain = await postgres.createDatabase();
      const database = new URL(plain);
      database.password = canaries.database;
      const environment = { REDIS_URL: redis.url, DATABASE_URL: database.href };
      const migration = start(['--migrate', 'apply'], environment);
      await migration.ended();
      const control = start(['--role', 'control-plane', '--config', 'config.yaml'], environment);
      const api = await control.url();
      const opsPort = await freePort();
      const proxy = start(['--role', 'proxy'], {
        ...environment,
        AIGATEWAY_OPS_PORT: String(opsPort),
      });
      const models = await proxy.url();
      await until(async () => (await fetch(`${models}/health/readiness`)).ok);
      const answers = await fly(api, models, canaries.rotated);
      const metrics = await metricsOf(opsPort);
      const shared = await everythingIn(redis);
      const used = await everythingStored(database.pathname.slice(1));
      expect(used).toContain('of-model');
      expect(shared).toContain('aigateway');
      const lines = `${control.output}${control.errors}${proxy.output}${proxy.errors}`;
      expectNoCanary({
        answers,
        'log lines': lines,
        metrics,
        Redis: shared,
        PostgreSQL: used,
        'files of the proxy': filesIn(proxy.folder),
        'output of the migration': `${migration.output}${migration.errors}`,
      });
    } finally {
      await redis.stop();
    }
  },
);

it('no secret and no prompt is left in SQLite, or beside it', async () => {
  const opsPort = await freePort();
  const gateway = start(['--role', 'all', '--config', 'config.yaml'], {
    AIGATEWAY_OPS_PORT: String(opsPort),
  });
  const url = await gateway.url();
  const answers = await fly(url, url, canaries.rotated);
  const metrics = await metricsOf(opsPort);
  gateway.child.kill('SIGTERM');
  await gateway.ended();
  const files = filesIn(gateway.folder);
  expect(files).toContain('gateway.db');
  expectNoCanary({
    answers,
    'log lines': gateway.output + gateway.errors,
    metrics,
    files,
  });
});

it('messages of a key that chose to have them logged are there and nowhere else, without secrets', async () => {
  const opsPort = await freePort();
  const gateway = start(['--role', 'all', '--config', 'config.yaml'], {
    AIGATEWAY_OPS_PORT: String(opsPort),
    AIGATEWAY_MESSAGE_LOGGING: 'true',
  });
  const url = await gateway.url();
  await fly(url, url, canaries.rotated);
  const { prompt, ...secrets } = canaries;
  const text = `${prompt}: ${Object.values(secrets)
    .map((secret, index) => `SECRET_${index}=${secret}`)
    .join('\n')}`;
  const body = { model: 'of-file', messages: [{ role: 'user', content: text }] };
  for (const stream of [false, true])
    await send(url, '/v1/chat/completions', { ...body, stream }, canaries.rotated);
  const metrics = await metricsOf(opsPort);
  gateway.child.kill('SIGTERM');
  await gateway.ended();
  const lines = gateway.output.split('\n');
  const messages = lines.filter((line) => line.includes('"event":"messages"'));
  expect(messages.filter((line) => line.includes(prompt)).length).toBeGreaterThan(2);
  expectNoCanary({
    'other lines': lines.filter((line) => !messages.includes(line)).join('\n'),
    metrics,
    files: filesIn(gateway.folder),
  });
  for (const [kind, secret] of Object.entries(secrets))
    expect([kind, messages.some((line) => line.includes(secret))]).toEqual([kind, false]);
});
