import type { Strategy } from './strategy.ts';

/**
 * Each in turn: the one whose last turn is longest ago is first. Calls of one conversation stay together instead; many
 * conversations spread evenly by themselves.
 */
export const roundRobin: Strategy = (candidates, context) => {
  if (context.sticky) return candidates.toSorted((a, b) => context.draw(a) - context.draw(b));
  const order = candidates.toSorted((a, b) => a.turn - b.turn);
  const [first] = order;
  const last = order.at(-1);
  if (first !== undefined && last !== undefined) first.turn = last.turn + 1;
  return order;
};
