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

/** An append-only chain of records: each hash covers the one before it, so none can be changed or left out unseen. */
export interface Audit {
  append(entry: AuditEntry): Promise<AuditRecord>;
  /** The newest first. */
  list(query: AuditQuery): Promise<readonly AuditRecord[]>;
  count(query: Omit<AuditQuery, 'limit' | 'before'>): Promise<number>;
  /** The oldest first, from a sequence on: for export and verification. */
  from(sequence: number, limit: number): Promise<readonly AuditRecord[]>;
}
