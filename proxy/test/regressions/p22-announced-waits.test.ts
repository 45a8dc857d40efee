import type { FaultSpec } from '@aigateway/smoke/simulator/faults';
import { afterEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  startGatewayUnderTest,
  stillClock,
  type GatewaySpec,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

let clock: ReturnType<typeof stillClock>;

function start(resources: readonly string[], spec: Partial<GatewaySpec> = {}) {
  clock = stillClock();
  return startGatewayUnderTest({
    simulator: {
      resources: resources.map((name) => ({
        name,
        keys: [`${name}-key`],
        deployments: [{ name: 'gpt-4o', model: 'gpt-4o' }],
      })),
    },
    deployments: resources.map((resourceName, index) => ({
      resourceName,
      deployment: 'gpt-4o',
      priority: index + 1,
    })),
    ports: { clock },
    ...spec,
  });
}

async function call(): Promise<{ status: number; headers: Headers; server: string | undefined }> {
  const response = await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'hi'));
  const server = /\[(\w+)\//.exec(await response.text())?.[1];
  return { status: response.status, headers: response.headers, server };
}

function upstreamCalls(resource: string): number {
  return gateway.simulator.counters().by[`${resource}/gpt-4o/chat.completions`]?.calls ?? 0;
}

describe('a wait that an upstream announces', () => {
  const forms: Extract<FaultSpec, { kind: 'rate-limit' }>['form'][] = [
    'both',
    'ms',
    'seconds',
    'date',
    'text',
  ];

  it.each(forms)('is kept to the end and not longer: %s', async (form) => {
    gateway = await start(['east', 'west']);
    gateway.simulator.fault({
      kind: 'rate-limit',
      form,
      retryAfterMs: 30_000,
      resource: 'east',
      times: 1,
    });
    expect((await call()).server).toBe('west');
    clock.advance(29_999);
    expect((await call()).server).toBe('west');
    expect(upstreamCalls('east')).toBe(1);
    clock.advance(1);
    expect((await call()).server).toBe('east');
  });

  it('is the cool-down of the router where none was announced', async () => {
    gateway = await start(['east', 'west'], { router: { coolDownMs: 7000 } });
    gateway.simulator.fault({ kind: 'rate-limit', form: 'none', resource: 'east', times: 1 });
    expect((await call()).server).toBe('west');
    clock.advance(6999);
    expect((await call()).server).toBe('west');
    clock.advance(1);
    expect((await call()).server).toBe('east');
  });

  it('is a second for the caller where none was announced and nothing rests', async () => {
    gateway = await start(['east'], { router: { retries: 0 } });
    gateway.simulator.fault({ kind: 'rate-limit', form: 'none', times: 1 });
    const answer = await call();
    expect(answer.status).toBe(429);
    expect(answer.headers.get('retry-after-ms')).toBe('1000');
    expect((await call()).server).toBe('east');
  });

  it.each([
    ['first', [40_000, 5000]],
    ['second', [5000, 40_000]],
  ])('is the longest one where several calls heard different ones: %s', async (_, waits) => {
    gateway = await start(['east', 'west']);
    for (const retryAfterMs of waits) {
      gateway.simulator.fault({
        kind: 'rate-limit',
        form: 'ms',
        retryAfterMs,
        resource: 'east',
        times: 1,
      });
    }
    const [one, two] = await Promise.all([call(), call()]);
    expect([one.server, two.server]).toEqual(['west', 'west']);
    expect(upstreamCalls('east')).toBe(2);
    clock.advance(39_999);
    expect((await call()).server).toBe('west');
    clock.advance(1);
    expect((await call()).server).toBe('east');
  });
});

