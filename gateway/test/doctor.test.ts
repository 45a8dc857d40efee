import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { snapshotHeadKey } from '@aigateway/contract/channels';
import { SnapshotSigner } from '@aigateway/contract/signing';
import { startSimulator, type Simulator } from '@aigateway/smoke/simulator/simulator';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { freePort } from '../../smoke/free-port.ts';
import { noon, trackedSince } from '../../control-plane/test/conformance/documents.ts';
import {
  startPostgres,
  type PostgresServer,
} from '../../control-plane/test/servers/postgres-server.ts';
import {
  hasRedisServer,
  startRedis,
  type RedisServer,
} from '../../proxy/test/servers/redis-server.ts';
import { makeCertificates, type Certificates } from '../../proxy/test/upstream/certificates.ts';
import { startTlsFront, type TlsFront } from '../../proxy/test/upstream/tls-front.ts';
import { readCommand, type Role } from '../src/command-line.ts';
import { readConfiguration } from '../src/configuration.ts';
import { diagnose } from '../src/doctor/doctor.ts';
import type { Finding } from '../src/doctor/finding.ts';
import { withoutSecrets } from '../src/doctor/report.ts';
import { migrate } from '../src/migrate.ts';
import { sealerOf } from '../src/sealer.ts';
import { openStore, type StorePlace } from '../src/store-place.ts';
import { GatewayProcess, newFolder } from './gateway-process.ts';

const secret = 'a-root-secret-of-more-than-32-bytes';
const canaries = ['upstream-canary-0123', 'wrong-canary-0123', 'canary-of-redis', secret];

const identity = '00000000-0000-4000-8000-0000000000aa';

let simulator: Simulator;
let postgres: PostgresServer;
beforeAll(async () => {
  simulator = await startSimulator({
    config: {
      identity: {
        identities: [{ clientId: identity, managed: true, resources: [] }],
      },
      resources: [
        {
          name: 'east',
          keys: ['upstream-canary-0123'],
          deployments: [
            { name: 'gpt-4o', model: 'gpt-4o' },
            { name: 'codex', model: 'gpt-5.3-codex' },
            { name: 'vectors', model: 'text-embedding-3-small' },
          ],
        },
        {
          name: 'walled',
          keys: ['upstream-canary-0123'],
          network: 'firewall',
          deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }],
        },
        {
          name: 'keyless',
          keys: ['upstream-canary-0123'],
          keyAuth: false,
          deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }],
        },
      ],
    },
  });
  postgres = await startPostgres();
});
afterAll(async () => {
  await simulator.close();
  await postgres.stop();
});

const folders: string[] = [];
const servers: RedisServer[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  for (const server of servers.splice(0)) await server.stop();
});

function folderOf(): string {
  const folder = newFolder();
  folders.push(folder);
  return folder;
}

type Upstream = { base?: string; model?: string; key?: string; version?: string };

function modelOf({ base, model = 'gpt-4o', key = 'KEY', version = 'v1' }: Upstream) {
  return {
    model_name: model,
    litellm_params: {
      model: `azure/${model}`,
      api_base: base ?? simulator.resourceUrl('east'),
      api_key: `os.environ/${key}`,
      api_version: version,
    },
    model_info: { id: model },
  };
}

type Case = {
  models?: object[];
  settings?: object;
  general?: object;
  environment?: Record<string, string>;
  role?: Role;
  profile?: 'development' | 'production';
  apiVersion?: string;
  folder?: string;
};

