import { expect, it } from 'vitest';
import { verdict } from './goals.ts';

it.each<[string, [number | undefined, number][], string]>([
  ['a figure at its goal', [[1.8, 1.8]], 'met'],
  [
    'one of two above its goal',
    [
      [0.5, 1],
      [3.1, 3],
    ],
    'over the goal',
  ],
  ['a figure that could not be measured', [[undefined, 1]], '-'],
  ['a target without goals', [], '-'],
])('says of %s what holds', (_, figures, expected) => {
  expect(verdict(...figures)).toBe(expected);
});
