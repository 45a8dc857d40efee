import { rollMinute } from './minute-window.ts';
import { byScore, type Strategy } from './strategy.ts';

/** Fewest tokens of the present minute first. */
export const lowestUsage: Strategy = (candidates, context) =>
  byScore(candidates, context, ({ minuteWindow }) => rollMinute(minuteWindow, context.now).tokens);
