import type { RequestListener } from 'node:http';
import { inNetworks } from '@aigateway/contract/networks';
import { GatewayError } from './errors.ts';
import { clientAddress } from './pipeline/client-address.ts';
import type { Refuse } from './server.ts';

/** What a server asks of an address before it looks at anything else of a request. */
export type AddressRules = {
  /** Networks that calls are taken from; undefined = all. */
  readonly allowedIps?: readonly string[] | undefined;
  /** How many proxies before this process are ours, as {@link clientAddress} takes it. */
  readonly trustedHops: number;
};

/** They say no more than that the process lives, and whoever asks them for the platform has an address of its own. */
const probes: ReadonlySet<string> = new Set([
  '/health/liveliness',
  '/health/liveness',
  '/health/readiness',
]);

/**
 * Takes calls from allowed addresses alone, whichever plane answers them; without a list it is `answer` itself, and costs nothing.
 *
 * @param refuse - gets a call from elsewhere
 * @throws {RangeError} for a list that names no networks
 */
export function onlyFromAllowed(
  { allowedIps, trustedHops }: AddressRules,
  answer: RequestListener,
  refuse: Refuse,
): RequestListener {
  if (allowedIps === undefined) return answer;
  const isAllowed = inNetworks(allowedIps);
  return (request, response) => {
    if (isAllowed(clientAddress(request, trustedHops)) || probes.has(request.url ?? ''))
      answer(request, response);
    else refuse(request, response, new GatewayError('address_not_allowed'));
  };
}
