import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { clientAddress } from './client-address.ts';

function address(forwarded: string | undefined, trustedHops: number): string {
  const request = {
    socket: { remoteAddress: '10.0.0.1' },
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  };
  return clientAddress(request as unknown as IncomingMessage, trustedHops);
}

describe('clientAddress', () => {
  it('believes no header without proxies of our own', () => {
    expect(address('1.2.3.4', 0)).toBe('10.0.0.1');
  });

  it('takes the address that the outermost of our proxies saw, whatever a caller put before it', () => {
    expect(address('6.6.6.6, 1.2.3.4', 1)).toBe('1.2.3.4');
    expect(address('6.6.6.6, 1.2.3.4, 10.9.9.9', 2)).toBe('1.2.3.4');
    expect(address('2001:db8::1', 1)).toBe('2001:db8::1');
  });

  it('leaves out the port that some proxies write behind it', () => {
    expect(address('1.2.3.4:50123', 1)).toBe('1.2.3.4');
    expect(address('[2001:db8::1]:50123', 1)).toBe('2001:db8::1');
    expect(address('[2001:db8::1]', 1)).toBe('2001:db8::1');
  });

  it('falls back to the connection for a header that is missing, too short or no address', () => {
    expect(address(undefined, 1)).toBe('10.0.0.1');
    expect(address('1.2.3.4', 2)).toBe('10.0.0.1');
    expect(address('"}{"forged":1', 1)).toBe('10.0.0.1');
  });
});
