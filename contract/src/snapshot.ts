import type { KeyRecord, Records } from './records.ts';

/** All records but the keys: few, and replaced as one. */
export type Catalogue = Omit<Records, 'schemaVersion' | 'revision' | 'keys'>;

/** One step from a revision to the next. */
export type SnapshotChange =
  | {
      readonly kind: 'key';
      readonly revision: number;
      readonly keyId: string;
      /** Undefined when the key is gone. */
      readonly key: KeyRecord | undefined;
    }
  | { readonly kind: 'catalogue'; readonly revision: number; readonly catalogue: Catalogue };

/** Takes in what a control plane publishes, in the order of revisions. */
export interface SnapshotListener {
  /** A whole new view, e.g. at the start or after a gap. */
  replace(records: Records): void;
  change(change: SnapshotChange): void;
}

/** Where a proxy's records come from, as long as the process lives. */
export interface SnapshotSource {
  /** Calls the listener with what there is as soon as it is known, then with every change. */
  start(listener: SnapshotListener): Promise<void>;
  /**
   * Asks for a key that is not among the records: it may be newer than they are.
   *
   * @param hash - lower-case hex SHA-256 of the whole secret
   * @returns undefined when there is none; it is then as unknown as any
   * @throws when it cannot be told: unknown is not invalid
   */
  findKey(hash: string): Promise<KeyRecord | undefined>;
  close(): Promise<void>;
}

/** What a control plane tells proxies through. */
export interface SnapshotPublisher {
  /** The revision that was published last; 0 when nothing was. */
  revision(): Promise<number>;
  /** Makes one step: all proxies come to it. Changes are published in order; the revision is the publisher's to give. */
  publish(changes: readonly PublishedChange[]): Promise<number>;
  /** Replaces everything, e.g. after the store was restored or Redis lost its data. */
  republish(keys: AsyncIterable<KeyRecord>, catalogue: Catalogue): Promise<number>;
  close(): Promise<void>;
}

export type PublishedChange =
  | { readonly kind: 'key'; readonly keyId: string; readonly key: KeyRecord | undefined }
  | { readonly kind: 'catalogue'; readonly catalogue: Catalogue };
