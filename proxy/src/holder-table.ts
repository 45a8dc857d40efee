import type { HolderRecord } from '@aigateway/contract/records';
import { holderName } from '@aigateway/contract/snapshot';

/**
 * The customers and tags with rules, by what requests call them. Changes as the table of keys does: not a part of the immutable
 * snapshot, and a request that names none asks for none.
 */
export class HolderTable {
  readonly #byKind = {
    end_user: new Map<string, HolderRecord>(),
    tag: new Map<string, HolderRecord>(),
  };
  readonly #byName = new Map<string, HolderRecord>();

  constructor(records: Iterable<HolderRecord>) {
    for (const record of records) this.put(record);
  }

  get size(): number {
    return this.#byName.size;
  }

  find(kind: HolderRecord['kind'], id: string): HolderRecord | undefined {
    return this.#byKind[kind].get(id);
  }

  put(record: HolderRecord): void {
    this.#byName.set(holderName(record), record);
    this.#byKind[record.kind].set(record.id, record);
  }

  /** @param name - as `holderName` makes it */
  delete(name: string): void {
    const known = this.#byName.get(name);
    if (known === undefined) return;
    this.#byName.delete(name);
    this.#byKind[known.kind].delete(known.id);
  }
}
