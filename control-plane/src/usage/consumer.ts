import {
  usageLeaseKey,
  usageProducersKey,
  usageRefusedKey,
  usageStreamKey,
} from '@aigateway/contract/channels';
import { poll } from '@aigateway/contract/poll';
import type { RootSecrets } from '@aigateway/contract/signing';
import type { UsageRecord } from '@aigateway/contract/usage';
import { UsageSigner } from '@aigateway/contract/usage-signing';
import type { Cluster, Redis } from 'ioredis';
import type { Ledger } from '../store/ledger.ts';
import { redisLease } from './lease.ts';
import {
  appendOrSetAside,
  type GivenEvent,
  type MissingEvents,
  type RefusedEvent,
} from './set-aside.ts';

export type UsageConsumerOptions = {
  /** Not closed with the consumer. */
  readonly redis: Redis | Cluster;
  readonly ledger: Pick<Ledger, 'append'>;
  /** What proxies sign their events with. */
  readonly secret: RootSecrets;
  /** What has failed, and for which producer where it is one's; it is tried again. With undefined, when it no longer fails. */
  readonly onTrouble?: (error: unknown, producer?: string) => void;
  /** What was set aside: it is kept in Redis, the last thousand of all producers. */
  readonly onRefused?: (refused: RefusedEvent) => void;
  /** What will not be counted, because the store was put back to before it and its producer no longer has it. */
  readonly onMissing?: (missing: MissingEvents) => void;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** How often it is looked for events; 0 = only when {@link UsageConsumer.take} is called. Default 250 ms. */
  readonly pollMs?: number;
};

/** How far a consumer is, as it last looked. */
export type UsageConsumerStanding = {
  /** Events in the streams of all producers. */
  readonly waiting: number;
  /** Producers that are known. */
  readonly producers: number;
  /** Events that it gave to the ledger since it began, some of them more than once. */
  readonly taken: number;
  /** Events that it set aside since it began: not signed by a proxy, unreadable, or refused by the ledger. */
  readonly refused: number;
  /** Events that it went on without since it began: the store was put back, and no producer had them any more. */
  readonly missing: number;
};

/** Takes usage events from Redis to the ledger. Several share the work, each producer's events being one's at a time. */
export interface UsageConsumer {
  /** Takes in what there is now. @returns how many events it read */
  take(): Promise<number>;
  standing(): UsageConsumerStanding;
  close(): Promise<void>;
}

/**
 * Events in one transaction of the ledger at most. Those of one batch share the rows of their sums, so what has fallen behind is taken in
 * at a fraction of the cost of each event: of 1,000 with 500 keys it is half of what it is of 500.
 */
export const batchSize = 1000;
const leaseMs = 10_000;
/** Longest wait between tries while Redis does not answer. */
const longestWaitMs = 5_000;
/** A producer that is silent for so long, and all of whose events are counted, is forgotten. */
const forgetMs = 7 * 86_400_000;
/** Refused events that are kept to be looked at. */
const mostRefused = 1000;

/** Starts taking events in. */
export function createUsageConsumer(options: UsageConsumerOptions): UsageConsumer {
  const consumer = new Consumer(options);
  consumer.start();
  return consumer;
}

class Consumer implements UsageConsumer {
  readonly #options: UsageConsumerOptions;
  readonly #redis: Redis | Cluster;
  readonly #now: () => number;
  readonly #end = new AbortController();
  readonly #signer: UsageSigner;
  #running: Promise<void> = Promise.resolve();
  /** Producers whose events could not be taken in when it was last tried. */
  readonly #troubled = new Set<string>();
  #waiting = 0;
  #producers = 0;
  #taken = 0;
  #refused = 0;
  #missing = 0;
  /** Producers that were asked for what lies between the ledger's mark, which is kept here, and what they have sent. */
  readonly #asked = new Map<string, number>();

  constructor(options: UsageConsumerOptions) {
    this.#options = options;
    this.#signer = new UsageSigner(options.secret);
    this.#redis = options.redis;
    this.#now = options.now ?? Date.now;
  }

