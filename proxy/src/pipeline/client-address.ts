import type { IncomingMessage } from 'node:http';

/**
 * Address of the caller, for the log and for counting wrong keys.
 *
 * Every proxy on the way appends the address that it saw to `x-forwarded-for`; what stands further left was written by whoever
 * sent the request. So with n proxies of our own the n-th address from the right counts, and with none the header does not. App Service
 * and Application Gateway write the port of the connection behind it, which would be another one each time.
 *
 * @param trustedHops - proxies of our own before this process
 */
export function clientAddress(request: IncomingMessage, trustedHops: number): string {
  const peer = request.socket.remoteAddress ?? '';
  if (trustedHops === 0) return peer;
  const forwarded = request.headers['x-forwarded-for'];
  const addresses = (Array.isArray(forwarded) ? forwarded.join(',') : (forwarded ?? ''))
    .split(',')
    .map((address) => address.trim())
    .filter((address) => address !== '');
  const claimed = addresses.at(-trustedHops);
  return claimed !== undefined && /^[\da-fA-F.:[\]]{2,64}$/.test(claimed)
    ? withoutPort(claimed)
    : peer;
}

/** `1.2.3.4:5` and `[2001:db8::1]:5`; an address of version 6 without brackets has no port. */
function withoutPort(address: string): string {
  const match = /^(?:([\d.]+):\d+|\[([^\]]+)\](?::\d+)?)$/.exec(address);
  return match?.[1] ?? match?.[2] ?? address;
}
