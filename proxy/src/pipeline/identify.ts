import type { IncomingMessage } from 'node:http';
import { hashSecret } from '@aigateway/contract/key';
import type { LoginThrottle } from '@aigateway/contract/login-throttle';
import { GatewayError } from '../errors.ts';
import type { Snapshot } from '../snapshot.ts';
import {
  authenticate,
  authenticateNewer,
  isUnknownKey,
  keysIn,
  type Caller,
} from './authenticate.ts';
import { clientAddress } from './client-address.ts';
import type { Gateway } from './gateway.ts';

type Parts = Pick<Gateway, 'findKey' | 'logins' | 'options'>;

/**
 * Who calls; asks for a key that is not among the records where they come from, if there is somebody to ask. Slows down whoever
 * guesses.
 *
 * @throws GatewayError as {@link authenticate} and {@link authenticateNewer} do, and `too_many_wrong_keys`
 */
export function identify(
  request: IncomingMessage,
  snapshot: Snapshot,
  now: number,
  gateway: Parts,
): Caller | Promise<Caller> {
  const { logins, findKey } = gateway;
  try {
    const caller = authenticate(request.headers, snapshot, now);
    if (logins !== undefined && !logins.isQuiet) welcome(request, snapshot, gateway, logins);
    return caller;
  } catch (refusal) {
    if (!isUnknownKey(refusal)) throw refusal;
    if (findKey === undefined) throw failure(request, snapshot, gateway, refusal);
    return identifyNewer(request, snapshot, now, gateway, refusal);
  }
}

async function identifyNewer(
  request: IncomingMessage,
  snapshot: Snapshot,
  now: number,
  gateway: Parts,
  refusal: GatewayError,
): Promise<Caller> {
  const { logins, findKey, options } = gateway;
  if (logins !== undefined && !logins.isQuiet) {
    const address = clientAddress(request, options.trustedHops);
    for (const value of keysIn(request.headers, snapshot)) {
      const waitMs = logins.waitMs(address, value);
      if (waitMs > 0) throw tooMany(waitMs);
    }
  }
  const find = findKey ?? (() => Promise.resolve(false));
  const newer = authenticateNewer(refusal, request.headers, snapshot, now, find);
  return newer.catch((thrown: unknown) => {
    throw isUnknownKey(thrown) ? failure(request, snapshot, gateway, thrown) : thrown;
  });
}

/** A right key that could have been guessed is taken only where there are tries left, or where it was right before. */
function welcome(
  request: IncomingMessage,
  snapshot: Snapshot,
  { options }: Parts,
  logins: LoginThrottle,
): void {
  const address = clientAddress(request, options.trustedHops);
  for (const value of keysIn(request.headers, snapshot)) {
    // A foreign Authorization may stand beside it.
    if (snapshot.keyByHash(hashSecret(value)) === undefined) continue;
    const waitMs = logins.waitMs(address, value);
    if (waitMs > 0) throw tooMany(waitMs);
    logins.succeeded(address, value);
  }
}

/** What is answered to a wrong key. */
function failure(
  request: IncomingMessage,
  snapshot: Snapshot,
  { logins, options }: Parts,
  refusal: GatewayError,
): GatewayError {
  if (logins === undefined) return refusal;
  const address = clientAddress(request, options.trustedHops);
  let waitMs = 0;
  for (const value of keysIn(request.headers, snapshot))
    waitMs = Math.max(waitMs, logins.failed(address, value));
  return waitMs > 0 ? tooMany(waitMs) : refusal;
}

function tooMany(retryAfterMs: number): GatewayError {
  const seconds = Math.ceil(retryAfterMs / 1000);
  return new GatewayError('too_many_wrong_keys', { retryAfterMs, values: { seconds } });
}
