/**
 * The value below which a share of the values lies, by the nearest rank.
 *
 * @param values - in any order; not empty
 * @param share - from 0 to 1; 0.5 is the median
 */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new RangeError('no values');
  return value;
}

/** The middle value; of an even number of them the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1];
  const high = sorted[Math.floor(middle)];
  if (low === undefined || high === undefined) throw new RangeError('no values');
  return (low + high) / 2;
}

/** The slope of the straight line nearest to the points (least squares), in units of y per unit of x. */
export function slope(points: readonly { x: number; y: number }[]): number {
  if (points.length < 2) throw new RangeError('a slope needs two points');
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / points.length;
  const products = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0);
  const squares = points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0);
  return products / squares;
}
