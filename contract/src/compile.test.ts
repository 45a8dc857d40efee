import { describe, expect, it } from 'vitest';
import { compile, type Compiled, configure } from './compile.ts';
import { formatNotice, formatPath, formatProblem } from './config-problems.ts';
import { describe as describeConfig } from './describe.ts';
import { hashSecret } from './key.ts';
import { parseConfig } from './parse-config.ts';
import type { DeploymentRecord, KeyRecord } from './records.ts';

const callerKey = 'sk-caller-0123456789abcdef';
const azure = {
  AZURE_OPENAI_URL: 'https://res.openai.azure.com',
  AZURE_OPENAI_API_KEY: 'azure-key-0123456789',
  PROXY_API_KEY: callerKey,
};

const problems = (compiled: Compiled) => compiled.problems.map((problem) => formatProblem(problem));
const notices = (compiled: Compiled) => compiled.notices.map(formatNotice);

/** A file with one model whose `litellm_params` and `model_info` are given, beside a caller's key. */
function one(
  params: object,
  info: object = {},
  more: object = {},
  environment: object = {},
): Compiled {
  const file = {
    model_list: [
      {
        model_name: 'm',
        litellm_params: {
          model: 'azure/d',
          api_base: 'https://res.openai.azure.com',
          api_key: 'os.environ/KEY_A',
          ...params,
        },
        model_info: info,
      },
    ],
    ...more,
  };
  return configure(file, { PROXY_API_KEY: callerKey, KEY_A: 'azure-key-a', ...environment });
}

function first(compiled: Compiled): DeploymentRecord {
  expect(problems(compiled)).toEqual([]);
  const [deployment] = compiled.records.deployments;
  if (!deployment) throw new Error('no deployment');
  return deployment;
}

function keyOf(compiled: Compiled, keyId: string): KeyRecord {
  expect(problems(compiled)).toEqual([]);
  const key = compiled.records.keys.find((record) => record.keyId === keyId);
  if (!key) throw new Error(`no key ${keyId}`);
  return key;
}

describe('the set-up of three variables', () => {
  it('takes default models of the environment, and tells of wrong ones', () => {
    const named = { ...azure, AIGATEWAY_DEFAULT_MODELS: '{"embeddings":"embed-2"}' };
    expect(configure(undefined, named).records.router.defaultModels).toMatchObject({
      chat: 'gpt-5.3-codex',
      embeddings: 'embed-2',
    });
    const wrong = { ...azure, AIGATEWAY_DEFAULT_MODELS: '{"embeddings"' };
    expect(problems(configure(undefined, wrong)).join()).toContain('AIGATEWAY_DEFAULT_MODELS');
  });

  it('tries any model as a deployment of the resource, over v1', () => {
    const compiled = configure(undefined, azure);
    expect(problems(compiled)).toEqual([]);
    expect(compiled.records.deployments).toMatchObject([
      {
        model: '*',
        deployment: '*',
        dialect: 'v1',
        resource: { origin: 'https://res.openai.azure.com' },
      },
    ]);
    expect(compiled.records.credentials).toMatchObject([
      { method: { kind: 'api-key', key: { kind: 'env', name: 'AZURE_OPENAI_API_KEY' } } },
    ]);
  });

  it('holds a key without owner or limits for the caller', () => {
    expect(keyOf(configure(undefined, azure), 'proxy-api-key')).toMatchObject({
      role: 'model',
      ownerId: 'proxy-api-key',
      secrets: [{ hash: hashSecret(callerKey) }],
      models: [],
    });
  });

  it('uses gpt-5.3-codex where a request names no model', () => {
    expect(configure(undefined, azure).records.router.defaultModels).toEqual({
      chat: 'gpt-5.3-codex',
      responses: 'gpt-5.3-codex',
    });
    expect(
      configure(undefined, { ...azure, AIGATEWAY_RESPONSES_MODEL: 'gpt-6-sol' }).records.router
        .defaultModels,
    ).toEqual({ chat: 'gpt-6-sol', responses: 'gpt-6-sol' });
  });

  it('offers the deployment of a full address as a model, with its version', () => {
    const compiled = configure(undefined, {
      ...azure,
      AZURE_OPENAI_URL:
        'https://res.openai.azure.com/openai/deployments/gpt-4o/chat/completions?api-version=2024-08-01-preview',
    });
    expect(problems(compiled)).toEqual([]);
    expect(compiled.records.deployments).toMatchObject([
      { model: '*', deployment: '*', dialect: 'classic', apiVersion: '2024-08-01-preview' },
      {
        model: 'gpt-4o',
        deployment: 'gpt-4o',
        dialect: 'classic',
        apiVersion: '2024-08-01-preview',
      },
    ]);
    expect(compiled.records.router.defaultModels.chat).toBe('gpt-4o');
  });

  it('names versions of their own for responses and embeddings', () => {
    const compiled = configure(undefined, {
      ...azure,
      AIGATEWAY_RESPONSES_MODEL: 'codex-1',
      AIGATEWAY_RESPONSES_API_VERSION: '2025-04-01-preview',
      AIGATEWAY_EMBEDDINGS_DEPLOYMENT: 'embed-1',
      AIGATEWAY_EMBEDDINGS_API_VERSION: '2024-10-21',
    });
    expect(problems(compiled)).toEqual([]);
    expect(compiled.records.deployments.slice(1)).toMatchObject([
      {
        model: 'codex-1',
        deployment: 'codex-1',
        dialect: 'classic',
        apiVersion: '2025-04-01-preview',
      },
      {
        model: 'embed-1',
        dialect: 'classic',
        apiVersion: '2024-10-21',
        operations: ['embeddings'],
      },
    ]);
    expect(compiled.records.router.defaultModels.embeddings).toBe('embed-1');
  });

  it('signs in with the identity of the platform when there is no key', () => {
    const { AZURE_OPENAI_API_KEY: _, ...withoutKey } = azure;
    const compiled = configure(undefined, {
      ...withoutKey,
      IDENTITY_ENDPOINT: 'http://localhost/msi',
      AZURE_CLIENT_ID: 'c',
    });
    expect(problems(compiled)).toEqual([]);
    expect(compiled.records.credentials[0]?.method).toEqual({
      kind: 'managed-identity',
      clientId: 'c',
    });
    expect(problems(configure(undefined, withoutKey))).toEqual([
      expect.stringContaining('names no credential'),
    ]);
  });

  it('does not choose between a key and a named identity', () => {
    expect(
      problems(configure(undefined, { ...azure, AZURE_CREDENTIAL: 'managed-identity' })),
    ).toEqual([
      expect.stringContaining(
        '$AZURE_CREDENTIAL: names an identity while AZURE_OPENAI_API_KEY is set',
      ),
    ]);
  });

  it('says what is wrong with the address', () => {
    expect(
      problems(
        configure(undefined, { ...azure, AZURE_OPENAI_URL: 'https://portal.azure.com/x' }),
      )[0],
    ).toContain('$AZURE_OPENAI_URL: portal.azure.com is a page of the Azure portal');
  });

  it('starts with nothing configured in development only', () => {
    const development = configure(undefined, { AIGATEWAY_PROFILE: 'development' });
    expect(problems(development)).toEqual([]);
    expect(notices(development)).toEqual([
      'the configuration: no model is configured: this profile offers simulated ones in their place. Set AZURE_OPENAI_URL, or model_list in the file.',
      'the configuration: no key is configured that callers could use: this profile makes a master key at its first start.',
    ]);
    expect(describeConfig(development)).toContain('offers simulated ones');
    expect(problems(configure(undefined, {}))).toHaveLength(2);
  });
});