/** What the doctor finds, checked to hold no secret. */
async function findings(given: Case = {}): Promise<readonly Finding[]> {
  const { role = 'proxy', profile = 'production', folder = folderOf(), apiVersion } = given;
  const file = join(folder, 'config.yaml');
  const settings = { allow_insecure_upstream: true, trusted_hops: 1, ...given.settings };
  const models = given.models ?? [modelOf({})];
  writeFileSync(
    file,
    JSON.stringify({
      model_list: models,
      aigateway_settings: settings,
      ...(given.general !== undefined && { general_settings: given.general }),
    }),
  );
  const variables = {
    AIGATEWAY_ROLE: role,
    AIGATEWAY_SECRET: secret,
    AIGATEWAY_DATA_DIR: join(folder, 'data'),
    LITELLM_MASTER_KEY: 'sk-canary-master-0123456789',
    KEY: 'upstream-canary-0123',
    WRONG: 'wrong-canary-0123',
    ...(profile === 'development' && { AIGATEWAY_PROFILE: profile }),
    ...given.environment,
  };
  const environmentFile = join(folder, '.env');
  const configuration = await readConfiguration({
    command: readCommand(['--doctor', '--config', file]),
    process: { variables, file: environmentFile, profile },
    simulatorUrl: undefined,
  });
  const { environment } = configuration;
  const patient = { role, configuration, environment, environmentFile, apiVersion };
  const found = await diagnose(patient);
  for (const canary of canaries) expect(JSON.stringify(found)).not.toContain(canary);
  return found;
}

const ill = (found: readonly Finding[]) => found.filter(({ status }) => status !== 'ok');

/** The one finding of an area that is not well. */
async function only(area: Finding['area'], given: Case): Promise<Finding> {
  const found = ill(await findings(given)).filter((finding) => finding.area === area);
  expect(found).toHaveLength(1);
  const [finding] = found;
  if (finding === undefined) throw new Error('nothing was found');
  // What is wrong comes with what to do.
  expect(finding.change ?? '').not.toBe('');
  return finding;
}

describe('of a gateway that is well, the doctor', () => {
  it('says so of everything that it depends on, and uses no tokens', async () => {
    const models = [
      modelOf({}),
      modelOf({ model: 'codex' }),
      modelOf({ model: 'vectors', version: '2024-10-21' }),
    ];
    const found = await findings({ models });
    expect(ill(found)).toEqual([]);
    const said = found.map(({ subject, message }) => `${subject}: ${message}`).join('\n');
    for (const part of [
      '3 models, 3 deployments, 1 key',
      // One way to sign in, and which.
      'signs in by API key (KEY), and by nothing else',
      'answers, and takes the credential (/openai/v1)',
      'deployments path, api-version 2024-10-21',
      'codex: codex is there',
      'vectors: vectors is there',
    ])
      expect(said).toContain(part);
    const used = simulator.requests().filter(({ usage }) => usage !== undefined);
    expect(used).toEqual([]);
  });

  it('does not ask for what is taken out of service, or has no name yet', async () => {
    const blocked = { ...modelOf({}), model_info: { id: 'gone', blocked: true } };
    const any = {
      model_name: 'east/*',
      litellm_params: { ...modelOf({}).litellm_params, model: 'azure/*' },
      model_info: { id: 'any' },
    };
    const found = await findings({ models: [blocked, any] });
    expect(ill(found)).toEqual([]);
    expect(found).toContainEqual(
      expect.objectContaining({
        subject: 'gpt-4o (gone)',
        message: expect.stringContaining('not asked'),
      }),
    );
  });
});

describe('a configuration that cannot be used', () => {
  it('is told with every problem, and nothing else is looked at', async () => {
    const before = simulator.requests().length;
    const found = await findings({
      settings: { heartbeat: 'often', port: -1 },
    });
    expect(found.map(({ area, status }) => [area, status])).toEqual([
      ['configuration', 'failed'],
      ['configuration', 'failed'],
    ]);
    expect(simulator.requests()).toHaveLength(before);
  });

  it('and one with risks is told with them', async () => {
    const environment = { LITELLM_MASTER_KEY: 'sk-short-1' };
    const finding = await only('configuration', { environment });
    expect(finding).toMatchObject({ status: 'warning' });
    expect(finding.message).toContain('LITELLM_MASTER_KEY');
    expect(JSON.stringify(finding)).not.toContain('sk-short-1');
  });
});

