import { startSimulator, type Simulator } from '@aigateway/smoke/simulator/simulator';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  startPostgres,
  type PostgresServer,
} from '../../control-plane/test/servers/postgres-server.ts';
import { GatewayProcess } from './gateway-process.ts';

const master = 'sk-master-0123456789abcdef';
const [saltBefore, saltAfter, rootBefore, rootAfter] = [
  'salt-before',
  'salt-after',
  'root-before',
  'root-after',
].map((name) => `${name}-of-more-than-thirty-two-bytes`) as [string, string, string, string];

let postgres: PostgresServer;
let simulator: Simulator;
let database: string;
beforeAll(async () => {
  postgres = await startPostgres();
  simulator = await startSimulator({
    config: {
      resources: [
        {
          name: 'east',
          keys: ['upstream-key-1', 'upstream-key-2'],
          deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }],
        },
      ],
    },
  });
  database = await newDatabase();
});
afterAll(async () => {
  await simulator.close();
  await postgres.stop();
});

async function newDatabase(): Promise<string> {
  const url = await postgres.createDatabase();
  const migration = new GatewayProcess(['--migrate', 'apply'], { DATABASE_URL: url });
  await migration.ended();
  await migration.stop();
  return url;
}

const running: GatewayProcess[] = [];
afterEach(async () => {
  for (const process of running.splice(0)) await process.stop();
});

function environment(changes: Record<string, string> = {}): Record<string, string> {
  return {
    AIGATEWAY_PROFILE: 'development',
    AIGATEWAY_STOP_DELAY: '0',
    AIGATEWAY_ALLOW_INSECURE_UPSTREAM: 'true',
    AIGATEWAY_SECRET: rootBefore,
    LITELLM_MASTER_KEY: master,
    DATABASE_URL: database,
    ...changes,
  };
}

async function start(changes: Record<string, string>): Promise<string> {
  const process = new GatewayProcess(['--port', '0', '--role', 'all'], environment(changes));
  running.push(process);
  return process.url();
}

/** Exit code and output of a job. */
async function job(args: readonly string[], changes: Record<string, string>) {
  const process = new GatewayProcess([...args], environment(changes));
  running.push(process);
  const code = await process.ended();
  return { code, text: process.output + process.errors };
}

