import { hashSecret } from '@aigateway/contract/key';
import type {
  CredentialRecord,
  DeploymentRecord,
  KeyRecord,
  ModelRecord,
  Records,
  RouterRecord,
  SettingsRecord,
} from '@aigateway/contract/records';
import type { UsageRecord } from '@aigateway/contract/usage';
import {
  startSimulator,
  type Simulator,
  type SimulatorOptions,
} from '@aigateway/smoke/simulator/simulator';
import { expect } from 'vitest';
import type { ProxyOptions } from '../src/config.ts';
import { startProxy, type Proxy, type ProxyPorts } from '../src/proxy.ts';
import { createMemoryUsageSink } from '../src/stores/memory/usage-sink.ts';

/** The key that the tests call with, and what it must never be found in. */
export const callerKey = 'sk-caller-0123456789abcdef';
export const adminKey = 'sk-admin-0123456789abcdef';

export function keyRecord(overrides: Partial<KeyRecord> & { secret?: string } = {}): KeyRecord {
  const { secret = callerKey, ...rest } = overrides;
  const keyId = rest.keyId ?? 'caller';
  return {
    keyId,
    secrets: [{ hash: hashSecret(secret) }],
    role: 'model',
    ownerId: keyId,
    models: [],
    aliases: {},
    routes: [],
    blocked: false,
    scopes: [],
    modelLimits: {},
    tags: [],
    regions: [],
    ...rest,
  };
}

export const routerRecord: RouterRecord = {
  strategy: 'simple-shuffle',
  latencyWindowMs: 3_600_000,
  latencyBuffer: 0,
  retries: 2,
  retryPolicy: {},
  allowedFailsPolicy: {},
  coolDownMs: 5_000,
  maxAttempts: 12,
  totalTimeoutMs: 600_000,
  timeoutMs: 600_000,
  streamTimeoutMs: 600_000,
  retryAfterMs: 0,
  fallbacks: {},
  contextWindowFallbacks: {},
  contentPolicyFallbacks: {},
  defaultFallbacks: [],
  maxFallbacks: 5,
  preCallChecks: false,
  tagFiltering: false,
  tagMatchAny: true,
  aliases: {},
  defaultModels: { responses: 'gpt-5.3-codex', chat: 'gpt-5.3-codex' },
  enforceRateLimits: false,
};

export const settingsRecord: SettingsRecord = {
  sanitiseContentFilter: true,
  responseModel: 'native',
  cleanChatStream: true,
  alwaysIncludeStreamUsage: false,
  repairParameters: true,
  bridge: true,
  exposeUpstream: 'admin',
  budgetExceededStatus: 429,
  forwardHeaders: [],
  dropVendorFields: [
    'cache_control',
    'top_k',
    'thinking',
    'enable_thinking',
    'thinking_budget',
    'preserve_thinking',
    'reasoning_content',
    'tool_call_index',
  ],
  spendTagHeaders: [],
  defaultKeyLimits: {},
  timezone: 'UTC',
  budgetResetTime: '00:00',
  extraRoutes: [],
};

const options: ProxyOptions = {
  port: 0,
  host: '127.0.0.1',
  opsPort: 0,
  opsHost: '127.0.0.1',
  opsPortIsFlexible: false,
  pipeline: {
    version: '0.0.0-test',
    maxBodyBytes: 8 * 1024 * 1024,
    timing: { holdMs: 15_000, commentMs: 15_000, whitespaceMs: 180_000 },
    longestWaitMs: 2_000,
    bodyIdleMs: 300_000,
    basePath: '',
  },
  transport: { keepAliveMs: 4_000, connectTimeoutMs: 5_000 },
  heartbeatTickMs: 20,
  keepAliveMs: 5_000,
  maxHeaderBytes: 16_384,
  headersTimeoutMs: 60_000,
  requestTimeoutMs: 300_000,
  drainMs: 5_000,
  probeIntervalMs: 0,
  corsOrigins: [],
  logLevel: 'debug',
};

/** One deployment of a simulated resource, as the tests name it. */
export type DeploymentSpec = Partial<DeploymentRecord> & {
  resourceName: string;
  deployment: string;
};

export type GatewaySpec = {
  simulator: SimulatorOptions['config'];
  deployments: readonly DeploymentSpec[];
  keys?: readonly KeyRecord[];
  models?: readonly ModelRecord[];
  router?: Partial<RouterRecord>;
  settings?: Partial<SettingsRecord>;
  options?: Partial<ProxyOptions>;
  pipeline?: Partial<ProxyOptions['pipeline']>;
  ports?: Partial<ProxyPorts>;
  credentials?: readonly CredentialRecord[];
};

