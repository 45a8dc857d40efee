import { describe, expect, it } from 'vitest';
import { inNetworks, isNetwork } from './networks.ts';

describe('a network', () => {
  it.each(['203.0.113.7', '10.0.0.0/8', '2001:db8::/32', '::1', '10.1.2.3/8', '0.0.0.0/1'])(
    'is %s',
    (text) => expect(isNetwork(text)).toBe(true),
  );

  it.each([
    '0.0.0.0/0',
    '::/0',
    'office',
    '10.0.0.256',
    '10.0.0.0/33',
    '10.0.0.0/',
    '',
    'fe80::1%eth0',
  ])('is not "%s"', (text) => {
    expect(isNetwork(text)).toBe(false);
    expect(() => inNetworks([text])).toThrow(RangeError);
  });
});

describe('inNetworks', () => {
  const isAllowed = inNetworks(['203.0.113.7', '10.20.0.0/16', '2001:db8:1::/48']);

  it.each(['203.0.113.7', '10.20.255.255', '::ffff:10.20.0.1', '2001:db8:1:2::3', '2001:DB8:1::'])(
    'has %s',
    (address) => expect(isAllowed(address)).toBe(true),
  );

  it.each(['203.0.113.8', '10.21.0.0', '::ffff:10.21.0.1', '2001:db8:2::1', '::1', '', 'unknown'])(
    'has not "%s"',
    (address) => expect(isAllowed(address)).toBe(false),
  );
});
