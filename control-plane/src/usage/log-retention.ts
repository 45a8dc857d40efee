import type { LogRetention } from '@aigateway/contract/compile';
import { optional } from '@aigateway/contract/optional';
import { poll } from '@aigateway/contract/poll';
import type { Ledger } from '../store/ledger.ts';
import { dayOf } from '../store/usage-sums.ts';
import type { Lease } from './lease.ts';

/** Days of UTC, `YYYY-MM-DD`, whose single records went in one go. */
export type DroppedLogs = {
  readonly days: number;
  readonly first: string;
  readonly last: string;
};

export type LogKeeperOptions = {
  readonly ledger: Pick<Ledger, 'dropOldestLogs'>;
  /** As it stands when it is asked. */
  readonly retention: () => Promise<LogRetention>;
  /** Held while days are dropped, where several processes share a ledger. */
  readonly lease?: Lease | undefined;
  readonly onDropped?: (dropped: DroppedLogs) => void;
  /** What has failed, and is tried again within the hour; with undefined, when it no longer fails. */
  readonly onTrouble?: (error: unknown) => void;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** How often it is looked whether days are due; 0 = only when {@link LogKeeper.look} is called. Default a minute. */
  readonly pollMs?: number;
};

export type LogKeeperStanding = {
  /** Days that it dropped since it began. */
  readonly dropped: number;
  /** Whether the last try failed. */
  readonly isFailing: boolean;
};

/** Sees to it that single usage records go when they are old. */
export interface LogKeeper {
  /** Drops what is too old, where it is time to. @returns how many days went */
  look(): Promise<number>;
  standing(): LogKeeperStanding;
  /** Begins with no further day. Who closes the ledger need not wait for the one under way. */
  stop(): void;
  /** When nothing is under way any more. */
  stopped(): Promise<void>;
}

const longestWaitMs = 3_600_000;

/** Starts dropping. Several control planes may do so at once: what one has dropped the others do not find. */
export function createLogKeeper(options: LogKeeperOptions): LogKeeper {
  const keeper = new Keeper(options);
  keeper.start();
  return keeper;
}

class Keeper implements LogKeeper {
  readonly #options: LogKeeperOptions;
  readonly #end = new AbortController();
  #running: Promise<void> = Promise.resolve();
  /** When all that was too old was gone, and by which period. */
  #done: { readonly atMs: number; readonly periodMs: number } | undefined;
  #dropped = 0;
  #isFailing = false;

  constructor(options: LogKeeperOptions) {
    this.#options = options;
  }

  start(): void {
    const { pollMs = 60_000 } = this.#options;
    if (pollMs === 0) return;
    this.#running = poll(() => this.look(), {
      signal: this.#end.signal,
      everyMs: pollMs,
      longestWaitMs,
      ...optional('onTrouble', this.#options.onTrouble),
    });
  }

  async look(): Promise<number> {
    try {
      const dropped = await this.#look();
      this.#isFailing = false;
      return dropped;
    } catch (error) {
      this.#isFailing = true;
      throw error;
    }
  }

  standing(): LogKeeperStanding {
    return { dropped: this.#dropped, isFailing: this.#isFailing };
  }

  stop(): void {
    this.#end.abort();
  }

  stopped(): Promise<void> {
    return this.#running;
  }

  async #look(): Promise<number> {
    const { lease, retention, now = Date.now } = this.#options;
    const { periodMs, everyMs } = await retention();
    if (periodMs === undefined) return 0;
    const nowMs = now();
    const isDone = this.#done?.periodMs === periodMs && nowMs < this.#done.atMs + everyMs;
    if (isDone) return 0;
    if (lease && !(await lease.take())) return 0;
    try {
      const dropped = await this.#dropBefore(dayOf(nowMs - periodMs));
      if (!this.#end.signal.aborted) this.#done = { atMs: nowMs, periodMs };
      return dropped;
    } finally {
      await lease?.release();
    }
  }

  /** One day after the other. What went is told also where the next could not go. */
  async #dropBefore(before: string): Promise<number> {
    const { ledger, lease, onDropped } = this.#options;
    let dropped: DroppedLogs | undefined;
    try {
      while (!this.#end.signal.aborted) {
        const day = await ledger.dropOldestLogs(before);
        // What comes late has made a day anew, and may go on to: it is dropped the next time.
        if (day === undefined || (dropped && day <= dropped.last)) break;
        dropped = { days: (dropped?.days ?? 0) + 1, first: dropped?.first ?? day, last: day };
        this.#dropped += 1;
        await lease?.renew();
      }
    } finally {
      if (dropped) onDropped?.(dropped);
    }
    return dropped?.days ?? 0;
  }
}
