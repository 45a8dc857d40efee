import { noTokens, type UsageRecord } from '@aigateway/contract/usage';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/conformance/limiter-conformance.ts';
import { OutputMeans } from '../admission/estimate.ts';
import { GatewayError } from '../errors.ts';
import type { OpenedCall, Reservation, Spent, UsageSink } from '../ports.ts';
import { Meter, type AdmittedRequest, type RequestEnd } from './meter.ts';

class RecordingSink implements UsageSink {
  readonly opened: string[] = [];
  readonly records: UsageRecord[] = [];

  open({ requestId }: OpenedCall): number {
    this.opened.push(requestId);
    return this.opened.length;
  }

  settle(record: UsageRecord): void {
    this.records.push(record);
  }
}

class RecordingReservation implements Reservation {
  readonly standing = {};
  readonly settlements: Spent[] = [];

  settle(spent: Spent): void {
    this.settlements.push(spent);
  }
}

function setUp(sink: UsageSink = new RecordingSink()) {
  const clock = new ManualClock(1_000_000);
  const means = new OutputMeans();
  const meter = new Meter({ clock, sink, means });
  return { clock, means, meter };
}

function request(changes: Partial<AdmittedRequest> = {}): AdmittedRequest {
  return {
    requestId: 'r1',
    key: { keyId: 'k1', alias: 'ci', ownerId: 't1', teamId: 't1' },
    tags: ['batch'],
    model: 'gpt-4o',
    operation: 'chat',
    stream: true,
    reservation: new RecordingReservation(),
    ...changes,
  };
}

const tokens = { ...noTokens, input: 1000, cachedInput: 400, output: 100 };
const costNanoUsd = 3_000_000;

const completed: RequestEnd = {
  outcome: 'completed',
  status: 200,
  usage: { tokens, source: 'measured' },
  costNanoUsd,
  attempts: [{ deploymentId: 'd1', status: 200, reason: 'ok', durationMs: 900 }],
};

