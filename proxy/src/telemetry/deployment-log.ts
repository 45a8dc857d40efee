import { hostname } from 'node:os';
import type { DeploymentRecord } from '@aigateway/contract/records';
import type { StandingChanges } from '@aigateway/contract/standing-changes';
import type { Clock, Refusal } from '../ports.ts';
import type { DeploymentState } from '../routing/deployments.ts';
import { healthReport, standing } from '../routing/health.ts';
import type { Cause, Logger } from './logger.ts';

/** One failed attempt at a deployment, as far as it may be told: nothing of the request but its id. */
export type FailedAttempt = {
  readonly requestId: string;
  /** The upstream's, 0 when no answer came. */
  readonly status: number;
  /** Kind of the failure. */
  readonly reason: string;
  readonly upstreamRequestId?: string | undefined;
  readonly cause?: Cause | undefined;
  /** What the operator should change, where that is known. */
  readonly change?: string | undefined;
};

/** Shortest time between two lines on the same failure of the same deployment: a storm must not fill the disk. */
const quietMs = 1_000;

type Told = {
  /** Milliseconds since the epoch. */
  at: number;
  /** How many were left out since. */
  omitted: number;
};

/** Names this process among those that share what they see. */
export const ownName = `${hostname()}/${process.pid}`;

/** Tells the operator how deployments fare: why attempts fail, and who rests. */
export class DeploymentLog {
  readonly #logger: Logger;
  readonly #clock: Clock;
  /** By record: the states behind one wildcard, a caller's to multiply, share a line. */
  readonly #told = new WeakMap<DeploymentRecord, Map<string, Told>>();
  readonly #resting = new WeakSet<DeploymentState>();
  /** Until when each limit is known to have no room, in milliseconds since the epoch. */
  readonly #limited = new WeakMap<DeploymentRecord, Map<string, number>>();
  readonly #changes: StandingChanges;

  /** @param changes - told what {@link observe} sees */
  constructor(logger: Logger, clock: Clock, changes: StandingChanges) {
    this.#logger = logger;
    this.#clock = clock;
    this.#changes = changes;
  }

  /** At most one line per deployment, reason and second; `omitted` of the next one counts those in between. */
  failed(state: DeploymentState, attempt: FailedAttempt): void {
    const { record } = state;
    const omitted = this.#omittedBefore(record, attempt.reason);
    if (omitted === undefined) return;
    const { requestId, status, reason, upstreamRequestId, cause, change } = attempt;
    this.#logger.warn({
      event: 'attempt',
      requestId,
      deployment: record.id,
      model: modelOf(state),
      origin: record.resource.origin,
      status,
      reason,
      ...(upstreamRequestId !== undefined && { upstreamRequestId }),
      ...(cause !== undefined && { cause }),
      ...(change !== undefined && { change }),
      ...(omitted > 0 && { omitted }),
    });
  }

  /**
   * A line when a deployment has begun to rest or is back, and none for what is known. To be called after whatever may have changed
   * it, and now and then, because a rest for a rate limit ends by the clock alone.
   */
  observe(state: DeploymentState): void {
    const now = this.#clock.now();
    const rests = standing(state, now) !== 'healthy';
    if (rests === this.#resting.has(state)) return;
    const { id } = state.record;
    const model = modelOf(state);
    this.#remember(state, now);
    if (!rests) {
      this.#resting.delete(state);
      this.#logger.info({ event: 'standing', deployment: id, model, standing: 'healthy' });
      return;
    }
    this.#resting.add(state);
    const { reason, lastFailure } = healthReport(state, now);
    this.#logger.warn({
      event: 'standing',
      deployment: id,
      model,
      standing: 'cooling',
      reason,
      lastFailure,
      until: new Date(state.health.until).toISOString(),
    });
  }

  /** One line for each limit of the deployment's own and each of its windows. Those of calls in flight come and go by the moment. */
  limited(state: DeploymentState, { scope, limitType, retryAfterMs }: Refusal): void {
    if (limitType === 'max_parallel_requests') return;
    const { record } = state;
    const now = this.#clock.now();
    const limits = this.#limited.get(record) ?? new Map<string, number>();
    const limit = `${limitType} ${scope.label}`;
    if (now < (limits.get(limit) ?? 0)) return;
    const until = now + retryAfterMs;
    this.#limited.set(record, limits.set(limit, until));
    this.#logger.warn({
      event: 'limited',
      deployment: record.id,
      model: modelOf(state),
      limit: limitType,
      scope: scope.label,
      ...(Number.isFinite(until) && { until: new Date(until).toISOString() }),
    });
  }

  #remember(state: DeploymentState, now: number): void {
    const { standing: present, reason, lastFailure } = healthReport(state, now);
    this.#changes.tell({
      deploymentId: state.record.id,
      model: state.record.model,
      at: now,
      healthy: present === 'healthy',
      ...(reason !== undefined && { reason }),
      ...(lastFailure !== undefined && { lastFailure }),
      seenBy: ownName,
    });
  }

  /** Undefined when this one is to be left out. */
  #omittedBefore(record: DeploymentRecord, reason: string): number | undefined {
    const now = this.#clock.now();
    let reasons = this.#told.get(record);
    if (reasons === undefined) {
      reasons = new Map();
      this.#told.set(record, reasons);
    }
    const last = reasons.get(reason);
    if (last !== undefined && Math.abs(now - last.at) < quietMs) {
      last.omitted += 1;
      return undefined;
    }
    reasons.set(reason, { at: now, omitted: 0 });
    return last?.omitted ?? 0;
  }
}

const maxModel = 100;

/** Behind a wildcard, the name that was asked for. */
function modelOf({ record, filled }: DeploymentState): string {
  return record.model.replace('*', () => filled ?? '*').slice(0, maxModel);
}
