import type { KeyRecord } from '@aigateway/contract/records';

/** What a secret's hash leads to. */
export type KnownKey = { readonly key: KeyRecord; readonly notAfter: number | undefined };

/**
 * The keys of all callers, by the hash of each of their secrets.
 *
 * Not a part of the immutable snapshot: a hundred thousand keys are not copied because one of them changed. A request looks its
 * key up once and keeps the record it found, so it never sees two versions of one.
 */
export class KeyTable {
  readonly #byHash = new Map<string, KnownKey>();
  readonly #byId = new Map<string, KeyRecord>();

  constructor(keys: Iterable<KeyRecord>) {
    for (const key of keys) this.put(key);
  }

  get size(): number {
    return this.#byId.size;
  }

  /** @param hash - lower-case hex SHA-256 of the whole secret */
  find(hash: string): KnownKey | undefined {
    return this.#byHash.get(hash);
  }

  findById(keyId: string): KeyRecord | undefined {
    return this.#byId.get(keyId);
  }

  /** Takes the place of the record with the same id; secrets that it no longer names stop working. */
  put(key: KeyRecord): void {
    this.delete(key.keyId);
    this.#byId.set(key.keyId, key);
    for (const { hash, notAfter } of key.secrets) this.#byHash.set(hash, { key, notAfter });
  }

  delete(keyId: string): void {
    const known = this.#byId.get(keyId);
    if (known === undefined) return;
    this.#byId.delete(keyId);
    for (const { hash } of known.secrets) {
      // A secret may have moved to another key in the meantime.
      if (this.#byHash.get(hash)?.key === known) this.#byHash.delete(hash);
    }
  }
}
