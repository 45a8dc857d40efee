import type { ParsedUrlQuery } from 'node:querystring';
import type { KeyRecord } from '@aigateway/contract/records';
import {
  checkList,
  checkRow,
  latestChecks,
  type CheckRow,
  type StandingChange,
} from '@aigateway/contract/standing-changes';
import { wholeNumber } from './models-list.ts';
import type { Gateway } from './pipeline/gateway.ts';
import { learnedReport } from './routing/capability.ts';
import { litellmModelOf } from './routing/deployments.ts';
import { healthReport } from './routing/health.ts';
import { mayUse } from './routing/models.ts';
import type { Snapshot } from './snapshot.ts';
import { ownName } from './telemetry/deployment-log.ts';

/**
 * LiteLLM's lists of endpoints, of the models a key may use, from what calls have shown: nothing is called for it. Administrators
 * see besides what each deployment's refusals have taught.
 */
export function healthOf(snapshot: Snapshot, key: KeyRecord, gateway: Gateway) {
  const now = gateway.clock.now();
  const rows = visibleStates(snapshot, key, gateway).map((state) => ({
    model: litellmModelOf(state),
    model_id: state.record.id,
    ...healthReport(state, now),
    // The names of parameters are words of whoever called.
    learned: key.role === 'admin' ? learnedReport(state, now) : undefined,
  }));
  const healthy = rows.filter(({ standing }) => standing !== 'cooling');
  const unhealthy = rows.filter(({ standing }) => standing === 'cooling');
  return {
    healthy_endpoints: healthy,
    unhealthy_endpoints: unhealthy,
    healthy_count: healthy.length,
    unhealthy_count: unhealthy.length,
  };
}

/**
 * LiteLLM's list of the last check of each deployment: its present standing here, or what another proxy saw since. Administrators see
 * which one.
 */
export async function latestHealth(snapshot: Snapshot, key: KeyRecord, gateway: Gateway) {
  const now = gateway.clock.now();
  const others = new Map<string, StandingChange>();
  for (const change of await gateway.standingChanges.recent()) {
    if (change.seenBy !== ownName) others.set(change.deploymentId, change);
  }
  const rows = visibleStates(snapshot, key, gateway).map((state) => {
    const { standing, reason, lastFailure, since } = healthReport(state, now);
    const { model, id: deploymentId } = state.record;
    const other = others.get(deploymentId);
    if (other !== undefined && other.at > since) return rowFor(key, other);
    const healthy = standing === 'healthy';
    // What never rested has been well for as long as anybody looked.
    const at = since === 0 ? now : since;
    return rowFor(key, { model, deploymentId, at, healthy, reason, lastFailure, seenBy: ownName });
  });
  return latestChecks(rows);
}

/**
 * LiteLLM's list of checks, the newest first: when deployments began to rest and when they were back, as far as is remembered by all
 * proxies together. Administrators see which one saw it. Query: `model` (its public name), `status_filter` (`healthy` or `unhealthy`),
 * `limit` (100, at most 1,000), `offset`.
 *
 * @throws GatewayError `invalid_parameter`
 */
export async function healthHistory(
  snapshot: Snapshot,
  key: KeyRecord,
  gateway: Gateway,
  query: ParsedUrlQuery,
) {
  const limit = wholeNumber(query, 'limit', 100, 1000);
  const offset = wholeNumber(query, 'offset', 0, Number.MAX_SAFE_INTEGER);
  const { model, status_filter: status } = query;
  const changes = await gateway.standingChanges.recent();
  const rows = changes
    .filter((change) => isVisible(snapshot, key, change.model))
    .map((change) => rowFor(key, change));
  return checkList(rows, { model, status, limit, offset });
}

function rowFor(key: KeyRecord, change: StandingChange): CheckRow {
  const row = checkRow(change);
  return key.role === 'admin' ? { ...row, checked_by: change.seenBy } : row;
}

function visibleStates(snapshot: Snapshot, key: KeyRecord, gateway: Gateway) {
  const showsNames = snapshot.exposesUpstream(key);
  return [...gateway.deployments.all()].filter(
    ({ record, filled }) =>
      // What others asked for behind a wildcard is theirs.
      (filled === undefined || showsNames) && isVisible(snapshot, key, record.model),
  );
}

function isVisible({ models }: Snapshot, key: KeyRecord, group: string): boolean {
  const model = models.resolve(group);
  return model !== undefined && mayUse(key, model);
}
