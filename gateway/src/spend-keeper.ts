import type { Dimension } from '@aigateway/control-plane/store/ledger';
import type { ScopeKind } from '@aigateway/contract/limits';
import type { MemoryLimiter } from '@aigateway/proxy/stores/memory/limiter';
import type { Bus } from './bus.ts';

/** What of a limiter's holders each dimension of spend is counted by. */
const scopeOfDimension: { readonly [dimension in Dimension]: ScopeKind | undefined } = {
  key: 'api_key',
  user: 'user',
  team: 'team',
  organization: 'organization',
  customer: 'end_user',
  tag: 'tag',
  deployment: 'deployment',
  model: undefined,
  member: 'team_member',
  key_model: 'model_per_key',
  all: 'global',
};

/** Sets spend where this process counts it, if it does, and where Redis counts it, if there is one. */
export function spendTeller(
  limiter: Pick<MemoryLimiter, 'setSpend'> | undefined,
  bus: Pick<Bus, 'setSpend'>,
): (dimension: Dimension, id: string, toNanoUsd: number) => Promise<void> {
  return async (dimension, id, toNanoUsd) => {
    const kind = scopeOfDimension[dimension];
    if (kind === undefined) return;
    limiter?.setSpend(kind, id, toNanoUsd);
    await bus.setSpend(kind, id, toNanoUsd);
  };
}
