import { fileURLToPath } from 'node:url';
import { type Compiled, configure } from '@aigateway/contract/compile';
import { formatPath } from '@aigateway/contract/config-problems';
import { describe as describeConfig } from '@aigateway/contract/describe';
import { describe, expect, it } from 'vitest';
import { readConfigFile } from './config-file.ts';

const masterKey = 'sk-0123456789abcdef0123';
const base = { LITELLM_MASTER_KEY: masterKey };

function sample(name: string) {
  return readConfigFile(
    fileURLToPath(import.meta.resolve(`../../contract/test/configs/${name}.yaml`)),
  ).raw;
}

function deployment(compiled: Compiled, id: string) {
  const found = compiled.records.deployments.find((one) => one.id === id);
  if (!found) throw new Error(`no deployment ${id}`);
  return found;
}

const inertKeys = (compiled: Compiled) =>
  compiled.notices.filter(({ code }) => code === 'inert').map(({ path }) => formatPath(path));

describe('a LiteLLM file with regions, levels and fallbacks', () => {
  const compiled = configure(sample('regions-with-fallbacks'), {
    ...base,
    AZURE_NORTH_BASE: 'https://north.openai.azure.com',
    AZURE_NORTH_KEY: 'canary-north-0123456789',
    AZURE_WEST_BASE: 'https://west.openai.azure.com/',
    AZURE_WEST_KEY: 'canary-west-0123456789',
    AZURE_SOUTH_BASE: 'south.openai.azure.com/openai',
    AZURE_SOUTH_KEY: 'canary-south-0123456789',
  });

  it('loads without a problem', () => {
    expect(compiled.problems).toEqual([]);
  });

  it('tries provisioned capacity first, free of charge, then two regions by weight', () => {
    expect(deployment(compiled, 'north-ptu')).toMatchObject({
      model: 'answers',
      deployment: 'answers-ptu',
      dialect: 'classic',
      apiVersion: '2024-10-21',
      priority: 1,
      capacity: 'ptu',
      timeoutMs: 45_000,
      streamTimeoutMs: 15_000,
      region: 'swedencentral',
      residency: 'eu',
      prices: { input: 0, output: 0 },
    });
    expect(deployment(compiled, 'west-std')).toMatchObject({
      priority: 2,
      capacity: 'standard',
      weight: 4,
      requestsPerMinute: 500,
      tokensPerMinute: 400_000,
      residency: 'us',
    });
    expect(deployment(compiled, 'south-zone')).toMatchObject({
      weight: 1,
      coolDownMs: 25_000,
      prices: { input: 2_750_000, output: 11_000_000 },
    });
  });

  it('keeps merged entries apart', () => {
    const [west, north] = [deployment(compiled, 'west-quick'), deployment(compiled, 'north-quick')];
    expect(west.resource.origin).toBe('https://west.openai.azure.com');
    expect(north.resource.origin).toBe('https://north.openai.azure.com');
    expect(north.requestsPerMinute).toBe(west.requestsPerMinute);
  });

  it('fills the wildcard of one resource', () => {
    expect(compiled.records.deployments.find(({ model }) => model === 'lab/*')).toMatchObject({
      deployment: '*',
      resource: { origin: 'https://south.openai.azure.com', basePath: '' },
    });
    expect(compiled.records.models.find(({ name }) => name === 'lab/*')?.hidden).toBe(false);
  });

  it('routes as the file says', () => {
    expect(compiled.records.router).toMatchObject({
      strategy: 'simple-shuffle',
      retries: 2,
      retryPolicy: { BadRequestError: 0, TimeoutError: 1, RateLimitError: 3 },
      allowedFailsPolicy: { RateLimitError: 4, AuthenticationError: 0 },
      coolDownMs: 12_000,
      retryAfterMs: 1000,
      timeoutMs: 90_000,
      preCallChecks: true,
      fallbacks: { answers: ['quick'], quick: ['answers'] },
      contextWindowFallbacks: { answers: ['long'] },
      contentPolicyFallbacks: { answers: ['quick'] },
      defaultFallbacks: ['quick'],
      maxFallbacks: 3,
      aliases: {
        'gpt-4o': { model: 'answers', hidden: false },
        'gpt-4o-mini': { model: 'quick', hidden: true },
      },
    });
    // 3 is LiteLLM's way of saying "not set".
    expect(compiled.records.router).not.toHaveProperty('allowedFails');
  });

  it('binds each key to the one resource it belongs to, by reference', () => {
    expect(compiled.records.credentials).toHaveLength(3);
    expect(
      compiled.records.credentials.map(({ method, origins }) => [method, origins]),
    ).toContainEqual([
      { kind: 'api-key', key: { kind: 'env', name: 'AZURE_NORTH_KEY' } },
      ['https://north.openai.azure.com'],
    ]);
  });

  it('describes all of it without a secret', () => {
    const text = describeConfig(compiled);
    expect(text).toContain(
      'answers-ptu of Azure OpenAI resource at https://north.openai.azure.com',
    );
    expect(text).toContain('API key (AZURE_NORTH_KEY), only to https://north.openai.azure.com');
    expect(`${text}${JSON.stringify(compiled.records)}`).not.toMatch(/canary/);
    expect(`${text}${JSON.stringify(compiled.records)}`).not.toContain(masterKey);
  });
});

