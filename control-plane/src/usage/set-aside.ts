import { noTokens, type LedgerEvent, type UsageRecord } from '@aigateway/contract/usage';
import type { Ledger } from '../store/ledger.ts';

/** What the ledger refused, or nobody could read. */
export type RefusedEvent = {
  readonly producer: string;
  readonly sequence: number;
  /** As it came. */
  readonly text: string;
  readonly error: unknown;
};

/** An event, or why there is none at this place. */
export type GivenEvent =
  | LedgerEvent
  | { readonly sequence: number; readonly text: string; readonly error: Error };

/** Events that were counted before and no longer are, and that their producer no longer has: the store was put back. */
export type MissingEvents = {
  readonly producer: string;
  /** Sequences, both included. */
  readonly from: number;
  readonly to: number;
};

/**
 * Takes events to a ledger. One that the ledger refuses is set aside instead of stopping its producer: its place is taken by a
 * record without amounts, and whoever watches is told.
 *
 * @param floor - see {@link Ledger.append}
 * @returns the producer's mark
 * @throws {StoreUnavailableError} as the ledger does
 */
export async function appendOrSetAside(
  ledger: Pick<Ledger, 'append'>,
  producer: string,
  events: readonly GivenEvent[],
  setAside: (refused: RefusedEvent) => Promise<void>,
  floor = 0,
): Promise<number> {
  const readable = events.filter((event) => 'record' in event);
  if (readable.length === events.length) {
    try {
      return await ledger.append(producer, readable, floor);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
  // Which of them it is shows one by one.
  let mark = await ledger.append(producer, [], floor);
  for (const event of events) mark = await appendOne(ledger, producer, event, setAside);
  return mark;
}

async function appendOne(
  ledger: Pick<Ledger, 'append'>,
  producer: string,
  event: GivenEvent,
  setAside: (refused: RefusedEvent) => Promise<void>,
): Promise<number> {
  const { sequence } = event;
  if (!('record' in event)) {
    await setAside({ ...event, producer });
    return ledger.append(producer, [placeholder(producer, sequence)]);
  }
  try {
    return await ledger.append(producer, [event]);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    await setAside({ producer, sequence, text: JSON.stringify(event.record), error });
    return ledger.append(producer, [placeholder(producer, sequence)]);
  }
}

/** What stands in the ledger for an event that it refused: nothing was used, as far as anybody knows. */
function placeholder(producer: string, sequence: number): LedgerEvent {
  const record: UsageRecord = {
    version: 1,
    requestId: `refused-${producer}-${sequence}`,
    startedAt: Date.now(),
    durationMs: 0,
    keyId: 'refused_usage',
    ownerId: 'refused_usage',
    tags: [],
    model: 'unknown',
    operation: 'unknown',
    stream: false,
    status: 0,
    outcome: 'failed',
    tokens: noTokens,
    usageSource: 'none',
    costNanoUsd: 0,
    unpriced: true,
    attempts: [],
  };
  return { sequence, record };
}