describe('an upstream that would not serve', () => {
  it.each<[string, () => Upstream, RegExp, RegExp]>([
    ['refuses the key', () => ({ key: 'WRONG' }), /refuses the credential \(401\)/, /Keys and End/],
    [
      'takes no keys',
      () => ({ base: simulator.resourceUrl('keyless') }),
      /refuses the credential \(403\)/,
      /identity/,
    ],
    [
      'keeps this machine out',
      () => ({ base: simulator.resourceUrl('walled') }),
      /keeps this machine out \(403\)/,
      /networking/,
    ],
    ['has no such deployment', () => ({ model: 'gpt-9' }), /no deployment gpt-9/, /azure\/NAME/],
    [
      'does not know the version',
      () => ({ version: '2020-01-01' }),
      /not by this version of the API \(404\)/,
      /api_version v1/,
    ],
    [
      'has no address',
      () => ({ base: 'http://nowhere.invalid' }),
      /cannot be reached.*(ENOTFOUND|EAI_AGAIN)/,
      /DNS/,
    ],
    ['is not there', () => ({ base: 'http://127.0.0.1:1' }), /ECONNREFUSED/, /port/],
  ])('%s', async (_, upstream, message, change) => {
    const finding = await only('upstream', { models: [modelOf(upstream())] });
    expect(finding.status).toBe('failed');
    expect(finding.message).toMatch(message);
    expect(finding.change).toMatch(change);
  });

  it.each([
    ['503-unavailable', 'failed', /fails \(503\)/],
    ['429-requests-classic', 'warning', /at its limit now \(429\)/],
  ] as const)('%s', async (error, status, message) => {
    const fault = simulator.fault({ kind: 'error', error, deployment: 'gpt-4o' });
    const finding = await only('upstream', {});
    fault.remove();
    expect(finding.status).toBe(status);
    expect(finding.message).toMatch(message);
  });

  describe('over TLS', () => {
    let certificates: Certificates;
    let front: TlsFront;
    beforeAll(async () => {
      certificates = makeCertificates(['127.0.0.1']);
      front = await startTlsFront(certificates, simulator.url);
    });
    afterAll(async () => {
      await front.close();
      certificates.remove();
    });

    it('whose certificate is not trusted, is told from one that is', async () => {
      const models = [modelOf({ base: `https://${front.host}/east` })];
      const finding = await only('upstream', { models });
      expect(finding.message).toContain('cannot be reached');
      expect(finding.change).toContain('ca_file');
      const settings = { ca_file: certificates.caFile };
      expect(ill(await findings({ models, settings }))).toEqual([]);
    });
  });

  it('whose key is in a vault that this process has no identity for', async () => {
    const models = [modelOf({})];
    Object.assign(models[0]?.litellm_params ?? {}, { api_key: 'keyvault/team-vault/azure-key' });
    const finding = await only('upstream', { models });
    expect(finding.message).toContain('API key (azure-key of team-vault.vault.azure.net)');
    expect(finding.change).toContain('Key Vault Secrets User');
  });

  it('is told from others that would, each for itself', async () => {
    const models = [modelOf({}), modelOf({ model: 'gpt-9' }), modelOf({ model: 'codex' })];
    const found = await findings({ models });
    const deployments = found.filter(({ subject }) => !subject.startsWith('http'));
    expect(
      deployments
        .filter(({ area }) => area === 'upstream')
        .map(({ subject, status }) => [subject, status]),
    ).toEqual([
      ['gpt-4o', 'ok'],
      ['gpt-9', 'failed'],
      ['codex', 'ok'],
    ]);
  });
});

describe('another version of the API', () => {
  it('is tried beside the one in use, and what differs is told', async () => {
    const models = [modelOf({ version: '2024-10-21' })];
    const [same] = (await findings({ models, apiVersion: 'v1' })).slice(-1);
    expect(same).toMatchObject({ status: 'ok', message: 'answers in the same way by /openai/v1' });
    const worse = await only('upstream', { models, apiVersion: '2020-01-01' });
    expect(worse).toMatchObject({ subject: 'gpt-4o', status: 'warning' });
    expect(worse.message).toContain('by deployments path, api-version 2020-01-01: ');
    expect(worse.change).toContain('2024-10-21');
    const known = await findings({ models, apiVersion: '2024-10-21' });
    expect(known.filter(({ subject }) => subject === 'gpt-4o')).toHaveLength(1);
  });
});

