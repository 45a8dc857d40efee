import { createHash } from 'node:crypto';
import type { JsonObject } from '@aigateway/contract/records';

/** One change that somebody made. Holds no secret. */
export type AuditEntry = {
  /** Whole time in milliseconds since the epoch. */
  at: number;
  /** Who: `user_id`, `key_id` or the master key's name. */
  actor: string;
  actorRole: string;
  /** What LiteLLM's `litellm-changed-by` header said. */
  onBehalfOf: string | null;
  /** `created`, `updated`, `deleted`, `blocked`, `unblocked`, `regenerated`… */
  action: string;
  /** The kind and id of what was changed. */
  objectKind: string;
  objectId: string;
  /** Method and path of the route, without values. */
  route: string;
  requestId: string;
  before: JsonObject | null;
  after: JsonObject | null;
};

export type AuditRecord = AuditEntry & {
  /** 1, 2, 3… without a gap. */
  sequence: number;
  /** Lower-case hex SHA-256 over the previous record's hash and this entry, see `hashOf`. */
  hash: string;
};

export type AuditQuery = {
  limit: number;
  /** Only records before this sequence. */
  before?: number;
  actor?: string;
  objectKind?: string;
  objectId?: string;
  action?: string;
  /** Milliseconds since the epoch, the end not included. */
  fromMs?: number;
  toMs?: number;
};

/**
 * An append-only chain of records: each hash covers the one before it, so none can be changed or left out unseen. A record is
 * appended by the write that it is about (`Entities.write`), which holds the chain's newest place until it is done (a row, or a
 * document's ETag): there is one order, whoever writes.
 *
 * @throws {StoreUnavailableError} from every method
 */
export interface Audit {
  /** The newest first. */
  list(query: AuditQuery): Promise<readonly AuditRecord[]>;
  count(query: Omit<AuditQuery, 'limit' | 'before'>): Promise<number>;
  /** The oldest first, from a sequence on: for export and verification. */
  from(sequence: number, limit: number): Promise<readonly AuditRecord[]>;
  /** Takes in records of another store's chain as they are, in their order; those that are there already are passed over. */
  load(records: readonly AuditRecord[]): Promise<void>;
}

/** What stands for the previous record's hash in the first one. */
export const rootHash = '0'.repeat(64);

/**
 * The hash that ties an entry to all before it: SHA-256 of the previous record's hash, a line feed and the entry as canonical JSON.
 *
 * @returns lower-case hex
 */
export function hashOf(previousHash: string, entry: AuditEntry): string {
  return createHash('sha256')
    .update(`${previousHash}\n${canonicalJson(entry)}`)
    .digest('hex');
}

/**
 * JSON that is the same for equal values: members in the order of their names, nothing between them. Those that are undefined are
 * left out.
 *
 * @see RFC 8785
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value))
    return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
  return `{${members.join(',')}}`;
}

/** A place in the chain, to be noted where nobody who can change the store can change it too. */
export type AuditPlace = { readonly sequence: number; readonly hash: string };

export type AuditVerdict =
  /** The newest record; sequence 0 when there is none. */
  | { readonly intact: true; readonly newest: AuditPlace }
  /** The first record that is missing, or is not what was appended. */
  | { readonly intact: false; readonly sequence: number };

const verifyPage = 1000;

/**
 * Goes through the chain and tells whether it is as it was appended. Who can write to the store can also make a new chain or cut its
 * end off: `noted`, a place that an earlier run returned, shows that.
 */
export async function verify(
  audit: Pick<Audit, 'from'>,
  noted: AuditPlace = { sequence: 0, hash: rootHash },
): Promise<AuditVerdict> {
  let newest: AuditPlace = { sequence: 0, hash: rootHash };
  for (;;) {
    const records = await audit.from(newest.sequence + 1, verifyPage);
    for (const { sequence, hash, ...entry } of records) {
      const expected = newest.sequence + 1;
      const fits = sequence === expected && hash === hashOf(newest.hash, entry);
      if (!fits || (sequence === noted.sequence && hash !== noted.hash)) {
        return { intact: false, sequence: expected };
      }
      newest = { sequence, hash };
    }
    if (records.length < verifyPage) break;
  }
  if (newest.sequence < noted.sequence) return { intact: false, sequence: newest.sequence + 1 };
  return { intact: true, newest };
}
