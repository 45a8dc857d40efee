import type { UsageRecord } from '@aigateway/contract/usage';
import { addUsage, noUsage, type UsageTotals } from '../../accounting/totals.ts';
import type { UsageSink } from '../../ports.ts';

export type MemoryUsageSinkOptions = {
  /** Told of every record, as for the access log. What it throws is counted, not passed on. */
  onRecord?: (record: UsageRecord) => void;
  /** Pairs of key and model with totals of their own; the rest is summed up in one. Default 10 000. */
  maxRows?: number;
};

/** Totals of one key and model since the process began. */
export type UsageRow = { keyId: string; model: string; totals: UsageTotals };

/** A sink that keeps sums and no records. Nothing here outlives the process. */
export interface MemoryUsageSink extends UsageSink {
  /** Everything since the process began. */
  readonly totals: UsageTotals;
  /** What fell to pairs that came when all rows were taken. */
  readonly others: UsageTotals;
  /** Records whose listener failed. */
  readonly listenerFailures: number;
  rows(): UsageRow[];
}

class TotalsSink implements MemoryUsageSink {
  readonly totals = noUsage();
  readonly others = noUsage();
  listenerFailures = 0;
  readonly #onRecord: ((record: UsageRecord) => void) | undefined;
  readonly #maxRows: number;
  readonly #keys = new Map<string, Map<string, UsageTotals>>();
  #rows = 0;

  constructor(options: MemoryUsageSinkOptions) {
    this.#onRecord = options.onRecord;
    this.#maxRows = options.maxRows ?? 10_000;
  }

  /** Nothing is kept of a request before its end: in memory there is no restart to survive. */
  open(): number {
    return 1;
  }

  settle(record: UsageRecord): void {
    addUsage(this.totals, record);
    addUsage(this.#totalsOf(record), record);
    try {
      this.#onRecord?.(record);
    } catch {
      // A listener's failure must not reach the request that is ending: what it missed is counted.
      this.listenerFailures += 1;
    }
  }

  rows(): UsageRow[] {
    return [...this.#keys].flatMap(([keyId, models]) =>
      [...models].map(([model, totals]) => ({ keyId, model, totals })),
    );
  }

  #totalsOf({ keyId, model }: UsageRecord): UsageTotals {
    const known = this.#keys.get(keyId)?.get(model);
    if (known !== undefined) return known;
    if (this.#rows >= this.#maxRows) return this.others;
    const totals = noUsage();
    this.#rows += 1;
    const models = this.#keys.get(keyId);
    if (models === undefined) this.#keys.set(keyId, new Map([[model, totals]]));
    else models.set(model, totals);
    return totals;
  }
}

/** Usage in this process alone: sums for health and tests, each record to the listener. It never throws. */
export function createMemoryUsageSink(options: MemoryUsageSinkOptions = {}): MemoryUsageSink {
  return new TotalsSink(options);
}
