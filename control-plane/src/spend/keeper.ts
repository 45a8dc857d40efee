import type { SpendKeeper } from '../http/call.ts';
import type { SpendResetDocument } from '../store/documents.ts';
import type { Dimension } from '../store/ledger.ts';
import type { Store } from '../store/store.ts';
import { resetId } from './current.ts';

export type SpendKeeperOptions = {
  readonly store: Pick<Store, 'entities' | 'ledger'>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Tells those who count spend, now that the store knows. */
  readonly tell: (dimension: Dimension, id: string, toNanoUsd: number) => Promise<void>;
};

/** Sets spend in the store, where it outlives every counter, and then where it is counted. What was logged stays as it is. */
export function createSpendKeeper({ store, now, tell }: SpendKeeperOptions): SpendKeeper {
  return {
    async reset(dimension, id, toNanoUsd) {
      const counted = await store.ledger.spend({ dimension, ids: [id] });
      const atMs = now();
      const at = new Date(atMs).toISOString();
      const document: SpendResetDocument = {
        dimension,
        holder_id: id,
        reset_at_ms: atMs,
        set_to_nano_usd: toNanoUsd,
        ledger_nano_usd: counted.get(id) ?? 0,
        created_at: at,
        created_by: 'spend',
        updated_at: at,
        updated_by: 'spend',
      };
      await store.entities.write([{ kind: 'spend_reset', id: resetId(dimension, id), document }]);
      await tell(dimension, id, toNanoUsd);
    },
  };
}