describe('meter', () => {
  it('writes one record with all that is known, and settles the reservation to the real usage', () => {
    const sink = new RecordingSink();
    const { clock, meter } = setUp(sink);
    const reservation = new RecordingReservation();
    const admission = meter.admit(request({ reservation, customerId: 'c9' }));
    clock.advance(1500);
    admission.settle({
      ...completed,
      deploymentId: 'd1',
      region: 'swedencentral',
      servedModel: 'gpt-4o-2024-11-20',
      serviceTier: 'default',
      upstreamOperation: 'responses',
      firstOutputAt: 1_000_300,
    });
    expect(sink.opened).toEqual(['r1']);
    expect(sink.records).toEqual([
      {
        version: 1,
        requestId: 'r1',
        startedAt: 1_000_000,
        durationMs: 1500,
        firstOutputMs: 300,
        keyId: 'k1',
        keyAlias: 'ci',
        ownerId: 't1',
        teamId: 't1',
        customerId: 'c9',
        tags: ['batch'],
        model: 'gpt-4o',
        operation: 'chat',
        upstreamOperation: 'responses',
        deploymentId: 'd1',
        region: 'swedencentral',
        servedModel: 'gpt-4o-2024-11-20',
        stream: true,
        status: 200,
        outcome: 'completed',
        tokens,
        usageSource: 'measured',
        costNanoUsd,
        unpriced: false,
        serviceTier: 'default',
        attempts: completed.attempts,
      },
    ]);
    expect(reservation.settlements).toEqual([{ tokens: 1100, costNanoUsd }]);
  });

  it('returns all that was held for a request that used nothing', () => {
    const sink = new RecordingSink();
    const { meter } = setUp(sink);
    const reservation = new RecordingReservation();
    meter.admit(request({ reservation })).settle({ outcome: 'failed', status: 502, attempts: [] });
    expect(reservation.settlements).toEqual([{ tokens: 0, costNanoUsd: 0 }]);
    expect(sink.records[0]).toMatchObject({
      usageSource: 'none',
      tokens: noTokens,
      costNanoUsd: 0,
      unpriced: false,
    });
  });

  it('charges an estimate like a measurement and says so', () => {
    const sink = new RecordingSink();
    setUp(sink)
      .meter.admit(request())
      .settle({
        ...completed,
        outcome: 'aborted',
        status: 499,
        usage: { tokens, source: 'estimated' },
      });
    expect(sink.records[0]).toMatchObject({ usageSource: 'estimated', costNanoUsd });
  });

  it('flags usage without a price', () => {
    const sink = new RecordingSink();
    const { meter } = setUp(sink);
    meter.admit(request()).settle({ ...completed, costNanoUsd: undefined });
    expect(sink.records[0]).toMatchObject({ unpriced: true, costNanoUsd: 0, tokens });
  });

  it('ignores a second settlement and counts it as a fault', () => {
    const sink = new RecordingSink();
    const { meter } = setUp(sink);
    const reservation = new RecordingReservation();
    const admission = meter.admit(request({ reservation }));
    const record = admission.settle(completed);
    expect(admission.settle({ outcome: 'failed', status: 502, attempts: [] })).toBeUndefined();
    expect(sink.records).toEqual([record]);
    expect(reservation.settlements).toHaveLength(1);
    expect(meter.counts).toMatchObject({ admitted: 1, settled: 1, doubleSettled: 1 });
  });

  it('releases the reservation of a request that the sink cannot take', () => {
    const { meter } = setUp({
      open: () => {
        throw new GatewayError('accounting_unavailable');
      },
      settle: () => undefined,
    });
    const reservation = new RecordingReservation();
    expect(() => meter.admit(request({ reservation }))).toThrow(GatewayError);
    expect(reservation.settlements).toEqual([{ tokens: 0, costNanoUsd: 0 }]);
    expect(meter.counts).toMatchObject({ admitted: 0, inFlight: 0 });
  });

  it('ends a request whose record the sink refuses, and counts the loss', () => {
    const { meter } = setUp({
      open: () => 1,
      settle: () => {
        throw new Error('disk full');
      },
    });
    const reservation = new RecordingReservation();
    meter.admit(request({ reservation })).settle(completed);
    expect(reservation.settlements).toHaveLength(1);
    expect(meter.counts).toMatchObject({ inFlight: 0, unrecorded: 1 });
  });

  it('learns the length of answers from complete, measured ones alone, for each choice', () => {
    const { means, meter } = setUp();
    const settle = (end: Partial<RequestEnd>, changes: Partial<AdmittedRequest> = {}) =>
      meter.admit(request(changes)).settle({ ...completed, ...end });
    settle({ outcome: 'aborted' });
    settle({ usage: { tokens, source: 'estimated' } });
    settle({}, { operation: 'embeddings' });
    expect(means.size).toBe(0);
    settle({}, { choices: 4 });
    expect(means.mean('k1', 'gpt-4o')).toBe(25);
  });

  it('is idle once nothing is in flight', async () => {
    const { meter } = setUp();
    await meter.whenIdle();
    const first = meter.admit(request());
    const second = meter.admit(request({ requestId: 'r2' }));
    let isIdle = false;
    const idle = meter.whenIdle().then(() => {
      isIdle = true;
    });
    first.settle(completed);
    await Promise.resolve();
    expect(isIdle).toBe(false);
    second.settle(completed);
    await idle;
    expect(isIdle).toBe(true);
  });

  it('has admitted as many as are settled and in flight, and a record for each settled, in any order of events', () => {
    const step = fc.record({ admit: fc.boolean(), which: fc.nat({ max: 9 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50, size: 'max' }), (steps) => {
        const sink = new RecordingSink();
        const { meter } = setUp(sink);
        const admissions: ReturnType<Meter['admit']>[] = [];
        let again = 0;
        for (const { admit, which } of steps) {
          const admission = admissions[which];
          if (admit) {
            admissions.push(meter.admit(request({ requestId: `r${admissions.length}` })));
          } else if (admission !== undefined) {
            if (admission.isSettled) again += 1;
            admission.settle(completed);
          }
          const { admitted, settled, inFlight, doubleSettled } = meter.counts;
          expect(settled + inFlight).toBe(admitted);
          expect(admitted).toBe(admissions.length);
          expect(doubleSettled).toBe(again);
          expect(new Set(sink.records.map(({ requestId }) => requestId)).size).toBe(settled);
          expect(sink.records).toHaveLength(settled);
        }
      }),
    );
  });
});
