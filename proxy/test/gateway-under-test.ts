import { setTimeout as delay } from 'node:timers/promises';
import { hashSecret } from '@aigateway/contract/key';
import type {
  CredentialRecord,
  DeploymentRecord,
  HolderRecord,
  JsonObject,
  KeyRecord,
  ModelRecord,
  Records,
  ResourceRecord,
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
import { routerRecord } from '../../contract/test/router.fixture.ts';
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

const settingsRecord: SettingsRecord = {
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
  timezone: 'UTC',
  budgetResetTime: '00:00',
  extraRoutes: [],
};

const options: ProxyOptions = {
  port: 0,
  host: '127.0.0.1',
  basePath: '',
  opsPort: 0,
  opsHost: '127.0.0.1',
  opsPortIsFlexible: false,
  pipeline: {
    version: '0.0.0-test',
    maxBodyBytes: 8 * 1024 * 1024,
    timing: { holdMs: 15_000, commentMs: 15_000, whitespaceMs: 180_000, blockedMs: 120_000 },
    longestWaitMs: 2_000,
    bodyIdleMs: 300_000,
    trustedHops: 0,
  },
  transport: { keepAliveMs: 4_000, connectTimeoutMs: 5_000 },
  heartbeatTickMs: 20,
  keepAliveMs: 5_000,
  maxConnections: 1_000,
  maxHeaderBytes: 16_384,
  headersTimeoutMs: 60_000,
  requestTimeoutMs: 300_000,
  stopDelayMs: 0,
  drainMs: 5_000,
  probeIntervalMs: 0,
  corsOrigins: [],
  logLevel: 'debug',
};

/** One deployment of a simulated resource, as the tests name it, or of a server of the test's own. */
export type DeploymentSpec = Partial<DeploymentRecord> & { deployment: string } & (
    | { resourceName: string }
    | { resource: ResourceRecord }
  );

export type GatewaySpec = {
  /** Default: the simulator's own. */
  simulator?: NonNullable<SimulatorOptions['config']>;
  deployments: readonly DeploymentSpec[];
  keys?: readonly KeyRecord[];
  holders?: readonly HolderRecord[];
  models?: readonly ModelRecord[];
  router?: Partial<RouterRecord>;
  settings?: Partial<SettingsRecord>;
  options?: Partial<ProxyOptions>;
  pipeline?: Partial<ProxyOptions['pipeline']>;
  ports?: Partial<ProxyPorts>;
  credentials?: readonly CredentialRecord[];
};

/** `key` replaces the caller's. */
export type CallInit = Omit<RequestInit, 'headers'> & {
  key?: string;
  headers?: Record<string, string>;
};

export type GatewayUnderTest = {
  url: string;
  proxy: Proxy;
  simulator: Simulator;
  records: Records;
  usage: UsageRecord[];
  log: () => string;
  /** A call with the caller's key. */
  call(path: string, body?: unknown, init?: CallInit): Promise<Response>;
  metrics(): Promise<string>;
  /** Another replica: the same records and secret, nothing else in common. Ended with the gateway. */
  startReplica(records?: Records): Promise<Proxy>;
  /** Resolves when the condition holds; what it waits for has no event of its own. Fails by the test's time limit. */
  until(condition: () => boolean): Promise<void>;
  /** Waits until nothing is in flight, checks that every admitted request was accounted for once, and ends everything. */
  close(): Promise<void>;
};

/** A proxy in front of the simulator, over real sockets. A clock among the ports is the time of both. */
export async function startGatewayUnderTest(spec: GatewaySpec): Promise<GatewayUnderTest> {
  const simulator = await startSimulator({
    ...(spec.simulator !== undefined && { config: spec.simulator }),
    ...(spec.ports?.clock !== undefined && { clock: spec.ports.clock }),
  });
  const records = recordsFor(simulator, spec);
  const usage: UsageRecord[] = [];
  const lines: string[] = [];
  const start = (of: Records) =>
    startProxy(
      of,
      { ...options, ...spec.options, pipeline: { ...options.pipeline, ...spec.pipeline } },
      {
        environment: {},
        secret: { current: 'test-secret-of-at-least-32-bytes-length' },
        usage: createMemoryUsageSink({ onRecord: (record) => usage.push(record) }),
        writeLog: (text) => lines.push(text),
        ...spec.ports,
      },
    );
  const proxy = await start(records);
  const proxies = [proxy];
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
    startReplica: async (of = records) => {
      const replica = await start(of);
      proxies.push(replica);
      return replica;
    },
    until: async (condition) => {
      while (!condition()) await delay(2);
    },
    close: async () => {
      let admitted = 0;
      for (const replica of proxies) {
        await replica.drain();
        const { meter } = replica;
        expect(meter.counts).toMatchObject({
          inFlight: 0,
          doubleSettled: 0,
          unrecorded: 0,
          settled: meter.counts.admitted,
        });
        admitted += meter.counts.admitted;
      }
      const ofRequests = usage.filter(({ corrects }) => corrects === undefined);
      expect(ofRequests).toHaveLength(
        spec.ports?.usage === undefined ? admitted : ofRequests.length,
      );
      expectNoSecret(lines.join(''));
      for (const { headers } of simulator.requests()) expectNoSecret(JSON.stringify(headers));
      await simulator.close();
    },
  };
}

