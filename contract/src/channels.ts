import type { ScopeKind } from './limits.ts';

/**
 * Every name the gateway uses in Redis, with its type and how long it lives.
 *
 * What one script or transaction touches shares the part in braces, so that a cluster keeps it in one hash slot. Several
 * gateways on one Redis take a database or a key prefix of the connection each.
 */
const prefix = 'aigateway';

/** What is counted for a holder of limits. A budget's window, `total` for one that never resets, is part of its name. */
export type LimitCounter = 'requests' | 'tokens' | 'parallel' | `budget:${string}`;

/**
 * What is granted of one limit. Hash.
 *
 * `requests`, `tokens`, `budget:…`: fields `start` and `end` of the window (ms of Redis TIME), `used` (all that is granted), and
 * for each proxy `<sequence>:<amount>`, its part of `used`. Lives a minute longer than its window; for ever when that never ends.
 *
 * `parallel`: for each proxy `<sequence>:<slots>:<end>`; a proxy that does not renew in time loses its slots. Lives as long as
 * the last of them.
 */
export function limitKey(kind: ScopeKind, id: string, counter: LimitCounter): string {
  return `${prefix}:limit:{${kind}:${id}}:${counter}`;
}

/** Proxies that are alive, each with when it last said so (ms of Redis TIME). Sorted set, lives while a proxy does. */
export const liveProxiesKey = `${prefix}:proxies`;
