import {
  schemaVersion,
  type CredentialRecord,
  type KeyRecord,
  type Records,
} from '@aigateway/contract/records';
import { ModelIndex } from './routing/models.ts';

type KnownKey = { readonly key: KeyRecord; readonly notAfter: number | undefined };

/** One immutable view of the records with what look-ups need. A request uses one snapshot from beginning to end. */
export class Snapshot {
  readonly records: Records;
  readonly models: ModelIndex;
  readonly #keys = new Map<string, KnownKey>();
  readonly #credentials = new Map<string, CredentialRecord>();

  /** @throws {RangeError} if the records are of a schema this proxy cannot read */
  constructor(records: Records) {
    if (Math.abs(records.schemaVersion - schemaVersion) > 1) {
      throw new RangeError(
        `records of schema ${records.schemaVersion} cannot be read by schema ${schemaVersion}`,
      );
    }
    this.records = records;
    this.models = new ModelIndex(records);
    for (const key of records.keys) {
      for (const { hash, notAfter } of key.secrets) this.#keys.set(hash, { key, notAfter });
    }
    for (const credential of records.credentials) this.#credentials.set(credential.id, credential);
  }

  /** @param hash - lower-case hex SHA-256 of the whole secret */
  keyByHash(hash: string): KnownKey | undefined {
    return this.#keys.get(hash);
  }

  credential(id: string): CredentialRecord | undefined {
    return this.#credentials.get(id);
  }

  /** Whether a key may learn hosts and deployment names. */
  exposesUpstream({ role }: Pick<KeyRecord, 'role'>): boolean {
    const { exposeUpstream } = this.records.settings;
    return exposeUpstream === 'all' || (exposeUpstream === 'admin' && role === 'admin');
  }
}
