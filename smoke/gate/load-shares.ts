/** Shares of all callers of `--load`, one step after the other. Imported by k6 as well: nothing of Node may come in here. */
export const loadShares: readonly number[] = [0.25, 0.5, 0.75, 1, 0.25];
