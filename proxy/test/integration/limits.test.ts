import type { LimitScope, Limits, ModelLimits } from '@aigateway/contract/limits';
import { afterEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  keyRecord,
  noCredential,
  ownUpstream,
  type GatewaySpec,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { startLimitedGateway, type LimitedGateway } from '../limited-gateway.ts';
import { startServer } from '../upstream/server.ts';

const secondKey = 'sk-second-0123456789abcdef';

let gateway: GatewayUnderTest;
let clock: LimitedGateway['clock'];
afterEach(() => gateway.close());

function scope(limits: Limits, kind: LimitScope['kind'] = 'api_key', id = 'caller'): LimitScope {
  return { kind, id, label: id, limits };
}

async function start(scopes: LimitScope[], spec: Partial<GatewaySpec> = {}) {
  ({ gateway, clock } = await startLimitedGateway({
    keys: [keyRecord({ scopes }), keyRecord({ keyId: 'second', secret: secondKey, scopes })],
    ...spec,
  }));
}

async function call(extra: object = {}, init: { key?: string; signal?: AbortSignal } = {}) {
  const response = await gateway.call(
    '/v1/chat/completions',
    { ...chatBody('gpt-4o', 'x'), max_tokens: 100, ...extra },
    init,
  );
  return { status: response.status, headers: response.headers, text: await response.text() };
}

function upstreamCalls(): number {
  return gateway.simulator.requests().filter(({ method }) => method === 'POST').length;
}

describe('requests per minute', () => {
  it('end at the limit, begin anew with the minute, and say so on the way', async () => {
    await start([scope({ requestsPerMinute: 3 })]);
    for (const remaining of ['2', '1', '0']) {
      const answer = await call();
      expect(answer.status).toBe(200);
      expect(answer.headers.get('x-ratelimit-limit-requests')).toBe('3');
      expect(answer.headers.get('x-ratelimit-remaining-requests')).toBe(remaining);
    }
    clock.advance(15_000);
    const refused = await call();
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('45');
    expect(refused.headers.get('retry-after-ms')).toBe('45000');
    expect(refused.headers.get('x-should-retry')).toBeNull();
    expect(refused.headers.get('x-aigateway-layer')).toBe('limit');
    expect(refused.headers.get('x-ratelimit-api_key-limit-requests')).toBe('3');
    expect(refused.headers.get('x-ratelimit-api_key-remaining-requests')).toBe('0');
    const { error } = JSON.parse(refused.text) as { error: Record<string, string> };
    expect(error).toMatchObject({ code: 'rate_limit_exceeded', type: 'throttling_error' });
    expect(error['message']).toContain('Rate limit exceeded for api_key: caller');
    expect(error['message']).toContain('Limit type: requests');
    expect(upstreamCalls()).toBe(3);
    clock.advance(45_000);
    expect((await call()).status).toBe(200);
  });

  it('are shared by the keys of one team', async () => {
    await start([scope({ requestsPerMinute: 2 }, 'team', 'team-a')]);
    expect((await call()).status).toBe(200);
    expect((await call({}, { key: secondKey })).status).toBe(200);
    const refused = await call();
    expect(refused.status).toBe(429);
    expect(refused.text).toContain('team: team-a');
  });

  it('are those of one model where a key has limits for it', async () => {
    await start([], { keys: [keyRecord({ modelLimits: { 'gpt-4o': { requestsPerMinute: 1 } } })] });
    expect((await call()).status).toBe(200);
    expect((await call()).status).toBe(429);
    expect((await call({ model: 'gpt-4o-mini' })).status).toBe(200);
  });

  it('are shared by the models that a pattern matches, unless one has limits of its own', async () => {
    const modelLimits = { 'gpt-*': { requestsPerMinute: 1 }, 'gpt-4o': { requestsPerMinute: 2 } };
    await start([], {
      keys: [keyRecord({ modelLimits })],
      deployments: ['gpt-*', 'gpt-4o'].map((model) => ({
        resourceName: 'east',
        deployment: 'gpt-4o',
        model,
        id: model,
      })),
    });
    expect((await call({ model: 'gpt-5' })).status).toBe(200);
    const refused = await call({ model: 'gpt-4o-mini' });
    expect(refused.status).toBe(429);
    expect(refused.text).toContain('caller:gpt-*');
    expect((await call()).status).toBe(200);
    expect((await call()).status).toBe(200);
    expect((await call()).status).toBe(429);
  });

  const ofTeam = (modelLimits: ModelLimits, limits: Limits = {}): LimitScope => ({
    ...scope(limits, 'team', 'team-a'),
    label: 'search',
    modelLimits,
  });

  it('are those of one model where a team has limits for it, shared by its keys', async () => {
    await start([ofTeam({ 'gpt-4o': { requestsPerMinute: 2 } })]);
    expect((await call()).headers.get('x-ratelimit-remaining-requests')).toBe('1');
    expect((await call({}, { key: secondKey })).status).toBe(200);
    clock.advance(15_000);
    const refused = await call();
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('45');
    expect(refused.headers.get('x-ratelimit-model_per_team-limit-requests')).toBe('2');
    expect(refused.text).toContain('Rate limit exceeded for model_per_team: search:gpt-4o');
    expect((await call({ model: 'gpt-4o-mini' })).status).toBe(200);
  });

  it('hold for a team and for its models, whichever is less', async () => {
    await start([ofTeam({ 'gpt-*': { requestsPerMinute: 1 }, o3: {} }, { requestsPerMinute: 2 })], {
      deployments: ['gpt-*', 'o3'].map((model) => ({
        resourceName: 'east',
        deployment: 'gpt-4o',
        model,
        id: model,
      })),
    });
    expect((await call({ model: 'gpt-5' })).status).toBe(200);
    expect((await call({ model: 'gpt-4o' }, { key: secondKey })).text).toContain('search:gpt-*');
    expect((await call({ model: 'o3' })).status).toBe(200);
    expect((await call({ model: 'o3' })).text).toContain('for team: search');
  });

  it('are those of a key in place of its team, where it has them for all that the team limits', async () => {
    const both = { requestsPerMinute: 1, tokensPerMinute: 100_000 };
    const scopes = [ofTeam({ 'gpt-4o': both })];
    const keyOf = (keyId: string, modelLimits: ModelLimits) =>
      keyRecord({ keyId, secret: `sk-${keyId}-0123456789abcdef`, scopes, modelLimits });
    await start([], {
      keys: [
        keyRecord({ scopes }),
        keyOf('own', { 'gpt-*': { requestsPerMinute: 3, tokensPerMinute: 100_000 } }),
        keyOf('part', { 'gpt-4o': { requestsPerMinute: 9 } }),
        keyOf('other', { o3: { requestsPerMinute: 9, tokensPerMinute: 100_000 } }),
      ],
    });
    const byKey = (keyId: string) => call({}, { key: `sk-${keyId}-0123456789abcdef` });
    for (let made = 0; made < 3; made += 1) expect((await byKey('own')).status).toBe(200);
    expect((await byKey('own')).text).toContain('model_per_key: own:gpt-*');
    // None of these counted as the team's.
    expect((await call()).status).toBe(200);
    for (const keyId of ['part', 'other'])
      expect((await byKey(keyId)).text).toContain('model_per_team: search:gpt-4o');
  });

  it('are those of a team beside those of a key, where the team has a budget for the model', async () => {
    const ofModel = { requestsPerMinute: 1, budgets: [{ maxNanoUsd: 9_000_000_000 }] };
    const modelLimits = { 'gpt-4o': { requestsPerMinute: 5 } };
    await start([], {
      keys: [keyRecord({ scopes: [ofTeam({ 'gpt-4o': ofModel })], modelLimits })],
    });
    expect((await call()).status).toBe(200);
    expect((await call()).text).toContain('model_per_team: search:gpt-4o');
  });

  it('are not used up by what one of several limits refuses', async () => {
    await start([
      scope({ requestsPerMinute: 100 }, 'team', 'team-a'),
      scope({ requestsPerMinute: 1 }),
    ]);
    await call();
    for (let index = 0; index < 5; index += 1) expect((await call()).status).toBe(429);
    const other = await call({}, { key: secondKey });
    expect(other.status).toBe(429);
    clock.advance(60_000);
    const answer = await call();
    expect(answer.status).toBe(200);
  });

  it('hold for a hundred calls at once', async () => {
    await start([scope({ requestsPerMinute: 10 })]);
    const answers = await Promise.all(Array.from({ length: 100 }, () => call()));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(10);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(90);
    expect(upstreamCalls()).toBe(10);
  });
});

describe('tokens per minute', () => {
  it('are reserved before the call and corrected after it', async () => {
    await start([scope({ tokensPerMinute: 2000 })]);
    const first = await call({ max_tokens: 1500 });
    expect(first.status).toBe(200);
    const used = gateway.usage[0]?.tokens;
    const spent = (used?.input ?? 0) + (used?.output ?? 0);
    expect(spent).toBeLessThan(200);
    const second = await call({ max_tokens: 1500 });
    expect(second.status).toBe(200);
    expect(Number(second.headers.get('x-ratelimit-limit-tokens'))).toBe(2000);
    // What the first call really took is charged, of the second what it may take.
    const remaining = Number(second.headers.get('x-ratelimit-remaining-tokens'));
    expect(remaining).toBeLessThanOrEqual(2000 - 1500 - spent);
    expect(remaining).toBeGreaterThan(300);
  });

  it('are not overshot by calls at once', async () => {
    await start([scope({ tokensPerMinute: 5000 })]);
    gateway.simulator.fault({ kind: 'stall', at: 'before-headers' });
    const leave = new AbortController();
    const refused: string[] = [];
    const calls = Array.from({ length: 30 }, () =>
      call({ max_tokens: 1000 }, { signal: leave.signal }).then(
        ({ text }) => refused.push(text),
        () => undefined,
      ),
    );
    const served = () => gateway.simulator.counters().inFlight;
    await gateway.until(() => refused.length + served() === 30);
    // Each call is expected to take its maximum and a few tokens for its prompt.
    expect(served()).toBe(4);
    expect(refused[0]).toContain('Limit type: tokens');
    leave.abort();
    await Promise.all(calls);
  });
});

describe('calls at once', () => {
  it('end at the limit and are free again when one ends or its caller leaves', async () => {
    await start([scope({ parallelRequests: 2 })]);
    gateway.simulator.fault({ kind: 'stall', at: 'before-headers' });
    const leave = new AbortController();
    const held = [0, 1].map(() => call({}, { signal: leave.signal }).catch(() => undefined));
    await gateway.until(() => gateway.simulator.counters().inFlight === 2);
    const refused = await call();
    expect(refused.status).toBe(429);
    expect(refused.text).toContain('max_parallel_requests');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    leave.abort();
    await Promise.all(held);
    await gateway.until(() => gateway.usage.length === 2);
    gateway.simulator.clearFaults();
    expect((await call()).status).toBe(200);
    expect((await call()).status).toBe(200);
  });

  it('of one deployment wait for each other where there is no second one', async () => {
    let underWay = 0;
    let most = 0;
    const server = await startServer((request, response) => {
      if (request.method === 'GET') return void response.end();
      underWay += 1;
      most = Math.max(most, underWay);
      request.resume().on('end', () =>
        // The others have their turn to come first.
        setImmediate(() => {
          underWay -= 1;
          response.writeHead(200, { 'content-type': 'application/json' }).end('{"choices":[]}');
        }),
      );
    });
    await start([], {
      deployments: [ownUpstream(server.origin, 'gpt-4o', { parallelRequests: 1 })],
      credentials: [noCredential(server.origin)],
      pipeline: { longestWaitMs: 60_000 },
    });
    const answers = await Promise.all(Array.from({ length: 4 }, () => call()));
    await server.close();
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(most).toBe(1);
  });
});

describe('a deployment with limits of its own', () => {
  it('is never sent more than them, however many come at once', async () => {
    await start([], {
      deployments: [
        { resourceName: 'east', deployment: 'gpt-4o', requestsPerMinute: 5 },
        {
          resourceName: 'east',
          deployment: 'gpt-4o-mini',
          model: 'gpt-4o',
          requestsPerMinute: 3,
        },
      ],
      router: { enforceRateLimits: true },
      pipeline: { longestWaitMs: 0 },
    });
    const answers = await Promise.all(Array.from({ length: 60 }, () => call()));
    const served = answers.filter(({ status }) => status === 200);
    const refused = answers.filter(({ status }) => status === 429);
    expect([served.length, refused.length]).toEqual([8, 52]);
    for (const { headers } of refused) expect(headers.get('retry-after')).toBe('60');
    const sent = gateway.simulator.requests().filter(({ method }) => method === 'POST');
    const to = (name: string) => sent.filter(({ deployment }) => deployment === name).length;
    expect([to('gpt-4o'), to('gpt-4o-mini')]).toEqual([5, 3]);
    clock.advance(60_000);
    expect((await call()).status).toBe(200);
  });

  it('keeps no call from another one that is back sooner', async () => {
    await start([], {
      deployments: [
        { resourceName: 'east', deployment: 'gpt-4o', requestsPerMinute: 1, priority: 1 },
        { resourceName: 'east', deployment: 'gpt-4o-mini', model: 'gpt-4o', priority: 2 },
      ],
      router: { enforceRateLimits: true, retries: 0 },
      pipeline: { longestWaitMs: 0 },
    });
    expect((await call()).status).toBe(200);
    gateway.simulator.fault({
      kind: 'rate-limit',
      form: 'ms',
      retryAfterMs: 30_000,
      deployment: 'gpt-4o-mini',
      times: 1,
    });
    expect((await call()).status).toBe(429);
    const refused = await call();
    expect(refused.status).toBe(429);
    expect(refused.headers.get('retry-after')).toBe('30');
    clock.advance(30_000);
    expect((await call()).status).toBe(200);
  });

  it('says so where its budget never begins anew', async () => {
    const budgets = [{ maxNanoUsd: 1 }];
    await start([], {
      deployments: [
        {
          resourceName: 'east',
          deployment: 'gpt-4o',
          prices: { input: 2_500_000, output: 10_000_000 },
          scopes: [{ kind: 'deployment', id: 'spent', label: 'spent', limits: { budgets } }],
        },
      ],
    });
    // An untouched budget lets one call in that is larger than itself.
    expect((await call()).status).toBe(200);
    const refused = await call();
    expect(refused.status).toBe(503);
    expect(JSON.parse(refused.text)).toMatchObject({ error: { code: 'no_deployment' } });
    expect(refused.text).toContain('max_budget');
    expect(refused.headers.get('retry-after')).toBeNull();
    expect(refused.headers.get('x-should-retry')).toBe('false');
  });
});

describe('a budget', () => {
  const budget = (dollars: number, window?: string) => ({
    budgets: [{ maxNanoUsd: dollars * 1e9, ...(window !== undefined && { window }) }],
  });

  it('ends the calls of its key, in the words of LiteLLM', async () => {
    await start([scope(budget(0.0002))]);
    let answers = 0;
    while ((await call()).status === 200) answers += 1;
    expect(answers).toBeGreaterThan(0);
    const refused = await call();
    expect(refused.status).toBe(429);
    expect(refused.headers.get('x-should-retry')).toBe('false');
    expect(refused.headers.get('retry-after')).toBeNull();
    expect(JSON.parse(refused.text)).toMatchObject({
      error: { code: 'budget_exceeded', type: 'budget_exceeded' },
    });
    expect(refused.text).toContain('Budget has been exceeded!');
    expect(refused.text).toMatch(
      /Max budget: 0\.0002\. This request is estimated at: 0\.0001\d*\./,
    );
    const spent = gateway.usage.reduce((sum, { costNanoUsd }) => sum + costNanoUsd, 0);
    expect(spent).toBeLessThanOrEqual(0.0002 * 1e9 + 100_000);
  });

  it('begins anew with its window', async () => {
    await start([scope(budget(0.0002, 'daily'))]);
    while ((await call()).status === 200);
    const refused = await call();
    const waitMs = Number(refused.headers.get('retry-after-ms'));
    expect(waitMs).toBeGreaterThan(0);
    expect(waitMs).toBeLessThanOrEqual(86_400_000);
    clock.advance(waitMs);
    expect((await call()).status).toBe(200);
  });

  it('is overshot by no more than one call when a hundred come at once', async () => {
    await start([scope(budget(0.001))]);
    const answers = await Promise.all(Array.from({ length: 100 }, () => call()));
    const served = answers.filter(({ status }) => status === 200).length;
    expect(served).toBeGreaterThan(1);
    expect(served).toBeLessThan(100);
    const costs = gateway.usage.map(({ costNanoUsd }) => costNanoUsd);
    const spent = costs.reduce((sum, cost) => sum + cost, 0);
    expect(spent).toBeLessThanOrEqual(0.001 * 1e9 + Math.max(...costs));
  });

  it.each([
    ['as a whole', { limits: budget(0.0002) }, 'user: ann'],
    ['for a model', { limits: {}, modelLimits: { 'gpt-*': budget(0.0002) } }, 'ann:gpt-*'],
  ])('counts %s what a key spends that it does not bind', async (_, limited, named) => {
    const user: LimitScope = { kind: 'user', id: 'ann', label: 'ann', ...limited };
    const ofTeam = { teamId: 'team', userId: 'ann', scopes: [], chargedScopes: [user] };
    await start([], {
      keys: [
        keyRecord({ userId: 'ann', scopes: [user] }),
        keyRecord({ keyId: 'second', secret: secondKey, ...ofTeam }),
      ],
    });
    for (let at = 0; at < 5; at += 1) expect((await call({}, { key: secondKey })).status).toBe(200);
    const refused = await call();
    expect([refused.status, refused.text]).toEqual([429, expect.stringContaining(named)]);
    expect((await call({}, { key: secondKey })).status).toBe(200);
  });

  it('answers with the status that is configured', async () => {
    await start([scope(budget(0))], {});
    gateway.proxy.update({
      ...gateway.records,
      settings: { ...gateway.records.settings, budgetExceededStatus: 422 },
    });
    expect((await call()).status).toBe(422);
  });

  it('gives back what a failed call had reserved', async () => {
    await start([scope({ tokensPerMinute: 1500 })], { router: { retries: 0 } });
    gateway.simulator.fault({ kind: 'error', error: '500-internal', times: 3 });
    for (let index = 0; index < 3; index += 1)
      expect((await call({ max_tokens: 1000 })).status).toBe(500);
    expect((await call({ max_tokens: 1000 })).status).toBe(200);
  });
});

describe('the caps of a key', () => {
  it('end what one call may ask for', async () => {
    await start([], { keys: [keyRecord({ maxOutputTokens: 50, maxChoices: 2 })] });
    for (const extra of [
      { max_tokens: 51 },
      { max_completion_tokens: 51 },
      { n: 3, max_tokens: 5 },
    ]) {
      const { max_tokens, ...rest } = { max_tokens: undefined, ...extra };
      const refused = await call({ ...rest, max_tokens });
      expect(refused.status).toBe(400);
      expect(JSON.parse(refused.text)).toMatchObject({ error: { code: 'policy_violation' } });
    }
    expect((await call({ max_tokens: 50, n: 2 })).status).toBe(200);
    expect(upstreamCalls()).toBe(1);
  });

  it.each([
    ['gpt-4o', '/v1/chat/completions', '+max_tokens', {}],
    ['gpt-4o', '/v1/chat/completions', '+max_tokens', { max_tokens: null }],
    ['gpt-4o', '/v1/responses', '+max_output_tokens', {}],
    ['gpt-4o', '/v1/responses', '+max_output_tokens', { previous_response_id: null }],
    ['o4-mini', '/v1/chat/completions', '+max_completion_tokens', {}],
    ['o4-mini', '/v1/chat/completions', '+max_tokens', { cache_control: { type: 'ephemeral' } }],
    ['o3-pro', '/v1/chat/completions', '+max_tokens', {}],
  ])('hold for a caller who names no maximum: %s %s', async (name, path, change, extra) => {
    const names = ['gpt-4o', 'o4-mini', 'o3-pro'];
    const deployments = names.map((deployment) => ({ name: deployment, model: deployment }));
    await start([], {
      keys: [keyRecord({ maxOutputTokens: 16 })],
      simulator: { resources: [{ name: 'east', keys: ['k'], deployments }] },
      deployments: names.map((deployment) => ({ resourceName: 'east', deployment })),
    });
    const long = 'word '.repeat(200);
    const asked = path.endsWith('responses') ? { input: long } : chatBody(name, long);
    const answer = await gateway.call(path, { ...asked, model: name, ...extra });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-aigateway-changes')).toContain(change);
    expect(await answer.text()).toMatch(/"finish_reason":"length"|"reason":"max_output_tokens"/);
    expect(gateway.usage[0]?.tokens?.output).toBeLessThanOrEqual(16);
  });

  it('leave a lower default of the deployment as it is, and a caller who names less', async () => {
    await start([], {
      keys: [keyRecord({ maxOutputTokens: 60 })],
      deployments: [
        { resourceName: 'east', deployment: 'gpt-4o', defaults: { max_completion_tokens: 7 } },
      ],
    });
    const output = async (extra: object) =>
      (JSON.parse((await call(extra)).text) as { usage: { completion_tokens: number } }).usage
        .completion_tokens;
    const messages = [{ role: 'user', content: 'word '.repeat(200) }];
    expect(await output({ messages, max_tokens: undefined })).toBe(7);
    expect(await output({ messages, max_tokens: 5 })).toBe(5);
  });
});

describe('an answer', () => {
  it('tells the limits that its key has, under the names of LiteLLM', async () => {
    const limits = {
      requestsPerMinute: 7,
      tokensPerMinute: 90_000,
      budgets: [{ maxNanoUsd: 2_500_000_000 }],
    };
    await start([scope({ requestsPerMinute: 99 }, 'team', 't'), scope(limits)]);
    const limited = await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x'));
    expect(limited.headers.get('x-litellm-key-rpm-limit')).toBe('7');
    expect(limited.headers.get('x-litellm-key-tpm-limit')).toBe('90000');
    expect(limited.headers.get('x-litellm-key-max-budget')).toBe('2.5');
    await limited.text();
  });

  it('tells none where its key has none', async () => {
    await start([scope({ requestsPerMinute: 99 }, 'team', 't')]);
    const free = await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x'));
    const names = [...free.headers.keys()].filter((name) => name.startsWith('x-litellm-key-'));
    expect(names).toEqual([]);
    await free.text();
  });
});

describe('what a model lets every key use of it', () => {
  const model = (requestsPerMinute: number) => ({
    name: 'gpt-4o',
    hidden: false,
    accessGroups: [],
    keyLimits: { requestsPerMinute },
  });
  const statuses = async (calls: number, key?: string) => {
    const found: number[] = [];
    for (let made = 0; made < calls; made += 1) {
      found.push((await call({}, key === undefined ? {} : { key })).status);
    }
    return found;
  };

  it('holds for each key by itself, unless the key has a number of its own', async () => {
    const own = keyRecord({
      keyId: 'own',
      secret: 'sk-own-0123456789abcdef',
      modelLimits: { 'gpt-4o': { requestsPerMinute: 2 } },
    });
    const pattern = keyRecord({
      keyId: 'pattern',
      secret: 'sk-pattern-0123456789abcdef',
      modelLimits: { 'gpt-*': { tokensPerMinute: 10_000 } },
    });
    const keys = [keyRecord(), keyRecord({ keyId: 'second', secret: secondKey }), own, pattern];
    await start([], { models: [model(1)], keys });
    expect(await statuses(2)).toEqual([200, 429]);
    expect(await statuses(2, secondKey)).toEqual([200, 429]);
    expect(await statuses(3, 'sk-own-0123456789abcdef')).toEqual([200, 200, 429]);
    // A number of another kind, for more than this model, leaves the model's in force.
    expect(await statuses(2, 'sk-pattern-0123456789abcdef')).toEqual([200, 429]);
  });

  it('is in force with the next call once it changes, as is the limit of the whole gateway', async () => {
    await start([], { models: [model(1)] });
    expect(await statuses(2)).toEqual([200, 429]);
    const { keys: _keys, holders: _holders, schemaVersion: _, ...catalogue } = gateway.records;
    gateway.proxy.apply({
      kind: 'catalogue',
      revision: 2,
      catalogue: { ...catalogue, models: [model(3)] },
    });
    expect(await statuses(3)).toEqual([200, 200, 429]);
    const globalScope = scope({ requestsPerMinute: 0 }, 'global', 'all');
    gateway.proxy.apply({
      kind: 'catalogue',
      revision: 3,
      catalogue: { ...catalogue, settings: { ...catalogue.settings, globalScope } },
    });
    expect(await statuses(1)).toEqual([429]);
  });
});