describe('a model whose deployments all rest', () => {
  it('is refused with the earliest time, without a call upstream', async () => {
    gateway = await start(['east', 'west']);
    for (const [resource, retryAfterMs] of [
      ['east', 50_000],
      ['west', 20_000],
    ] as const) {
      gateway.simulator.fault({ kind: 'rate-limit', form: 'ms', retryAfterMs, resource });
    }
    const first = await call();
    expect(first.status).toBe(429);
    expect(first.headers.get('retry-after-ms')).toBe('20000');
    expect(first.headers.get('retry-after')).toBe('20');
    expect(first.headers.get('x-should-retry')).toBeNull();
    clock.advance(5000);
    const second = await call();
    expect(second.status).toBe(429);
    expect(second.headers.get('retry-after-ms')).toBe('15000');
    expect(upstreamCalls('east') + upstreamCalls('west')).toBe(2);
    gateway.simulator.clearFaults();
    clock.advance(15_000);
    expect((await call()).server).toBe('west');
  });

  it('tells its caller not to retry when the time is more than a minute away', async () => {
    gateway = await start(['east']);
    gateway.simulator.fault({ kind: 'error', error: '429-day-long' });
    const answer = await call();
    expect(answer.status).toBe(429);
    expect(answer.headers.get('retry-after')).toBe('86400');
    expect(answer.headers.get('x-should-retry')).toBe('false');
  });

  it('is waited for when the time is near', async () => {
    gateway = await start(['east', 'west'], { ports: {} });
    for (const resource of ['east', 'west']) {
      gateway.simulator.fault({
        kind: 'rate-limit',
        form: 'ms',
        retryAfterMs: 1000,
        resource,
        times: 1,
      });
    }
    const answer = await call();
    expect(answer.status).toBe(200);
    expect(gateway.usage).toHaveLength(1);
    expect(gateway.usage[0]?.attempts.map(({ status }) => status)).toEqual([429, 429, 200]);
  });
});

describe('the number of tries', () => {
  it('is bounded over all deployments of a group', async () => {
    gateway = await start(['east', 'west'], {
      ports: {},
      router: { retries: 2, coolDownMs: 0 },
    });
    gateway.simulator.fault({ kind: 'error', error: '503-unavailable' });
    const answer = await call();
    expect(answer.status).toBe(503);
    const tries = upstreamCalls('east') + upstreamCalls('west');
    expect(tries).toBeGreaterThanOrEqual(2);
    expect(tries).toBeLessThanOrEqual(4);
    expect(gateway.usage[0]?.attempts).toHaveLength(tries);
  });

  it('follows the caller who wants none, and the policy for the kind of failure', async () => {
    gateway = await start(['east'], { ports: {}, router: { coolDownMs: 0 } });
    gateway.simulator.fault({ kind: 'error', error: '500-internal' });
    await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x', { num_retries: 0 }));
    expect(upstreamCalls('east')).toBe(1);
    gateway.proxy.update({
      ...gateway.records,
      router: { ...gateway.records.router, retryPolicy: { InternalServerError: 1 } },
    });
    await call();
    expect(upstreamCalls('east')).toBe(3);
  });

  it('follows the policy of the model before that of the router', async () => {
    const retryPolicy = { InternalServerError: 1 };
    gateway = await start(['east', 'west'], {
      ports: {},
      deployments: ['east', 'west'].map((resourceName) => ({
        resourceName,
        deployment: 'gpt-4o',
        model: resourceName,
      })),
      models: [{ name: 'east', hidden: false, accessGroups: [], retryPolicy, retries: 0 }],
      router: { coolDownMs: 0, retries: 2, retryPolicy: { InternalServerError: 0 } },
    });
    const calls = async (model: string, error: '500-internal' | '503-unavailable') => {
      const before = upstreamCalls(model);
      const fault = gateway.simulator.fault({ kind: 'error', error, resource: model });
      await (await gateway.call('/v1/chat/completions', chatBody(model, 'x'))).text();
      fault.remove();
      return upstreamCalls(model) - before;
    };
    expect(await calls('east', '500-internal')).toBe(2);
    expect(await calls('east', '503-unavailable')).toBe(1);
    expect(await calls('west', '500-internal')).toBe(1);
  });

  it('tells the SDK not to multiply what several tries could not get', async () => {
    gateway = await start(['east', 'west']);
    gateway.simulator.fault({ kind: 'error', error: '500-internal' });
    const answer = await call();
    expect(answer.status).toBe(500);
    expect(answer.headers.get('x-should-retry')).toBe('false');
  });
});
