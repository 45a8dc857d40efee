import {
  schemaVersion,
  type HolderRecord,
  type KeyRecord,
  type Records,
} from '@aigateway/contract/records';
import { createSharing, withSharedLimits, withSharedPolicy } from '@aigateway/contract/sharing';
import {
  SnapshotDigest,
  type SnapshotHead,
  type SnapshotSigner,
} from '@aigateway/contract/signing';
import type { Catalogue, SnapshotChange } from '@aigateway/contract/snapshot';

/**
 * Why something read is not believed.
 *
 * - `forged`: not signed by a holder of the root secret
 * - `omitted`: signed, but something is missing, added or put back: the head does not vouch for it
 * - `older`: from before what is known already; Redis lost what it had, or somebody put it back
 * - `unreadable`: of a schema that this version does not know
 */
export type RefusalReason = 'forged' | 'omitted' | 'older' | 'unreadable';

/** Something read was refused; what was known before stays in force. */
export class SnapshotRefusedError extends Error {
  override readonly name = 'SnapshotRefusedError';
  readonly reason: RefusalReason;
  /** `head`, `catalogue`, or `key` or `holder` and its id. */
  readonly subject: string;

  constructor(reason: RefusalReason, subject: string) {
    super(`${subject} was refused: ${reason}`);
    this.reason = reason;
    this.subject = subject;
  }
}

/** A record as it was read; undefined when it is gone. */
export type ReadRecord = {
  /** `key`, `holder`, `catalogue`, or one of a later version: that is checked and counted, and otherwise passed over. */
  readonly kind: string;
  readonly id: string;
  readonly text: string | undefined;
};

/** A record that changed since a head. */
export type ChangedRecord = ReadRecord & {
  /** The revision it was at then; 0 when there was none. */
  readonly before: number;
  /** The revision of its last change. */
  readonly changedAt: number;
};

/** A whole snapshot that its head vouches for. */
export type CompleteSnapshot = { readonly records: Records; readonly state: SnapshotState };

type Known<Value> = { readonly revision: number; readonly value: Value };

/** @throws {SnapshotRefusedError} */
export function openHead(signer: SnapshotSigner, sealed: string): SnapshotHead {
  const head = signer.open(sealed);
  if (head === undefined) throw new SnapshotRefusedError('forged', 'head');
  if (!isReadable(head)) throw new SnapshotRefusedError('unreadable', 'head');
  return head;
}

/** What a signed record says. @throws {SnapshotRefusedError} */
export function openRecord<Value = unknown>(
  signer: SnapshotSigner,
  { kind, id, text }: ReadRecord & { readonly text: string },
): { readonly revision: number; readonly value: Value } {
  const subject = subjectOf(kind, id);
  const record = signer.verify(kind, id, text);
  if (record === undefined) throw new SnapshotRefusedError('forged', subject);
  if (!isReadable(record)) throw new SnapshotRefusedError('unreadable', subject);
  return { revision: record.revision, value: JSON.parse(record.body) as Value };
}

function subjectOf(kind: string, id: string): string {
  return id === '' ? kind : `${kind} ${id.replace('\0', '').replace('\u0001', '')}`;
}

function isReadable({ schemaVersion: version }: { readonly schemaVersion: number }): boolean {
  return Math.abs(version - schemaVersion) <= 1;
}

/** Gathers the records of a whole snapshot, in any order; of several with one id the last one counts. */
export class SnapshotAssembly {
  readonly #signer: SnapshotSigner;
  readonly #share = createSharing();
  readonly #keys = new Map<string, Known<KeyRecord>>();
  readonly #holders = new Map<string, Known<HolderRecord>>();
  /** Of kinds that this version does not know: their kind is the value. */
  readonly #others = new Map<string, Known<string>>();
  #catalogue: { readonly revision: number; readonly value: Catalogue } | undefined;

  constructor(signer: SnapshotSigner) {
    this.#signer = signer;
  }