describe('addresses and versions decide the dialect', () => {
  it.each<[string, object, object]>([
    ['a bare resource without a version', {}, { dialect: 'v1' }],
    [
      'a dated version',
      { api_version: '2024-10-21' },
      { dialect: 'classic', apiVersion: '2024-10-21' },
    ],
    ['version v1', { api_version: 'v1' }, { dialect: 'v1' }],
    ['version latest', { api_version: 'latest' }, { dialect: 'v1' }],
    ['version preview', { api_version: 'preview' }, { dialect: 'v1', apiVersion: 'preview' }],
    [
      'the v1 path, which wins over a dated version',
      { api_base: 'https://res.openai.azure.com/openai/v1/', api_version: '2024-10-21' },
      { dialect: 'v1' },
    ],
    [
      'a deployment path without a version',
      { api_base: 'https://res.openai.azure.com/openai/deployments/d' },
      { dialect: 'classic', apiVersion: '2025-04-01-preview' },
    ],
    [
      'the deployment that a full address names',
      {
        api_base:
          'https://res.openai.azure.com/openai/deployments/other/chat/completions?api-version=2024-10-21',
      },
      { deployment: 'other', dialect: 'classic', apiVersion: '2024-10-21' },
    ],
    [
      'an OpenAI-compatible server',
      { model: 'openai/llama', api_base: 'https://llm.example/api' },
      { deployment: 'llama', dialect: 'openai', resource: { basePath: '/api' } },
    ],
    [
      'an openai/ model at an Azure v1 address',
      { model: 'openai/gpt-5', api_base: 'https://res.openai.azure.com/openai/v1' },
      { deployment: 'gpt-5', dialect: 'v1', resource: { basePath: '' } },
    ],
    [
      'a Foundry project',
      { model: 'azure_ai/grok', api_base: 'https://res.services.ai.azure.com/api/projects/p' },
      { dialect: 'v1', resource: { basePath: '/api/projects/p' } },
    ],
    [
      'a model without a prefix at an Azure address',
      { model: 'd' },
      { deployment: 'd', dialect: 'v1' },
    ],
  ])('%s', (_, params, expected) => {
    const deployment = first(one(params));
    expect(deployment).toMatchObject(expected);
    if (!('apiVersion' in expected)) expect(deployment).not.toHaveProperty('apiVersion');
  });

  it('takes the default version of the file, then of the environment', () => {
    const settings = { litellm_settings: { api_version: '2024-06-01' } };
    expect(first(one({}, {}, settings)).apiVersion).toBe('2024-06-01');
    expect(first(one({}, {}, {}, { OPENAI_API_VERSION: '2024-10-21' })).apiVersion).toBe(
      '2024-10-21',
    );
  });

  it('reads the address from the environment when the file leaves it out', () => {
    const compiled = one(
      { api_base: null },
      {},
      {},
      { AZURE_API_BASE: 'https://env.openai.azure.com' },
    );
    expect(first(compiled).resource.origin).toBe('https://env.openai.azure.com');
  });
});

