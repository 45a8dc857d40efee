import { afterEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  startGatewayUnderTest,
  stillClock,
  type GatewaySpec,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
let clock: ReturnType<typeof stillClock>;
afterEach(() => gateway.close());

function start(resources: readonly string[], spec: Partial<GatewaySpec> = {}) {
  clock = stillClock();
  return startGatewayUnderTest({
    simulator: {
      resources: ['east', 'west'].map((name) => ({
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
    router: { retries: 0 },
    ports: { clock },
    ...spec,
  });
}

async function call(extra: object = {}, content = 'hi'): Promise<number> {
  const response = await gateway.call('/v1/chat/completions', {
    ...chatBody('gpt-4o', content),
    ...extra,
  });
  await response.text();
  return response.status;
}

function upstreamCalls(resource: string): number {
  return gateway.simulator.counters().by[`${resource}/gpt-4o/chat.completions`]?.calls ?? 0;
}

async function standingOf(resource: string): Promise<string | undefined> {
  const line = (await gateway.metrics())
    .split('\n')
    .find((text) => text.includes(`deployment_state{deployment="${resource}-gpt-4o"`));
  return line?.split(' ').at(-1);
}

const mistakes: [string, object, string][] = [
  ['a wrong value', { temperature: 9 }, 'hi'],
  ['no messages', { messages: 'none' }, 'hi'],
  ['a blocked prompt', {}, '[SIM:block-prompt]'],
  ['a prompt too long', {}, 'x'.repeat(600_000)],
];

describe('mistakes of callers', () => {
  it.each(mistakes)('never open the breaker: a flood of %s', async (_, extra, content) => {
    gateway = await start(['east', 'west']);
    for (let index = 0; index < 20; index += 1) expect(await call(extra, content)).toBe(400);
    expect(upstreamCalls('west')).toBe(0);
    expect(await standingOf('east')).toBe('0');
    expect(await call()).toBe(200);
    expect(upstreamCalls('east')).toBe(21);
  });
});

describe('the breaker', () => {
  it('opens for faults of the backend, tries one call after its rest, and closes', async () => {
    gateway = await start(['east', 'west']);
    const fault = gateway.simulator.fault({
      kind: 'error',
      error: '500-internal',
      resource: 'east',
    });
    for (let index = 0; index < 8; index += 1) expect(await call()).toBe(200);
    const opened = upstreamCalls('east');
    expect(opened).toBeLessThanOrEqual(5);
    expect(await standingOf('east')).toBe('2');
    clock.advance(5000);
    expect(await standingOf('east')).toBe('1');
    expect(await call()).toBe(200);
    expect(upstreamCalls('east')).toBe(opened + 1);
    expect(await standingOf('east')).toBe('2');
    fault.remove();
    clock.advance(10_000);
    expect(await call()).toBe(200);
    expect(await standingOf('east')).toBe('0');
    expect(upstreamCalls('east')).toBe(opened + 2);
  });

  it('never takes the last member of a group out', async () => {
    gateway = await start(['east']);
    gateway.simulator.fault({ kind: 'error', error: '500-internal', times: 10 });
    for (let index = 0; index < 10; index += 1) expect(await call()).toBe(500);
    expect(upstreamCalls('east')).toBe(10);
    expect(await call()).toBe(200);
  });

  it('never puts the last member aside for the wait that its 503 announced', async () => {
    gateway = await start(['east']);
    gateway.simulator.fault({ kind: 'error', error: '503-unavailable', times: 2 });
    expect(await call()).toBe(503);
    expect(await call()).toBe(503);
    expect(await call()).toBe(200);
    expect(upstreamCalls('east')).toBe(3);
  });

  it('asks members that rest for their faults when all others are full', async () => {
    gateway = await start(['east', 'west']);
    gateway.simulator.fault({ kind: 'error', error: '429-day-long', resource: 'east', times: 1 });
    gateway.simulator.fault({
      kind: 'error',
      error: '503-unavailable',
      resource: 'west',
      times: 1,
    });
    expect(await call()).toBe(503);
    expect(await call()).toBe(200);
    expect(upstreamCalls('east')).toBe(1);
  });

  it('prefers a fallback to a member that rests for its faults', async () => {
    gateway = await start(['east'], {
      deployments: [
        { resourceName: 'east', deployment: 'gpt-4o', model: 'main' },
        { resourceName: 'west', deployment: 'gpt-4o', model: 'spare' },
      ],
      router: { retries: 0, fallbacks: { main: ['spare'] } },
    });
    gateway.simulator.fault({ kind: 'error', error: '503-unavailable', resource: 'east' });
    expect(await call({ model: 'main' })).toBe(200);
    expect(await call({ model: 'main' })).toBe(200);
    expect(upstreamCalls('east')).toBe(1);
    expect(upstreamCalls('west')).toBe(2);
  });

  it('says that all rest where no attempt is left to ask them', async () => {
    gateway = await start(['east'], {
      deployments: [
        { resourceName: 'east', deployment: 'gpt-4o', model: 'main' },
        { resourceName: 'west', deployment: 'gpt-4o', model: 'spare' },
      ],
      router: { retries: 0, maxAttempts: 1, fallbacks: { main: ['spare'] } },
    });
    gateway.simulator.fault({ kind: 'error', error: '503-unavailable' });
    expect(await call({ model: 'main' })).toBe(503);
    expect(await call({ model: 'main' })).toBe(429);
  });

  it('never takes the last of several members out either', async () => {
    gateway = await start(['east', 'west']);
    gateway.simulator.fault({ kind: 'error', error: '500-internal' });
    for (let index = 0; index < 10; index += 1) expect(await call()).toBe(500);
    gateway.simulator.clearFaults();
    expect(await call()).toBe(200);
  });

  it("does not count the gateway's own refused credential against other deployments", async () => {
    gateway = await start(['east', 'west']);
    gateway.simulator.fault({ kind: 'error', error: '401-invalid-key', resource: 'east' });
    for (let index = 0; index < 5; index += 1) expect(await call()).toBe(200);
    expect(await standingOf('west')).toBe('0');
    expect(upstreamCalls('east')).toBeLessThan(5);
  });

  it('hides what no retry can heal: a refused credential is a 502, and not about the key', async () => {
    gateway = await start(['east']);
    gateway.simulator.fault({ kind: 'error', error: '401-invalid-key' });
    const response = await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x'));
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: 'upstream_auth' } });
  });
});
