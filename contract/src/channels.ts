import type { ScopeKind } from './limits.ts';

/**
 * Every name the gateway uses in Redis, with its type and how long it lives.
 *
 * What one script or transaction touches shares the part in braces, so that a cluster keeps it in one hash slot. Several
 * gateways on one Redis take a database or a key prefix of the connection each.
 */
const prefix = 'aigateway';

/** The sealed head that vouches for all of the snapshot, and as hints its `revision` and `generation`. Hash, for ever. */
export const snapshotHeadKey = `${prefix}:{snapshot}:head`;

/**
 * What changed: ids are `<revision>-<place>`, fields `kind`, `id`, and `before`, the revision of what was replaced (0 = nothing).
 * Stream, the last 10,000 entries of a generation.
 */
export const snapshotLogKey = `${prefix}:{snapshot}:log`;

/** Who is writing a new generation. String, until that is in force, 30 s at most unless renewed. */
export const snapshotLockKey = `${prefix}:{snapshot}:lock`;

/** Signed keys by key id, and holders of limits by name. Hash, until the next generation is in force; an hour if it never came into force itself. */
export function snapshotKeysKey(generation: number): string {
  return `${prefix}:{snapshot}:keys:${generation}`;
}

/** Key ids by hash of the secret. Hash, lives as {@link snapshotKeysKey}. */
export function snapshotHashesKey(generation: number): string {
  return `${prefix}:{snapshot}:hashes:${generation}`;
}

/** Everything but keys and holders, signed. String, lives as {@link snapshotKeysKey}. */
export function snapshotCatalogueKey(generation: number): string {
  return `${prefix}:{snapshot}:catalogue:${generation}`;
}

/** Producers of usage events, each with when it last said that it is there (ms). Sorted set; who is silent for a week and counted goes. */
export const usageProducersKey = `${prefix}:usage:producers`;

/**
 * Events on their way to the ledger: ids are `<sequence>-0`, fields `record` and `mac`, its signature. Stream, 10,000 entries at most; only what is counted
 * leaves it, so that it tells its producer how far that is, and stays, empty, as long as the producer is known.
 */
export function usageStreamKey(producer: string): string {
  return `${prefix}:usage:{${producer}}:stream`;
}

/** Events that were not taken in: fields `producer`, `sequence`, `reason`, `text`. Stream, about the last 1,000. */
export const usageRefusedKey = `${prefix}:usage:refused`;

/** Which control plane takes a producer's events in. String, for the time that takes, 10 s at most unless renewed. */
export function usageLeaseKey(producer: string): string {
  return `${prefix}:usage:{${producer}}:lease`;
}

/** Which control plane drops old single usage records. String, for the time that takes, 10 minutes at most unless renewed. */
export const logRetentionLeaseKey = `${prefix}:usage:retention`;

/** The usage record of a background response that was charged by estimate. String, 31 days, or until it is corrected. */
export function estimateKey(id: string): string {
  return `${prefix}:estimate:${id}`;
}

/** That deployments began to rest or were back: field `change`, JSON. Stream, about the last 1,000, a week after the last. */
export const standingChangesKey = `${prefix}:standing-changes`;

/**
 * What is counted for a holder of limits. A budget's window, `total` for one that never resets, is part of its name; `requests:total` are
 * all requests ever.
 */
export type LimitCounter =
  | 'requests'
  | 'tokens'
  | 'parallel'
  | 'requests:total'
  | `budget:${string}`;

/**
 * What is granted of one limit. Hash.
 *
 * `requests`, `tokens`, `requests:total`, `budget:…`: fields `start` and `end` of the window (ms of Redis TIME), `used` (all that is granted), and
 * for each proxy `<sequence>:<amount>`, its part of `used`. Budgets also have `set`, when the spend was set
 * last within the window; what it was set to is part of `used`. Lives a minute longer than its window; for ever when that never ends.
 *
 * `parallel`: for each proxy `<sequence>:<slots>:<end>`; a proxy that does not renew in time loses its slots. Lives as long as
 * the last of them.
 */
export function limitKey(kind: ScopeKind, id: string, counter: LimitCounter): string {
  return `${prefix}:limit:{${kind}:${id}}:${counter}`;
}

/** Field of {@link limitKey} of a budget or of `requests:total`: the part that is known from the ledger and from no proxy. `0:<amount>`. */
export const ledgerPart = 'ledger';

/** Run ids of the servers that know of all spend that the ledger knows of. String, for ever. */
export const budgetsKeptKey = `${prefix}:budgets:kept`;
/**
 * What a holder's spend was set to, of all its budgets: `at` (ms of Redis TIME) and `amount`. Hash, for ever. A budget's counter
 * whose `set` is older begins anew from there.
 */
export function limitSpendKey(kind: ScopeKind, id: string): string {
  return `${prefix}:limit:{${kind}:${id}}:spend`;
}

/** Holders whose spend was set of late, `<kind>:<id>` by when (ms of Redis TIME), so that proxies let go of what they leased. Sorted set. */
export const spendSetsKey = `${prefix}:spend-sets`;

/** Proxies that are alive, each with when it last said so (ms of Redis TIME). Sorted set, lives while a proxy does. */
export const liveProxiesKey = `${prefix}:proxies`;

/**
 * Which server knows of all that was granted (`run`, its run id), and from when on limits of minutes may be granted (`from`, ms of
 * Redis TIME): what was granted before is not known where data was lost. Hash, for ever.
 */
export const limitsKnownKey = `${prefix}:limits-known`;