describe('a LiteLLM file with identities and every mode', () => {
  const environment = {
    ...base,
    AZURE_CORE_BASE: 'https://core.openai.azure.com',
    AZURE_VOICE_BASE: 'https://voice.openai.azure.com',
    AZURE_TENANT_ID: 'tenant-1',
    AZURE_CLIENT_ID: 'client-1',
    AZURE_CLIENT_SECRET: 'canary-client-secret',
    AZURE_FEDERATED_TOKEN_FILE: '/var/run/secrets/token',
  };
  const compiled = configure(sample('identity-and-every-mode'), environment);

  it('loads without a problem', () => {
    expect(compiled.problems).toEqual([]);
  });

  it('chooses the dialect by the api-version', () => {
    expect(deployment(compiled, 'core-thinker')).toMatchObject({ dialect: 'v1' });
    expect(deployment(compiled, 'core-thinker')).not.toHaveProperty('apiVersion');
    expect(deployment(compiled, 'core-fast')).toMatchObject({
      dialect: 'classic',
      apiVersion: '2025-04-01-preview',
    });
    expect(deployment(compiled, 'core-coder')).toMatchObject({
      dialect: 'v1',
      apiVersion: 'preview',
    });
  });

  it('knows the rules of the model behind a name of its own', () => {
    expect(deployment(compiled, 'core-fast')).toMatchObject({
      deployment: 'lane-1',
      family: 'reasoning',
    });
    expect(deployment(compiled, 'core-coder')).toMatchObject({
      deployment: 'gpt-5-codex',
      operations: ['responses'],
      drop: ['temperature', 'top_p'],
    });
    expect(deployment(compiled, 'core-vectors').operations).toEqual(['embeddings']);
  });

  it('declares that modes without an endpoint answer nothing, and says so', () => {
    for (const id of ['voice-listen', 'voice-live', 'core-nightly']) {
      expect(deployment(compiled, id).operations).toEqual([]);
    }
    expect(inertKeys(compiled)).toContain('model_list[4].model_info.mode');
  });

  it('signs in in exactly one way at each resource', () => {
    expect(
      compiled.records.credentials.map(({ method, origins }) => [method.kind, origins]),
    ).toEqual([
      ['client-secret', ['https://core.openai.azure.com']],
      ['workload-identity', ['https://voice.openai.azure.com']],
    ]);
    expect(JSON.stringify(compiled.records)).not.toContain('canary');
  });

  it('takes the identity that AZURE_CREDENTIAL names', () => {
    const named = configure(sample('identity-and-every-mode'), {
      ...environment,
      AZURE_CREDENTIAL: 'ManagedIdentityCredential',
    });
    expect(named.records.credentials[1]?.method).toEqual({
      kind: 'managed-identity',
      clientId: 'client-1',
    });
  });

  it('routes by latency and shows usage in streams', () => {
    expect(compiled.records.router).toMatchObject({
      strategy: 'latency-based-routing',
      latencyWindowMs: 300_000,
      latencyBuffer: 0.25,
      retries: 1,
      timeoutMs: 240_000,
    });
    expect(compiled.records.settings.alwaysIncludeStreamUsage).toBe(true);
  });

  it('lists what has no effect', () => {
    expect(inertKeys(compiled)).toEqual(
      expect.arrayContaining(['files_settings', 'general_settings.pass_through_endpoints']),
    );
  });
});

