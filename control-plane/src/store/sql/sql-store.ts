import { sqlAudit } from './sql-audit.ts';
import { sqlEntities } from './sql-entities.ts';
import { sqlLedger } from './sql-ledger.ts';
import type { Run } from './programs.ts';
import type { Store } from '../store.ts';

/** The ports over whatever runs the programs. */
export function sqlStore(run: Run, close: () => Promise<void>): Store {
  return { entities: sqlEntities(run), ledger: sqlLedger(run), audit: sqlAudit(run), close };
}
