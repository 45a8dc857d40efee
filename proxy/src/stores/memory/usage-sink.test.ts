import { noTokens, type UsageRecord } from '@aigateway/contract/usage';
import { describe, expect, it } from 'vitest';
import { createMemoryUsageSink } from './usage-sink.ts';

function record(changes: Partial<UsageRecord> = {}): UsageRecord {
  return {
    version: 1,
    requestId: 'r',
    startedAt: 0,
    durationMs: 1,
    keyId: 'k',
    ownerId: 'k',
    tags: [],
    model: 'm',
    operation: 'chat',
    stream: false,
    status: 200,
    outcome: 'completed',
    tokens: { ...noTokens, input: 10, output: 5, reasoning: 2 },
    usageSource: 'measured',
    costNanoUsd: 7,
    unpriced: false,
    attempts: [],
    ...changes,
  };
}

describe('memory usage sink', () => {
  it('sums up by key and model, and hands each record to the listener', () => {
    const seen: UsageRecord[] = [];
    const sink = createMemoryUsageSink({ onRecord: (given) => seen.push(given) });
    const records = [record(), record({ outcome: 'aborted' }), record({ model: 'other' })];
    for (const given of records) sink.settle(given, 0);
    expect(seen).toEqual(records);
    expect(sink.rows()).toEqual([
      {
        keyId: 'k',
        model: 'm',
        totals: {
          requests: 2,
          failures: 1,
          tokens: { ...noTokens, input: 20, output: 10, reasoning: 4 },
          costNanoUsd: 14,
        },
      },
      expect.objectContaining({ keyId: 'k', model: 'other' }),
    ]);
    expect(sink.totals).toMatchObject({ requests: 3, costNanoUsd: 21 });
  });

  it('stays bounded: what has no row of its own is summed up with the rest', () => {
    const sink = createMemoryUsageSink({ maxRows: 2 });
    for (let key = 0; key < 100; key += 1) sink.settle(record({ keyId: `${key}` }), 0);
    sink.settle(record({ keyId: '0' }), 0);
    expect(sink.rows().map(({ keyId, totals }) => [keyId, totals.requests])).toEqual([
      ['0', 2],
      ['1', 1],
    ]);
    expect(sink.others.requests).toBe(98);
    expect(sink.totals.requests).toBe(101);
  });

  it('never throws: a failing listener is counted', () => {
    const sink = createMemoryUsageSink({
      onRecord: () => {
        throw new Error('log closed');
      },
    });
    expect(() => sink.settle(record(), 0)).not.toThrow();
    expect(sink.listenerFailures).toBe(1);
    expect(sink.totals.requests).toBe(1);
  });
});
