import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '@aigateway/contract/records';
import { put } from '@aigateway/control-plane/http/view';
import { createSqliteStore } from '@aigateway/control-plane/store/sqlite/sqlite-store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GatewayProcess, newFolder } from './gateway-process.ts';

let started: GatewayProcess[];

beforeEach(() => {
  started = [];
});
afterEach(() => Promise.all(started.map((gateway) => gateway.stop())));

type Running = { gateway: GatewayProcess; url: string; master: string };

async function start(folder = newFolder(), args: string[] = []): Promise<Running> {
  const gateway = new GatewayProcess(
    ['--port', '0', ...args],
    { AIGATEWAY_PROFILE: 'development', AIGATEWAY_STOP_DELAY: '0' },
    folder,
  );
  started.push(gateway);
  const url = await gateway.url();
  const master = readFileSync(join(folder, '.aigateway', 'master-key'), 'utf8').trim();
  return { gateway, url, master };
}

function post(url: string, path: string, key: string, body: object): Promise<Response> {
  return fetch(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

function chat(url: string, key: string, model = 'gpt-4o'): Promise<Response> {
  const messages = [{ role: 'user', content: 'hello' }];
  return post(url, '/v1/chat/completions', key, { model, messages });
}

async function newKey({ url, master }: Running, fields: object): Promise<string> {
  const answer = await post(url, '/key/generate', master, fields);
  expect(answer.status).toBe(200);
  const { key } = (await answer.json()) as { key: string };
  return key;
}

describe('a gateway with both planes in one process', () => {
  it('lets a key in as soon as it is made, and keeps it to its models and limits', async () => {
    const running = await start();
    const key = await newKey(running, { models: ['gpt-4o'], rpm_limit: 1 });
    expect((await chat(running.url, key, 'gpt-5')).status).toBe(403);
    const statuses = [];
    for (let call = 0; call < 4; call += 1) statuses.push((await chat(running.url, key)).status);
    expect(statuses[0]).toBe(200);
    // A minute may begin in between, but not twice.
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(2);
  });

  it('counts the keys of its store on the command line, while it runs and after', async () => {
    const folder = newFolder();
    const running = await start(folder);
    await post(running.url, '/team/new', running.master, { team_id: 'search' });
    await newKey(running, { team_id: 'search' });
    const used = await newKey(running, {});
    expect((await chat(running.url, used)).status).toBe(200);
    const report = async () => {
      const job = new GatewayProcess(
        ['--keys', 'report'],
        { AIGATEWAY_PROFILE: 'development' },
        folder,
      );
      started.push(job);
      expect(await once(job.child, 'close')).toEqual([0, null]);
      return job.output;
    };
    // Usage is counted a moment after it was answered.
    running.gateway.child.kill('SIGTERM');
    await running.gateway.ended();
    const text = await report();
    expect(text).toMatch(/^ +2 {2}keys\n/);
    expect(text).toContain('\nage\n       2  under 7 days\n');
    expect(text).toContain('       1  team search\n');
    expect(text).toContain('\nlast use\n');
    expect(text).toMatch(/ 1 {2}under 7 days\n/);
    await start(folder);
    expect(await report()).toBe(text);
  });

  it('answers a path of either plane with a wrong method by the methods that it has', async () => {
    const { url } = await start();
    const allowed = async (method: string, path: string) => {
      const { status, headers } = await fetch(url + path, { method });
      return [status, headers.get('allow')];
    };
    expect(await allowed('GET', '/key/generate')).toEqual([405, 'POST']);
    expect(await allowed('GET', '/v1/chat/completions')).toEqual([405, 'POST']);
    expect(await allowed('POST', '/model/info')).toEqual([405, 'GET, HEAD']);
    expect(await allowed('GET', '/no/such/path')).toEqual([404, null]);
  });

  it('holds every key to what a model of the store lets each of them use', async () => {
    const running = await start();
    const key = await newKey(running, {});
    const { data } = (await (
      await fetch(`${running.url}/model/info`, {
        headers: { authorization: `Bearer ${running.master}` },
      })
    ).json()) as { data: { model_name: string; litellm_params: { api_base: string } }[] };
    const simulated = data.find(({ model_name: name }) => name === 'gpt-4o')?.litellm_params;
    const made = await post(running.url, '/model/new', running.master, {
      model_name: 'narrow',
      litellm_params: {
        model: 'azure/gpt-4o',
        api_base: simulated?.api_base,
        api_key: 'x',
        default_api_key_rpm_limit: 0,
      },
    });
    expect(made.status).toBe(200);
    const refused = await chat(running.url, key, 'narrow');
    expect(refused.status).toBe(429);
    expect(await refused.text()).toContain('model_per_key');
  });

  it('holds the keys of a team together to what it has of a model, but for keys with a limit of their own', async () => {
    const running = await start();
    const { url, master } = running;
    const made = await post(url, '/team/new', master, {
      team_alias: 'search',
      model_rpm_limit: { 'gpt-4o': 2 },
    });
    const { team_id } = (await made.json()) as { team_id: string };
    const keys = [await newKey(running, { team_id }), await newKey(running, { team_id })];
    const own = await newKey(running, { team_id, model_rpm_limit: { 'gpt-4o': 100 } });
    const refused: string[] = [];
    for (let call = 0; call < 6; call += 1) {
      const answer = await chat(url, keys[call % 2] ?? '');
      if (answer.status === 200) continue;
      expect(answer.status).toBe(429);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      refused.push(await answer.text());
    }
    // A minute may begin in between, but not twice.
    expect(refused.length).toBeGreaterThanOrEqual(2);
    for (const text of refused) expect(text).toContain('model_per_team: search:gpt-4o');
    for (let call = 0; call < 3; call += 1) expect((await chat(url, own)).status).toBe(200);
    expect((await chat(url, keys[0] ?? '', 'gpt-4o-mini')).status).toBe(200);
    await post(url, '/team/update', master, { team_id, model_rpm_limit: { 'gpt-4o': 100 } });
    expect((await chat(url, keys[0] ?? '')).status).toBe(200);
  });

  it('tells in its log of management calls as of others', async () => {
    const running = await start();
    await newKey(running, {});
    const [, line] = await running.gateway.until(/(\{[^\n]*"event":"management"[^\n]*)\n/);
    expect(JSON.parse(line ?? '')).toMatchObject({
      client: '127.0.0.1',
      method: 'POST',
      endpoint: '/key/generate',
      status: 200,
      keyId: 'litellm_proxy_master_key',
    });
  });

  it('refuses a key from the moment that it is blocked, deleted or replaced', async () => {
    const running = await start();
    const { url, master } = running;
    const blocked = await newKey(running, {});
    await post(url, '/key/block', master, { key: blocked });
    expect((await chat(url, blocked)).status).toBe(401);
    await post(url, '/key/unblock', master, { key: blocked });
    expect((await chat(url, blocked)).status).toBe(200);
    await post(url, '/key/delete', master, { keys: [blocked] });
    expect((await chat(url, blocked)).status).toBe(401);

    const before = await newKey(running, {});
    const answer = await post(url, '/key/regenerate', master, { key: before });
    const { key: after } = (await answer.json()) as { key: string };
    expect((await chat(url, before)).status).toBe(401);
    expect((await chat(url, after)).status).toBe(200);
  });

  it('holds the limits of a team for all of its keys, also when they are changed', async () => {
    const running = await start();
    const { url, master } = running;
    const made = await post(url, '/team/new', master, { team_alias: 'search', rpm_limit: 0 });
    const { team_id: team } = (await made.json()) as { team_id: string };
    const keys = [
      await newKey(running, { team_id: team }),
      await newKey(running, { team_id: team }),
    ];
    for (const key of keys) {
      const refused = await chat(url, key);
      expect(refused.status).toBe(429);
      expect(await refused.text()).toContain('Rate limit exceeded for team: search');
    }
    await post(url, '/team/update', master, { team_id: team, rpm_limit: 100 });
    for (const key of keys) expect((await chat(url, key)).status).toBe(200);
  });

  it('refuses a customer from the moment that it is blocked, and holds its limits', async () => {
    const running = await start();
    const { url, master } = running;
    const key = await newKey(running, {});
    const as = async (user: string) => {
      const messages = [{ role: 'user', content: 'hello' }];
      const body = { model: 'gpt-4o', messages, user };
      return (await post(url, '/v1/chat/completions', key, body)).status;
    };
    expect(await as('mallory')).toBe(200);
    await post(url, '/customer/block', master, { user_ids: ['mallory'] });
    expect(await as('mallory')).toBe(403);
    await post(url, '/customer/unblock', master, { user_ids: ['mallory'] });
    expect(await as('mallory')).toBe(200);
    await post(url, '/customer/new', master, { user_id: 'alice', max_budget: 0.000001 });
    expect([await as('alice'), await as('alice'), await as('bob')]).toEqual([200, 429, 200]);
    await post(url, '/customer/update', master, { user_id: 'alice', max_budget: 100 });
    expect(await as('alice')).toBe(200);
  });

  it('knows its keys after a restart, and stores none of them', async () => {
    const folder = newFolder();
    const running = await start(folder);
    const key = await newKey(running, { key_alias: 'ci' });
    running.gateway.child.kill('SIGTERM');
    await running.gateway.ended();
    expect(readFileSync(join(folder, '.aigateway', 'gateway.db')).includes(key)).toBe(false);
    const again = await start(folder);
    expect((await chat(again.url, key)).status).toBe(200);
  });

  it('takes settings and groups of models over the API, at once and after a restart', async () => {
    const folder = newFolder();
    const running = await start(folder);
    const { url, master } = running;
    const group = await post(url, '/v1/access_group', master, {
      access_group_name: 'small',
      access_model_names: ['gpt-4o-mini'],
    });
    const { access_group_id: id } = (await group.json()) as { access_group_id: string };
    const key = await newKey(running, { access_group_ids: [id] });
    const statuses = async (at: string) => {
      const models = ['gpt-4o-mini', 'gpt-4o', 'helper'];
      return Promise.all(models.map(async (model) => (await chat(at, key, model)).status));
    };
    expect(await statuses(url)).toEqual([200, 403, 403]);
    const router_settings = { model_group_alias: { helper: 'gpt-4o-mini' } };
    expect((await post(url, '/config/update', master, { router_settings })).status).toBe(200);
    expect(await statuses(url)).toEqual([200, 403, 200]);
    running.gateway.child.kill('SIGTERM');
    await running.gateway.ended();
    const again = await start(folder);
    expect(await statuses(again.url)).toEqual([200, 403, 200]);
  });

  it('makes keys by the defaults and within the bounds of its configuration', async () => {
    const folder = newFolder();
    const write = (settings: object) =>
      writeFileSync(
        join(folder, 'config.yaml'),
        JSON.stringify({
          model_list: [
            {
              model_name: 'scarce',
              litellm_params: {
                model: 'azure/scarce',
                api_base: 'http://127.0.0.1:9',
                api_key: 'an-upstream-key',
                api_version: '2024-10-21',
                default_api_key_rpm_limit: 0,
              },
            },
          ],
          litellm_settings: settings,
          general_settings: {
            disable_custom_api_keys: true,
            max_parallel_requests: 0,
            litellm_key_header_name: 'X-Team-Key',
          },
          aigateway_settings: { allow_insecure_upstream: true },
        }),
      );
    write({ default_key_generate_params: { max_budget: 'lots' } });
    const wrong = new GatewayProcess(
      ['--port', '0', '--role', 'all', '--config', 'config.yaml'],
      { AIGATEWAY_PROFILE: 'development' },
      folder,
    );
    started.push(wrong);
    expect(await wrong.ended()).toBe(1);
    expect(wrong.errors).toContain('litellm_settings.default_key_generate_params.max_budget');

    write({
      default_key_generate_params: { tpm_limit: 500 },
      upperbound_key_generate_params: { max_budget: 10, budget_duration: '30d' },
      max_end_user_budget_id: 'everybody',
    });
    const running = await start(folder, ['--role', 'all', '--config', 'config.yaml']);
    const { url, master } = running;
    const made = await post(url, '/key/generate', master, {});
    expect(await made.json()).toMatchObject({
      tpm_limit: 500,
      max_budget: 10,
      budget_duration: '30d',
    });
    expect((await post(url, '/key/generate', master, { max_budget: 11 })).status).toBe(400);
    for (const path of ['/key/list', '/v1/models']) {
      const status = async (key: string) => {
        const headers = { authorization: `Bearer ${master}`, 'x-team-key': key };
        return (await fetch(url + path, { headers })).status;
      };
      expect([path, await status(master), await status('sk-nobodys')]).toEqual([path, 200, 401]);
    }
    const chosen = await post(url, '/key/generate', master, { key: 'sk-chosen-by-somebody' });
    expect(chosen.status).not.toBe(200);

    const refusal = async (fields: object) => {
      const answer = await chat(url, await newKey(running, fields), 'scarce');
      return [answer.status, await answer.text()] as const;
    };
    const [parallel, parallelText] = await refusal({ model_rpm_limit: { scarce: 5 } });
    expect([parallel, parallelText]).toEqual([429, expect.stringContaining('parallel')]);
    const [requests, requestsText] = await refusal({ max_parallel_requests: 5 });
    expect([requests, requestsText]).toEqual([429, expect.stringContaining('scarce')]);
    const [neither] = await refusal({
      model_rpm_limit: { scarce: 5 },
      max_parallel_requests: 5,
    });
    expect(neither).toBeGreaterThanOrEqual(500);

    const ofModels = { budget_id: 'everybody', model_rpm_limit: { scarce: 0 } };
    await post(url, '/budget/new', master, ofModels);
    const key = await newKey(running, { model_rpm_limit: { scarce: 5 }, max_parallel_requests: 5 });
    const messages = [{ role: 'user', content: 'hello' }];
    const body = { model: 'scarce', messages, user: 'alice' };
    const asked = await post(url, '/v1/chat/completions', key, body);
    expect([asked.status, await asked.text()]).toEqual([
      429,
      expect.stringContaining('model_per_end_user: alice:scarce'),
    ]);
  });

  it('holds a budget over a restart, for what was spent before it', async () => {
    const folder = newFolder();
    const running = await start(folder);
    const key = await newKey(running, { key_alias: 'ci', max_budget: 0.000001 });
    expect((await chat(running.url, key)).status).toBe(200);
    expect((await chat(running.url, key)).status).toBe(429);
    running.gateway.child.kill('SIGTERM');
    await running.gateway.ended();
    const again = await start(folder);
    const refused = await chat(again.url, key);
    expect(refused.status).toBe(429);
    expect(await refused.text()).toContain('Budget has been exceeded! api_key: ci');
    const info = await fetch(`${again.url}/key/info?key=${key}`, {
      headers: { authorization: `Bearer ${again.master}` },
    });
    expect((await info.json()) as object).toMatchObject({ info: { key_alias: 'ci' } });
  });

  it('holds every kind of budget over a restart, and what was reset stays reset', async () => {
    const folder = newFolder();
    const running = await start(folder);
    const { url, master } = running;
    const max_budget = 0.000001;
    const made = await post(url, '/team/new', master, {
      members_with_roles: [{ role: 'user', user_id: 'ann' }],
      team_member_budget: max_budget,
    });
    const { team_id } = (await made.json()) as { team_id: string };
    await post(url, '/customer/new', master, { user_id: 'alice', max_budget });
    await post(url, '/tag/new', master, { name: 'batch', max_budget });
    const model_max_budget = { 'gpt-*': { max_budget, budget_duration: '30d' } };
    await post(url, '/team/new', master, { team_id: 'of-models', model_max_budget });
    await post(url, '/user/new', master, {
      user_id: 'uma',
      auto_create_key: false,
      model_max_budget: { 'gpt-4o': { max_budget } },
    });
    const keys = {
      teamsModel: await newKey(running, { team_id: 'of-models' }),
      usersModel: await newKey(running, { user_id: 'uma' }),
      member: await newKey(running, { team_id, user_id: 'ann' }),
      model: await newKey(running, { model_max_budget: { 'gpt-*': { max_budget } } }),
      customer: await newKey(running, {}),
      tag: await newKey(running, { tags: ['batch'] }),
      reset: await newKey(running, { max_budget, budget_duration: '1mo' }),
    };
    const statuses = async (base: string) => {
      const answers: { [name: string]: number } = {};
      for (const [name, key] of Object.entries(keys)) {
        const messages = [{ role: 'user', content: 'hello' }];
        const user = name === 'customer' ? { user: 'alice' } : {};
        const body = { model: 'gpt-4o', messages, ...user };
        answers[name] = (await post(base, '/v1/chat/completions', key, body)).status;
      }
      return answers;
    };
    const all = (status: number) =>
      Object.fromEntries(Object.keys(keys).map((name) => [name, status]));
    expect(await statuses(url)).toEqual(all(200));
    expect(await statuses(url)).toEqual(all(429));
    // What is on its way to the ledger when spend is reset counts after it.
    const headers = { authorization: `Bearer ${master}` };
    for (let spend = 0; spend === 0;) {
      const info = await fetch(`${url}/key/info?key=${keys.reset}`, { headers });
      ({ spend } = ((await info.json()) as { info: { spend: number } }).info);
    }
    const reset = await post(url, `/key/${keys.reset}/reset_spend`, master, { reset_to: 0 });
    expect(reset.status).toBe(200);
    running.gateway.child.kill('SIGTERM');
    await running.gateway.ended();
    const again = await start(folder);
    expect(await statuses(again.url)).toEqual({ ...all(429), reset: 200 });
    expect((await statuses(again.url))['reset']).toBe(429);
  });

  it('takes another master key at once, for both planes, when its configuration is read again', async () => {
    const folder = newFolder();
    const write = (key: string) =>
      writeFileSync(join(folder, '.env'), `LITELLM_MASTER_KEY=${key}\n`);
    write('sk-the-first-master-key');
    const gateway = new GatewayProcess(
      ['--port', '0'],
      { AIGATEWAY_PROFILE: 'development' },
      folder,
    );
    started.push(gateway);
    const url = await gateway.url();
    write('sk-the-second-master-key');
    await gateway.until(/configuration reloaded/);
    const statuses = async (key: string) => [
      (await chat(url, key)).status,
      (await post(url, '/key/generate', key, {})).status,
    ];
    expect(await statuses('sk-the-first-master-key')).toEqual([401, 401]);
    expect(await statuses('sk-the-second-master-key')).toEqual([200, 200]);
  });

  it('serves no deployment of its store that is for one team', async () => {
    const folder = newFolder();
    const first = await start(folder);
    first.gateway.child.kill('SIGTERM');
    await first.gateway.ended();
    const store = await createSqliteStore({ path: join(folder, '.aigateway', 'gateway.db') });
    const at = '2026-01-01T00:00:00.000Z';
    const tracked = { created_at: at, created_by: 'a', updated_at: at, updated_by: 'a' };
    const modelOf = (id: string, model_info: JsonObject) =>
      put('model', id, {
        ...tracked,
        model_id: id,
        model_name: id,
        litellm_params: { model: 'azure/m', api_base: 'https://a.openai.azure.com', api_key: 'k' },
        model_info,
        blocked: false,
      });
    await store.entities.write([
      modelOf('for-all', {}),
      modelOf('for-one', { team_id: 'search', team_public_model_name: 'for-one' }),
    ]);
    await store.close();
    const { gateway, url, master } = await start(folder);
    const headers = { authorization: `Bearer ${master}` };
    const listed = (await (await fetch(`${url}/v1/models`, { headers })).json()) as {
      data: { id: string }[];
    };
    const names = listed.data.map(({ id }) => id);
    expect([names.includes('for-all'), names.includes('for-one')]).toEqual([true, false]);
    await gateway.until(/model for-one is for one team/);
  });

  it('serves models alone where only the proxy is asked for', async () => {
    const { url, master } = await start(newFolder(), ['--role', 'proxy']);
    expect((await chat(url, master)).status).toBe(200);
    expect((await post(url, '/key/generate', master, {})).status).toBe(404);
  });
});
