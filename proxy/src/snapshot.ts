import type { LimitScope } from '@aigateway/contract/limits';
import {
  schemaVersion,
  type CredentialRecord,
  type KeyRecord,
  type Records,
} from '@aigateway/contract/records';
import type { Catalogue } from '@aigateway/contract/snapshot';
import { HolderTable } from './holder-table.ts';
import type { KeyTable, KnownKey } from './key-table.ts';
import { ModelIndex } from './routing/models.ts';

/** One immutable view of the records with what look-ups need. A request uses one snapshot from beginning to end. */
export class Snapshot {
  readonly records: Catalogue;
  readonly models: ModelIndex;
  /** Holders of limits above calls, by key and model; made of the records and so never older than they are. */
  readonly scopes = new WeakMap<KeyRecord, Map<string, readonly LimitScope[]>>();
  /** Changes as keys do. */
  readonly holders: HolderTable;
  readonly #keys: KeyTable;
  readonly #credentials = new Map<string, CredentialRecord>();

  /** @param keys - changes as keys do: see {@link KeyTable} */
  constructor(records: Catalogue, keys: KeyTable, holders: HolderTable = new HolderTable([])) {
    this.records = records;
    this.models = new ModelIndex(records);
    this.#keys = keys;
    this.holders = holders;
    for (const credential of records.credentials) this.#credentials.set(credential.id, credential);
  }

  /** @param hash - lower-case hex SHA-256 of the whole secret */
  keyByHash(hash: string): KnownKey | undefined {
    return this.#keys.find(hash);
  }

  keyById(keyId: string): KeyRecord | undefined {
    return this.#keys.findById(keyId);
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

/** @throws {RangeError} if records of this schema cannot be read by this proxy */
export function checkSchema(records: Pick<Records, 'schemaVersion'>): void {
  if (Math.abs(records.schemaVersion - schemaVersion) <= 1) return;
  throw new RangeError(
    `records of schema ${records.schemaVersion} cannot be read by schema ${schemaVersion}`,
  );
}