  /** @throws {SnapshotRefusedError} */
  put({ kind, id, text }: ReadRecord): void {
    if (kind === 'catalogue') {
      this.#catalogue =
        text === undefined ? undefined : openRecord<Catalogue>(this.#signer, { kind, id, text });
      return;
    }
    if (text === undefined) {
      this.#mapOf(kind).delete(id);
      return;
    }
    if (kind === 'key') {
      const { revision, value } = openRecord<KeyRecord>(this.#signer, { kind, id, text });
      this.#keys.set(id, { revision, value: withSharedPolicy(value, this.#share) });
    } else if (kind === 'holder') {
      const { revision, value } = openRecord<HolderRecord>(this.#signer, { kind, id, text });
      this.#holders.set(id, { revision, value: withSharedLimits(value, this.#share) });
    } else {
      const { revision } = openRecord(this.#signer, { kind, id, text });
      this.#others.set(id, { revision, value: kind });
    }
  }

  /**
   * The snapshot, if it is exactly what the head vouches for.
   *
   * @throws {SnapshotRefusedError}
   */
  complete(head: SnapshotHead): CompleteSnapshot {
    const count = this.#keys.size + this.#holders.size + this.#others.size;
    if (this.#catalogue === undefined || count !== head.count) {
      throw new SnapshotRefusedError('omitted', 'snapshot');
    }
    const digest = SnapshotDigest.create(head.digestKey);
    digest.toggle('catalogue', '', this.#catalogue.revision);
    const keys: KeyRecord[] = [];
    for (const [id, { revision, value }] of this.#keys) {
      digest.toggle('key', id, revision);
      keys.push(value);
    }
    const holders: HolderRecord[] = [];
    for (const [id, { revision, value }] of this.#holders) {
      digest.toggle('holder', id, revision);
      holders.push(value);
    }
    for (const [id, { revision, value: kind }] of this.#others) digest.toggle(kind, id, revision);
    if (digest.toString() !== head.digest) throw new SnapshotRefusedError('omitted', 'snapshot');
    return {
      records: { schemaVersion, revision: head.revision, keys, holders, ...this.#catalogue.value },
      state: new SnapshotState(this.#signer, head, digest),
    };
  }

  #mapOf(kind: string): Map<string, unknown> {
    if (kind === 'key') return this.#keys;
    return kind === 'holder' ? this.#holders : this.#others;
  }
}

/** What is known of a snapshot that was taken in: enough to tell whether changes lead on from it, and none of its records. */
export class SnapshotState {
  readonly #signer: SnapshotSigner;
  #head: SnapshotHead;
  #digest: SnapshotDigest;

  constructor(signer: SnapshotSigner, head: SnapshotHead, digest: SnapshotDigest) {
    this.#signer = signer;
    this.#head = head;
    this.#digest = digest;
  }

  get head(): SnapshotHead {
    return this.#head;
  }

  /**
   * Takes in what changed up to a later head, whole or not at all.
   *
   * @param changed - each record once, as it is at that head
   * @returns the changes in the order of revisions, but for those of kinds that this version does not know
   * @throws {SnapshotRefusedError}
   */
  advance(head: SnapshotHead, changed: readonly ChangedRecord[]): SnapshotChange[] {
    this.requireLater(head);
    const digest = this.#digest.copy();
    const changes: SnapshotChange[] = [];
    let { count } = this.#head;
    for (const record of changed) {
      const { kind, id, text, before, changedAt } = record;
      // Whoever lies about what was before gets another digest.
      if (before !== 0) digest.toggle(kind, id, before);
      if (text !== undefined) digest.toggle(kind, id, changedAt);
      if (kind !== 'catalogue') count += (text === undefined ? 0 : 1) - (before === 0 ? 0 : 1);
      const change = this.#change(record);
      if (change !== undefined) changes.push(change);
    }
    if (count !== head.count || digest.toString() !== head.digest) {
      throw new SnapshotRefusedError('omitted', 'changes');
    }
    this.#digest = digest;
    this.#head = head;
    return changes.toSorted((a, b) => a.revision - b.revision);
  }

  /** @throws {SnapshotRefusedError} for a head from before the one that is known */
  requireLater(head: SnapshotHead): void {
    if (head.revision < this.#head.revision || head.at < this.#head.at) {
      throw new SnapshotRefusedError('older', 'head');
    }
  }

  #change({ kind, id, text, changedAt: revision }: ChangedRecord): SnapshotChange | undefined {
    if (kind === 'key' && text === undefined) return { kind, revision, keyId: id, key: undefined };
    if (kind === 'holder' && text === undefined)
      return { kind, revision, name: id, holder: undefined };
    if (text === undefined) {
      if (kind === 'catalogue') throw new SnapshotRefusedError('omitted', kind);
      return undefined;
    }
    const record = openRecord(this.#signer, { kind, id, text });
    if (record.revision !== revision) throw new SnapshotRefusedError('older', subjectOf(kind, id));
    const { value } = record;
    switch (kind) {
      case 'key':
        return { kind, revision, keyId: id, key: value as KeyRecord };
      case 'holder':
        return { kind, revision, name: id, holder: value as HolderRecord };
      case 'catalogue':
        return { kind, revision, catalogue: value as Catalogue };
      default:
        return undefined;
    }
  }
}