describe('a LiteLLM file with budgets, tags and a data base', () => {
  const compiled = configure(sample('budgets-and-tags'), {
    ...base,
    AZURE_BOUGHT_BASE: 'https://bought.openai.azure.com',
    AZURE_BOUGHT_KEY: 'canary-bought',
    AZURE_TRIAL_BASE: 'https://trial.openai.azure.com',
    AZURE_TRIAL_KEY: 'canary-trial',
  });

  it('loads without a problem, data base or Redis', () => {
    expect(compiled.problems).toEqual([]);
    expect(inertKeys(compiled)).toEqual(
      expect.arrayContaining([
        'general_settings.database_url',
        'general_settings.store_model_in_db',
        'general_settings.alerting',
        'router_settings.redis_host',
        'litellm_settings.cache',
        'litellm_settings.max_end_user_budget_id',
      ]),
    );
  });

  it('takes address, version and key from the named credential', () => {
    expect(deployment(compiled, 'helper-paid')).toMatchObject({
      resource: { origin: 'https://bought.openai.azure.com' },
      apiVersion: '2024-10-21',
      credential: 'bought',
      tags: ['paid', 'team-lab'],
    });
    expect(compiled.records.credentials.map(({ id, origins }) => [id, origins])).toEqual([
      ['bought', ['https://bought.openai.azure.com']],
      ['trial', ['https://trial.openai.azure.com']],
    ]);
  });

  it('knows the model behind a name, and that its api-version has no Responses API', () => {
    expect(deployment(compiled, 'thinker-paid')).toMatchObject({
      deployment: 'lane-2',
      family: 'reasoning',
      parallelRequests: 15,
      operations: ['chat'],
    });
  });

  it('joins access groups and filters by tags', () => {
    expect(compiled.records.models.find(({ name }) => name === 'helper')?.accessGroups).toEqual([
      'common',
      'costly',
    ]);
    expect(compiled.records.router).toMatchObject({
      tagFiltering: true,
      tagMatchAny: true,
      enforceRateLimits: true,
    });
  });

  it('holds the budgets of the gateway and of the provider, exactly', () => {
    expect(compiled.records.settings.globalScope).toMatchObject({
      kind: 'global',
      limits: { budgets: [{ maxNanoUsd: 15_000_500_000_000, window: '30d' }] },
    });
    expect(deployment(compiled, 'helper-free').scopes).toEqual([
      {
        kind: 'deployment',
        id: 'provider/azure',
        label: 'azure',
        limits: { budgets: [{ maxNanoUsd: 400_000_000_000, window: '1d' }] },
      },
    ]);
  });

  it('is described with its limits and its tags', () => {
    const text = describeConfig(compiled);
    expect(text).toContain('Limits of all keys together:\n  $15000.5 per 30d');
    expect(text).toContain('$400 per 1d for azure');
    expect(text).toContain('only deployments with one of the tags asked for');
  });

  it('keeps status codes and headers', () => {
    expect(compiled.records.settings).toMatchObject({
      budgetExceededStatus: 422,
      userHeader: 'x-end-user',
      spendTagHeaders: ['x-product'],
    });
  });
});
