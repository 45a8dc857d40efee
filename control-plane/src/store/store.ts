import type { Audit } from './audit.ts';
import type { Entities } from './entities.ts';
import type { Ledger } from './ledger.ts';

export type StoreKind = 'sqlite' | 'postgres' | 'cosmos';

/** The three ports of a store, of one kind and over one connection. */
export interface Store {
  readonly entities: Entities;
  readonly ledger: Ledger;
  readonly audit: Audit;
  /** Waits for what is under way, then closes what was opened. */
  close(): Promise<void>;
}

/**
 * A store as it stood when this was opened, to be read and never written. It has the schema of this release, no more and no less: what
 * is read is all there is.
 */
export interface StoreSnapshot extends Store {
  readonly kind: StoreKind;
  /**
   * To be asked once all is read: what was read is of one time. SQLite and PostgreSQL keep it as it stood, whoever writes meanwhile.
   *
   * @throws {StoreChangedError} where somebody wrote meanwhile and the database (Cosmos DB) could not keep what stood before
   */
  confirm(): Promise<void>;
}
