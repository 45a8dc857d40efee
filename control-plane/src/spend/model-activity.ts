import type { Call } from '../http/call.ts';
import type { ActivityQuery, ActivityRow } from '../store/ledger.ts';

/** Models of each day: of all keys together they are the sums of models, far fewer than those of each key. */
export async function modelActivity(
  call: Call,
  range: Omit<ActivityQuery, 'by'>,
): Promise<readonly ActivityRow[]> {
  if (range.dimension !== 'key' || range.ids !== undefined) {
    return call.ledger.activity({ ...range, by: 'model' });
  }
  const rows = await call.ledger.activity({ ...range, dimension: 'model' });
  return rows.map((row) => ({ ...row, byId: row.id }));
}
