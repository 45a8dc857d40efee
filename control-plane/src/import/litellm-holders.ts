import { budgetWindow } from '@aigateway/contract/duration';
import type { UsageRecord } from '@aigateway/contract/usage';
import { nanoUsdOf } from '../spend/sums.ts';
import type { Dimension, Ledger } from '../store/ledger.ts';
import { type CarriedSum, sumRecord } from './litellm-sum.ts';

type Held = 'key' | 'user' | 'team' | 'member' | 'organization' | 'customer' | 'tag';

/** Who spent how much of a budget's present window, by LiteLLM's own count. */
export type Holder = {
  readonly dimension: Held;
  readonly id: string;
  /** The names of a member's two; of others the id is the name. */
  readonly named?: CarriedSum['named'];
  readonly window: string | null;
  readonly usd: number;
};

export type Calendar = { readonly timezone: string; readonly budgetResetTime: string };

/**
 * What the ledger must be given so that each holder has spent in its present window what LiteLLM says: requests that LiteLLM has
 * neither one by one nor in its sums by day. Nothing for who has spent that much already.
 */
export async function missingSpend(
  holders: readonly Holder[],
  ledger: Pick<Ledger, 'spend'>,
  calendar: Calendar,
  nowMs: number,
): Promise<UsageRecord[]> {
  const records: UsageRecord[] = [];
  const startOf = (window: string | null): number | undefined =>
    window === null
      ? undefined
      : budgetWindow(nowMs, window, calendar.timezone, calendar.budgetResetTime).startMs;
  const groups = Map.groupBy(
    holders.filter(({ usd }) => usd > 0),
    ({ dimension, window }) => `${dimension} ${window ?? ''}`,
  );
  for (const group of groups.values()) {
    const [{ dimension, window }] = group as [Holder];
    const fromMs = startOf(window);
    const spent = await ledger.spend({
      dimension,
      ids: group.map(({ id }) => id),
      ...(fromMs !== undefined && { fromMs }),
    });
    for (const holder of group) {
      const costNanoUsd = nanoUsdOf(holder.usd) - (spent.get(holder.id) ?? 0);
      if (costNanoUsd > 0) records.push(missing(holder, costNanoUsd, nowMs));
    }
  }
  return records;
}

/** Each request has one key, so what keys spent is what the gateway spent; those above have the same money once more. */
const countsIn: { readonly [held in Held]: readonly Dimension[] } = {
  key: ['key', 'all'],
  user: ['user'],
  team: ['team'],
  member: ['member'],
  organization: ['organization'],
  customer: ['customer'],
  tag: ['tag'],
};

const names = {
  key: 'keyId',
  user: 'userId',
  team: 'teamId',
  organization: 'organizationId',
  customer: 'customerId',
  tag: 'tag',
} as const satisfies { readonly [held in Exclude<Held, 'member'>]: keyof CarriedSum['named'] };

function missing({ dimension, id, named }: Holder, costNanoUsd: number, atMs: number): UsageRecord {
  return sumRecord({
    requestId: `litellm-${dimension}-${id}`,
    atMs,
    countsIn: countsIn[dimension],
    named: named ?? (dimension === 'member' ? {} : { [names[dimension]]: id }),
    requests: 0,
    failed: 0,
    costNanoUsd,
  });
}
