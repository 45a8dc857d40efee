import type { UsageRecord } from '@aigateway/contract/usage';
import { estimateLifeMs, type Clock, type Estimates } from '../../ports.ts';

/** Estimates of one process. The oldest goes when there are too many. */
export class MemoryEstimates implements Estimates {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #records = new Map<string, UsageRecord>();

  /** @param most - estimates that are held at once */
  constructor(clock: Clock, most = 100_000) {
    this.#clock = clock;
    this.#most = most;
  }

  hold(id: string, record: UsageRecord): Promise<void> {
    this.#records.set(id, record);
    const [oldest] = this.#records.keys();
    if (this.#records.size > this.#most && oldest !== undefined) this.#records.delete(oldest);
    return Promise.resolve();
  }

  find(id: string): Promise<UsageRecord | undefined> {
    const record = this.#records.get(id);
    const isOver = record !== undefined && this.#clock.now() - record.startedAt >= estimateLifeMs;
    return Promise.resolve(isOver ? undefined : record);
  }

  drop(id: string): Promise<boolean> {
    return Promise.resolve(this.#records.delete(id));
  }
}
