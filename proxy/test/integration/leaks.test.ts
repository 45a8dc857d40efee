import type { FaultSpec } from '@aigateway/smoke/simulator/faults';
import { afterEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  keyRecord,
  responsesBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

const atOnce = 8;

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

/** Numbers that look like chance and are the same every time. */
function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
}

const faults: FaultSpec[] = [
  { kind: 'error', error: '500-internal' },
  { kind: 'error', error: '429-requests-classic' },
  { kind: 'error', error: '404-resource-not-found' },
  { kind: 'error', error: '401-token-invalid' },
  { kind: 'reset', at: 'before-headers' },
  { kind: 'reset', at: 'mid-body' },
  { kind: 'cut', afterEvents: 1 },
  { kind: 'stream-error' },
  { kind: 'stream-error', afterEvents: 2 },
  { kind: 'stall', at: 'before-headers', ms: 30 },
  { kind: 'stall', at: 'after-headers', ms: 30 },
  { kind: 'stall', at: 'mid-body', ms: 30 },
];

describe('after hundreds of calls that failed, stalled, broke off or lost their callers', () => {
  it('nothing is held any more: no slot, no call, no account', async () => {
    const names = ['east', 'west'];
    gateway = await startGatewayUnderTest({
      simulator: {
        resources: names.map((name) => ({
          name,
          keys: [`${name}-key`],
          deployments: [
            { name: 'gpt-4o', model: 'gpt-4o' },
            { name: 'codex', model: 'gpt-5.3-codex' },
          ],
        })),
      },
      deployments: names.flatMap((resourceName) =>
        ['gpt-4o', 'codex'].map((deployment) => ({
          resourceName,
          deployment,
          parallelRequests: atOnce,
          streamTimeoutMs: 2000,
          timeoutMs: 2000,
        })),
      ),
      keys: [
        keyRecord({
          scopes: [
            {
              kind: 'api_key',
              id: 'caller',
              label: 'caller',
              limits: { parallelRequests: 2 * atOnce },
            },
          ],
        }),
      ],
      router: { coolDownMs: 20, retries: 1, fallbacks: { 'gpt-4o': ['codex'] } },
      pipeline: {
        longestWaitMs: 200,
        timing: { holdMs: 20, commentMs: 10, whitespaceMs: 25, blockedMs: 60_000 },
      },
    });
    const pick = sequence(7);
    for (const fault of faults) gateway.simulator.fault({ ...fault, probability: 0.08 });

    const call = async (): Promise<void> => {
      const stream = pick(2) === 0;
      const model = pick(2) === 0 ? 'gpt-4o' : 'codex';
      const [path, body] =
        pick(2) === 0
          ? ['/v1/chat/completions', chatBody(model, 'x [SIM:tokens 60]', { stream })]
          : ['/v1/responses', responsesBody(model, 'x [SIM:tokens 60]', { stream })];
      const leave = new AbortController();
      const patience = pick(3) === 0 ? pick(30) : undefined;
      const timer = patience === undefined ? undefined : setTimeout(() => leave.abort(), patience);
      try {
        await (await gateway.call(path, body, { signal: leave.signal })).text();
      } catch {
        // The caller has left, or its connection was ended: the gateway's accounts are what counts here.
      }
      clearTimeout(timer);
    };
    for (let round = 0; round < 30; round += 1) await Promise.all(Array.from({ length: 20 }, call));

    await gateway.until(() => gateway.proxy.meter.counts.inFlight === 0);
    await gateway.until(() => gateway.simulator.counters().inFlight === 0);
    expect(gateway.proxy.meter.counts).toMatchObject({ doubleSettled: 0, unrecorded: 0 });
    const outcomes = new Set(gateway.usage.map(({ outcome }) => outcome));
    for (const outcome of ['completed', 'failed', 'interrupted', 'aborted'] as const)
      expect(outcomes).toContain(outcome);

    // Every slot of the deployments and of the key can be taken again.
    gateway.simulator.clearFaults();
    gateway.proxy.update({
      ...gateway.records,
      deployments: gateway.records.deployments.filter(({ deployment }) => deployment === 'gpt-4o'),
    });
    // Rests that upstreams announced end by the clock, circuits by a call that succeeds.
    while (/deployment_state\{[^}]*-gpt-4o"[^}]*\} [12]/.test(await gateway.metrics())) {
      await (await gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'x'))).text();
    }
    gateway.simulator.fault({ kind: 'stall', at: 'before-headers' });
    const leave = new AbortController();
    const held = Array.from({ length: 2 * atOnce }, () =>
      gateway
        .call('/v1/chat/completions', chatBody('gpt-4o', 'x'), { signal: leave.signal })
        .catch(() => undefined),
    );
    await gateway.until(() => gateway.simulator.counters().inFlight === 2 * atOnce);
    leave.abort();
    await Promise.all(held);
  });
});
