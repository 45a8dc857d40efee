/** What the gateway may take besides the ratios of the workloads: the table of docs/performance.md. */
export const goals = {
  /** CPU time of chat-1k as a ratio to nginx. */
  chatToNginx: 5,
  addedP50Ms: 1,
  addedP99Ms: 3,
  readyMs: 700,
  /** Resident, with 20,000 keys, after calls. */
  warmBytes: 160e6,
} as const;

/**
 * Whether figures keep to their goals.
 *
 * @param figures - each with the most that it may be
 * @returns `-` where one of them could not be measured, or there are none
 */
export function verdict(
  ...figures: readonly (readonly [figure: number | undefined, most: number])[]
): string {
  if (figures.length === 0) return '-';
  if (figures.some(([figure]) => figure === undefined || Number.isNaN(figure))) return '-';
  return figures.every(([figure = 0, most]) => figure <= most) ? 'met' : 'over the goal';
}
