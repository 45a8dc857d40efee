import type { IncomingHttpHeaders } from 'node:http';
import { timingSafeEqual } from 'node:crypto';
import { hashSecret } from '@aigateway/contract/key';
import { keyHeadersIn, keyInHeader, longestKey } from '@aigateway/contract/key-headers';
import type { LoginThrottle } from '@aigateway/contract/login-throttle';
import { proxyError, tooManyWrongKeys } from '../errors.ts';
import type { View } from '../http/view.ts';
import type { KeyDocument } from '../store/documents.ts';
import { type Actor, commonRole, masterActor, masterUserId, type Role } from './actor.ts';

/** What keys are looked up in, and who slows down those who guess them. */
export type LoginContext = {
  /** Undefined = there is none. */
  readonly masterKeyHash: string | undefined;
  /** `litellm_key_header_name`, in lower case. */
  readonly keyHeader: string | undefined;
  readonly view: View;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Address of the caller. */
  readonly client: string;
  readonly logins: LoginThrottle | undefined;
};

/**
 * Finds out who calls: the master key, or a virtual key in the store.
 *
 * A value is a key of ours if its hash is known; a foreign `Authorization` beside it is ignored.
 *
 * @throws ApiError 400 for two different keys of ours, 401 for none, an unknown, expired or blocked one, 429 where too many were
 *   tried from the caller's address
 */
export async function authenticate(
  headers: IncomingHttpHeaders,
  { masterKeyHash, keyHeader, view, now, client, logins }: LoginContext,
): Promise<Actor> {
  const values = new Set<string>();
  for (const name of keyHeadersIn(headers, keyHeader)) {
    const value = keyInHeader(name, headers[name]);
    if (value !== undefined && value.length <= longestKey) values.add(value);
  }
  if (values.size === 0) {
    throw proxyError(
      401,
      'auth_error',
      'Authentication Error, No api key passed in. Send it as "Authorization: Bearer <key>".',
      'None',
    );
  }
  const found = new Map<string, KeyDocument | 'master'>();
  let waitMs = 0;
  for (const value of values) {
    const waitOfOne = logins?.waitMs(client, value) ?? 0;
    waitMs = Math.max(waitMs, waitOfOne);
    if (waitOfOne > 0) continue;
    const hash = hashSecret(value);
    const isMaster = masterKeyHash !== undefined && isEqual(hash, masterKeyHash);
    const key = isMaster ? 'master' : await keyByHash(view, hash, now);
    if (key === undefined) continue;
    found.set(key === 'master' ? key : key.key_id, key);
    logins?.succeeded(client, value);
  }
  const [only, another] = found.values();
  if (only === undefined) {
    for (const value of values) waitMs = Math.max(waitMs, logins?.failed(client, value) ?? 0);
    if (waitMs > 0) throw tooManyWrongKeys(waitMs);
    throw proxyError(
      401,
      'token_not_found_in_db',
      'Authentication Error, Invalid proxy server token passed. The key is not known here.',
      'key',
    );
  }
  if (another !== undefined) {
    throw proxyError(
      400,
      'bad_request_error',
      'Two different gateway keys came with this request. Send exactly one.',
    );
  }
  return only === 'master' ? masterActor : keyActor(only, view, now);
}

async function keyByHash(view: View, hash: string, now: number): Promise<KeyDocument | undefined> {
  const { rows } = await view.find('key', { where: { hash }, limit: 1 });
  const [key] = rows;
  const secret = key?.secrets.find((one) => one.hash === hash);
  if (secret === undefined) return undefined;
  return secret.not_after !== null && Date.parse(secret.not_after) <= now ? undefined : key;
}

/** The rights of a key now: those of its user and of who made it, whatever they were when it was made. */
async function keyActor(key: KeyDocument, view: View, now: number): Promise<Actor> {
  if (key.blocked) {
    throw proxyError(401, 'auth_error', 'Authentication Error, Key is blocked.', 'None');
  }
  if (key.expires !== null && Date.parse(key.expires) <= now) {
    throw proxyError(
      401,
      'expired_key',
      `Authentication Error - Expired Key. Key Expiry time ${key.expires}.`,
      key.secrets[0]?.name ?? null,
    );
  }
  if (key.team_id !== null && (await view.get('team', key.team_id))?.blocked) {
    throw proxyError(401, 'auth_error', 'Authentication Error, Team is blocked.', 'None');
  }
  const user = key.user_id === null ? undefined : await view.get('user', key.user_id);
  const self = { kind: 'key', id: key.user_id ?? key.key_id, key, user } as const;
  const grantor = key.granted_by ?? key.created_by;
  const grantorRole = await roleOf(grantor, view);
  // Who made a key for somebody else knows its secret: only an administrator hands out another user's rights with it.
  const isOwners = key.user_id !== null && grantor === key.user_id;
  if (key.user_id === null || !(isOwners || grantorRole === 'proxy_admin')) {
    return { ...self, id: key.key_id, role: 'none', userId: undefined, user: undefined };
  }
  return {
    ...self,
    role: commonRole(await roleOf(key.user_id, view), grantorRole),
    userId: key.user_id,
  };
}

async function roleOf(userId: string, view: View): Promise<Role> {
  if (userId === masterUserId) return 'proxy_admin';
  return (await view.get('user', userId))?.user_role ?? 'none';
}

function isEqual(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}
