import type {
  CredentialRecord,
  DeploymentRecord,
  HolderRecord,
  KeyRecord,
  ModelRecord,
  RouterRecord,
  SettingsRecord,
} from '@aigateway/contract/records';
import type { Limits, LimitScope } from '@aigateway/contract/limits';
import type { Catalogue, SingleRecord } from '@aigateway/contract/snapshot';
import type { UsageRecord } from '@aigateway/contract/usage';

/** The secret that the kept files are signed with. */
export const secret = { current: 'the root secret of the golden files, 32 bytes and more' };

/** When they were written, and by which producer of usage. */
export const writtenAt = Date.UTC(2026, 10, 26, 18);
export const producer = '00000000-0000-4000-8000-000000000001';

const limits: Required<Limits> = {
  requestsPerMinute: 60,
  tokensPerMinute: 60_000,
  parallelRequests: 4,
  requestsInTotal: 100_000,
  budgets: [{ maxNanoUsd: 5_000_000_000, window: '30d' }, { maxNanoUsd: 9_000_000_000 }],
};
const scope: Required<LimitScope> = {
  kind: 'team',
  id: 'team-1',
  label: 'search',
  limits,
  modelLimits: { 'gpt-*': limits },
};

/** Every member that a key's record may have. One that comes to be is added here, and the files are written anew by `write.ts`. */
export const fullKey: Required<KeyRecord> = {
  keyId: 'key-1',
  secrets: [{ hash: 'a'.repeat(64), notAfter: writtenAt + 1 }, { hash: 'b'.repeat(64) }],
  alias: 'ci',
  role: 'model',
  ownerId: 'team-1',
  teamId: 'team-1',
  userId: 'user-1',
  organizationId: 'organization-1',
  models: ['gpt-4o', 'o*'],
  modelsAbove: [['gpt-4o'], ['beta']],
  aliases: { fast: 'gpt-4o' },
  routes: ['/v1/chat/*'],
  blocked: false,
  expiresAt: writtenAt + 2,
  scopes: [scope],
  chargedScopes: [{ kind: 'user', id: 'user-1', label: 'ann', limits }],
  modelLimits: { 'gpt-4o': limits },
  tags: ['team:search'],
  regions: ['eu'],
  credential: 'project',
  maxOutputTokens: 4096,
  maxChoices: 2,
  logsMessages: true,
};

const plainKey: KeyRecord = {
  keyId: 'key-2',
  secrets: [{ hash: 'c'.repeat(64) }],
  role: 'admin',
  ownerId: 'key-2',
  models: [],
  aliases: {},
  routes: [],
  blocked: true,
  scopes: [],
  modelLimits: {},
  tags: [],
  regions: [],
};

const customer: Required<HolderRecord> = {
  kind: 'end_user',
  id: 'alice',
  blocked: false,
  limits,
  modelLimits: { 'gpt-*': limits },
  models: ['gpt-4o'],
  regions: ['eu'],
};
const tag: HolderRecord = { kind: 'tag', id: 'nightly', blocked: true, models: [], regions: [] };

const deployment: Required<DeploymentRecord> = {
  id: 'deployment-1',
  model: 'gpt-4o',
  deployment: 'gpt-4o',
  resource: {
    id: 'hd_wWv',
    origin: 'https://east.openai.azure.com',
    basePath: '',
    region: 'eastus',
  },
  dialect: 'classic',
  apiVersion: '2024-10-21',
  credential: 'east',
  operations: ['chat', 'responses'],
  priority: 1,
  capacity: 'ptu',
  weight: 2,
  requestsPerMinute: 600,
  tokensPerMinute: 100_000,
  parallelRequests: 50,
  timeoutMs: 60_000,
  streamTimeoutMs: 30_000,
  coolDownMs: 5_000,
  allowedFails: 3,
  allowedFailsPolicy: { RateLimitError: 1 },
  tags: ['paid'],
  region: 'eastus',
  residency: 'us',
  family: 'standard',
  drop: ['logit_bias'],
  defaults: { temperature: 0.2 },
  headers: { 'x-project': 'search' },
  facts: {
    mode: 'chat',
    maxInputTokens: 128_000,
    maxOutputTokens: 16_384,
    supports: ['vision'],
    baseModel: 'azure/gpt-4o',
  },
  prices: {
    input: 2_500_000,
    output: 10_000_000,
    cachedInput: 1_250_000,
    cacheWrite: 2_500_000,
    audioInput: 40_000_000,
    audioOutput: 80_000_000,
    reasoning: 10_000_000,
    long: {
      aboveInputTokens: 200_000,
      input: 5_000_000,
      output: 15_000_000,
      cachedInput: 2_500_000,
    },
    tiers: { priority: { input: 4_250_000, output: 17_000_000, cachedInput: 2_125_000 } },
    isSurcharge: false,
  },
  blocked: false,
  stored: true,
  scopes: [{ kind: 'deployment', id: 'deployment-1', label: 'east', limits }],
  spilloverDeployment: 'gpt-4o-standard',
  litellmModel: 'azure/gpt-4o',
};

