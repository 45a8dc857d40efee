import type { Call } from '../http/call.ts';
import type { ActivityQuery, ActivityRow } from '../store/ledger.ts';

/** Models of each day, of all ids together. Of all keys they are the sums of models, far fewer than those of each key. */
export async function modelActivity(
  call: Call,
  range: Pick<ActivityQuery, 'dimension' | 'ids' | 'fromDay' | 'toDay'>,
): Promise<readonly ActivityRow[]> {
  if (range.dimension !== 'key' || range.ids !== undefined) {
    return call.ledger.activity({ ...range, by: 'model', over: 'ids' });
  }
  const rows = await call.ledger.activity({ ...range, dimension: 'model' });
  return rows.map((row) => ({ ...row, byId: row.id }));
}
