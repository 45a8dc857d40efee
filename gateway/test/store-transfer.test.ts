import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { createSqliteStore } from '@aigateway/control-plane/store/sqlite/sqlite-store';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  startPostgres,
  type PostgresServer,
} from '../../control-plane/test/servers/postgres-server.ts';
import { GatewayProcess, newFolder } from './gateway-process.ts';

const master = 'sk-master-0123456789abcdef';
const upstreamKey = 'upstream-key-of-the-canary';
const environment = {
  AIGATEWAY_PROFILE: 'development',
  AIGATEWAY_STOP_DELAY: '0',
  AIGATEWAY_SECRET: 'a root secret of more than thirty-two bytes',
  LITELLM_MASTER_KEY: master,
};

let postgres: PostgresServer;
/** A developer's gateway that has a key, a model with a secret, and usage. */
let folder: string;
let key: string;
let keyId: string;
let spend: number;
const folders: string[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  folder = newPlace();
  const gateway = new GatewayProcess(['--port', '0'], environment, folder);
  const url = await gateway.url();
  const made = await post(url, '/key/generate', master, { key_alias: 'ci', max_budget: 5 });
  ({ key, token_id: keyId } = (await made.json()) as { key: string; token_id: string });
  const model = await post(url, '/model/new', master, {
    model_name: 'stored',
    litellm_params: {
      model: 'azure/gpt-4o',
      api_base: 'https://east.openai.azure.com',
      api_key: upstreamKey,
    },
  });
  if (!model.ok || (await call(url)) !== 200) throw new Error(await model.text());
  // What it is told to stop for has been counted by then.
  await stop(gateway);
  const again = new GatewayProcess(['--port', '0'], environment, folder);
  spend = await spendOf(await again.url());
  if (spend <= 0) throw new Error('the call was not counted');
  await stop(again);
});
afterAll(async () => {
  for (const one of folders) rmSync(one, { recursive: true, force: true });
  await postgres.stop();
});

function newPlace(): string {
  const made = newFolder();
  folders.push(made);
  return made;
}

/** Ends a process as an operator does, and leaves its folder. */
async function stop({ child }: GatewayProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}

