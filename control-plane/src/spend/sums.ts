import { optional } from '@aigateway/contract/optional';
import type { Call } from '../http/call.ts';
import { windowStartMs } from '../http/limits.ts';
import type { Dimension, SpendQuery } from '../store/ledger.ts';
import { dayOf } from '../store/usage-sums.ts';
import { currentSpend } from './current.ts';

const nanoPerUsd = 1e9;

/** Nano-USD as LiteLLM's clients read money: US dollars. */
export function usdOf(nanoUsd: number): number {
  return nanoUsd / nanoPerUsd;
}

export function nanoUsdOf(usd: number): number {
  return Math.round(usd * nanoPerUsd);
}

function pick(
  sums: ReadonlyMap<string, number>,
  ids: readonly string[],
): ReadonlyMap<string, number> {
  return new Map(ids.flatMap((id) => (sums.has(id) ? [[id, sums.get(id) ?? 0]] : [])));
}

/**
 * Everyone of a dimension whom requests have named, made here or not.
 *
 * @param highest - so many, those who spent the most. Absent = all
 */
export async function spenders(
  call: Call,
  dimension: Dimension,
  highest?: number,
): Promise<Set<string>> {
  const rows = await call.ledger.activity({
    dimension,
    fromDay: '1970-01-01',
    toDay: dayOf(call.now),
    over: 'days',
    ...optional('highest', highest),
  });
  return new Set(rows.map(({ id }) => id));
}

/** What was spent in the current window, and ever; in US dollars. */
export type Spent = { readonly spend: number; readonly total: number };

/**
 * Spend of several holders of budgets, each in its own window.
 *
 * A few questions for the totals and each kind of window, however many holders there are.
 */
export async function spentBy(
  call: Call,
  dimension: Dimension,
  holders: readonly { readonly id: string; readonly window: string | null }[],
): Promise<(id: string) => Spent> {
  if (holders.length === 0) return () => ({ spend: 0, total: 0 });
  const totals = await call.ledger.spend({ dimension, ids: holders.map(({ id }) => id) });
  const byWindow = Map.groupBy(holders, ({ window }) => windowStartMs(window, call));
  const current = new Map<string, number>();
  const from = {
    ledger: {
      // Where there is no window, what is spent in it is the total.
      spend: async (asked: SpendQuery) =>
        asked.fromMs === undefined ? pick(totals, asked.ids) : call.ledger.spend(asked),
    },
    findResets: (ids: readonly string[]) => call.view.getMany('spend_reset', ids),
  };
  for (const [fromMs, group] of byWindow) {
    const ids = group.map(({ id }) => id);
    for (const [id, sum] of await currentSpend(from, dimension, ids, fromMs)) current.set(id, sum);
  }
  return (id) => ({ spend: usdOf(current.get(id) ?? 0), total: usdOf(totals.get(id) ?? 0) });
}
