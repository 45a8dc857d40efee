import type { DeploymentState } from './deployments.ts';

/** What latency-based routing goes by. */
export type LatencySettings = {
  /** How long a measurement counts. */
  windowMs: number;
  /** Share by which a latency may be above the best and still be its equal. */
  buffer: number;
  /** How many of the last measurements count. */
  samples: number;
};

/** What a strategy may know of the call. */
export type StrategyContext = {
  /** Milliseconds since the epoch. */
  now: number;
  stream: boolean;
  latency: LatencySettings;
  /** True when `draw` is the same for every call of one conversation. */
  sticky: boolean;
  /**
   * A number between 0 and 1, both excluded, by which equals are ordered, lowest first: random, or a hash of session and
   * deployment, so that one conversation meets its warm prompt cache again. One value per deployment and call.
   */
  draw(state: DeploymentState): number;
};

/**
 * Orders equals of one priority tier, best first. Gives back every candidate exactly once; health, tiers and free capacity
 * are applied around it, so that no strategy can forget them.
 */
export type Strategy = (
  candidates: readonly DeploymentState[],
  context: StrategyContext,
) => readonly DeploymentState[];

/**
 * Ascending by a number computed once per candidate, ties by the draw.
 *
 * @param score - lower is better; must not be NaN
 */
export function byScore(
  candidates: readonly DeploymentState[],
  context: StrategyContext,
  score: (state: DeploymentState) => number,
): readonly DeploymentState[] {
  return candidates
    .map((state) => ({ state, score: score(state), draw: context.draw(state) }))
    .sort((a, b) => (a.score === b.score ? a.draw - b.draw : a.score < b.score ? -1 : 1))
    .map(({ state }) => state);
}