function post(url: string, path: string, by: string, body: object): Promise<Response> {
  return fetch(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${by}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

async function call(url: string): Promise<number> {
  const { status } = await post(url, '/v1/chat/completions', key, {
    model: 'gpt-4o',
    messages: [{ role: 'user', content: 'hello' }],
  });
  return status;
}

async function spendOf(url: string): Promise<number> {
  const answer = await fetch(`${url}/key/info`, { headers: { authorization: `Bearer ${key}` } });
  return ((await answer.json()) as { info: { spend: number } }).info.spend;
}

async function job(
  args: readonly string[],
  more: Record<string, string> = {},
  where = folder,
): Promise<{ code: number | null; output: string; errors: string }> {
  const process = new GatewayProcess(args, { ...environment, ...more }, where);
  const code = await process.ended();
  return { code, output: process.output, errors: process.errors };
}

async function migrated(): Promise<string> {
  const connectionString = await postgres.createDatabase();
  const { code } = await job(['--migrate', 'apply'], { DATABASE_URL: connectionString });
  expect(code).toBe(0);
  return connectionString;
}

/** Starts a gateway on another machine: nothing but its store is the same. */
async function started<T>(
  more: Record<string, string>,
  work: (url: string) => Promise<T>,
  where = newPlace(),
): Promise<T> {
  const gateway = new GatewayProcess(['--port', '0'], { ...environment, ...more }, where);
  try {
    return await work(await gateway.url());
  } finally {
    await stop(gateway);
  }
}

async function auditOf(url: string, action: string): Promise<{ action: string }[]> {
  const answer = await fetch(`${url}/audit?action=${action}`, {
    headers: { authorization: `Bearer ${master}` },
  });
  return ((await answer.json()) as { audit_logs: { action: string }[] }).audit_logs;
}

describe('a store that is copied', () => {
  it('to PostgreSQL serves the keys of before, knows what they spent, and says that it was copied', async () => {
    const TARGET_DATABASE_URL = await migrated();
    const plan = await job(['--copy', 'plan'], { TARGET_DATABASE_URL });
    expect(plan).toMatchObject({ code: 0, errors: '' });
    expect(plan.output).toMatch(/key: 1\n/);
    expect(plan.output).toContain('1 secrets of upstreams, which the keys of this process open');
    const copy = await job(['--copy', 'apply'], { TARGET_DATABASE_URL });
    expect(copy).toMatchObject({ code: 0, errors: '' });
    expect(copy.output).toContain('it holds all of it, and nothing else');
    const again = await job(['--copy', 'apply'], { TARGET_DATABASE_URL });
    expect(again.code).toBe(1);
    expect(again.errors).toContain('not empty');

    await started({ DATABASE_URL: TARGET_DATABASE_URL }, async (url) => {
      expect(await spendOf(url)).toBe(spend);
      expect(await call(url)).toBe(200);
      await expect.poll(() => spendOf(url)).toBe(2 * spend);
      expect(await auditOf(url, 'copied')).toHaveLength(1);
    });

    // And back, into a file.
    const back = newPlace();
    const TARGET_SQLITE_FILE = join(back, '.aigateway', 'gateway.db');
    const planned = await job(['--copy', 'plan'], {
      DATABASE_URL: TARGET_DATABASE_URL,
      TARGET_SQLITE_FILE,
    });
    expect(planned.code).toBe(0);
    expect(existsSync(TARGET_SQLITE_FILE)).toBe(false);
    const copied = await job(['--copy', 'apply'], {
      DATABASE_URL: TARGET_DATABASE_URL,
      TARGET_SQLITE_FILE,
    });
    expect(copied.code).toBe(0);
    await started({}, async (url) => expect(await spendOf(url)).toBe(2 * spend), back);
  });

  it('needs one target, which is another store', async () => {
    const none = await job(['--copy', 'apply']);
    expect(none.code).toBe(1);
    expect(none.errors).toContain('set one of TARGET_DATABASE_URL');
    const same = await job(['--copy', 'apply'], {
      TARGET_SQLITE_FILE: join(folder, '.aigateway', 'gateway.db'),
    });
    expect(same.code).toBe(1);
    expect(same.errors).toContain('the same store');
  });

  it('says whose secrets the new keys would not open', async () => {
    const TARGET_DATABASE_URL = await migrated();
    const LITELLM_SALT_KEY = 'another key, of more than thirty-two bytes';
    const more = { TARGET_DATABASE_URL, AIGATEWAY_SECRET: LITELLM_SALT_KEY, LITELLM_SALT_KEY };
    const plan = await job(['--copy', 'plan'], more);
    expect(plan.code).toBe(1);
    expect(plan.errors).toMatch(/opens the secrets of 1 entries.*\n {2}model /);
  });
});

describe('a store that is restored from its backup', () => {
  it('serves the keys of before; the backup holds no secret', async () => {
    const file = join(newPlace(), 'store.backup');
    const backup = await job(['--backup', file]);
    expect(backup).toMatchObject({ code: 0, errors: '' });
    const text = gunzipSync(readFileSync(file)).toString();
    for (const secret of [key, upstreamKey, master, environment.AIGATEWAY_SECRET]) {
      expect(text).not.toContain(secret);
      expect(backup.output).not.toContain(secret);
    }
    expect(text).toContain(keyId);
    const again = await job(['--backup', file]);
    expect(again.code).toBe(1);
    expect(again.errors).toContain('is there already');

    const DATABASE_URL = await migrated();
    const plan = await job(['--restore', `plan:${file}`], { DATABASE_URL });
    expect(plan).toMatchObject({ code: 0, errors: '' });
    expect(plan.output).toMatch(/is whole, and postgres .* is empty/);
    const restored = await job(['--restore', `apply:${file}`], { DATABASE_URL });
    expect(restored).toMatchObject({ code: 0, errors: '' });
    await started({ DATABASE_URL }, async (url) => {
      expect(await call(url)).toBe(200);
      await expect.poll(() => spendOf(url)).toBe(2 * spend);
      expect(await auditOf(url, 'restored')).toHaveLength(1);
      // It was made after what it tells of, so the backup itself cannot have it.
      expect(await auditOf(url, 'backed_up')).toHaveLength(0);
    });
    await started(
      {},
      async (url) => expect(await auditOf(url, 'backed_up')).toHaveLength(1),
      folder,
    );
  });

  it('is not worked with before all of it is there', async () => {
    const where = newPlace();
    const store = await createSqliteStore({ path: join(where, '.aigateway', 'gateway.db') });
    const at = '2026-11-26T00:00:00.000Z';
    await store.entities.write([
      {
        kind: 'store_transfer',
        id: 'unfinished',
        document: {
          source: 'backup 1',
          created_at: at,
          created_by: 'command_line',
          updated_at: at,
          updated_by: 'command_line',
        },
      },
    ]);
    await store.close();
    for (const args of [
      ['--port', '0'],
      ['--reseal', 'apply'],
      ['--backup', join(where, 'b')],
    ]) {
      const { code, errors } = await job(args, {}, where);
      expect(code).toBe(1);
      expect(errors).toContain('being filled from backup 1 since 2026-11-26');
    }
  });
});
