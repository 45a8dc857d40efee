import type { ActivityRow } from '../store/ledger.ts';
import { sumNames } from '../store/usage-sums.ts';

/** The holder of what nobody holds. */
export const nobody = '';

/**
 * What of all that was used is not among the rows of holders, as rows of nobody: LiteLLM shows requests without a team or a customer
 * beside the others.
 *
 * @param nameOf - what a row is of, on its day
 */
export function beyond(
  all: readonly ActivityRow[],
  held: readonly ActivityRow[],
  nameOf: (row: ActivityRow) => string,
): ActivityRow[] {
  const heldOf = Map.groupBy(held, (row) => JSON.stringify([row.day, nameOf(row)]));
  return all.flatMap((row) => {
    const name = nameOf(row);
    const sums = { ...row.sums };
    for (const { sums: own } of heldOf.get(JSON.stringify([row.day, name])) ?? [])
      for (const member of sumNames) sums[member] -= own[member];
    const isAny = sums.requests > 0 || sums.costNanoUsd > 0;
    return isAny ? [{ day: row.day, id: nobody, byId: name, sums }] : [];
  });
}
