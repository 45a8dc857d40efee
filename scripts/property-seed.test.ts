import fc from 'fast-check';
import { expect, it } from 'vitest';

it('draws the same cases whenever a property is tried', () => {
  const cases = () => fc.sample(fc.string({ unit: 'binary' }), 50);
  expect(cases()).toEqual(cases());
});