  start(): void {
    const { pollMs = 250 } = this.#options;
    if (pollMs === 0) return;
    this.#running = poll(() => this.take(), {
      signal: this.#end.signal,
      everyMs: pollMs,
      longestWaitMs,
      onTrouble: (error) => this.#options.onTrouble?.(error),
    });
  }

  async take(): Promise<number> {
    const entries = await this.#redis.zrange(usageProducersKey, '0', '-1', 'WITHSCORES');
    const producers = Array.from({ length: entries.length / 2 }, (_, index) => ({
      producer: entries[2 * index] ?? '',
      seenAt: Number(entries[2 * index + 1]),
    }));
    this.#producers = producers.length;
    let waiting = 0;
    let read = 0;
    // In another order than the other control planes: they seldom want the same one.
    for (const { producer, seenAt } of shuffled(producers)) {
      if (this.#end.signal.aborted) break;
      try {
        const length = await this.#redis.xlen(usageStreamKey(producer));
        const taken = await this.#takeFrom(producer, seenAt, length);
        read += taken;
        waiting += Math.max(0, length - taken);
        this.#report(producer, undefined);
      } catch (error) {
        this.#report(producer, error);
      }
    }
    this.#waiting = waiting;
    return read;
  }

  standing(): UsageConsumerStanding {
    return {
      waiting: this.#waiting,
      producers: this.#producers,
      taken: this.#taken,
      refused: this.#refused,
      missing: this.#missing,
    };
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#running;
  }

  /** Told when a producer's events begin to fail, and when they no longer do. */
  #report(producer: string, error: unknown): void {
    const isKnown = this.#troubled.has(producer);
    if (isKnown === (error !== undefined)) return;
    if (isKnown) this.#troubled.delete(producer);
    else this.#troubled.add(producer);
    this.#options.onTrouble?.(error, producer);
  }

  async #takeFrom(producer: string, seenAt: number, length: number): Promise<number> {
    // Nothing to do for most of them most of the time: that takes no lease.
    if (length === 0) {
      if (seenAt < this.#now() - forgetMs) await this.#forget(producer);
      return 0;
    }
    const lease = redisLease(this.#redis, usageLeaseKey(producer), leaseMs);
    if (!(await lease.take())) return 0;
    try {
      let read = 0;
      for (;;) {
        const count = await this.#takeBatch(producer);
        read += count;
        const isMore = count === batchSize && !this.#end.signal.aborted;
        if (!isMore || !(await lease.renew())) return read;
      }
    } finally {
      await lease.release();
    }
  }

  /** The lease only saves work: two that take the same events in are told apart by the ledger. */
  async #takeBatch(producer: string): Promise<number> {
    const stream = usageStreamKey(producer);
    const entries = await this.#redis.xrange(stream, '-', '+', 'COUNT', batchSize);
    const events: GivenEvent[] = [];
    for (const [id, fields] of entries) {
      const [, text = '', , mac = ''] = fields;
      const sequence = sequenceOf(id);
      if (!this.#signer.isSigned(producer, sequence, text, mac)) {
        await this.#setAside({
          producer,
          sequence,
          text,
          error: new Error('not signed by a proxy'),
        });
        // The producer's own event of this place cannot come in as long as the stream has another: it is sent again to a new one.
        await this.#redis.unlink(stream);
        break;
      }
      events.push(parseEvent(sequence, text));
    }
    const [first] = events;
    if (first === undefined) return 0;
    const append = (floor?: number): Promise<number> =>
      appendOrSetAside(
        this.#options.ledger,
        producer,
        events,
        (refused) => this.#setAside(refused),
        floor,
      );
    let mark = await append();
    const to = first.sequence - 1;
    if (mark < to) {
      // The store was put back to before what left the stream as counted. The producer may still have that on its disk.
      if (this.#asked.get(producer) !== mark) {
        this.#asked.set(producer, mark);
        await this.#redis.unlink(stream);
        return 0;
      }
      this.#missing += to - mark;
      this.#options.onMissing?.({ producer, from: mark + 1, to });
      mark = await append(to);
    }
    this.#asked.delete(producer);
    this.#taken += events.length;
    // What leaves the stream is counted: by that its producer knows.
    await this.#redis.xtrim(stream, 'MINID', '=', `${mark + 1}-0`);
    return events.length;
  }

  async #setAside(refused: RefusedEvent): Promise<void> {
    const { producer, sequence, text, error } = refused;
    const reason = error instanceof Error ? error.message : String(error);
    const entry = ['producer', producer, 'sequence', sequence, 'reason', reason, 'text', text];
    await this.#redis.xadd(usageRefusedKey, 'MAXLEN', '~', mostRefused, '*', ...entry);
    this.#refused += 1;
    this.#options.onRefused?.(refused);
  }

  async #forget(producer: string): Promise<void> {
    this.#troubled.delete(producer);
    this.#asked.delete(producer);
    await this.#redis.zrem(usageProducersKey, producer);
    await this.#redis.unlink(usageStreamKey(producer));
  }
}

function parseEvent(sequence: number, text: string): GivenEvent {
  try {
    const record = JSON.parse(text) as UsageRecord | null;
    if (record?.requestId !== undefined && record.tokens !== undefined) return { sequence, record };
  } catch {
    // Said below.
  }
  return { sequence, text, error: new Error('no usage record') };
}

function sequenceOf(id: string): number {
  return Number(id.split('-', 1)[0]);
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