describe('the process and its files', () => {
  it('says that a proxy in front is not trusted, and that silence would be cut', async () => {
    const settings = { trusted_hops: 0, silent_answer: 300 };
    const found = ill(await findings({ settings }));
    expect(found.map(({ area, subject }) => [area, subject])).toEqual([
      ['process', 'in front'],
      ['process', 'silence'],
    ]);
  });

  it('says which networks may call, and what that rests on', async () => {
    const found = await findings({ general: { allowed_ips: ['203.0.113.0/24'] } });
    expect(found.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/^calls are taken from 203\.0\.113\.0\/24 alone, by x-forwarded-for/),
    );
  });

  it('says that programs take the public address for Azure itself (P4)', async () => {
    const at = (url: string) => ({ environment: { PROXY_BASE_URL: url } });
    for (const host of ['gw.azurefd.net', 'gw.azure-api.net', 'gw.openai.azure.com']) {
      const finding = await only('process', at(`https://${host}`));
      expect(finding.message).toContain(host);
    }
    expect(ill(await findings(at('https://ai.example.com')))).toEqual([]);
  });

  it.skipIf(process.platform === 'win32')('says which secrets others can read', async () => {
    const folder = folderOf();
    mkdirSync(join(folder, 'data'));
    for (const name of ['.env', 'data/secret', 'data/master-key', 'data/other'])
      writeFileSync(join(folder, name), '');
    for (const name of ['.env', 'data/secret']) chmodSync(join(folder, name), 0o644);
    chmodSync(join(folder, 'data/master-key'), 0o600);
    const found = ill(await findings({ folder }));
    expect(found.map(({ area, subject }) => [area, subject])).toEqual([
      ['files', join(folder, '.env')],
      ['files', join(folder, 'data/secret')],
    ]);
    expect(found[0]?.change).toBe(`chmod 600 ${join(folder, '.env')}`);
  });

  it('says that the data directory cannot be used, where it is needed', async () => {
    const folder = folderOf();
    writeFileSync(join(folder, 'data'), 'a file in its place');
    const finding = await only('files', { folder, role: 'all' });
    expect(finding).toMatchObject({ status: 'failed' });
    expect(finding.message).toContain('may not');
    expect(ill(await findings({ folder }))).toEqual([]);
  });
});

