import { expect, it } from 'vitest';
import { nearestName } from './names.ts';

const known = ['rpm_limit', 'tpm_limit', 'max_budget', 'budget_duration', 'order', 'port'];

it.each([
  ['rpm_limt', 'rpm_limit'],
  ['rpm-limit', 'rpm_limit'],
  ['RPM_LIMIT', 'rpm_limit'],
  ['max_bugdet', 'max_budget'],
  ['budget_durration', 'budget_duration'],
  ['prot', 'port'],
])('suggests for %s the name %s', (mistyped, meant) => {
  expect(nearestName(mistyped, known)).toBe(meant);
});

it('suggests nothing that is not near', () => {
  expect(nearestName('temperature', known)).toBeUndefined();
  expect(nearestName('pot_limit_x', known)).toBeUndefined();
  expect(nearestName('ab', known)).toBeUndefined();
});
