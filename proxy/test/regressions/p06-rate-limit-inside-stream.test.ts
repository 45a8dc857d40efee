import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import type { FaultSpec } from '@aigateway/smoke/simulator/faults';
import {
  chatBody,
  noCredential,
  ownUpstream,
  readEvents,
  responsesBody,
  startGatewayUnderTest,
  stillClock,
  type DeploymentSpec,
  type GatewaySpec,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { startServer, type TestServer } from '../upstream/server.ts';

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

/** Two equal resources; the first in the configuration has priority, so that faults on it are met. */
function start(spec: Partial<GatewaySpec> = {}) {
  const deployments = [
    { name: 'gpt-4o', model: 'gpt-4o' },
    { name: 'instruct', model: 'gpt-35-turbo-instruct' },
  ];
  return startGatewayUnderTest({
    simulator: {
      resources: [
        { name: 'east', keys: ['east-key'], deployments },
        { name: 'west', keys: ['west-key'], deployments },
      ],
    },
    deployments: ['gpt-4o', 'instruct'].flatMap((deployment) => [
      { resourceName: 'east', deployment },
      { resourceName: 'west', deployment, priority: 2 },
    ]),
    ...spec,
  });
}

type StreamForm = { operation: string; path: string; body: object; deployment: string };

const forms: StreamForm[] = [
  {
    operation: 'responses',
    path: '/v1/responses',
    body: responsesBody('gpt-4o', 'hello', { stream: true }),
    deployment: 'gpt-4o',
  },
  {
    operation: 'chat.completions',
    path: '/v1/chat/completions',
    body: chatBody('gpt-4o', 'hello', { stream: true }),
    deployment: 'gpt-4o',
  },
  {
    operation: 'completions',
    path: '/v1/completions',
    body: { model: 'instruct', prompt: 'hello', stream: true },
    deployment: 'instruct',
  },
];

function servers(): (string | undefined)[] {
  return gateway.simulator
    .requests()
    .flatMap(({ method, resource }) => (method === 'POST' ? [resource] : []));
}

describe.each(forms)('a $operation stream that fails before its output', ({ path, body }) => {
  const faults: FaultSpec[] = [
    { kind: 'stream-error', shape: 'nested' },
    { kind: 'stream-error', shape: 'flat' },
    { kind: 'stream-error', shape: 'provisioned' },
    { kind: 'stream-error', shape: 'failed' },
    { kind: 'stream-error', error: 'server-error' },
    { kind: 'reset', at: 'after-headers' },
  ];

  it.each(faults)('is answered by another resource: $kind $shape $error', async (fault) => {
    gateway = await start();
    gateway.simulator.fault({ ...fault, resource: 'east' });
    const response = await gateway.call(path, body);
    expect(response.status).toBe(200);
    const events = await readEvents(response);
    const text = JSON.stringify(events);
    expect(text).toContain('west/');
    expect(text).not.toContain('"error":{');
    expect(text).not.toContain('response.failed');
    expect(servers()).toEqual(['east', 'west']);
    expect(gateway.usage).toHaveLength(1);
    expect(gateway.usage[0]).toMatchObject({ outcome: 'completed', usageSource: 'measured' });
    expect(gateway.usage[0]?.attempts).toHaveLength(2);
  });
});

describe('a rate limit inside a stream', () => {
  it('is told as a 429 with its wait where nobody else is left', async () => {
    gateway = await start({
      deployments: [{ resourceName: 'east', deployment: 'gpt-4o' }],
      ports: { clock: stillClock() },
    });
    gateway.simulator.fault({ kind: 'stream-error', shape: 'failed', retryAfterMs: 23_000 });
    const response = await gateway.call(
      '/v1/responses',
      responsesBody('gpt-4o', 'x', { stream: true }),
    );
    expect(response.status).toBe(429);
    expect(response.headers.get('content-type')).toContain('json');
    expect(response.headers.get('retry-after')).toBe('23');
    expect(await response.json()).toMatchObject({ error: { code: 'rate_limit_exceeded' } });
  });

  it("keeps the deployment away for as long as the error's text says", async () => {
    gateway = await start();
    gateway.simulator.fault({
      kind: 'stream-error',
      shape: 'nested',
      retryAfterMs: 40_000,
      resource: 'east',
      times: 1,
    });
    for (let call = 0; call < 5; call += 1) {
      const events = await readEvents(
        await gateway.call('/v1/responses', responsesBody('gpt-4o', 'x', { stream: true })),
      );
      expect(events.at(-1)?.event).toBe('response.completed');
    }
    expect(servers()).toEqual(['east', 'west', 'west', 'west', 'west', 'west']);
  });

  it('is waited out when the wait is short and nobody else is there', async () => {
    gateway = await start({ deployments: [{ resourceName: 'east', deployment: 'gpt-4o' }] });
    gateway.simulator.fault({
      kind: 'stream-error',
      shape: 'failed',
      retryAfterMs: 1000,
      times: 1,
    });
    const response = await gateway.call(
      '/v1/responses',
      responsesBody('gpt-4o', 'x', { stream: true }),
    );
    expect(response.status).toBe(200);
    expect((await readEvents(response)).at(-1)?.event).toBe('response.completed');
    expect(servers()).toEqual(['east', 'east']);
  });
});

describe.each(forms)(
  'a $operation stream that is held back for long',
  ({ path, body, deployment, operation }) => {
    let upstream: TestServer;
    afterEach(() => upstream.close());

    /** The first deployment keeps its callers waiting until it is told to fail; `others` come after it. */
    async function startHeld(...others: DeploymentSpec[]) {
      const held: ServerResponse[] = [];
      upstream = await startServer((request, response) => {
        if (request.method === 'GET') response.end();
        else held.push(response);
      });
      gateway = await start({
        deployments: [ownUpstream(upstream.origin, deployment, { priority: 0 }), ...others],
        credentials: [noCredential(upstream.origin)],
        pipeline: {
          timing: { holdMs: 40, commentMs: 40, whitespaceMs: 60_000, blockedMs: 60_000 },
        },
        router: { retries: 0 },
      });
      return () => {
        const status = 503;
        for (const response of held) response.writeHead(status).end();
      };
    }

    it('is begun with a comment, and still served by another resource', async () => {
      const failHeld = await startHeld({ resourceName: 'west', deployment });
      const response = await gateway.call(path, body);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toContain('text/event-stream');
      expect(response.headers.get('x-litellm-model-id')).toBeNull();
      failHeld();
      const text = await response.text();
      expect(text).toMatch(/^: waiting\n\n/);
      expect(text).toContain('west/');
      expect(gateway.usage[0]).toMatchObject({ outcome: 'completed', status: 200 });
      expect(gateway.usage[0]?.attempts.map(({ status }) => status)).toEqual([503, 200]);
    });

    it('ends with an error event when nobody can answer after all', async () => {
      const failHeld = await startHeld();
      const response = await gateway.call(path, body);
      expect(response.status).toBe(200);
      failHeld();
      const events = await readEvents(response);
      const before = operation === 'responses' ? ['response.created', 'response.failed'] : [];
      expect(events.slice(0, -1).map(({ event }) => event)).toEqual(before);
      expect(JSON.parse(events.at(-1)?.data ?? '')).toMatchObject({
        error: { message: expect.any(String), type: 'internal_server_error' },
      });
      expect(gateway.usage[0]).toMatchObject({ outcome: 'failed', usageSource: 'none' });
    });
  },
);

/** Codex waits for `response.failed`, which has the id that the stream began with; the SDKs raise the error event. */
function expectFailedResponse(events: readonly { event: string; data: string }[]): void {
  const told = events.map(({ data }) => JSON.parse(data) as ResponseEvent);
  expect(told.map((event) => event.sequence_number)).toEqual(told.map((_, index) => index));
  const failed = told.findIndex(({ type }) => type === 'response.failed');
  expect(told[failed]?.response).toMatchObject({
    id: told[0]?.response?.id,
    object: 'response',
    status: 'failed',
    error: { code: expect.any(String), message: expect.any(String) },
  });
  const rest = told.slice(failed + 1);
  if (rest.length > 0)
    expect(rest).toMatchObject([{ type: 'error', error: { message: expect.any(String) } }]);
}

type ResponseEvent = {
  type: string;
  sequence_number: number;
  response?: { id: string };
};

describe.each(forms)(
  'a $operation stream that fails after its output',
  ({ path, body, operation }) => {
    const faults: FaultSpec[] = [
      { kind: 'stream-error', shape: 'nested', afterEvents: 2 },
      { kind: 'stream-error', shape: 'flat', afterEvents: 2 },
      { kind: 'stream-error', shape: 'failed', afterEvents: 2 },
      { kind: 'cut', afterEvents: 2 },
      { kind: 'reset', at: 'mid-body', afterEvents: 2 },
    ];

    it.each(faults)(
      'ends with an error event and goes nowhere else: $kind $shape',
      async (fault) => {
        gateway = await start();
        gateway.simulator.fault({ ...fault, resource: 'east' });
        const response = await gateway.call(path, body);
        const events = await readEvents(response);
        const last = events.at(-1);
        expect(last?.data).not.toBe('[DONE]');
        for (const { data } of events) expect(() => JSON.parse(data) as unknown).not.toThrow();
        const data = JSON.parse(last?.data ?? '{}') as Record<string, unknown>;
        if (operation === 'responses') {
          expectFailedResponse(events);
        } else {
          expect(data).toMatchObject({ error: { message: expect.any(String) } });
        }
        expect(servers()).toEqual(['east']);
        expect(gateway.usage).toHaveLength(1);
        expect(gateway.usage[0]).toMatchObject({ outcome: 'interrupted', status: 200 });
      },
    );
  },
);