describe.skipIf(!hasRedisServer)('Redis', () => {
  async function start(args: string[] = ['--maxmemory-policy', 'noeviction']) {
    const server = await startRedis({ args });
    servers.push(server);
    return server;
  }

  it('that can be used is well, and left as it was', async () => {
    const { url } = await start();
    const found = await findings({ environment: { REDIS_URL: url } });
    expect(ill(found)).toEqual([]);
    expect(found.filter(({ area }) => area === 'redis').map(({ subject }) => subject)).toEqual([
      'url',
      'server',
      'commands',
      'clock',
      'snapshot',
    ]);
    const client = new Redis(url);
    expect(await client.keys('*')).toEqual([]);
    client.disconnect();
  });

  it('that nobody listens for, or that refuses the password', async () => {
    const away = `redis://127.0.0.1:${await freePort()}`;
    const lost = await only('redis', { environment: { REDIS_URL: away } });
    expect(lost.message).toContain('ECONNREFUSED');
    const { url } = await start(['--requirepass', 'right-password']);
    const wrong = url.replace('//', '//:canary-of-redis@');
    for (const given of [url, wrong]) {
      const finding = await only('redis', { environment: { REDIS_URL: given } });
      expect(finding.status).toBe('failed');
      expect(finding.change).toContain('REDIS_PASSWORD');
    }
  });

  it('whose user may not call what is used', async () => {
    const { url } = await start();
    const client = new Redis(url);
    await client.call('ACL', 'SETUSER', 'default', '-xadd', '-zadd');
    const finding = await only('redis', { environment: { REDIS_URL: url } });
    expect(finding).toMatchObject({ subject: 'commands', status: 'failed' });
    expect(finding.message).toMatch(/ZADD, XADD/);
    client.disconnect();
  });

  it('that forgets what it has no room for', async () => {
    const { url } = await start(['--maxmemory-policy', 'allkeys-lru']);
    const finding = await only('redis', { environment: { REDIS_URL: url } });
    expect(finding).toMatchObject({ subject: 'server', status: 'warning' });
    expect(finding.message).toContain('allkeys-lru');
  });

  it('whose clock differs from that of this machine', async () => {
    const { url } = await start();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 60_000 });
    const finding = await only('redis', { environment: { REDIS_URL: url } });
    expect(finding).toMatchObject({ subject: 'clock', status: 'warning' });
    expect(finding.message).toMatch(/differs by -(59|60)\d{3} ms/);
  });

  it('that nothing is published in yet, or something with another secret', async () => {
    const { url } = await start();
    const follower = { models: [], environment: { REDIS_URL: url } };
    const empty = await only('redis', follower);
    expect(empty).toMatchObject({ subject: 'snapshot', status: 'warning' });
    const client = new Redis(url);
    const head = { schemaVersion: 1, revision: 7, generation: 7, count: 0 };
    const sealedBy = (current: string) =>
      new SnapshotSigner({ current }).seal({
        ...head,
        digest: '',
        digestKey: '',
        signedBy: '',
        at: 0,
      });
    await client.hset(snapshotHeadKey, 'sealed', sealedBy('another-secret-of-more-than-32-bytes'));
    expect((await only('redis', follower)).message).toContain('another secret');
    await client.hset(snapshotHeadKey, 'sealed', sealedBy(secret));
    expect(ill(await findings(follower))).toEqual([]);
    // Nothing of it reaches a proxy that has models of its own.
    const alone = await only('redis', { role: 'proxy', environment: { REDIS_URL: url } });
    expect(alone).toMatchObject({ subject: 'snapshot', status: 'warning' });
    expect(alone.message).toContain('takes nothing from it');
    client.disconnect();
  });
});