export type GatewayUnderTest = {
  url: string;
  proxy: Proxy;
  simulator: Simulator;
  records: Records;
  usage: UsageRecord[];
  log: () => string;
  /** A call with the caller's key. */
  call(path: string, body?: unknown, init?: RequestInit & { key?: string }): Promise<Response>;
  metrics(): Promise<string>;
  /** Waits until nothing is in flight, checks that every admitted request was accounted for once, and ends everything. */
  close(): Promise<void>;
};

/** A proxy in front of the simulator, over real sockets. */
export async function startGatewayUnderTest(spec: GatewaySpec): Promise<GatewayUnderTest> {
  const simulator = await startSimulator(
    spec.simulator === undefined ? {} : { config: spec.simulator },
  );
  const records = recordsFor(simulator, spec);
  const usage: UsageRecord[] = [];
  const lines: string[] = [];
  const proxy = await startProxy(
    records,
    { ...options, ...spec.options, pipeline: { ...options.pipeline, ...spec.pipeline } },
    {
      environment: {},
      secret: { current: 'test-secret-of-at-least-32-bytes-length' },
      usage: createMemoryUsageSink({ onRecord: (record) => usage.push(record) }),
      writeLog: (text) => lines.push(text),
      ...spec.ports,
    },
  );
  const { url } = proxy;
  return {
    url,
    proxy,
    simulator,
    records,
    usage,
    log: () => lines.join(''),
    call: (path, body, init = {}) => {
      const { key = callerKey, headers, ...rest } = init;
      return fetch(url + path, {
        method: body === undefined ? 'GET' : 'POST',
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        ...rest,
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
      });
    },
    metrics: async () => (await fetch(`${proxy.opsUrl}/metrics`)).text(),
    close: async () => {
      await proxy.drain();
      const { counts } = proxy.meter;
      expect(counts).toMatchObject({
        inFlight: 0,
        doubleSettled: 0,
        unrecorded: 0,
        settled: counts.admitted,
      });
      expect(usage).toHaveLength(spec.ports?.usage === undefined ? counts.admitted : usage.length);
      expectNoSecret(lines.join(''));
      for (const request of simulator.requests()) expectNoSecret(JSON.stringify(request.headers));
      await simulator.close();
    },
  };
}

function expectNoSecret(text: string): void {
  for (const secret of [callerKey, adminKey, 'simulated-key']) {
    if (text.includes(secret) && secret !== 'simulated-key')
      expect.fail('a key was found where none may be');
  }
}

function recordsFor(simulator: Simulator, spec: GatewaySpec): Records {
  const deployments = spec.deployments.map((deployment): DeploymentRecord => {
    const { resourceName, ...rest } = deployment;
    const { origin, pathname } = new URL(simulator.resourceUrl(resourceName));
    const region = simulator.config.resources.find(({ name }) => name === resourceName)?.region;
    return {
      id: `${resourceName}-${rest.deployment}`,
      model: rest.deployment,
      resource: {
        id: resourceName,
        origin,
        basePath: pathname,
        ...(region !== undefined && { region }),
      },
      dialect: 'v1',
      credential: resourceName,
      priority: 1,
      capacity: 'standard',
      tags: [],
      drop: [],
      defaults: {},
      headers: {},
      facts: {},
      litellmModel: `azure/${rest.deployment}`,
      ...rest,
    };
  });
  const credentials = simulator.config.resources.map(({ name, keys }): CredentialRecord => ({
    id: name,
    method: { kind: 'api-key', key: { kind: 'inline', value: keys[0] ?? '' } },
    origins: [new URL(simulator.url).origin],
  }));
  return {
    schemaVersion: 1,
    revision: 1,
    keys: spec.keys ?? [
      keyRecord(),
      keyRecord({ keyId: 'admin', secret: adminKey, role: 'admin' }),
    ],
    models: spec.models ?? [],
    deployments,
    credentials: spec.credentials ?? credentials,
    router: { ...routerRecord, ...spec.router },
    settings: { ...settingsRecord, ...spec.settings },
  };
}

/** Events of a server-sent stream, with their names. */
export async function readEvents(response: Response): Promise<{ event: string; data: string }[]> {
  const text = await response.text();
  return text
    .split('\n\n')
    .filter((block) => block.trim() !== '' && !block.startsWith(':'))
    .map((block) => {
      const lines = block.split('\n');
      const field = (name: string) =>
        lines
          .filter((line) => line.startsWith(`${name}: `))
          .map((line) => line.slice(name.length + 2))
          .join('\n');
      return { event: field('event'), data: field('data') };
    });
}