async function call(url: string, path: string, body: object, key = master) {
  const response = await fetch(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const ask = async (url: string, key = master) =>
  (
    await call(
      url,
      '/v1/chat/completions',
      { model: 'stored', messages: [{ role: 'user', content: 'hello' }] },
      key,
    )
  ).status;

/** Calls one after another while something is done; the statuses they had. */
async function askWhile(url: string, key: string, work: () => Promise<unknown>): Promise<number[]> {
  const statuses: number[] = [];
  let isOver = false;
  const asking = (async () => {
    while (!isOver) statuses.push(await ask(url, key));
    statuses.push(await ask(url, key));
  })();
  await work();
  isOver = true;
  await asking;
  return statuses;
}

const storedModel = (apiKey: string) => ({
  model_name: 'stored',
  litellm_params: {
    model: 'azure/gpt-4o',
    api_base: simulator.resourceUrl('east'),
    api_version: 'v1',
    api_key: apiKey,
  },
  model_info: { id: 'stored' },
});

describe('without a restart and without a failed call', () => {
  it('a gateway key is rotated: both secrets work until the old one is ended', async () => {
    const url = await start({ DATABASE_URL: await newDatabase() });
    await call(url, '/model/new', storedModel('upstream-key-1'));
    const made = await call(url, '/key/generate', { key_alias: 'ci', max_budget: 5 });
    const before = made.body['key'] as string;
    let after = '';
    const statuses = await askWhile(url, before, async () => {
      const rotated = await call(url, '/key/regenerate', { key: before, grace_period: '1h' });
      after = rotated.body['key'] as string;
      expect(after).not.toBe(before);
      expect(await ask(url, after)).toBe(200);
    });
    expect(new Set(statuses)).toEqual(new Set([200]));
    // Callers have the new secret: the old one ends before its time, and it alone.
    const ending = await askWhile(url, after, async () => {
      const ended = await call(url, '/manage/keys/revoke', { key: before });
      expect(ended.body).toMatchObject({ revoked: 'secret' });
    });
    expect(new Set(ending)).toEqual(new Set([200]));
    expect(await ask(url, before)).toBe(401);
  });

  it('an Azure key in the store is rotated', async () => {
    const url = await start({ DATABASE_URL: await newDatabase() });
    simulator.setKeys('east', ['upstream-key-1', 'upstream-key-2']);
    await call(url, '/model/new', storedModel('upstream-key-1'));
    const statuses = await askWhile(url, master, async () => {
      const changed = await fetch(`${url}/model/stored/update`, {
        method: 'PATCH',
        headers: { authorization: `Bearer ${master}`, 'content-type': 'application/json' },
        body: JSON.stringify({ litellm_params: { api_key: 'upstream-key-2' } }),
      });
      expect(changed.status).toBe(200);
    });
    simulator.setKeys('east', ['upstream-key-3', 'upstream-key-2']);
    statuses.push(await ask(url), await ask(url));
    expect(new Set(statuses)).toEqual(new Set([200]));
    const used = simulator
      .requests()
      .flatMap(({ operation, headers }) =>
        operation === 'chat.completions' ? [headers['api-key']] : [],
      );
    expect(used.at(-1)).toBe('upstream-key-2');
    simulator.setKeys('east', ['upstream-key-1', 'upstream-key-2']);
  });
});

describe('the secrets of the process', () => {
  it('are rotated by starting new processes beside the old ones: stored responses, keys and models stay', async () => {
    const DATABASE_URL = await newDatabase();
    const first = await start({ DATABASE_URL });
    await call(first, '/model/new', storedModel('upstream-key-1'));
    const made = await call(first, '/key/generate', { key_alias: 'ci' });
    const key = made.body['key'] as string;
    const input = { model: 'stored', input: 'remember this' };
    const stored = await call(first, '/v1/responses', input, key);
    expect(stored.status).toBe(200);
    const path = `/v1/responses/${stored.body['id'] as string}`;
    const read = async (url: string) =>
      (await fetch(url + path, { headers: { authorization: `Bearer ${key}` } })).status;

    const both = {
      DATABASE_URL,
      AIGATEWAY_SECRET: rootAfter,
      AIGATEWAY_SECRET_PREVIOUS: rootBefore,
      LITELLM_MASTER_KEY: 'sk-another-master-0123456789',
    };
    const second = await start(both);
    expect(await read(first)).toBe(200);
    expect(await read(second)).toBe(200);
    expect(await ask(second, key)).toBe(200);
    expect(await ask(first, key)).toBe(200);
    expect(await ask(second, both.LITELLM_MASTER_KEY)).toBe(200);
    expect(await ask(second, master)).toBe(401);

    // Without a salt key of its own the store is sealed with the root secret.
    const applied = await job(['--reseal', 'apply'], both);
    expect(applied.text).toContain('1 secrets were sealed anew.');
    const third = await start({ DATABASE_URL, AIGATEWAY_SECRET: rootAfter });
    expect(await ask(third, key)).toBe(200);
    // What only the old secret vouched for is then unknown.
    expect(await read(third)).toBe(404);
  });
});

describe('the salt key', () => {
  it('is rotated while the gateway serves, and the old one is then needed by nobody', async () => {
    const first = await start({ LITELLM_SALT_KEY: saltBefore });
    const made = await call(first, '/model/new', {
      model_name: 'stored',
      litellm_params: {
        model: 'azure/gpt-4o',
        api_base: simulator.resourceUrl('east'),
        api_version: 'v1',
        api_key: 'upstream-key-1',
      },
    });
    expect(made.status).toBe(200);
    expect(await ask(first)).toBe(200);

    const both = { LITELLM_SALT_KEY: saltAfter, LITELLM_SALT_KEY_PREVIOUS: saltBefore };
    const second = await start(both);
    expect(await ask(second)).toBe(200);

    const plan = await job(['--reseal', 'plan'], both);
    expect(plan).toMatchObject({ code: 0 });
    expect(plan.text).toContain('1 secrets are to be sealed anew.');
    const applied = await job(['--reseal', 'apply'], both);
    expect(applied).toMatchObject({ code: 0 });
    expect(applied.text).toContain('Earlier keys are needed no more.');
    expect(applied.text).not.toContain('upstream-key');
    expect(await ask(second)).toBe(200);

    const third = await start({ LITELLM_SALT_KEY: saltAfter });
    expect(await ask(third)).toBe(200);
  });

  it('that is not given any more is asked for, before a secret is lost', async () => {
    const lost = await job(['--reseal', 'apply'], { LITELLM_SALT_KEY: saltBefore });
    expect(lost.code).toBe(1);
    expect(lost.text).toContain('LITELLM_SALT_KEY_PREVIOUS');
    const still = await job(['--reseal', 'plan'], { LITELLM_SALT_KEY: saltAfter });
    expect(still).toMatchObject({ code: 0 });
  });
});
