import type { SpendKeeper } from '../http/call.ts';
import { put, type View } from '../http/view.ts';
import type { SpendResetDocument } from '../store/documents.ts';
import type { Change } from '../store/entities.ts';
import type { Dimension, Ledger } from '../store/ledger.ts';
import { resetId } from './current.ts';

/** Ids in one question to the store. */
const pageSize = 5000;

/** Holder of a budget and nano-USD. */
type Setting = readonly [dimension: Dimension, id: string, toNanoUsd: number];

/** Spend that one call sets: in the store, where it outlives every counter. What was logged stays as it is. */
export class SpendResets implements SpendKeeper {
  readonly #settings = new Map<string, Setting>();

  /** The last one of a holder counts. */
  reset(dimension: Dimension, id: string, toNanoUsd: number): void {
    this.#settings.set(resetId(dimension, id), [dimension, id, toNanoUsd]);
  }

  all(): readonly Setting[] {
    return [...this.#settings.values()];
  }

  /** What is to be written. */
  async changes({
    ledger,
    view,
    now,
  }: {
    readonly ledger: Pick<Ledger, 'spend'>;
    readonly view: Pick<View, 'getMany'>;
    readonly now: number;
  }): Promise<readonly Change[]> {
    const changes: Change[] = [];
    const at = new Date(now).toISOString();
    for (const [dimension, settings] of Map.groupBy(this.all(), ([one]) => one)) {
      for (let from = 0; from < settings.length; from += pageSize) {
        const page = settings.slice(from, from + pageSize);
        const counted = await ledger.spend({ dimension, ids: page.map(([, id]) => id) });
        // Read together, so that they are not read one by one when they are written.
        await view.getMany(
          'spend_reset',
          page.map(([, id]) => resetId(dimension, id)),
        );
        for (const [, id, toNanoUsd] of page) {
          const document: SpendResetDocument = {
            dimension,
            holder_id: id,
            reset_at_ms: now,
            set_to_nano_usd: toNanoUsd,
            ledger_nano_usd: counted.get(id) ?? 0,
            created_at: at,
            created_by: 'spend',
            updated_at: at,
            updated_by: 'spend',
          };
          changes.push(put('spend_reset', resetId(dimension, id), document));
        }
      }
    }
    return changes;
  }
}
