import type { DeploymentRecord } from '@aigateway/contract/records';
import type { DeploymentState } from './deployments.ts';
import { byScore, type Strategy } from './strategy.ts';

const weights: readonly ((record: DeploymentRecord) => number | undefined)[] = [
  (record) => record.weight,
  (record) => record.requestsPerMinute,
  (record) => record.tokensPerMinute,
];

/**
 * Weighted random order, LiteLLM's default: the first of weight, rpm and tpm that any candidate sets is the weight of all of
 * them. Without it a candidate weighs 0 and comes only after those that weigh something; when all weigh 0, all are equal.
 *
 * Each candidate gets the key -ln(u)/weight and the lowest is first: a weighted shuffle for random u, and weighted
 * rendezvous hashing for a u hashed from session and deployment.
 */
export const simpleShuffle: Strategy = (candidates, context) => {
  const weightOf = weights.find((weight) =>
    candidates.some(({ record }) => weight(record) !== undefined),
  );
  const score = (state: DeploymentState): number => {
    const weight = weightOf === undefined ? 1 : (weightOf(state.record) ?? 0);
    return weight > 0 ? -Math.log(context.draw(state)) / weight : Infinity;
  };
  return byScore(candidates, context, score);
};
