import type { HolderRecord, SettingsRecord } from '@aigateway/contract/records';
import { holderName } from '@aigateway/contract/snapshot';
import { afterEach, describe, expect, it } from 'vitest';
import {
  adminKey,
  callerKey,
  chatBody,
  keyRecord,
  type CallInit,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { startLimitedGateway, type LimitedGateway } from '../limited-gateway.ts';

let gateway: GatewayUnderTest;
let clock: LimitedGateway['clock'];
afterEach(() => gateway.close());

function holder(kind: HolderRecord['kind'], id: string, rules: Partial<HolderRecord> = {}) {
  return { kind, id, blocked: false, models: [], regions: [], ...rules };
}

async function start(
  holders: readonly HolderRecord[],
  spec: { settings?: Partial<SettingsRecord>; tags?: string[] } = {},
) {
  ({ gateway, clock } = await startLimitedGateway({
    keys: [keyRecord({ tags: spec.tags ?? [] }), keyRecord({ keyId: 'second', secret: adminKey })],
    holders,
    settings: spec.settings ?? {},
  }));
}

async function call(extra: object = {}, init: CallInit = {}, model = 'gpt-4o') {
  const body = { ...chatBody(model, 'x'), max_tokens: 100, ...extra };
  const answer = await gateway.call('/v1/chat/completions', body, init);
  return { status: answer.status, text: await answer.text() };
}

const statuses = async (...calls: Promise<{ status: number }>[]) =>
  (await Promise.all(calls)).map(({ status }) => status);

describe('customers', () => {
  it('are refused while they are blocked, by whichever way they are named', async () => {
    await start([holder('end_user', 'mallory', { blocked: true })]);
    const named: readonly [object, CallInit][] = [
      [{ user: 'mallory' }, {}],
      [{}, { headers: { 'x-litellm-end-user-id': 'mallory' } }],
      [{}, { headers: { 'x-litellm-customer-id': 'mallory' } }],
      [{ user: 'alice' }, { headers: { 'x-litellm-end-user-id': 'mallory' } }],
      [{ litellm_metadata: { user: 'mallory' } }, {}],
      [{ metadata: { user_id: 'mallory' } }, {}],
      [{ safety_identifier: 'mallory' }, {}],
    ];
    for (const [extra, init] of named) {
      const refused = await call(extra, init);
      expect(refused.status).toBe(403);
      expect(JSON.parse(refused.text)).toMatchObject({ error: { code: 'blocked_customer' } });
    }
    expect(await statuses(call(), call({ user: 'alice' }))).toEqual([200, 200]);
    expect(await statuses(call({ user: 'alice', safety_identifier: 'mallory' }))).toEqual([200]);
  });

  it('are blocked and unblocked by one change of the records', async () => {
    await start([]);
    const mallory = holder('end_user', 'mallory', { blocked: true });
    const name = holderName(mallory);
    expect((await call({ user: 'mallory' })).status).toBe(200);
    gateway.proxy.apply({ kind: 'holder', revision: 2, name, holder: mallory });
    expect((await call({ user: 'mallory' })).status).toBe(403);
    gateway.proxy.apply({ kind: 'holder', revision: 3, name, holder: undefined });
    expect((await call({ user: 'mallory' })).status).toBe(200);
  });

  it('have one limit over all keys, and each its own', async () => {
    const limits = { requestsPerMinute: 2 };
    await start([holder('end_user', 'alice', { limits }), holder('end_user', 'bob', { limits })]);
    const alice = { user: 'alice' };
    expect((await call(alice)).status).toBe(200);
    expect((await call(alice, { key: adminKey })).status).toBe(200);
    const refused = await call(alice);
    expect(refused.status).toBe(429);
    expect(refused.text).toContain('Rate limit exceeded for end_user: alice');
    expect(await statuses(call({ user: 'bob' }), call())).toEqual([200, 200]);
    clock.advance(60_000);
    expect((await call(alice)).status).toBe(200);
  });

  it('without a budget of their own are held to that of all customers, each for itself', async () => {
    // A call is estimated at some 100 millionths of a dollar.
    const customerLimits = { budgets: [{ maxNanoUsd: 1_000 }] };
    await start(
      [
        holder('end_user', 'free', { limits: {} }),
        holder('end_user', 'listed', { models: ['gpt-4o'] }),
      ],
      { settings: { customerLimits } },
    );
    for (const user of ['alice', 'bob', 'listed']) {
      expect((await call({ user })).status).toBe(200);
      const refused = await call({ user });
      expect(refused.status).toBe(429);
      expect(refused.text).toContain(`end_user: ${user}`);
    }
    expect(await statuses(call({ user: 'free' }), call({ user: 'free' }))).toEqual([200, 200]);
    expect(await statuses(call(), call())).toEqual([200, 200]);
  });

  it('have limits for single models, their own or those of all customers, also in fallbacks', async () => {
    const modelLimits = { 'gpt-4o': { requestsPerMinute: 2 } };
    await start(
      [
        holder('end_user', 'alice', { limits: {}, modelLimits }),
        holder('end_user', 'free', { limits: {} }),
        holder('tag', 'nightly', { limits: {}, modelLimits }),
      ],
      {
        settings: {
          customerLimits: {},
          customerModelLimits: { '*': { requestsPerMinute: 1 } },
        },
      },
    );
    const alice = { user: 'alice' };
    expect((await call(alice)).status).toBe(200);
    const fallback = { ...alice, fallbacks: ['gpt-4o'] };
    expect((await call(fallback, { key: adminKey }, 'gpt-4o-mini')).status).toBe(200);
    for (const extra of [alice, fallback]) {
      const model = extra === alice ? 'gpt-4o' : 'gpt-4o-mini';
      expect((await call(extra, {}, model)).text).toContain('model_per_end_user: alice:gpt-4o');
    }
    expect((await call(alice, {}, 'gpt-4o-mini')).status).toBe(200);
    expect((await call({ user: 'bob' }, {}, 'gpt-4o-mini')).status).toBe(200);
    expect((await call({ user: 'bob' })).text).toContain('model_per_end_user: bob:*');
    const free = { user: 'free' };
    expect(await statuses(call(free), call(free), call(free))).toEqual([200, 200, 200]);
    const nightly = { metadata: { tags: ['nightly'] } };
    expect(await statuses(call(nightly), call(nightly))).toEqual([200, 200]);
    expect((await call(nightly)).text).toContain('model_per_tag: nightly:gpt-4o');
  });

  it('are kept to their models, also in fallbacks, and to their region', async () => {
    await start([
      holder('end_user', 'mini', { models: ['gpt-4o-mini'] }),
      holder('end_user', 'european', { regions: ['eu'] }),
    ]);
    const mini = { user: 'mini' };
    const refused = await call(mini);
    expect(refused.status).toBe(403);
    expect(refused.text).toContain('customer_model_access_denied');
    expect((await call(mini, {}, 'gpt-4o-mini')).status).toBe(200);
    const fallbacks = { ...mini, fallbacks: ['gpt-4o'] };
    expect((await call(fallbacks, {}, 'gpt-4o-mini')).status).toBe(403);
    expect((await call({ user: 'european' })).status).toBe(503);
    expect((await call({ user: 'european' }, {}, 'gpt-4o-mini')).status).toBe(200);
  });

  it('count for stored answers as well', async () => {
    await start([
      holder('end_user', 'mallory', { blocked: true }),
      holder('end_user', 'alice', { limits: { requestsPerMinute: 1 } }),
    ]);
    const made = await gateway.call('/v1/responses', { model: 'gpt-4o', input: 'x', store: true });
    const { id } = (await made.json()) as { id: string };
    const read = async (user: string) => {
      const headers = { authorization: `Bearer ${callerKey}`, 'x-litellm-end-user-id': user };
      return (await gateway.call(`/v1/responses/${id}`, undefined, { headers })).status;
    };
    expect(await read('mallory')).toBe(403);
    expect([await read('alice'), await read('alice')]).toEqual([200, 429]);
  });
});

describe('tags', () => {
  const limits = { requestsPerMinute: 1 };

  it('have one limit over all keys and customers, by whichever way a request gets them', async () => {
    const ways: readonly [object, CallInit][] = [
      [{ tags: ['batch'] }, {}],
      [{ metadata: { tags: ['x', 'batch'] } }, {}],
      [{ litellm_metadata: { tags: ['batch'] } }, {}],
      [{}, { headers: { 'x-litellm-tags': 'x, batch' } }],
      [{ user: 'alice' }, { key: adminKey, headers: { 'x-litellm-tags': 'batch' } }],
    ];
    await start([holder('tag', 'batch', { limits })]);
    for (const [extra, init] of ways) {
      expect((await call(extra, init)).status).toBe(200);
      const refused = await call(...(ways[0] ?? []));
      expect(refused.status).toBe(429);
      expect(refused.text).toContain('Rate limit exceeded for tag: batch');
      expect((await call({ tags: ['other'] })).status).toBe(200);
      clock.advance(60_000);
    }
  });

  it('of a key count for all of its calls', async () => {
    await start([holder('tag', 'batch', { limits })], { tags: ['batch'] });
    expect([(await call()).status, (await call()).status]).toEqual([200, 429]);
    expect((await call({}, { key: adminKey })).status).toBe(200);
  });

  it('have budgets, and one that is named twice pays once', async () => {
    // Dearer than one call, cheaper than two.
    const budgets = [{ maxNanoUsd: 180_000 }];
    await start([holder('tag', 'batch', { limits: { budgets } })]);
    const twice = { tags: ['batch', 'batch'], metadata: { tags: ['batch'] } };
    expect((await call(twice)).status).toBe(200);
    expect((await call({ tags: ['batch'], max_tokens: 1_000_000 })).status).toBe(429);
  });
});