const model: Required<ModelRecord> = {
  name: 'gpt-4o',
  hidden: false,
  accessGroups: ['beta'],
  strategy: 'least-busy',
  latencyWindowMs: 60_000,
  latencyBuffer: 0.1,
  latencySamples: 5,
  retryPolicy: { TimeoutError: 2 },
  retries: 1,
  keyLimits: limits,
};

const router: Required<RouterRecord> = {
  strategy: 'simple-shuffle',
  latencyWindowMs: 3_600_000,
  latencyBuffer: 0,
  latencySamples: 10,
  retries: 2,
  retryPolicy: { RateLimitError: 3 },
  allowedFails: 3,
  allowedFailsPolicy: { InternalServerError: 5 },
  coolDownMs: 5_000,
  maxAttempts: 9,
  totalTimeoutMs: 600_000,
  timeoutMs: 600_000,
  streamTimeoutMs: 300_000,
  retryAfterMs: 100,
  fallbacks: { 'gpt-4o': ['gpt-4o-mini'] },
  contextWindowFallbacks: { 'gpt-4o': ['gpt-5'] },
  contentPolicyFallbacks: { 'gpt-4o': ['gpt-4o-mini'] },
  defaultFallbacks: ['gpt-4o-mini'],
  maxFallbacks: 5,
  preCallChecks: true,
  tagFiltering: true,
  tagMatchAny: false,
  aliases: { latest: { model: 'gpt-4o', hidden: true } },
  defaultModels: { chat: 'gpt-4o' },
  enforceRateLimits: true,
};

const settings: Required<SettingsRecord> = {
  sanitiseContentFilter: true,
  responseModel: 'alias',
  cleanChatStream: true,
  alwaysIncludeStreamUsage: true,
  repairParameters: true,
  bridge: true,
  exposeUpstream: 'admin',
  budgetExceededStatus: 429,
  forwardHeaders: ['x-trace'],
  dropVendorFields: ['qoder'],
  keyHeader: 'x-key',
  userHeader: 'x-user',
  spendTagHeaders: ['x-team'],
  messageLogging: { maxLength: 10_000 },
  globalScope: { kind: 'global', id: 'global', label: 'global', limits },
  customerLimits: limits,
  customerModelLimits: { 'gpt-4o': limits },
  timezone: 'Europe/Berlin',
  budgetResetTime: '06:00',
  extraRoutes: [{ path: '/legacy/ask', operation: 'chat' }],
};

const origins = ['https://east.openai.azure.com'];
const credentials: readonly CredentialRecord[] = [
  {
    id: 'east',
    method: { kind: 'api-key', key: { kind: 'env', name: 'EAST_KEY' } },
    origins,
    scope: 'https://cognitiveservices.azure.com/.default',
    authorityHost: 'https://login.microsoftonline.com',
  },
  {
    id: 'sealed',
    method: { kind: 'api-key', key: { kind: 'sealed', value: 'sealed:text' } },
    origins,
  },
  { id: 'project', method: { kind: 'managed-identity', clientId: 'client-1' }, origins },
];

export const catalogue: Catalogue = {
  models: [model],
  deployments: [deployment],
  credentials,
  router,
  settings,
};

/** What is published as a whole, and what by changes after it. */
export const whole: readonly SingleRecord[] = [fullKey, plainKey, customer];
export const changed: readonly SingleRecord[] = [{ ...plainKey, blocked: false }, tag];

/** Every member that a usage record may have. */
export const fullUsage: Required<Omit<UsageRecord, 'sum'>> = {
  version: 1,
  requestId: 'request-1',
  startedAt: writtenAt,
  durationMs: 1200,
  firstOutputMs: 300,
  keyId: 'key-1',
  keyAlias: 'ci',
  ownerId: 'team-1',
  teamId: 'team-1',
  userId: 'user-1',
  organizationId: 'organization-1',
  customerId: 'alice',
  tags: ['team:search'],
  model: 'gpt-4o',
  operation: 'chat',
  upstreamOperation: 'responses',
  deploymentId: 'deployment-1',
  region: 'eastus',
  spilledTo: 'gpt-4o-standard',
  servedModel: 'gpt-4o-2024-11-20',
  stream: true,
  status: 200,
  outcome: 'completed',
  tokens: {
    input: 100,
    cachedInput: 20,
    cacheWrite: 10,
    audioInput: 5,
    output: 50,
    reasoning: 15,
    audioOutput: 5,
  },
  usageSource: 'measured',
  costNanoUsd: 750_000,
  unpriced: false,
  serviceTier: 'priority',
  attempts: [{ deploymentId: 'deployment-2', status: 429, reason: 'rate limit', durationMs: 40 }],
  corrects: 'd'.repeat(64),
};
