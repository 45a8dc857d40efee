import { StoreUnavailableError } from '../../src/store/entities.ts';
import type { Ledger } from '../../src/store/ledger.ts';

/**
 * Drops single records until those of no day before this one are left. PostgreSQL is asked again where others had the table.
 *
 * @returns the days in the order they went in
 */
export async function dropLogs(ledger: Ledger, before: string): Promise<string[]> {
  const days: string[] = [];
  for (;;) {
    try {
      const day = await ledger.dropOldestLogs(before);
      if (day === undefined) return days;
      days.push(day);
    } catch (error) {
      if (!isTaken(error)) throw error;
    }
  }
}

/** PostgreSQL's word for a lock that did not become free in time. */
function isTaken(error: unknown): boolean {
  if (!(error instanceof StoreUnavailableError)) return false;
  return (error.cause as { code?: unknown } | undefined)?.code === '55P03';
}
