import { describe, expect, it } from 'vitest';
import { usageRecord } from '../../test/usage.fixture.ts';
import { Metrics } from './metrics.ts';

function metrics() {
  return new Metrics(
    () => ({ admitted: 0, settled: 0, inFlight: 0, doubleSettled: 0, unrecorded: 0 }),
    () => [],
  );
}

/** Labels and value of each sample of a counter. */
async function valuesOf({ registry }: Metrics, name: string) {
  const text = await registry.metrics();
  const samples = [...text.matchAll(new RegExp(`^${name}\\{(.*)\\} (\\d+)$`, 'gm'))];
  return samples.map(([, labels, value]) => [labels, Number(value)]);
}

describe('the metrics of calls', () => {
  it('are counted apart by endpoint, model, outcome and status', async () => {
    const counted = metrics();
    const call = usageRecord('request');
    for (const [endpoint, model, outcome, status] of [
      ['chat', 'one', 'completed', 200],
      ['chat', 'one', 'completed', 200],
      ['chat', 'one', 'failed', 500],
      ['chat', 'one', 'failed', 503],
      ['chat', 'two', 'completed', 200],
      ['responses', 'one', 'completed', 200],
    ] as const)
      counted.settled(endpoint, model, { ...call, outcome, status }, 0);
    expect(await valuesOf(counted, 'aigateway_requests_total')).toEqual([
      ['endpoint="chat",model="one",outcome="completed",status="200"', 2],
      ['endpoint="chat",model="one",outcome="failed",status="500"', 1],
      ['endpoint="chat",model="one",outcome="failed",status="503"', 1],
      ['endpoint="responses",model="one",outcome="completed",status="200"', 1],
      ['endpoint="chat",model="two",outcome="completed",status="200"', 1],
    ]);
  });

  it('count tries apart by deployment, status and reason', async () => {
    const counted = metrics();
    const attempts = [
      { deploymentId: 'first', status: 429, reason: 'rate_limited', durationMs: 1 },
      { deploymentId: 'first', status: 429, reason: 'quota', durationMs: 1 },
      { deploymentId: 'second', status: 200, reason: 'answered', durationMs: 1 },
    ];
    counted.settled('chat', 'one', { ...usageRecord('request'), attempts }, 0);
    counted.settled('chat', 'one', { ...usageRecord('request'), attempts }, 0);
    expect(await valuesOf(counted, 'aigateway_upstream_attempts_total')).toEqual([
      ['deployment="first",status="429",reason="rate_limited"', 2],
      ['deployment="first",status="429",reason="quota"', 2],
      ['deployment="second",status="200",reason="answered"', 2],
    ]);
  });
});
