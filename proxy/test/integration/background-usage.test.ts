import { afterEach, describe, expect, it } from 'vitest';
import type { UsageRecord } from '@aigateway/contract/usage';
import type { Estimates } from '../../src/ports.ts';
import { createMemoryLimiter } from '../../src/stores/memory/limiter.ts';
import { MemoryEstimates } from '../../src/stores/memory/estimates.ts';
import {
  callerKey,
  keyRecord,
  readEvents,
  responsesBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

const clock = { now: Date.now };
const runMs = 60_000;
const prices = { input: 1_000, output: 2_000 };
const budget = {
  kind: 'team' as const,
  id: 'team-a',
  label: 'team-a',
  limits: { budgets: [{ maxNanoUsd: 1_000_000_000, window: '1d' }] },
};

let gateway: GatewayUnderTest;
let limiter: ReturnType<typeof createMemoryLimiter>;
afterEach(() => gateway.close());

async function start(estimates: Estimates = new MemoryEstimates(clock), queuedMs = runMs) {
  limiter = createMemoryLimiter({ clock });
  gateway = await startGatewayUnderTest({
    simulator: {
      background: { queuedMs: 0, runMs: queuedMs },
      resources: [{ name: 'east', keys: ['k'], deployments: [{ name: 'gpt-5', model: 'gpt-5' }] }],
    },
    deployments: [{ resourceName: 'east', deployment: 'gpt-5', prices }],
    keys: [
      keyRecord({ ownerId: 'team-a', teamId: 'team-a', scopes: [budget] }),
      keyRecord({ keyId: 'other', secret: 'sk-other-0123456789abcdef', ownerId: 'team-a' }),
    ],
    ports: { estimates, limiter },
  });
}

async function create(extra = {}): Promise<string> {
  const body = responsesBody('gpt-5', 'hello', {
    background: true,
    max_output_tokens: 5000,
    ...extra,
  });
  const answer = await gateway.call('/v1/responses', body);
  return ((await answer.json()) as { id: string }).id;
}

/** @returns the response's state */
async function get(id: string, url = gateway.url, key = callerKey): Promise<string> {
  const answer = await fetch(`${url}/v1/responses/${id}`, {
    headers: { authorization: `Bearer ${key}` },
  });
  return ((await answer.json()) as { status: string }).status;
}

const corrections = (): UsageRecord[] =>
  gateway.usage.filter(({ corrects }) => corrects !== undefined);

const corrected = () => gateway.until(() => corrections().length > 0);

/** Resolves when everything that was called before is accounted for: nothing of it waits longer than another call takes. */
async function settled(): Promise<void> {
  await gateway.proxy.meter.whenIdle();
  await (await gateway.call('/v1/models')).text();
}

const spent = () =>
  limiter.snapshot().find(({ id }) => id === 'team-a')?.budgets[0]?.usedNanoUsd ?? 0;

describe('a response in the background', () => {
  it('is charged by estimate, and corrected once when it is seen to have ended', async () => {
    await start();
    const id = await create();
    expect(['queued', 'in_progress']).toContain(await get(id));
    await settled();
    expect(corrections()).toEqual([]);
    const estimate = gateway.usage[0]!;
    expect(estimate).toMatchObject({ usageSource: 'estimated', tokens: { output: 5000 } });
    expect(spent()).toBe(estimate.costNanoUsd);

    gateway.simulator.advance(2 * runMs);
    expect(await get(id)).toBe('completed');
    await corrected();
    for (let again = 0; again < 3; again += 1) expect(await get(id)).toBe('completed');
    await settled();
    expect(corrections()).toHaveLength(1);
    const [correction] = corrections();
    const answer = (await (await gateway.call(`/v1/responses/${id}`)).json()) as {
      usage: { input_tokens: number; output_tokens: number };
    };
    const used = answer.usage;
    expect(correction).toMatchObject({
      requestId: estimate.requestId,
      startedAt: estimate.startedAt,
      keyId: 'caller',
      usageSource: 'measured',
      tokens: {
        input: used.input_tokens - estimate.tokens.input,
        output: used.output_tokens - estimate.tokens.output,
      },
    });
    const real = Math.round((used.input_tokens * 1_000 + used.output_tokens * 2_000) / 1_000);
    expect(estimate.costNanoUsd + correction!.costNanoUsd).toBe(real);
    expect(spent()).toBe(real);
    const line = `"event":"correction","requestId":"${estimate.requestId}"`;
    await gateway.until(() => gateway.log().includes(line));
  });

  it('is corrected with the tier and model of the answer, however much of the request that repeats', async () => {
    await start();
    const description = 'x'.repeat(100_000);
    const tools = [{ type: 'function', name: 'f', description, parameters: {}, strict: false }];
    const id = await create({ tools });
    gateway.simulator.advance(2 * runMs);
    expect(await get(id)).toBe('completed');
    await corrected();
    expect(corrections()[0]).toMatchObject({
      serviceTier: 'default',
      servedModel: expect.stringMatching(/^gpt-5/),
    });
  });

  it('is corrected by any replica, after a restart, and by another key of its owner at the expense of its own', async () => {
    const estimates = new MemoryEstimates(clock);
    await start(estimates);
    const id = await create();
    await settled();
    // What has come after the first one knows nothing of it but what they share.
    const replica = await gateway.startReplica();
    gateway.simulator.advance(2 * runMs);
    await Promise.all([
      get(id, replica.url, 'sk-other-0123456789abcdef'),
      get(id, replica.url, 'sk-other-0123456789abcdef'),
    ]);
    await corrected();
    await get(id);
    await settled();
    expect(new Set(corrections().map(({ corrects }) => corrects)).size).toBe(1);
    expect(corrections()[0]).toMatchObject({ keyId: 'caller', teamId: 'team-a' });
    expect(spent()).toBe(gateway.usage[0]!.costNanoUsd + corrections()[0]!.costNanoUsd);
  });

  it('has its budget corrected by one of two replicas that see its end at once', async () => {
    const inner = new MemoryEstimates(clock);
    let found = 0;
    const both = Promise.withResolvers<void>();
    await start({
      hold: (id, record) => inner.hold(id, record),
      async find(id) {
        const record = await inner.find(id);
        if (record !== undefined && (found += 1) === 2) both.resolve();
        if (record !== undefined) await both.promise;
        return record;
      },
      drop: (id) => inner.drop(id),
    });
    const id = await create();
    await settled();
    const estimate = gateway.usage[0]!;
    const replica = await gateway.startReplica();
    gateway.simulator.advance(2 * runMs);
    await Promise.all([get(id), get(id, replica.url)]);
    await gateway.until(() => corrections().length === 2);
    await settled();
    // The ledger counts one of two that correct the same.
    const [one, other] = corrections();
    expect(one!.corrects).toBe(other!.corrects);
    expect(spent()).toBe(estimate.costNanoUsd + one!.costNanoUsd);
  });

  it('is corrected when a stream that was left is taken up again', async () => {
    await start(undefined, 0);
    const leave = new AbortController();
    const body = responsesBody('gpt-5', '[SIM:fault cut 2] hello', {
      background: true,
      stream: true,
      max_output_tokens: 5000,
    });
    const answer = await gateway.call('/v1/responses', body, { signal: leave.signal });
    const [first] = await readEvents(answer);
    const { response } = JSON.parse(first!.data) as { response: { id: string } };
    await settled();
    expect(gateway.usage[0]).toMatchObject({ usageSource: 'estimated', tokens: { output: 5000 } });
    const rest = await gateway.call(`/v1/responses/${response.id}?stream=true&starting_after=1`);
    expect(await rest.text()).toContain('response.completed');
    await corrected();
    expect(corrections()[0]?.tokens.output).toBeLessThan(0);
  });

  it('is left alone where its stream has told its usage', async () => {
    await start(undefined, 0);
    const body = responsesBody('gpt-5', 'hello', { background: true, stream: true });
    const [first] = await readEvents(await gateway.call('/v1/responses', body));
    const { response } = JSON.parse(first!.data) as { response: { id: string } };
    expect(await get(response.id)).toBe('completed');
    await settled();
    expect(gateway.usage[0]?.usageSource).toBe('measured');
    expect(corrections()).toEqual([]);
  });

  it('stays charged by estimate where its cancellation tells no usage', async () => {
    await start();
    const id = await create();
    const answer = await gateway.call(`/v1/responses/${id}/cancel`, {});
    expect(((await answer.json()) as { status: string }).status).toBe('cancelled');
    await settled();
    expect(corrections()).toEqual([]);
  });
});
