import { chunksOf } from '../store/chunks.ts';
import type { SpendResetDocument } from '../store/documents.ts';
import type { Dimension, Ledger } from '../store/ledger.ts';

/** Looks up what the spend of holders was set to, by `resetId`. */
export type FindResets = (
  ids: readonly string[],
) => Promise<ReadonlyMap<string, SpendResetDocument>>;

export function resetId(dimension: Dimension, holderId: string): string {
  return `${dimension}:${holderId}`;
}

/** Ids in one question to the store. */
const pageSize = 5000;

/**
 * What counts as spent since a time, in nano-USD by id: what the ledger has since then, or, where it was set to an amount since then,
 * that amount and what came after it. Ids without spend are left out.
 *
 * @param fromMs - start of a budget's window; undefined = the beginning
 */
export async function currentSpend(
  { ledger, findResets }: { ledger: Pick<Ledger, 'spend'>; findResets: FindResets },
  dimension: Dimension,
  ids: readonly string[],
  fromMs: number | undefined,
): Promise<Map<string, number>> {
  const spent = new Map<string, number>();
  for await (const page of chunksOf(ids, pageSize)) {
    const since = await ledger.spend({
      dimension,
      ids: page,
      ...(fromMs !== undefined && { fromMs }),
    });
    for (const [id, nanoUsd] of since) spent.set(id, nanoUsd);
    const resets = [
      ...(await findResets(page.map((id) => resetId(dimension, id)))).values(),
    ].filter(({ reset_at_ms: resetMs }) => fromMs === undefined || resetMs >= fromMs);
    if (resets.length === 0) continue;
    const totals =
      fromMs === undefined
        ? since
        : await ledger.spend({ dimension, ids: resets.map(({ holder_id: id }) => id) });
    for (const { holder_id: id, ledger_nano_usd: before, set_to_nano_usd: to } of resets) {
      spent.set(id, to + Math.max(0, (totals.get(id) ?? 0) - before));
    }
  }
  return spent;
}
