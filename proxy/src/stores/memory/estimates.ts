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
    return Promise.resolve(record === undefined || this.#isOver(record) ? undefined : record);
  }

  /** All that can be found. */
  *held(): Iterable<readonly [id: string, record: UsageRecord]> {
    for (const one of this.#records) if (!this.#isOver(one[1])) yield one;
  }

  drop(id: string): Promise<boolean> {
    return Promise.resolve(this.#records.delete(id));
  }

  #isOver({ startedAt }: UsageRecord): boolean {
    return this.#clock.now() - startedAt >= estimateLifeMs;
  }
}
