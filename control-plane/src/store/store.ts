import type { Audit } from './audit.ts';
import type { Entities } from './entities.ts';
import type { Ledger } from './ledger.ts';

/** The three ports of a store, of one kind and over one connection. */
export interface Store {
  readonly entities: Entities;
  readonly ledger: Ledger;
  readonly audit: Audit;
  /** Waits for what is under way, then closes what was opened. */
  close(): Promise<void>;
}
