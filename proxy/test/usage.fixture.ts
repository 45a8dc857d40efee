import { noTokens, type LedgerEvent, type UsageRecord } from '@aigateway/contract/usage';
import type { OpenedCall } from '../src/ports.ts';

/** What producers and consumers of tests share. */
export const usageSecret = { current: 'a-root-secret-of-more-than-thirty-two-bytes' };

/** A call as simple as one can be. */
export function openedCall(requestId: string): OpenedCall {
  return {
    requestId,
    key: { keyId: 'k1', ownerId: 't1', teamId: 't1' },
    tags: [],
    model: 'chat',
    operation: 'chat',
    stream: false,
    expected: { input: 10, output: 20, costNanoUsd: 30 },
  };
}

/** The record of a call that ended well. */
export function usageRecord(requestId: string): UsageRecord {
  return {
    version: 1,
    requestId,
    startedAt: 1,
    durationMs: 2,
    keyId: 'k1',
    ownerId: 't1',
    teamId: 't1',
    tags: [],
    model: 'chat',
    operation: 'chat',
    stream: false,
    status: 200,
    outcome: 'completed',
    tokens: { ...noTokens, input: 1, output: 2 },
    usageSource: 'measured',
    costNanoUsd: 7,
    unpriced: false,
    attempts: [],
  };
}

/** A ledger in memory that counts as a store does, and fails when it is told to. */
export class CountingLedger {
  readonly records: UsageRecord[] = [];
  isAway = false;
  readonly #marks = new Map<string, number>();
  #failure: 'fail before' | 'fail after' | undefined;

  /** Lets the next write fail before anything is written, or after everything is. */
  failNext(failure: 'fail before' | 'fail after'): void {
    this.#failure = failure;
  }

  requestIds(): string[] {
    return this.records.map(({ requestId }) => requestId);
  }

  async mark(producer: string): Promise<number> {
    if (this.isAway) throw new Error('the ledger is away');
    return this.#marks.get(producer) ?? 0;
  }

  /** As it would be after the restoration of an older store. */
  putBack(producer: string, mark: number): void {
    this.records.length = 0;
    this.#marks.set(producer, mark);
  }

  async append(producer: string, events: readonly LedgerEvent[], floor = 0): Promise<number> {
    if (this.isAway) throw new Error('the ledger is away');
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure === 'fail before') throw new Error('nothing was written');
    let mark = Math.max(this.#marks.get(producer) ?? 0, floor);
    for (const { sequence, record } of events) {
      if (sequence <= mark) continue;
      if (sequence !== mark + 1) break;
      this.records.push(record);
      mark = sequence;
    }
    this.#marks.set(producer, mark);
    if (failure === 'fail after') throw new Error('everything was written');
    return mark;
  }
}
