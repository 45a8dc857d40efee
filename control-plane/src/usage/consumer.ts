import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { usageLeaseKey, usageProducersKey, usageStreamKey } from '@aigateway/contract/channels';
import { redisScript } from '@aigateway/contract/script';
import type { LedgerEvent, UsageRecord } from '@aigateway/contract/usage';
import type { Cluster, Redis } from 'ioredis';
import type { Ledger } from '../store/ledger.ts';

export type UsageConsumerOptions = {
  /** Not closed with the consumer. */
  readonly redis: Redis | Cluster;
  readonly ledger: Pick<Ledger, 'append'>;
  /** What failed, and for which producer where it is one's; it is tried again. */
  readonly onTrouble?: (error: unknown, producer?: string) => void;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** How often it is looked for events; 0 = only when {@link UsageConsumer.take} is called. Default 250 ms. */
  readonly pollMs?: number;
};

/** Takes usage events from Redis to the ledger. Several share the work, each producer's events being one's at a time. */
export interface UsageConsumer {
  /** Takes in what there is now. @returns how many events it read */
  take(): Promise<number>;
  close(): Promise<void>;
}

/** Events in one transaction of the ledger. */
const batchSize = 500;
const leaseMs = 10_000;
/** A producer that is silent for so long, and all of whose events are counted, is forgotten. */
const forgetMs = 7 * 86_400_000;

/** Renews a lease of one's own. KEYS lease; ARGV token, ms. */
const renew = redisScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`);

/** Gives a lease of one's own back. KEYS lease; ARGV token. */
const release = redisScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`);

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
  readonly #token = randomUUID();
  readonly #end = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: UsageConsumerOptions) {
    this.#options = options;
    this.#redis = options.redis;
    this.#now = options.now ?? Date.now;
  }

  start(): void {
    const { pollMs = 250 } = this.#options;
    if (pollMs > 0) this.#running = this.#run(pollMs);
  }

  async take(): Promise<number> {
    const entries = await this.#redis.zrange(usageProducersKey, '0', '-1', 'WITHSCORES');
    const producers = Array.from({ length: entries.length / 2 }, (_, index) => ({
      producer: entries[2 * index] ?? '',
      seenAt: Number(entries[2 * index + 1]),
    }));
    let read = 0;
    // In another order than the other control planes: they seldom want the same one.
    for (const { producer, seenAt } of shuffled(producers)) {
      if (this.#end.signal.aborted) break;
      try {
        read += await this.#takeFrom(producer, seenAt);
      } catch (error) {
        this.#options.onTrouble?.(error, producer);
      }
    }
    return read;
  }

  async close(): Promise<void> {
    this.#end.abort();
    await this.#running;
  }

  async #run(pollMs: number): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      try {
        await this.take();
      } catch (error) {
        this.#options.onTrouble?.(error);
      }
      // Rejects when the consumer is closed, and only then.
      await delay(pollMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #takeFrom(producer: string, seenAt: number): Promise<number> {
    // Nothing to do for most of them most of the time: that takes no lease.
    if ((await this.#redis.xlen(usageStreamKey(producer))) === 0) {
      if (seenAt < this.#now() - forgetMs) await this.#forget(producer);
      return 0;
    }
    const lease = usageLeaseKey(producer);
    if ((await this.#redis.set(lease, this.#token, 'PX', leaseMs, 'NX')) === null) return 0;
    try {
      let read = 0;
      for (;;) {
        const count = await this.#takeBatch(producer);
        read += count;
        const isMore = count === batchSize && !this.#end.signal.aborted;
        if (!isMore || (await renew(this.#redis, [lease], [this.#token, leaseMs])) !== 1)
          return read;
      }
    } finally {
      await release(this.#redis, [lease], [this.#token]);
    }
  }

  /** The lease only saves work: two that take the same events in are told apart by the ledger. */
  async #takeBatch(producer: string): Promise<number> {
    const stream = usageStreamKey(producer);
    const entries = await this.#redis.xrange(stream, '-', '+', 'COUNT', batchSize);
    const events: LedgerEvent[] = [];
    for (const [id, fields] of entries) {
      const event = parseEvent(id, fields);
      if (event === undefined) {
        this.#options.onTrouble?.(new Error(`entry ${id} is no usage event`), producer);
      } else {
        events.push(event);
      }
    }
    const mark = events.length === 0 ? 0 : await this.#options.ledger.append(producer, events);
    const isWhole = events.length === entries.length;
    // What is no event would be read for ever.
    const last = isWhole ? mark : Math.max(mark, sequenceOf(entries.at(-1)?.[0] ?? '0-0'));
    // What leaves the stream is counted: by that its producer knows.
    await this.#redis.xtrim(stream, 'MINID', '=', `${last + 1}-0`);
    return entries.length;
  }

  async #forget(producer: string): Promise<void> {
    await this.#redis.zrem(usageProducersKey, producer);
    await this.#redis.unlink(usageStreamKey(producer));
  }
}

function parseEvent(id: string, [name, value = '']: string[]): LedgerEvent | undefined {
  if (name !== 'record') return undefined;
  try {
    const record = JSON.parse(value) as UsageRecord | null;
    return record?.requestId === undefined ? undefined : { sequence: sequenceOf(id), record };
  } catch {
    return undefined;
  }
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