describe('the models of a store', () => {
  const another = 'another-secret-of-more-than-32-bytes';

  async function fill(place: StorePlace): Promise<void> {
    const store = await openStore(place);
    const model = (id: string, name: string, params: object = {}, blocked = false) => ({
      kind: 'model' as const,
      id,
      document: {
        ...trackedSince(noon),
        model_id: id,
        model_name: name,
        litellm_params: {
          model: `azure/${name}`,
          api_base: simulator.resourceUrl('east'),
          api_version: 'v1',
          api_key: seal(secret, 'upstream-canary-0123'),
          ...params,
        },
        model_info: {},
        blocked,
      },
    });
    await store.entities.write([
      model('d-there', 'codex'),
      model('d-gone', 'gpt-9'),
      model('d-paused', 'vectors', {}, true),
      model('d-wrong', 'gpt-4o', { api_key: seal(secret, 'wrong-canary-of-the-store') }),
      model('d-foreign', 'foreign', { api_key: 'os.environ/KEY' }),
      model('d-sealed', 'vectors', { api_key: seal(another, 'upstream-canary-0123') }),
    ]);
    await store.close();
  }

  const seal = (current: string, text: string) =>
    sealerOf({ environment: {}, secret: { current } }).seal(text);

  it.each(['sqlite', 'postgres'] as const)(
    'are looked at where the process has it, and it stays as it is: %s',
    async (kind) => {
      const folder = folderOf();
      const path = join(folder, 'data', 'gateway.db');
      const connectionString = await postgres.createDatabase();
      const environment = kind === 'postgres' ? { DATABASE_URL: connectionString } : {};
      if (kind === 'postgres') {
        const bare = await only('upstream', { role: 'all', environment });
        expect(bare).toMatchObject({ status: 'warning', subject: 'models of the store' });
        await migrate({ action: 'apply' }, environment);
      }
      await fill(kind === 'sqlite' ? { kind, path } : { kind, connectionString });
      const before = kind === 'sqlite' ? readFileSync(path) : undefined;

      const found = await findings({ role: 'all', folder, environment });
      const of = (subject: string) => found.find((finding) => finding.subject === subject);
      expect(of('gpt-4o')).toMatchObject({ status: 'ok' });
      expect(of('codex (d-there)')).toMatchObject({ status: 'ok', message: 'codex is there' });
      expect(of('vectors (d-paused)')?.message).toContain('not asked');
      expect(of('gpt-9 (d-gone)')?.message).toContain('no deployment gpt-9');
      expect(of('entries')?.message).toContain('model d-foreign refers to what only the file may');
      expect(of('secrets')).toMatchObject({ status: 'failed' });
      expect(of('secrets')?.message).toMatch(/^1 secret cannot be opened/);
      const refused = found.filter(({ message }) => message.startsWith('refuses the credential'));
      expect(refused).toHaveLength(2);
      expect(JSON.stringify(found)).not.toContain('wrong-canary-of-the-store');

      if (before !== undefined) expect(readFileSync(path).equals(before)).toBe(true);
      // Whoever serves without the store has nothing to do with it, and a control plane calls nobody.
      const proxy = await findings({ folder, environment });
      expect(JSON.stringify(proxy)).not.toContain('codex');
    },
  );

  it('are looked at with the secret that a gateway of a developer keeps', async () => {
    const folder = folderOf();
    await fill({ kind: 'sqlite', path: join(folder, 'data', 'gateway.db') });
    writeFileSync(join(folder, 'data', 'secret'), `${secret}\n`);
    const environment = { AIGATEWAY_SECRET: '' };
    const found = await findings({ role: 'all', folder, environment, profile: 'development' });
    expect(found).toContainEqual(
      expect.objectContaining({ subject: 'codex (d-there)', message: 'codex is there' }),
    );
  });
});

describe('the store', () => {
  const plane = (environment: Record<string, string>): Case => ({
    role: 'control-plane',
    models: [],
    environment,
  });

  it('that is a file: to be made, there, or no store', async () => {
    const folder = folderOf();
    const given: Case = { role: 'all', folder };
    const store = async () =>
      (await findings(given)).find(({ area }) => area === 'store')?.message ?? '';
    expect(await store()).toContain('will be made');
    const path = join(folder, 'data', 'gateway.db');
    await (await openStore({ kind: 'sqlite', path })).close();
    expect(await store()).toContain('has the schema of this release');
    for (const ending of ['-wal', '-shm']) rmSync(path + ending, { force: true });
    writeFileSync(path, 'no store at all, but long enough to be looked at as one '.repeat(50));
    const finding = await only('store', given);
    expect(finding.message).toContain('cannot be read');
  });

  it('that is PostgreSQL: away, without its schema, and with it', async () => {
    const away = `postgres://u:canary-of-redis@127.0.0.1:${await freePort()}/x`;
    const lost = await only('store', plane({ DATABASE_URL: away }));
    expect(lost.message).toContain('ECONNREFUSED');
    const database = await postgres.createDatabase();
    const bare = await only('store', plane({ DATABASE_URL: database }));
    expect(bare).toMatchObject({ status: 'failed', change: 'Run: npm start -- --migrate apply' });
    await migrate({ action: 'apply' }, { DATABASE_URL: database });
    expect(ill(await findings(plane({ DATABASE_URL: database })))).toEqual([]);
  });

  it('that is named twice', async () => {
    const environment = { DATABASE_URL: 'postgres://x', COSMOS_ENDPOINT: 'https://x' };
    expect((await only('store', plane(environment))).message).toContain('both name a store');
  });
});

const ofProcess = { AIGATEWAY_SECRET: secret, LITELLM_MASTER_KEY: 'sk-canary-master-0123456789' };

