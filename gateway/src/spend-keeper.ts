import type { SpendKeeper } from '@aigateway/control-plane/http/call';
import type { Dimension } from '@aigateway/control-plane/store/ledger';
import type { ScopeKind } from '@aigateway/contract/limits';
import type { MemoryLimiter } from '@aigateway/proxy/stores/memory/limiter';

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
};

/** Sets spend back where it is counted in this process; counters in Redis go on until their window ends. */
export function spendKeeper(limiter: MemoryLimiter | undefined): SpendKeeper {
  return {
    reset(dimension, id, toNanoUsd) {
      const kind = scopeOfDimension[dimension];
      if (kind !== undefined && limiter !== undefined) {
        limiter.forget(kind, id);
        if (toNanoUsd > 0) limiter.seed({ kind, id, usedNanoUsd: toNanoUsd });
      }
      return Promise.resolve();
    },
  };
}
