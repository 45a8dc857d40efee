import type { RouterRecord, StrategyName } from '@aigateway/contract/records';
import { lowestCost } from './cost.ts';
import type { DeploymentState } from './deployments.ts';
import { availableAt, isUsable } from './health.ts';
import { lowestLatency } from './latency.ts';
import { latencySamples } from './latency-window.ts';
import { leastBusy } from './least-busy.ts';
import { rollMinute } from './minute-window.ts';
import { roundRobin } from './round-robin.ts';
import { sessionDraw } from './session-affinity.ts';
import { simpleShuffle } from './simple-shuffle.ts';
import type { LatencySettings, Strategy, StrategyContext } from './strategy.ts';
import { lowestUsage } from './usage.ts';

/** Every strategy by its name in the configuration. */
export const strategies: { readonly [name in StrategyName]: Strategy } = {
  'simple-shuffle': simpleShuffle,
  'round-robin': roundRobin,
  'least-busy': leastBusy,
  'latency-based-routing': lowestLatency,
  'cost-based-routing': lowestCost,
  'usage-based-routing-v2': lowestUsage,
};

/** Strategies that heed a deployment's own rpm and tpm without being told to. */
const heedsOwnLimits: ReadonlySet<StrategyName> = new Set([
  'latency-based-routing',
  'cost-based-routing',
  'usage-based-routing-v2',
]);

export type OrderContext = {
  now: number;
  /** Between 0 and 1, as `Math.random`. */
  random(): number;
  /** Estimated input plus output tokens of the call. */
  estimateTokens: number;
  stream: boolean;
  router: RouterRecord;
  /** The group's own strategy; absent = the router's. */
  strategy?: StrategyName | undefined;
  /** What of the router's counts otherwise for the group. */
  latency?: Partial<LatencySettings> | undefined;
  /** Keeps one conversation on one deployment as long as that is healthy and not full. */
  sessionKey?: string | undefined;
};

/**
 * The order in which to try the candidates of a model group, each exactly once.
 *
 * First those that may take a call now, by priority tier, lowest first, so that provisioned capacity is used up before
 * anything else. Within a tier the strategy decides, and those known to be full come after the others, not out: what is known
 * of them is a guess. Last come those that rest, the soonest available first: `availableAt` tells them apart, and a caller that
 * reaches them waits or refuses with that time.
 */
export function orderDeployments(
  candidates: readonly DeploymentState[],
  context: OrderContext,
): readonly DeploymentState[] {
  if (candidates.length < 2) return candidates;
  const { now } = context;
  const usable = candidates.filter((state) => isUsable(state, now));
  const order = orderTiers(usable, context);
  if (usable.length === candidates.length) return order;
  const resting = candidates
    .filter((state) => !isUsable(state, now))
    .sort(
      (a, b) => availableAt(a, now) - availableAt(b, now) || a.record.priority - b.record.priority,
    );
  return [...order, ...resting];
}

/**
 * True when the upstream's own figures, or ours, say that the call would be refused there.
 *
 * @param ownLimits - whether the deployment's configured rpm and tpm count
 */
export function isFull(
  state: DeploymentState,
  estimateTokens: number,
  ownLimits: boolean,
  now: number,
): boolean {
  const { record, quota } = state;
  if (record.parallelRequests !== undefined && state.inFlight >= record.parallelRequests)
    return true;
  if (now < quota.until) {
    if (quota.remainingRequests < 1 || quota.remainingTokens < estimateTokens) return true;
    if (quota.utilisation >= 1) return true;
  }
  if (!ownLimits) return false;
  const window = rollMinute(state.minuteWindow, now);
  return (
    window.requests + 1 > (record.requestsPerMinute ?? Infinity) ||
    window.tokens + estimateTokens > (record.tokensPerMinute ?? Infinity)
  );
}

function orderTiers(
  usable: readonly DeploymentState[],
  context: OrderContext,
): readonly DeploymentState[] {
  const [first] = usable;
  if (first === undefined) return usable;
  const name = context.strategy ?? context.router.strategy;
  const ownLimits = context.router.enforceRateLimits || heedsOwnLimits.has(name);
  const strategyContext = createStrategyContext(context);
  const orderTier = (tier: readonly DeploymentState[]): readonly DeploymentState[] => {
    if (tier.length < 2) return tier;
    const isFullNow = (state: DeploymentState): boolean =>
      isFull(state, context.estimateTokens, ownLimits, context.now);
    if (!tier.some(isFullNow)) return strategies[name](tier, strategyContext);
    return [
      ...strategies[name](
        tier.filter((state) => !isFullNow(state)),
        strategyContext,
      ),
      ...strategies[name](tier.filter(isFullNow), strategyContext),
    ];
  };

  const { priority } = first.record;
  if (usable.every(({ record }) => record.priority === priority)) return orderTier(usable);
  const tiers = new Map<number, DeploymentState[]>();
  for (const state of usable) {
    const tier = tiers.get(state.record.priority);
    if (tier === undefined) tiers.set(state.record.priority, [state]);
    else tier.push(state);
  }
  return [...tiers.entries()].sort(([a], [b]) => a - b).flatMap(([, tier]) => orderTier(tier));
}

function latencyOf({ router, latency }: OrderContext): LatencySettings {
  return {
    windowMs: latency?.windowMs ?? router.latencyWindowMs,
    buffer: latency?.buffer ?? router.latencyBuffer,
    samples: latency?.samples ?? router.latencySamples ?? latencySamples,
  };
}

function createStrategyContext(context: OrderContext): StrategyContext {
  const { sessionKey } = context;
  const draws = new Map<DeploymentState, number>();
  return {
    now: context.now,
    stream: context.stream,
    latency: latencyOf(context),
    sticky: sessionKey !== undefined,
    draw(state) {
      const known = draws.get(state);
      if (known !== undefined) return known;
      const drawn =
        sessionKey === undefined
          ? Math.max(context.random(), Number.MIN_VALUE)
          : sessionDraw(sessionKey, state.record.id);
      draws.set(state, drawn);
      return drawn;
    },
  };
}