describe('what is known of a deployment', () => {
  it('takes rules from prefixes', () => {
    expect(first(one({ model: 'azure/responses/d' })).operations).toEqual(['responses']);
    expect(first(one({ model: 'azure/o_series/d' }))).toMatchObject({
      deployment: 'd',
      family: 'reasoning',
    });
    expect(first(one({ model: 'azure/gpt5_series/d' }))).toMatchObject({
      deployment: 'd',
      family: 'reasoning',
    });
    expect(first(one({ model: 'azure_text/d' })).operations).toEqual(['completions']);
  });

  it('takes prices, limits and family from the base model, and leaves unknown ones to be learned', () => {
    expect(first(one({}, { base_model: 'azure/gpt-5-mini' }))).toMatchObject({
      family: 'reasoning',
      operations: ['chat', 'responses'],
      facts: { maxOutputTokens: 128_000, baseModel: 'azure/gpt-5-mini' },
    });
    const unknown = first(one({}));
    expect(unknown).not.toHaveProperty('family');
    expect(unknown).not.toHaveProperty('operations');
    expect(unknown).not.toHaveProperty('prices');
  });

  it('overrides prices exactly, from params or info', () => {
    const compiled = one(
      { input_cost_per_token: '0.00000123' },
      { base_model: 'gpt-4o', output_cost_per_token: 4.56e-6 },
    );
    expect(first(compiled).prices).toEqual({ input: 1_230_000, output: 4_560_000 });
  });

  it('passes request parameters on as defaults', () => {
    const compiled = one({ temperature: 0.2, extra_body: { seed: 7 }, max_tokens: 100 });
    expect(first(compiled).defaults).toEqual({ temperature: 0.2, max_tokens: 100, seed: 7 });
  });

  it('sorts levels: provisioned first, entries without an order last', () => {
    const entry = (id: string, params: object) => ({
      model_name: 'm',
      litellm_params: {
        model: `azure/${id}`,
        api_base: 'https://res.openai.azure.com',
        api_key: 'os.environ/KEY_A',
        ...params,
      },
      model_info: { id },
    });
    const compiled = configure(
      { model_list: [entry('plain', {}), entry('second', { order: 2 }), entry('base-ptu', {})] },
      { PROXY_API_KEY: callerKey, KEY_A: 'azure-key-a' },
    );
    expect(problems(compiled)).toEqual([]);
    const sorted = compiled.records.deployments.toSorted((a, b) => a.priority - b.priority);
    expect(sorted.map(({ id }) => id)).toEqual(['base-ptu', 'second', 'plain']);
    expect(describeConfig(compiled)).toMatch(/ second: .*; level 2; /);
    expect(describeConfig(compiled)).toMatch(/ plain: .*; last level; /);
  });

  it('takes strategy and retries of a model, and the allowed failures of a deployment', () => {
    const settings = (router: object) => one({}, {}, { router_settings: router });
    const compiled = settings({
      routing_groups: [
        { group_name: 'quick', models: ['m'], routing_strategy: 'usage-based-routing' },
      ],
      model_group_retry_policy: { m: { TimeoutErrorRetries: 0, DefaultRetries: 4 } },
    });
    expect(problems(compiled)).toEqual([]);
    expect(compiled.records.models).toMatchObject([
      { strategy: 'usage-based-routing-v2', retryPolicy: { TimeoutError: 0 }, retries: 4 },
    ]);
    const policy = { RateLimitErrorAllowedFails: 5 };
    expect(first(one({}, { allowed_fails: 2, allowed_fails_policy: policy }))).toMatchObject({
      allowedFails: 2,
      allowedFailsPolicy: { RateLimitError: 5 },
    });
    expect(first(one({}, { allowed_fails: 3 }))).not.toHaveProperty('allowedFails');
    const twice = { models: ['m'], routing_strategy: 'least-busy' };
    expect(problems(settings({ routing_groups: [twice, twice] })).join()).toContain(
      'm is in another group too',
    );
    const lost = settings({
      routing_groups: [{ ...twice, models: ['n'] }],
      model_group_retry_policy: { o: {} },
    });
    expect(notices(lost).filter((text) => /\b[no]\b.* is no/.test(text))).toHaveLength(2);
  });

  it('takes what latency-based routing goes by, of all models and of some, and says where it has no effect', () => {
    const settings = (router: object) => one({}, {}, { router_settings: router });
    const latency = { routing_strategy: 'latency-based-routing' };
    const compiled = settings({
      ...latency,
      routing_strategy_args: { ttl: 60, max_latency_list_size: 3 },
      routing_groups: [
        {
          models: ['m'],
          ...latency,
          routing_strategy_args: { lowest_latency_buffer: 0.5, max_latency_list_size: 20 },
        },
      ],
    });
    expect(problems(compiled)).toEqual([]);
    expect(compiled.records.router).toMatchObject({ latencyWindowMs: 60_000, latencySamples: 3 });
    expect(compiled.records.models).toMatchObject([{ latencyBuffer: 0.5, latencySamples: 20 }]);
    expect(notices(compiled).filter((text) => text.includes('takes none'))).toEqual([]);

    const unused = settings({
      routing_strategy: 'usage-based-routing',
      routing_strategy_args: { ttl: 60 },
    });
    expect(notices(unused).join()).toContain('usage-based-routing takes none');
    expect(
      notices(settings({ ...latency, routing_strategy_args: { ttft_percentile: 90 } })).join(),
    ).toContain('ttft_percentile');
    expect(problems(settings({ ...latency, routing_strategy_args: { tll: 60 } })).join()).toContain(
      'ttl',
    );
  });

  it('keeps ids over restarts and changed limits', () => {
    expect(first(one({ rpm: 5 })).id).toBe(first(one({ rpm: 6 })).id);
    expect(first(one({})).id).not.toBe(first(one({ model: 'azure/e' })).id);
    expect(first(one({})).resource.id).toMatch(/^[\w-]{6}$/);
  });

  it('holds a budget of its own', () => {
    expect(first(one({ max_budget: 12.5, budget_duration: '7d' }, { id: 'x' })).scopes).toEqual([
      {
        kind: 'deployment',
        id: 'x',
        label: 'x',
        limits: { budgets: [{ maxNanoUsd: 12_500_000_000, window: '7d' }] },
      },
    ]);
  });

  it('takes a blocked deployment out of use', () => {
    expect(first(one({}, { blocked: true })).blocked).toBe(true);
  });
});