describe('the command', () => {
  const running: GatewayProcess[] = [];
  afterEach(async () => {
    for (const process of running.splice(0)) await process.stop();
  });

  function start(args: readonly string[], model: Upstream, environment = {}) {
    const folder = newFolder();
    const settings = { allow_insecure_upstream: true, trusted_hops: 1 };
    const config = { model_list: [modelOf(model)], aigateway_settings: settings };
    writeFileSync(join(folder, 'config.yaml'), JSON.stringify(config));
    const process = new GatewayProcess(
      ['--doctor', '--config', 'config.yaml', ...args],
      { ...ofProcess, KEY: 'upstream-canary-0123', WRONG: 'wrong', ...environment },
      folder,
    );
    running.push(process);
    return process;
  }

  it('ends with 0 where nothing failed, and writes nothing', async () => {
    const gateway = start([], {}, { AIGATEWAY_PROFILE: 'development' });
    expect(await gateway.ended()).toBe(0);
    expect(gateway.output).toMatch(/ok +upstream +gpt-4o: gpt-4o is there/);
    expect(gateway.output).toMatch(/\d+ ok, \d+ to look at, 0 failed/);
  });

  it('ends with 1 where something did, for programs as well', async () => {
    const gateway = start(['--json'], { key: 'WRONG' });
    expect(await gateway.ended()).toBe(1);
    const report = JSON.parse(gateway.output) as { failed: number; findings: Finding[] };
    expect(report.failed).toBe(1);
    expect(ill(report.findings)).toMatchObject([{ area: 'upstream', status: 'failed' }]);
  });

  it('tells an identity without the role from one that cannot be had', async () => {
    const endpoint = (url: string) => ({
      IDENTITY_ENDPOINT: `${url}/msi/token`,
      IDENTITY_HEADER: 'simulated-identity-header',
    });
    const folder = folderOf();
    const { litellm_params: params, ...model } = modelOf({});
    const { api_key: _, ...rest } = params;
    const way = { azure_credential: 'ManagedIdentityCredential', client_id: identity };
    const config = {
      model_list: [{ ...model, litellm_params: { ...rest, ...way } }],
      aigateway_settings: { allow_insecure_upstream: true, trusted_hops: 1 },
    };
    writeFileSync(join(folder, 'config.yaml'), JSON.stringify(config));
    const run = async (environment: Record<string, string>) => {
      const process = new GatewayProcess(
        ['--doctor', '--json', '--config', join(folder, 'config.yaml')],
        { ...ofProcess, ...environment },
      );
      running.push(process);
      expect(await process.ended()).toBe(1);
      const { findings: found } = JSON.parse(process.output) as { findings: Finding[] };
      return ill(found)[0];
    };
    const [without, away] = await Promise.all([
      run(endpoint(simulator.url)),
      run(endpoint(`http://127.0.0.1:${await freePort()}`)),
    ]);
    expect(without?.message).toContain('refuses the credential');
    expect(without?.change).toContain('Cognitive Services OpenAI User');
    expect(away?.message).toMatch(/managed identity.*no managed-identity token/);
  });
});

describe('what others say of a secret', () => {
  it('is taken out of every text', () => {
    const environment = {
      SOME_KEY: 'a-key-0123',
      DATABASE_URL: 'postgres://u:p%40ssword@host/x',
      AZURE_OPENAI_URL: 'https://r.openai.azure.com',
      HOST: 'a-host-name',
    };
    const message =
      'a-key-0123 p@ssword postgres://u:p%40ssword@host/x https://r.openai.azure.com a-host-name';
    const [finding] = withoutSecrets(
      [{ area: 'store', subject: 'a-key-0123', status: 'failed', message, change: 'p@ssword' }],
      { environment } as unknown as Parameters<typeof withoutSecrets>[1],
    );
    expect(finding).toMatchObject({
      subject: '[redacted]',
      message: '[redacted] [redacted] [redacted] https://r.openai.azure.com a-host-name',
      change: '[redacted]',
    });
  });
});
