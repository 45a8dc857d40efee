import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  settingSections,
  settingStanding,
  type SettingSection,
} from '@aigateway/contract/changeable-settings';
import { configSchema } from '@aigateway/contract/config';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GatewayProcess } from './gateway-process.ts';

/*
 * Every setting of the three sections, changed by every role, over the sockets of a gateway as people start it.
 */

const roles = [
  'proxy_admin',
  'proxy_admin_viewer',
  'internal_user',
  'internal_user_viewer',
  'none',
] as const;
type Role = (typeof roles)[number];

let gateway: GatewayProcess;
let url: string;
let master: string;
const keys = new Map<Role, string>();

async function call(method: string, path: string, key: string, body?: object) {
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, text, ignored: response.headers.get('x-aigateway-ignored') };
}

beforeAll(async () => {
  gateway = new GatewayProcess(['--port', '0'], {
    AIGATEWAY_PROFILE: 'development',
    AIGATEWAY_STOP_DELAY: '0',
  });
  url = await gateway.url();
  master = readFileSync(join(gateway.folder, '.aigateway', 'master-key'), 'utf8').trim();
  for (const role of roles) {
    const answer =
      role === 'none'
        ? await call('POST', '/key/generate', master, {})
        : await call('POST', '/user/new', master, { user_id: `a-${role}`, user_role: role });
    if (answer.status !== 200) throw new Error(answer.text);
    keys.set(role, (JSON.parse(answer.text) as { key: string }).key);
  }
});
afterAll(() => gateway.stop());

function keyOf(role: Role): string {
  return keys.get(role) ?? '';
}

function namesOf(section: SettingSection): string[] {
  return Object.keys(configSchema.shape[section].unwrap().shape);
}

/** What a role is answered that changes a setting, or takes it away. */
function expectedStatus(role: Role, section: SettingSection, name: string): number {
  if (role === 'proxy_admin_viewer') return 403;
  if (role !== 'proxy_admin') return 401;
  const standing = settingStanding(section, name);
  return standing === 'fixed' || standing === 'refused' ? 400 : 200;
}

/** All that is stored of settings, as an administrator sees it. */
async function stored(): Promise<string> {
  const sections = settingSections.map((section) =>
    call('GET', `/config/list?config_type=${section}`, master),
  );
  return (await Promise.all(sections)).map(({ text }) => text).join('\n');
}

describe('settings of a running gateway', () => {
  it.each(roles)('are changed by %s as far as its role goes, one by one', async (role) => {
    const before = await stored();
    const wrong: string[] = [];
    let asked = 0;
    for (const section of settingSections) {
      for (const name of namesOf(section)) {
        const expected = expectedStatus(role, section, name);
        const sent = { [section]: { [name]: null } };
        const { status, ignored } = await call('POST', '/config/update', keyOf(role), sent);
        asked += 1;
        if (status !== expected) wrong.push(`${section}.${name}: ${status}, not ${expected}`);
        const isInert = settingStanding(section, name) === 'inert';
        if (status === 200 && (ignored !== null) !== isInert)
          wrong.push(`${section}.${name}: ignored ${ignored}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(asked).toBeGreaterThan(100);
    expect(await stored()).toBe(before);
  });

  it('are changed on every route by administrators alone', async () => {
    const field = { field_name: 'num_retries', config_type: 'router_settings' };
    const writes: [method: string, path: string, body?: object][] = [
      ['POST', '/config/update', { router_settings: { num_retries: 9 } }],
      ['POST', '/config/field/update', { ...field, field_value: 9 }],
      ['POST', '/fallback', { model: 'gpt-4o', fallback_models: ['gpt-5'] }],
      ['DELETE', '/fallback/gpt-4o'],
      ['POST', '/config/field/delete', field],
    ];
    for (const role of roles.filter((one) => one !== 'proxy_admin')) {
      for (const [method, path, body] of writes) {
        const { status } = await call(method, path, keyOf(role), body);
        const expected = role === 'proxy_admin_viewer' ? 403 : 401;
        expect([role, path, status]).toEqual([role, path, expected]);
      }
    }
    const before = await stored();
    expect(before).not.toContain('"source":"db"');
    for (const [method, path, body] of writes) {
      const { status } = await call(method, path, keyOf('proxy_admin'), body);
      expect([path, status]).toEqual([path, 200]);
    }
    expect(await stored()).toBe(before);
  });

  it('are read by administrators and viewing administrators', async () => {
    const reads = [
      ...settingSections.map((section) => `/config/list?config_type=${section}`),
      '/config/field/info?field_name=num_retries&config_type=router_settings',
      '/router/settings',
      '/router/fields',
      '/get/config/callbacks',
      '/settings',
    ];
    await call('POST', '/config/update', master, { router_settings: { num_retries: 4 } });
    for (const role of roles) {
      for (const path of reads) {
        const { status } = await call('GET', path, keyOf(role));
        const isAdmin = role === 'proxy_admin' || role === 'proxy_admin_viewer';
        expect([role, path, status]).toEqual([role, path, isAdmin ? 200 : 401]);
      }
    }
    await call('POST', '/config/update', master, { router_settings: { num_retries: null } });
  });

  it('are in force for every role once an administrator has changed them', async () => {
    const chat = (role: Role) =>
      call('POST', '/v1/chat/completions', keyOf(role), {
        model: 'a-second-name',
        messages: [{ role: 'user', content: 'hello' }],
      });
    for (const role of roles) expect((await chat(role)).status).toBe(404);
    const model_group_alias = { 'a-second-name': 'gpt-4o' };
    const changed = await call('POST', '/config/update', keyOf('proxy_admin'), {
      router_settings: { model_group_alias },
    });
    expect(changed.status).toBe(200);
    for (const role of roles) expect([role, (await chat(role)).status]).toEqual([role, 200]);
  });
});