describe('each deployment signs in in exactly one way', () => {
  const none = { api_key: null };
  it.each<[string, object, object, object]>([
    ['an API key', {}, {}, { kind: 'api-key', key: { kind: 'env', name: 'KEY_A' } }],
    [
      'a managed identity',
      { ...none, azure_credential: 'managed-identity' },
      {},
      { kind: 'managed-identity' },
    ],
    [
      'a user-assigned identity',
      { ...none, client_id: 'u' },
      {},
      { kind: 'managed-identity', clientId: 'u' },
    ],
    [
      'a workload identity',
      { ...none, azure_credential: 'WorkloadIdentityCredential' },
      { AZURE_FEDERATED_TOKEN_FILE: '/t', AZURE_TENANT_ID: 't' },
      { kind: 'workload-identity', tenantId: 't', tokenFile: '/t' },
    ],
    [
      'a client secret, completed by the environment',
      { ...none, client_secret: 'os.environ/CS' },
      { CS: 'x', AZURE_TENANT_ID: 't', AZURE_CLIENT_ID: 'c' },
      { kind: 'client-secret', tenantId: 't', clientId: 'c', secret: { kind: 'env', name: 'CS' } },
    ],
    [
      'a certificate',
      { ...none, tenant_id: 't', client_id: 'c', certificate_path: '/c.pem' },
      {},
      { kind: 'client-certificate', tenantId: 't', clientId: 'c', certificatePath: '/c.pem' },
    ],
    [
      'a fixed token',
      { ...none, azure_ad_token: 'os.environ/TK' },
      { TK: 'x' },
      { kind: 'token', token: { kind: 'env', name: 'TK' } },
    ],
    ['nothing at all', { ...none, azure_credential: 'none' }, {}, { kind: 'none' }],
    [
      'the key of the environment',
      none,
      { AZURE_API_KEY: 'x' },
      { kind: 'api-key', key: { kind: 'env', name: 'AZURE_API_KEY' } },
    ],
  ])('%s', (_, params, environment, method) => {
    const compiled = one(params, {}, {}, environment);
    expect(problems(compiled)).toEqual([]);
    expect(compiled.records.credentials.map((credential) => credential.method)).toEqual([method]);
    expect(compiled.records.credentials[0]?.origins).toEqual(['https://res.openai.azure.com']);
  });

  it.each<[string, object, string]>([
    [
      'a key and a client secret',
      { client_secret: 'x', tenant_id: 't', client_id: 'c' },
      'two ways to sign in, api_key and client_secret',
    ],
    ['a key and a named identity', { azure_credential: 'managed-identity' }, 'two ways to sign in'],
    ['a key and a token', { azure_ad_token: 'x' }, 'two ways to sign in'],
    [
      'a secret without a tenant',
      { api_key: null, client_secret: 'x' },
      'without tenant_id and client_id',
    ],
    [
      'an application that proves nothing',
      { api_key: null, tenant_id: 't', client_id: 'c' },
      'nothing to prove them',
    ],
    ['an OIDC source', { api_key: null, azure_ad_token: 'oidc/google/x' }, 'OIDC source'],
    ['a password', { api_key: null, azure_password: 'x' }, 'passwords of people'],
  ])('refuses %s', (_, params, reason) => {
    expect(problems(one(params)).join('\n')).toContain(reason);
  });

  it.each<[string, object]>([
    ['api_key', {}],
    ['api_key', { model: 'openai/x', api_base: 'https://llm.example/v1' }],
    ['azure_ad_token', {}],
    ['client_secret', { tenant_id: 't', client_id: 'c' }],
    ['tenant_id', { client_secret: 'x', client_id: 'c' }],
    ['client_id', {}],
    ['certificate_path', {}],
    ['federated_token_file', {}],
    ['azure_credential', {}],
    ['litellm_credential_name', {}],
    ['api_base', { api_key: 'os.environ/KEY_A' }],
  ])('puts nothing in the place of an unset variable for %s', (field, params) => {
    const compiled = one(
      { api_key: null, ...params, [field]: 'os.environ/UNSET' },
      {},
      {},
      {
        AZURE_OPENAI_API_KEY: 'x',
        OPENAI_API_KEY: 'y',
        AZURE_API_BASE: 'https://b.openai.azure.com',
      },
    );
    expect(problems(compiled)).toEqual([
      `model_list[0].litellm_params.${field}: refers to the environment variable UNSET, which is not set. Set it.`,
    ]);
    expect(compiled.records.credentials).toEqual([]);
  });

  it('tells an unset variable of a named credential once, where it stands', () => {
    const entry = {
      model_name: 'm',
      litellm_params: { model: 'azure/d', litellm_credential_name: 'n' },
    };
    const values = { api_base: 'https://res.openai.azure.com', api_key: 'os.environ/NORTH_KYE' };
    const compiled = configure(
      {
        credential_list: [{ credential_name: 'n', credential_values: values }],
        model_list: [entry, { ...entry, model_name: 'm2' }],
        virtual_keys: [{ key: 'os.environ/PROXY_API_KEY', alias: 'a', credential: 'n' }],
      },
      { AZURE_API_KEY: 'x', NORTH_KEY: 'y', PROXY_API_KEY: callerKey },
    );
    expect(problems(compiled).filter((text) => text.includes('credential_list'))).toEqual([
      'credential_list[0].credential_values.api_key: refers to the environment variable NORTH_KYE, which is not set. Did you mean NORTH_KEY, which is set?',
    ]);
    expect(compiled.records.credentials).toEqual([]);
  });

  it("sends the environment's credential to Azure and to the address of the environment alone", () => {
    const key = { AZURE_OPENAI_API_KEY: 'x' };
    const foreign = { api_key: null, api_base: 'https://llm.example/openai/v1' };
    const refused = expect.stringContaining(
      'names no credential, and llm.example is no host of Azure',
    );
    expect(problems(one(foreign, {}, {}, key))).toEqual([refused]);
    expect(problems(one(foreign, {}, {}, { AZURE_CREDENTIAL: 'managed-identity' }))).toEqual([
      refused,
    ]);
    const own = { ...key, AZURE_API_BASE: 'https://llm.example' };
    expect(problems(one(foreign, {}, {}, own))).toEqual([]);
    expect(problems(one({ api_key: null }, {}, {}, key))).toEqual([]);
  });

  it('never sends a key of Azure to another server by default', () => {
    const compiled = one(
      { model: 'openai/x', api_base: 'https://llm.example/v1', api_key: null },
      {},
      {},
      { AZURE_API_KEY: 'x', OPENAI_API_KEY: 'y' },
    );
    expect(problems(compiled)).toEqual([]);
    expect(compiled.records.credentials[0]?.method).toEqual({ kind: 'none' });
  });

  it('takes the values of variables that only the file sets', () => {
    const compiled = one(
      { api_key: 'os.environ/IN_FILE' },
      {},
      { environment_variables: { IN_FILE: 'value' } },
    );
    expect(compiled.records.credentials[0]?.method).toEqual({
      kind: 'api-key',
      key: { kind: 'inline', value: 'value' },
    });
  });

  it('knows scope and authority of sovereign clouds', () => {
    const compiled = one(
      {
        api_base: 'https://res.openai.azure.us',
        api_key: null,
        azure_credential: 'managed-identity',
      },
      {},
      {},
      { AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.us' },
    );
    expect(compiled.records.credentials[0]).toMatchObject({
      scope: 'https://cognitiveservices.azure.us/.default',
      authorityHost: 'https://login.microsoftonline.us',
    });
  });

  it('does not mistake a key of an entry for that of its named credential', () => {
    const entry = (id: string, more: object) => ({
      model_name: id,
      litellm_params: { model: 'azure/d', litellm_credential_name: 'n', ...more },
    });
    const compiled = configure(
      {
        credential_list: [
          {
            credential_name: 'n',
            credential_values: {
              api_base: 'https://res.openai.azure.com',
              api_key: 'os.environ/A',
            },
          },
        ],
        model_list: [entry('a', {}), entry('b', { api_key: 'os.environ/B' })],
      },
      { A: 'x', B: 'y', PROXY_API_KEY: callerKey },
    );
    expect(problems(compiled)).toEqual([]);
    expect(compiled.records.credentials.map(({ method }) => method)).toEqual([
      { kind: 'api-key', key: { kind: 'env', name: 'A' } },
      { kind: 'api-key', key: { kind: 'env', name: 'B' } },
    ]);
    expect(new Set(compiled.records.deployments.map(({ credential }) => credential)).size).toBe(2);
  });

  it('refuses to start with API keys where they are forbidden', () => {
    const forbid = { aigateway_settings: { forbid_api_keys: true } };
    expect(problems(one({}, {}, forbid))).toEqual([
      'model_list[0].litellm_params: m is reached with an API key, which forbid_api_keys does not permit. Use azure_credential: managed-identity, or another identity.',
    ]);
    expect(
      problems(one({ api_key: null, azure_credential: 'managed-identity' }, {}, forbid)),
    ).toEqual([]);
    // Else it comes to light only when the other problem is solved, and the gateway still does not start.
    expect(problems(one({ api_base: 'nonsense' }, {}, forbid))).toEqual([
      expect.stringContaining('api_base'),
      expect.stringContaining('m is reached with an API key'),
    ]);
    expect(problems(one({ api_base: 'nonsense', api_key: 'none' }, {}, forbid))).toEqual([
      expect.stringContaining('api_base'),
    ]);
  });
});

describe('how long usage is kept', () => {
  it.each([
    [{}, { everyMs: 86_400_000 }],
    [{ maximum_spend_logs_retention_period: null }, { everyMs: 86_400_000 }],
    [
      { maximum_spend_logs_retention_period: '30d' },
      { periodMs: 30 * 86_400_000, everyMs: 86_400_000 },
    ],
    [
      {
        maximum_spend_logs_retention_period: '3600s',
        maximum_spend_logs_retention_interval: '12h',
      },
      { periodMs: 3_600_000, everyMs: 43_200_000 },
    ],
  ])('follows LiteLLM’s settings: %j', (general, expected) => {
    const compiled = one({}, {}, { general_settings: general });
    expect(compiled.problems).toEqual([]);
    expect(compiled.management.logRetention).toEqual(expected);
  });

  it.each(['30', 'soon', '0d'])(
    'refuses to start with %s, rather than drop by a guess',
    (period) => {
      const general = { maximum_spend_logs_retention_period: period };
      const { problems } = one({}, {}, { general_settings: general });
      expect(problems.map(({ path }) => path.join('.'))).toEqual([
        'general_settings.maximum_spend_logs_retention_period',
      ]);
    },
  );
});

describe('keys', () => {
  const withKeys = (keys: object[], more: object = {}, environment: object = {}) =>
    one(
      {},
      {},
      { virtual_keys: keys, ...more },
      { KEY_1: 'sk-one-0123456789abcdef', KEY_2: 'sk-two-0123456789abcdef', ...environment },
    );

  it.each([
    ['management_routes', true],
    ['info_routes', true],
    ['llm_api_routes', false],
    ['openai_routes', false],
  ])('restricts a key to %s where that is less than every path', (route, isRestricted) => {
    const compiled = withKeys([
      { key: 'os.environ/KEY_1', key_alias: 'routed', allowed_routes: [route] },
    ]);
    const { routes } = keyOf(compiled, 'routed');
    expect(routes.length > 0).toBe(isRestricted);
    const reached = ['/v1/chat/completions', '/models/chat/completions'].filter((path) =>
      routes.some((known) => known.endsWith('*') && path.startsWith(known.slice(0, -1))),
    );
    expect(reached).toEqual([]);
  });

  it('gives keys without a number of calls in flight the general one, the master key too', () => {
    const compiled = withKeys(
      [
        { key: 'os.environ/KEY_1', key_alias: 'own', max_parallel_requests: 2 },
        { key: 'os.environ/KEY_2', key_alias: 'none' },
      ],
      { general_settings: { max_parallel_requests: 9, master_key: 'os.environ/MASTER' } },
      { MASTER: 'sk-master-0123456789abcdef' },
    );
    const inFlight = ['own', 'none', 'litellm_proxy_master_key'].map(
      (keyId) => keyOf(compiled, keyId).scopes.at(-1)?.limits.parallelRequests,
    );
    expect(inFlight).toEqual([2, 9, 9]);
  });

  it('carries limits in integers, with every holder in order', () => {
    const compiled = withKeys(
      [
        {
          key: 'os.environ/KEY_1',
          key_alias: 'alice',
          user_id: 'u1',
          rpm_limit: '60',
          tpm_limit: 1000,
          max_budget: 0.1,
          budget_duration: 'daily',
          budget_limits: [{ max_budget: 2, budget_duration: '1mo' }],
          model_rpm_limit: { m: 5 },
          model_max_budget: { m: { budget_limit: 1, time_period: '1d' } },
          expires: '2030-01-01',
          allowed_routes: ['/v1/embeddings', 'info_routes'],
          allowed_regions: ['EU', 'East US 2'],
        },
      ],
      {
        general_settings: { max_parallel_requests: 9 },
        litellm_settings: { max_internal_user_budget: 3, internal_user_budget_duration: '1mo' },
      },
    );
    const key = keyOf(compiled, 'alice');
    expect(key).toMatchObject({
      ownerId: 'u1',
      expiresAt: Date.UTC(2030, 0, 1),
      regions: ['eu', 'eastus2'],
      modelLimits: {
        m: { requestsPerMinute: 5, budgets: [{ maxNanoUsd: 1_000_000_000, window: '1d' }] },
      },
    });
    expect(key.routes).toContain('/v1/models');
    expect(key.scopes).toEqual([
      {
        kind: 'user',
        id: 'u1',
        label: 'u1',
        limits: { budgets: [{ maxNanoUsd: 3_000_000_000, window: '1mo' }] },
      },
      {
        kind: 'api_key',
        id: 'alice',
        label: 'alice',
        limits: {
          requestsPerMinute: 60,
          tokensPerMinute: 1000,
          parallelRequests: 9,
          budgets: [
            { maxNanoUsd: 100_000_000, window: 'daily' },
            { maxNanoUsd: 2_000_000_000, window: '1mo' },
          ],
        },
      },
    ]);
  });

  it('counts what a team’s key spends towards the budget of its user, and binds it by the team’s alone', () => {
    const compiled = withKeys(
      [{ key: 'os.environ/KEY_1', key_alias: 'a', user_id: 'u1', team_id: 't1' }],
      { litellm_settings: { max_internal_user_budget: 3 } },
    );
    const { scopes, chargedScopes } = keyOf(compiled, 'a');
    expect(scopes.map(({ kind }) => kind)).toEqual(['api_key']);
    const limits = { budgets: [{ maxNanoUsd: 3_000_000_000 }] };
    expect(chargedScopes).toEqual([{ kind: 'user', id: 'u1', label: 'u1', limits }]);

    const everywhere = keyOf(
      withKeys([{ key: 'os.environ/KEY_1', key_alias: 'a', user_id: 'u1', team_id: 't1' }], {
        litellm_settings: { max_internal_user_budget: 3 },
        general_settings: { apply_user_budget_to_team_keys: true },
      }),
      'a',
    );
    expect(everywhere.scopes.map(({ kind }) => kind)).toEqual(['user', 'api_key']);
    expect(everywhere).not.toHaveProperty('chargedScopes');
  });

  it('takes a hash in place of the key, and names the key by it', () => {
    const hash = hashSecret('sk-anything');
    expect(keyOf(withKeys([{ key_hash: hash.toUpperCase() }]), hash.slice(0, 16)).secrets).toEqual([
      { hash },
    ]);
  });

  it('overlaps two secrets during a rotation', () => {
    const key = {
      key: 'os.environ/KEY_1',
      previous_key: 'os.environ/KEY_2',
      previous_key_expires: '2030-01-01T00:00:00Z',
      alias: 'a',
    };
    expect(keyOf(withKeys([key]), 'a').secrets).toEqual([
      { hash: hashSecret('sk-one-0123456789abcdef') },
      { hash: hashSecret('sk-two-0123456789abcdef'), notAfter: Date.UTC(2030, 0, 1) },
    ]);
  });

  it('gives two projects their own credential, limits and owner', () => {
    const credential = (name: string) => ({
      credential_name: name,
      credential_values: {
        api_base: 'https://res.openai.azure.com',
        api_key: `os.environ/KEY_${name}`,
      },
    });
    const compiled = withKeys(
      [],
      {
        credential_list: [credential('P'), credential('Q')],
        projects: [
          {
            name: 'p',
            credential: 'P',
            rpm_limit: 100,
            models: ['m'],
            virtual_keys: [{ key: 'os.environ/KEY_1', alias: 'p1' }],
          },
          {
            name: 'q',
            credential: 'Q',
            model_rpm_limit: { m: 5 },
            model_tpm_limit: { m: 900, 'n-*': 10 },
            model_max_budget: { o: { budget_limit: 1, time_period: '1d' } },
            virtual_keys: [{ key: 'os.environ/KEY_2', alias: 'q1' }],
          },
        ],
      },
      { KEY_P: 'upstream-p', KEY_Q: 'upstream-q' },
    );
    expect(keyOf(compiled, 'p1')).toMatchObject({
      ownerId: 'p',
      teamId: 'p',
      credential: 'P',
      models: ['m'],
    });
    expect(keyOf(compiled, 'p1').scopes[0]).toEqual({
      kind: 'team',
      id: 'p',
      label: 'p',
      limits: { requestsPerMinute: 100 },
    });
    expect(keyOf(compiled, 'q1')).toMatchObject({ ownerId: 'q', credential: 'Q', modelLimits: {} });
    expect(keyOf(compiled, 'q1').scopes[0]).toEqual({
      kind: 'team',
      id: 'q',
      label: 'q',
      limits: {},
      modelLimits: {
        m: { requestsPerMinute: 5, tokensPerMinute: 900 },
        'n-*': { tokensPerMinute: 10 },
        o: { budgets: [{ maxNanoUsd: 1_000_000_000, window: '1d' }] },
      },
    });
    const told = describeConfig(compiled);
    expect(told).toContain(
      'of q (5 requests/min, 900 tokens/min of m, 10 tokens/min of n-*, $1 per 1d of o)',
    );
    expect(compiled.records.credentials.filter(({ id }) => id === 'P' || id === 'Q')).toMatchObject(
      [
        { id: 'P', method: { key: { name: 'KEY_P' } }, origins: ['https://res.openai.azure.com'] },
        { id: 'Q', method: { key: { name: 'KEY_Q' } } },
      ],
    );
  });

  it('has messages logged only where the key chooses it and the file lets it', () => {
    const compiledWith = (more: object) =>
      withKeys(
        [
          { key: 'os.environ/KEY_1', alias: 'a', message_logging: true },
          { key: 'os.environ/KEY_2', alias: 'b' },
        ],
        more,
      );
    const allowed = { aigateway_settings: { message_logging: true } };
    for (const more of [
      {},
      { litellm_settings: { turn_off_message_logging: false } },
      { ...allowed, litellm_settings: { turn_off_message_logging: true } },
    ]) {
      const off = compiledWith(more);
      expect(off.records.settings).not.toHaveProperty('messageLogging');
      expect(notices(off)).toContain(
        'virtual_keys[0].message_logging: has no effect: message logging is switched off',
      );
    }
    const on = compiledWith(allowed);
    expect(on.records.settings.messageLogging).toEqual({ maxLength: 16_384 });
    expect(keyOf(on, 'a').logsMessages).toBe(true);
    expect(keyOf(on, 'b')).not.toHaveProperty('logsMessages');
    expect(notices(on).join()).toContain('has prompts and answers of this key in the log');
    const short = { aigateway_settings: { message_logging: true, message_logging_max_body: 500 } };
    expect(compiledWith(short).records.settings.messageLogging).toEqual({ maxLength: 500 });
  });

  it('reads the words that mean everything and nothing', () => {
    expect(
      keyOf(withKeys([{ key: 'os.environ/KEY_1', alias: 'a', models: ['all-proxy-models'] }]), 'a')
        .models,
    ).toEqual([]);
    expect(
      keyOf(withKeys([{ key: 'os.environ/KEY_1', alias: 'a', models: ['no-default-models'] }]), 'a')
        .models,
    ).toEqual(['no-default-models']);
  });

  it('gives a model what its deployments let every key use of it', () => {
    const compiled = one({ default_api_key_rpm_limit: 7 });
    expect(compiled.records.models).toMatchObject([
      { name: 'm', keyLimits: { requestsPerMinute: 7 } },
    ]);
    expect(one({}).records.models[0]).not.toHaveProperty('keyLimits');
  });

  it('makes the master key an administrator', () => {
    const compiled = one({}, {}, {}, { LITELLM_MASTER_KEY: 'sk-master-0123456789' });
    expect(keyOf(compiled, 'litellm_proxy_master_key')).toMatchObject({
      role: 'admin',
      ownerId: 'default_user_id',
    });
  });

  it('refuses a publicly known master key in production, unless that is permitted', () => {
    expect(problems(one({}, {}, { general_settings: { master_key: 'sk-1234' } })).join()).toContain(
      'publicly known',
    );
    const permitted = {
      general_settings: {
        master_key: 'sk-1234',
        dangerously_permit_weak_or_unset_master_key: true,
      },
    };
    expect(problems(one({}, {}, permitted))).toEqual([]);
    const development = one(
      {},
      {},
      { general_settings: { master_key: 'sk-1234' } },
      { AIGATEWAY_PROFILE: 'development' },
    );
    expect(problems(development)).toEqual([]);
    expect(notices(development).join()).toContain('publicly known or short');
  });

  it.each<[string, object[], string]>([
    ['neither key nor hash', [{ alias: 'a' }], 'neither key nor key_hash'],
    ['both', [{ key: 'os.environ/KEY_1', key_hash: 'x' }], 'both key and key_hash'],
    ['a broken hash', [{ key_hash: 'abc' }], 'no SHA-256'],
    ['an unset variable', [{ key: 'os.environ/UNSET' }], 'UNSET, which is not set'],
    [
      'a key twice',
      [
        { key: 'os.environ/KEY_1', alias: 'a' },
        { key: 'os.environ/KEY_1', alias: 'b' },
      ],
      'the same key',
    ],
    [
      'a name twice',
      [
        { key: 'os.environ/KEY_1', alias: 'a' },
        { key: 'os.environ/KEY_2', alias: 'a' },
      ],
      'name of another key',
    ],
    [
      'an unknown credential',
      [{ key: 'os.environ/KEY_1', credential: 'nope' }],
      'names no credential',
    ],
    ['a relative life', [{ key: 'os.environ/KEY_1', duration: '30d' }], 'use expires'],
    [
      'a route that is none',
      [{ key: 'os.environ/KEY_1', allowed_routes: ['/v1/models', 'info_route'] }],
      'allowed_routes[1]: is neither a path nor one of llm_api_routes, openai_routes, info_routes, management_routes. Did you mean info_routes?',
    ],
  ])('refuses %s', (_, keys, reason) => {
    expect(problems(withKeys(keys)).join('\n')).toContain(reason);
  });
});

it('takes short keys with a warning: static keys may be any text', () => {
  const compiled = one({}, {}, {}, { PROXY_API_KEY: 'letmein' });
  expect(keyOf(compiled, 'proxy-api-key').secrets).toEqual([{ hash: hashSecret('letmein') }]);
  expect(notices(compiled).join()).toContain('shorter than 16 characters');
});

describe('settings', () => {
  it('lets the environment win over the file', () => {
    const compiled = one(
      {},
      {},
      { aigateway_settings: { port: 1000, bridge: false } },
      { PORT: '2000', AIGATEWAY_MAX_BODY: '2MiB' },
    );
    expect(compiled.server).toMatchObject({ port: 2000, maxBodyBytes: 2_097_152 });
    expect(compiled.records.settings.bridge).toBe(false);
    expect(one({}, {}, {}, { PORT: '2000', AIGATEWAY_PORT: '3000' }).server.port).toBe(3000);
  });

  it('listens on this machine only in development', () => {
    expect(one({}).server.host).toBe('0.0.0.0');
    expect(one({}, {}, {}, { AIGATEWAY_PROFILE: 'development' }).server.host).toBe('127.0.0.1');
  });

  it('names each root secret by reference and refuses short ones', () => {
    const secret = 'x'.repeat(32);
    expect(one({}, {}, {}, { AIGATEWAY_SECRET: secret }).server.secret).toEqual({
      kind: 'env',
      name: 'AIGATEWAY_SECRET',
    });
    expect(problems(one({}, {}, {}, { AIGATEWAY_SECRET: 'short' })).join()).toContain(
      '$AIGATEWAY_SECRET: must have at least 32 bytes',
    );
  });

  it('refuses plain http upstreams unless they are allowed', () => {
    const params = { api_base: 'http://simulator:9000' };
    expect(problems(one(params)).join()).toContain('plain http');
    expect(
      first(one(params, {}, { aigateway_settings: { allow_insecure_upstream: true } })).resource
        .origin,
    ).toBe('http://simulator:9000');
  });

  it('refuses hosts that are not on the list', () => {
    const allow = (host: string) => ({ aigateway_settings: { allowed_upstream_hosts: [host] } });
    expect(problems(one({}, {}, allow('*.example.com'))).join()).toContain(
      'allowed_upstream_hosts',
    );
    expect(problems(one({}, {}, allow('*.openai.azure.com')))).toEqual([]);
  });

  it('bounds all attempts of a request', () => {
    expect(one({}).records.router).toMatchObject({
      maxAttempts: 12,
      totalTimeoutMs: 600_000,
      retries: 2,
    });
  });

  it('warns of fallbacks, aliases and models that lead nowhere', () => {
    const compiled = one(
      {},
      {},
      {
        router_settings: { fallbacks: [{ m: ['nn'] }], model_group_alias: { a: 'mm' } },
        virtual_keys: [{ key_hash: hashSecret('k'), alias: 'k', models: ['mn'] }],
      },
    );
    expect(problems(compiled)).toEqual([]);
    expect(notices(compiled).filter((text) => text.includes('not configured'))).toHaveLength(3);
    expect(notices(compiled)).toContain(
      'virtual_keys[0].models: names the model mn, which is not configured; did you mean m?',
    );
  });
});

describe('no secret is ever shown', () => {
  it('keeps canaries out of problems, notices, descriptions and, by reference, records', () => {
    const canary = 'CANARY';
    const file = {
      model_list: [
        {
          model_name: 'a',
          litellm_params: {
            model: 'azure/a',
            api_base: `https://x.openai.azure.com?api-key=${canary}-1234567890`,
            api_key: `${canary}-1`,
            rpm: `${canary}-rpm-1234567890`,
          },
        },
        {
          model_name: 'b',
          litellm_params: {
            model: 'azure/b',
            api_base: `${canary}0123456789012345678901`,
            api_key: `${canary}-2`,
            client_secret: `${canary}-3`,
            tenant_id: 't',
            client_id: 'c',
          },
        },
        {
          model_name: 'c',
          litellm_params: {
            model: 'azure/c',
            api_base: 'https://x.openai.azure.com',
            api_key: [`${canary}-4`],
          },
        },
        {
          model_name: 'd',
          litellm_params: {
            model: 'azure/d',
            api_base: 'https://x.openai.azure.com',
            extra_headers: { 'api-key': `${canary}-5` },
          },
        },
      ],
      credential_list: [
        { credential_name: 'n', credential_values: { api_key: { nested: `${canary}-6` } } },
      ],
      virtual_keys: [
        { key: `sk-${canary}-7` },
        { key_hash: `${canary}-8` },
        { key: `sk-${canary}-long-enough-9`, rpm_limit: `sk-${canary}-10` },
      ],
      general_settings: {
        master_key: `sk-${canary}-11`,
        database_url: `postgres://u:${canary}@h/d`,
      },
      router_settings: { redis_password: `${canary}-12` },
      aigateway_settings: { proxy: `http://u:${canary}@proxy:3128`, port: `sk-${canary}-13` },
      environment_variables: { SLACK: `https://hooks.example/${canary}` },
    };
    const compiled = configure(file, {
      AZURE_OPENAI_API_KEY: `${canary}-14`,
      PROXY_API_KEY: `sk-${canary}-15`,
      AIGATEWAY_SECRET: `${canary}`,
    });
    const shown = [...problems(compiled), ...notices(compiled), describeConfig(compiled)].join(
      '\n',
    );
    expect(compiled.problems.length).toBeGreaterThan(8);
    expect(shown).not.toContain(canary);
  });
});

it('compiles what was parsed, in one step or two', () => {
  const parsed = parseConfig(undefined, { ...azure, AIGATEWAY_PORT: 'x', AZURE_CREDENTIAL: 'y' });
  expect(compile(parsed)).toEqual(compile(parsed));
  expect(compile(parseConfig(undefined, azure))).toEqual(configure(undefined, azure));
});

it('reports the same file in the same way every time', () => {
  const file = {
    model_list: [{ model_name: 'm', litellm_params: { model: 'azure/d', api_base: 'x' } }],
    aigateway_settings: { port: -1 },
  };
  expect(configure(file, {})).toEqual(configure(file, {}));
  expect(configure(file, {}).problems.map(({ path }) => formatPath(path))).toEqual([
    'aigateway_settings.port',
    'model_list[0].litellm_params.api_base',
  ]);
});
