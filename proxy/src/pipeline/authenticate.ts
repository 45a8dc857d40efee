import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { keyHeadersIn, keyInHeader, longestKey } from '@aigateway/contract/key-headers';
import type { KeyRecord } from '@aigateway/contract/records';
import { GatewayError } from '../errors.ts';
import type { Snapshot } from '../snapshot.ts';

/** Who calls. Holds no secret. */
export type Caller = { readonly key: KeyRecord };

/**
 * Finds the one key of this gateway among the request's headers.
 *
 * A value is a key of ours if its hash is known. The same key in several headers is one caller (Roo Code sends both `api-key`
 * and `Authorization`); a foreign `Authorization` beside a key of ours is ignored. Unknown and malformed keys get one answer.
 *
 * @param now - milliseconds since the epoch, for expiry
 * @throws GatewayError 400 for two different keys of ours, 401 for none, an unknown, expired or blocked one
 */
export function authenticate(
  headers: IncomingHttpHeaders,
  snapshot: Snapshot,
  now: number,
): Caller {
  let seen: string | undefined;
  let key: KeyRecord | undefined;
  for (const name of keyHeadersOf(headers, snapshot)) {
    const value = keyInHeader(name, headers[name]);
    if (value === undefined || value === seen) continue;
    seen = value;
    const known = value.length <= longestKey ? lookUp(value, snapshot, now) : undefined;
    if (known === undefined || known === key) continue;
    if (key !== undefined) throw new GatewayError('conflicting_keys');
    key = known;
  }
  if (key === undefined)
    throw new GatewayError(seen === undefined ? 'missing_key' : 'invalid_api_key');
  if (key.blocked) throw new GatewayError('blocked_key');
  if (key.expiresAt !== undefined && key.expiresAt <= now) throw new GatewayError('expired_key');
  return { key };
}

/**
 * The same for a key that is newer than the records here: each value is asked for once where the records come from.
 *
 * @param refusal - what {@link authenticate} threw
 * @param find - takes the record of a hash into the snapshot; false when there is none
 * @throws GatewayError the refusal itself, or 503 when it cannot be told whether the key exists: unknown is not invalid
 */
export async function authenticateNewer(
  refusal: unknown,
  headers: IncomingHttpHeaders,
  snapshot: Snapshot,
  now: number,
  find: (hash: string) => Promise<boolean>,
): Promise<Caller> {
  if (!isUnknownKey(refusal)) throw refusal;
  let isFound = false;
  for (const value of keysIn(headers, snapshot)) {
    const hashed = hash('sha256', value, 'hex');
    // A secret whose time is over is no newer one.
    if (snapshot.keyByHash(hashed) !== undefined) continue;
    const found = await find(hashed).catch((cause: unknown) => {
      throw new GatewayError('key_lookup_unavailable', { retryAfterMs: 1000, cause });
    });
    isFound ||= found;
  }
  if (!isFound) throw refusal;
  return authenticate(headers, snapshot, now);
}

/** Whether a refusal says that a key came and none that is known. */
export function isUnknownKey(refusal: unknown): refusal is GatewayError {
  return refusal instanceof GatewayError && refusal.code === 'invalid_api_key';
}

/** Everything that a request brings as a key, each value once. */
export function keysIn(headers: IncomingHttpHeaders, snapshot: Snapshot): Set<string> {
  const names = keyHeadersOf(headers, snapshot);
  const values = names.map((name) => keyInHeader(name, headers[name]) ?? '');
  return new Set(values.filter((value) => value !== '' && value.length <= longestKey));
}

function keyHeadersOf(headers: IncomingHttpHeaders, snapshot: Snapshot): readonly string[] {
  return keyHeadersIn(headers, snapshot.records.settings.keyHeader);
}

function lookUp(value: string, snapshot: Snapshot, now: number): KeyRecord | undefined {
  const found = snapshot.keyByHash(hash('sha256', value, 'hex'));
  if (found === undefined) return undefined;
  return found.notAfter !== undefined && found.notAfter <= now ? undefined : found.key;
}
