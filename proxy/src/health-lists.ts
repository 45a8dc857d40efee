import type { ParsedUrlQuery } from 'node:querystring';
import type { KeyRecord } from '@aigateway/contract/records';
import { wholeNumber } from './models-list.ts';
import type { Gateway } from './pipeline/gateway.ts';
import { learnedReport } from './routing/capability.ts';
import { litellmModelOf } from './routing/deployments.ts';
import { healthReport } from './routing/health.ts';
import { mayUse } from './routing/models.ts';
import type { Snapshot } from './snapshot.ts';

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

/** LiteLLM's list of the last check of each deployment: its present standing. */
export function latestHealth(snapshot: Snapshot, key: KeyRecord, gateway: Gateway) {
  const now = gateway.clock.now();
  const checks = visibleStates(snapshot, key, gateway).map((state) => {
    const { standing, reason, lastFailure, since } = healthReport(state, now);
    return checkRow(
      {
        model: state.record.model,
        deploymentId: state.record.id,
        healthy: standing === 'healthy',
        reason,
        lastFailure,
      },
      // What never rested has been well for as long as anybody looked.
      since === 0 ? now : since,
    );
  });
  return {
    latest_health_checks: Object.fromEntries(checks.map((check) => [check.model_id, check])),
    total_models: checks.length,
  };
}

/**
 * LiteLLM's list of checks, the newest first: when deployments began to rest and when they were back, as long as this process remembers.
 * Query: `model` (its public name), `status_filter` (`healthy` or `unhealthy`), `limit` (100, at most 1,000), `offset`.
 *
 * @throws GatewayError `invalid_parameter`
 */
export function healthHistory(
  snapshot: Snapshot,
  key: KeyRecord,
  gateway: Gateway,
  query: ParsedUrlQuery,
) {
  const limit = wholeNumber(query, 'limit', 100, 1000);
  const offset = wholeNumber(query, 'offset', 0, Number.MAX_SAFE_INTEGER);
  const { model: wanted, status_filter: status } = query;
  const found = gateway.deploymentLog.changes
    .filter(({ model }) => isVisible(snapshot, key, model))
    .map((change) => checkRow(change, change.at))
    .filter(
      (check) =>
        (wanted === undefined || check.model_name === wanted) &&
        (status === undefined || check.status === status),
    )
    .toReversed();
  return {
    health_checks: found.slice(offset, offset + limit),
    total_records: found.length,
    limit,
    offset,
  };
}

type Check = {
  readonly model: string;
  readonly deploymentId: string;
  readonly healthy: boolean;
  readonly reason: string | undefined;
  readonly lastFailure: string | undefined;
};

function checkRow({ model, deploymentId, healthy, reason, lastFailure }: Check, at: number) {
  return {
    model_name: model,
    model_id: deploymentId,
    status: healthy ? 'healthy' : 'unhealthy',
    error_message: healthy ? null : (lastFailure ?? reason ?? null),
    checked_at: new Date(at).toISOString(),
  };
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
