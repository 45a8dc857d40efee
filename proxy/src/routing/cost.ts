import { byScore, type Strategy } from './strategy.ts';

/** Lowest price of an input plus an output token first; deployments without prices last. */
export const lowestCost: Strategy = (candidates, context) =>
  byScore(candidates, context, ({ record: { prices } }) =>
    prices === undefined ? Infinity : prices.input + prices.output,
  );
