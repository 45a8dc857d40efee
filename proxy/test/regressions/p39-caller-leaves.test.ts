import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FaultSpec } from '@aigateway/smoke/simulator/faults';
import {
  chatBody,
  responsesBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
beforeEach(async () => {
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: [
        {
          name: 'east',
          keys: ['east-key'],
          deployments: [
            { name: 'gpt-4o', model: 'gpt-4o' },
            { name: 'codex', model: 'gpt-5.3-codex' },
          ],
        },
      ],
    },
    deployments: [
      { resourceName: 'east', deployment: 'gpt-4o' },
      { resourceName: 'east', deployment: 'codex', operations: ['responses'] },
    ],
  });
});
afterEach(() => gateway.close());

/** Everything has ended: one record, the upstream's call gone at once. */
async function expectOneAborted(aborted: boolean) {
  await gateway.until(() => gateway.usage.length === 1);
  await gateway.until(() => gateway.simulator.counters().inFlight === 0);
  if (aborted) await gateway.until(() => gateway.simulator.counters().total.aborted === 1);
  expect(gateway.proxy.meter.counts).toMatchObject({ admitted: 1, settled: 1, doubleSettled: 0 });
  expect(gateway.usage[0]).toMatchObject({ outcome: 'aborted' });
  await gateway.until(() => gateway.log().includes('"event":"call"'));
  expect(gateway.log()).toContain('"client":"127.0.0.1"');
}

type Form = { name: string; path: string; body: object };

const forms: Form[] = [
  {
    name: 'chat stream',
    path: '/v1/chat/completions',
    body: chatBody('gpt-4o', 'hello', { stream: true }),
  },
  { name: 'chat whole', path: '/v1/chat/completions', body: chatBody('gpt-4o', 'hello') },
  {
    name: 'responses stream',
    path: '/v1/responses',
    body: responsesBody('gpt-4o', 'hello', { stream: true }),
  },
  { name: 'responses whole', path: '/v1/responses', body: responsesBody('gpt-4o', 'hello') },
  {
    name: 'bridged stream',
    path: '/v1/chat/completions',
    body: chatBody('codex', 'hello', { stream: true }),
  },
];

describe('a caller who leaves while nothing has come', () => {
  const stalls: FaultSpec[] = [
    { kind: 'stall', at: 'before-headers' },
    { kind: 'stall', at: 'after-headers' },
  ];
  const cases = forms.flatMap((form) => stalls.map((stall) => ({ ...form, stall })));

  it.each(cases)(
    'ends the upstream call at once: $name, $stall.at',
    async ({ path, body, stall }) => {
      gateway.simulator.fault(stall);
      const leave = new AbortController();
      const call = gateway.call(path, body, { signal: leave.signal });
      await gateway.until(() => gateway.simulator.counters().inFlight === 1);
      const metrics = await gateway.metrics();
      expect(metrics).toContain('aigateway_admitted_requests 1\n');
      expect(metrics).toContain('aigateway_settled_requests 0\n');
      expect(metrics).toContain('requests_in_flight 1\n');
      leave.abort();
      await expect(call).rejects.toThrow('aborted');
      await expectOneAborted(true);
      expect(gateway.usage[0]).toMatchObject({ status: 499, usageSource: 'none' });
      expect(gateway.usage[0]?.firstOutputMs).toBeUndefined();
    },
  );

  it('is not charged and not tried elsewhere while it waits for its turn', async () => {
    gateway.simulator.fault({ kind: 'rate-limit', retryAfterMs: 1500 });
    const leave = new AbortController();
    const call = gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x'), {
      signal: leave.signal,
    });
    await gateway.until(() => gateway.simulator.counters().total.statuses['429'] === 1);
    leave.abort();
    await expect(call).rejects.toThrow('aborted');
    await expectOneAborted(false);
    expect(gateway.usage[0]?.attempts).toHaveLength(1);
  });
});

