import { byScore, type Strategy } from './strategy.ts';

/** Fewest calls in flight first. */
export const leastBusy: Strategy = (candidates, context) =>
  byScore(candidates, context, (state) => state.inFlight);