function expectNoSecret(text: string): void {
  for (const secret of [callerKey, adminKey]) {
    if (text.includes(secret)) expect.fail('a key was found where none may be');
  }
}

function recordsFor(simulator: Simulator, spec: GatewaySpec): Records {
  const deployments = spec.deployments.map((deployment): DeploymentRecord => {
    const resource =
      'resourceName' in deployment
        ? simulatedResource(simulator, deployment.resourceName, deployment.dialect)
        : deployment.resource;
    const { resourceName: _, ...rest } = { resourceName: '', ...deployment };
    return {
      id: `${resource.id}-${rest.deployment}`,
      model: rest.deployment,
      resource,
      dialect: 'v1',
      credential: resource.id,
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
    holders: spec.holders ?? [],
    models: spec.models ?? [],
    deployments,
    credentials: [...credentials, ...(spec.credentials ?? [])],
    router: routerRecord({
      maxAttempts: 12,
      defaultModels: { responses: 'gpt-5.3-codex', chat: 'gpt-5.3-codex' },
      ...spec.router,
    }),
    settings: { ...settingsRecord, ...spec.settings },
  };
}

/** What Azure has on its v1 path is what any OpenAI-compatible server has, its key as a bearer token included. */
function simulatedResource(
  simulator: Simulator,
  name: string,
  dialect?: DeploymentRecord['dialect'],
): ResourceRecord {
  const { origin, pathname } = new URL(simulator.resourceUrl(name));
  const region = simulator.config.resources.find((resource) => resource.name === name)?.region;
  const basePath = dialect === 'openai' ? `${pathname}/openai/v1` : pathname;
  return { id: name, origin, basePath, ...(region !== undefined && { region }) };
}

/** An OpenAI-compatible server of the test's own as a deployment, called without a credential. */
export function ownUpstream(
  origin: string,
  deployment: string,
  overrides: Partial<DeploymentRecord> = {},
): DeploymentSpec {
  const { port } = new URL(origin);
  return {
    deployment,
    resource: { id: `own-${port}`, origin, basePath: '/v1' },
    dialect: 'openai',
    credential: 'none',
    ...overrides,
  };
}

/** The credential of upstreams that want none. */
export function noCredential(...origins: string[]): CredentialRecord {
  return { id: 'none', method: { kind: 'none' }, origins };
}

export function chatBody(model: string, content: string, extra: JsonObject = {}): JsonObject {
  return { model, messages: [{ role: 'user', content }], ...extra };
}

export function responsesBody(model: string, input: string, extra: JsonObject = {}): JsonObject {
  return { model, input, ...extra };
}

/** The text of a chat stream's deltas. */
export function chatText(events: readonly { data: string }[]): string {
  return events
    .filter(({ data }) => data.startsWith('{'))
    .map(({ data }) => JSON.parse(data) as { choices?: { delta?: { content?: string } }[] })
    .map(({ choices }) => choices?.[0]?.delta?.content ?? '')
    .join('');
}

/** A clock that stands still until it is told to go on. Begins at the present, for dates that upstreams tell. */
export function stillClock(): { now(): number; advance(ms: number): void } {
  let now = Date.now();
  return {
    now: () => now,
    advance: (ms) => {
      now += ms;
    },
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