/** Reads until the text has come so often, and leaves the rest of the answer unread. */
async function readUntil(response: Response, text: string, times: number): Promise<void> {
  const reader = response.body?.getReader();
  let seen = '';
  while (seen.split(text).length <= times) {
    const { value, done } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done || value === undefined) throw new Error('the answer ended too soon');
    seen += Buffer.from(value).toString();
  }
}

describe('a caller who leaves in the middle of an answer', () => {
  const streams = forms.filter(({ name }) => name.endsWith('stream'));
  const cases = streams.flatMap((form) =>
    Array.from({ length: 8 }, (_, chunks) => ({ ...form, chunks: chunks + 1 })),
  );

  it.each(cases)(
    'is charged for what passed: $name after $chunks chunks',
    async ({ path, body, chunks }) => {
      // The answer goes on for as long as somebody listens.
      gateway.simulator.fault({ kind: 'stall', at: 'mid-body', afterEvents: chunks });
      const text = JSON.stringify(body).replace('hello', 'hello [SIM:tokens 300]');
      const leave = new AbortController();
      const response = await gateway.call(path, text, { signal: leave.signal });
      await readUntil(response, '\n\n', chunks);
      await gateway.until(() => gateway.simulator.counters().inFlight === 1);
      leave.abort();
      await expectOneAborted(true);
      const [record] = gateway.usage;
      expect(record).toMatchObject({ status: 200, usageSource: 'estimated' });
      expect(record?.tokens.input).toBeGreaterThan(0);
      expect(record?.tokens.output).toBeGreaterThan(0);
      expect(record?.tokens.output).toBeLessThan(300);
      expect(record?.firstOutputMs).toBeGreaterThanOrEqual(0);
    },
  );

  it('is charged more the more has passed', async () => {
    const outputs: number[] = [];
    for (const chunks of [2, 20]) {
      gateway.simulator.clearFaults();
      gateway.simulator.fault({ kind: 'stall', at: 'mid-body', afterEvents: chunks });
      const leave = new AbortController();
      const response = await gateway.call(
        '/v1/chat/completions',
        chatBody('gpt-4o', '[SIM:tokens 300]', { stream: true }),
        { signal: leave.signal },
      );
      await readUntil(response, '"content":"', chunks);
      leave.abort();
      await gateway.until(() => gateway.usage.length === outputs.length + 1);
      outputs.push(gateway.usage.at(-1)?.tokens.output ?? 0);
    }
    const [few = 0, many = 0] = outputs;
    expect(many).toBeGreaterThan(few);
  });

  it('frees what was held for it', async () => {
    gateway.simulator.fault({ kind: 'stall', at: 'mid-body', afterEvents: 2 });
    const leave = new AbortController();
    const response = await gateway.call(
      '/v1/chat/completions',
      chatBody('gpt-4o', 'x', { stream: true }),
      { signal: leave.signal },
    );
    await response.body?.getReader().read();
    leave.abort();
    await expectOneAborted(true);
    expect(await gateway.metrics()).toContain('requests_in_flight 0\n');
  });
});

describe('an upstream that breaks off', () => {
  it.each([
    ['chat', '/v1/chat/completions', chatBody('gpt-4o', 'x [SIM:tokens 300]', { stream: true })],
    ['responses', '/v1/responses', responsesBody('gpt-4o', 'x [SIM:tokens 300]', { stream: true })],
  ])('leaves one record of an interrupted call, estimated: %s', async (_, path, body) => {
    gateway.simulator.fault({ kind: 'cut', afterEvents: 3 });
    await (await gateway.call(path, body)).text();
    expect(gateway.usage).toHaveLength(1);
    expect(gateway.usage[0]).toMatchObject({ outcome: 'interrupted', usageSource: 'estimated' });
    expect(gateway.usage[0]?.tokens.output).toBeGreaterThan(0);
  });
});
