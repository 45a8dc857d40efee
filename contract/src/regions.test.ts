import { expect, it } from 'vitest';
import { normaliseRegion, residencyOf } from './regions.ts';

it.each([
  ['swedencentral', 'eu'],
  ['Sweden Central', 'eu'],
  ['eastus2', 'us'],
  ['East US 2', 'us'],
  ['uksouth', 'uk'],
  ['switzerlandnorth', 'ch'],
  ['southafricanorth', 'za'],
  ['usgovvirginia', 'us-gov'],
  ['eu', 'eu'],
  ['us-gov', 'us-gov'],
])('%s keeps data in %s', (region, residency) => {
  expect(residencyOf(region)).toBe(residency);
});

it('does not guess the residency of a region it does not know', () => {
  expect(residencyOf('atlantiscentral')).toBeUndefined();
  expect(normaliseRegion('Atlantis Central')).toBe('atlantiscentral');
});
