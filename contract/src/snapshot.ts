import type { HolderRecord, KeyRecord, Records } from './records.ts';

/** All records but keys and holders of limits: few, and replaced as one. */
export type Catalogue = Omit<Records, 'schemaVersion' | 'revision' | 'keys' | 'holders'>;

/** A record that comes and goes by itself. */
export type SingleRecord = KeyRecord | HolderRecord;

export function isHolder(record: SingleRecord): record is HolderRecord {
  return 'kind' in record;
}

/** What a holder is called among the records. No key's id begins so. */
export function holderName({ kind, id }: Pick<HolderRecord, 'kind' | 'id'>): string {
  return `\0${kind}:${id}`;
}

/**
 * The kind of a single record by its name. A key's name is its id, a holder's begins with a NUL. Kinds that later versions add are
 * part of the name, `\x01<kind>:…`, so that who does not know them can tell whether their records are whole all the same.
 */
export function singleKind(name: string): string {
  if (name.startsWith('\u0001')) return name.slice(1, name.indexOf(':'));
  return name.startsWith('\0') ? 'holder' : 'key';
}

/** One step from a revision to the next. */
export type SnapshotChange =
  | {
      readonly kind: 'key';
      readonly revision: number;
      readonly keyId: string;
      /** Undefined when the key is gone. */
      readonly key: KeyRecord | undefined;
    }
  | {
      readonly kind: 'holder';
      readonly revision: number;
      readonly name: string;
      /** Undefined when there is no rule for it any more. */
      readonly holder: HolderRecord | undefined;
    }
  | { readonly kind: 'catalogue'; readonly revision: number; readonly catalogue: Catalogue };

/** Takes in what a control plane publishes, in the order of revisions. */
export interface SnapshotListener {
  /** A whole new view, e.g. at the start or after a gap. */
  replace(records: Records): void;
  change(change: SnapshotChange): void;
}

/** How far a source is. */
export type SnapshotStanding = {
  /** The revision its listener was told last; 0 = none yet, and nothing can be answered. */
  readonly revision: number;
  /** When a control plane last vouched for what it holds, in milliseconds since the epoch; 0 = never. Older than some 30 s is stale. */
  readonly asOfMs: number;
  /** Whether the place it reads from answers. */
  readonly connected: boolean;
  /** What it has refused since it began, because somebody else wrote it or it is not whole. Each was an event too. */
  readonly refused: number;
};

/** A key as it was at a revision. */
export type FoundKey = { readonly key: KeyRecord; readonly revision: number };

/** Where a proxy's records come from, as long as the process lives. */
export interface SnapshotSource {
  /**
   * Calls the listener with what there is as soon as it is known, then with every change. Resolves when it was told for the first
   * time, however long that takes.
   */
  start(listener: SnapshotListener): Promise<void>;
  /**
   * Asks for a key that is not among the records: it may be newer than they are.
   *
   * @param hash - lower-case hex SHA-256 of the whole secret
   * @returns undefined when there is none; it is then as unknown as any. Records of a later revision know better
   * @throws {SnapshotUnavailableError} when it cannot be told: unknown is not invalid
   */
  findKey(hash: string): Promise<FoundKey | undefined>;
  standing(): SnapshotStanding;
  close(): Promise<void>;
}

/** What a control plane tells proxies through. */
export interface SnapshotPublisher {
  /** The revision that was published last; 0 when everything must be republished first. */
  revision(): Promise<number>;
  /**
   * Makes one step: all proxies come to it. Changes are published in order; the revision is the publisher's to give.
   *
   * @param since - the revision before what is published was read: where another publisher has changed the same since then, what
   * was read may be older than what that one read. Absent = nobody else can have
   * @throws {RepublishNeededError} when there is nothing to change: publish everything instead
   * @throws {OvertakenError} when it may be older than what is published: read it again
   */
  publish(changes: readonly PublishedChange[], since?: number): Promise<number>;
  /** Replaces everything, e.g. after the store was restored or Redis lost its data. The records are read once it is this publisher's turn. */
  republish(records: AsyncIterable<SingleRecord>, catalogue: Catalogue): Promise<number>;
  close(): Promise<void>;
}

export type PublishedChange =
  | { readonly kind: 'key'; readonly keyId: string; readonly key: KeyRecord | undefined }
  | { readonly kind: 'holder'; readonly name: string; readonly holder: HolderRecord | undefined }
  | { readonly kind: 'catalogue'; readonly catalogue: Catalogue };

/** The publication of one record. */
export function published(record: SingleRecord): PublishedChange {
  return isHolder(record)
    ? { kind: 'holder', name: holderName(record), holder: record }
    : { kind: 'key', keyId: record.keyId, key: record };
}

/** What proxies hold was lost, moved back or is no longer ours: only a whole republication leads on. */
export class RepublishNeededError extends Error {
  override readonly name = 'RepublishNeededError';

  constructor() {
    super('there is no snapshot to change: everything must be published anew');
  }
}

/** Another publisher came first with the same records. */
export class OvertakenError extends Error {
  override readonly name = 'OvertakenError';

  constructor() {
    super('another publisher has changed the same records: they must be read again');
  }
}

/** It cannot be told now whether something exists. The cause is for the log. */
export class SnapshotUnavailableError extends Error {
  override readonly name = 'SnapshotUnavailableError';
}
