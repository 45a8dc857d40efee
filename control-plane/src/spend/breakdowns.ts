import type { Call } from '../http/call.ts';
import type { ActivityQuery, ActivityRow } from '../store/ledger.ts';

type Range = Pick<ActivityQuery, 'dimension' | 'ids' | 'fromDay' | 'toDay'>;

/** Models of each day, of all ids together. */
export function modelActivity(call: Call, range: Range): Promise<readonly ActivityRow[]> {
  return brokenDown(call, range, 'model');
}

/** Deployments of each day, of all ids together: the requests that one of them answered. */
export function deploymentActivity(call: Call, range: Range): Promise<readonly ActivityRow[]> {
  return brokenDown(call, range, 'deployment');
}

/** Of all keys they are the sums of models or deployments, far fewer than those of each key. */
async function brokenDown(
  call: Call,
  range: Range,
  by: 'model' | 'deployment',
): Promise<readonly ActivityRow[]> {
  if (range.dimension !== 'key' || range.ids !== undefined) {
    return call.ledger.activity({ ...range, by, over: 'ids' });
  }
  const rows = await call.ledger.activity({ ...range, dimension: by });
  return rows.map((row) => ({ ...row, byId: row.id }));
}
