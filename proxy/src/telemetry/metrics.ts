import { Counter, Gauge, type Metric, type Registry } from 'prom-client';
import type { AttemptRecord, UsageRecord } from '@aigateway/contract/usage';
import { CallSeries } from './call-series.ts';
import { litellmMetrics } from './litellm-metrics.ts';
import { registerReadings, type Reading } from './readings.ts';
import { createRegistry } from './registry.ts';
import { worstStates } from './worst-states.ts';

/** What the meter counts; admitted = settled + in flight, always. */
export type MeterCounts = {
  admitted: number;
  settled: number;
  inFlight: number;
  doubleSettled: number;
  unrecorded: number;
};

export type DeploymentStanding = {
  id: string;
  model: string;
  region: string;
  state: 'healthy' | 'half-open' | 'cooling';
};

/** Tries of one deployment that ended alike: `status` is 0 when no answer came, `reason` a kind of failure, or `answered`. */
export type AttemptCount = { deployment: string; status: number; reason: string; count: number };

/**
 * Every metric of the proxy, in one place. Labels come from sets we own: endpoint names, configured models and deployments,
 * error codes; never from what a caller sends.
 */
export class Metrics {
  readonly registry: Registry;
  readonly #calls = new CallSeries();
  /** By deployment. */
  readonly #attempts = new Map<string, AttemptCount[]>();
  readonly #refused: Counter<'code'>;

  /**
   * @param meter - read when metrics are scraped
   * @param deployments - read when metrics are scraped
   * @param registry - takes them in beside those that are there
   */
  constructor(
    meter: () => MeterCounts,
    deployments: () => readonly DeploymentStanding[],
    registry = createRegistry(),
  ) {
    this.registry = registry;
    this.#refused = new Counter({
      name: 'aigateway_refused_total',
      help: 'Requests refused by the gateway itself, by error code',
      labelNames: ['code'],
      registers: [registry],
    });
    const collectedOnes = [
      ...this.#calls.metrics('aigateway_'),
      ...litellmMetrics(this.#calls, () => this.#attemptCounts(), deployments),
    ];
    for (const metric of collectedOnes) {
      this.registry.registerMetric(metric as unknown as Metric);
    }
    this.#attemptCounter();
    registerReadings(registry, meterReadings(meter));
    this.#deploymentGauge(deployments);
  }

  /**
   * One admitted request has ended.
   *
   * @param model - its group as configured: with a wildcard the name itself is the caller's
   * @param reserved - tokens that it was admitted with
   */
  settled(endpoint: string, model: string, record: UsageRecord, reserved: number): void {
    this.#calls.add(endpoint, model, record, reserved);
    for (const attempt of record.attempts) this.#countAttempt(attempt);
  }

  #countAttempt({ deploymentId: deployment, status, reason }: AttemptRecord): void {
    let counts = this.#attempts.get(deployment);
    if (counts === undefined) this.#attempts.set(deployment, (counts = []));
    const known = counts.find((count) => count.status === status && count.reason === reason);
    if (known === undefined) counts.push({ deployment, status, reason, count: 1 });
    else known.count += 1;
  }

  #attemptCounts(): AttemptCount[] {
    return [...this.#attempts.values()].flat();
  }

  /** A request was refused before or instead of an upstream's answer. */
  refused(code: string): void {
    this.#refused.inc({ code });
  }

  #attemptCounter(): void {
    const counter: Counter<'deployment' | 'status' | 'reason'> = new Counter({
      name: 'aigateway_upstream_attempts_total',
      help: 'Tries of a deployment, by upstream status and how it was understood',
      labelNames: ['deployment', 'status', 'reason'],
      registers: [this.registry],
      collect: () => {
        counter.reset();
        for (const { count, ...labels } of this.#attemptCounts()) counter.inc(labels, count);
      },
    });
  }

  #deploymentGauge(deployments: () => readonly DeploymentStanding[]): void {
    const gauge: Gauge<'deployment' | 'model' | 'region'> = new Gauge({
      name: 'aigateway_deployment_state',
      help: 'Health of each deployment: 0 healthy, 1 on trial, 2 cooling down',
      labelNames: ['deployment', 'model', 'region'],
      registers: [this.registry],
      collect: () => {
        gauge.reset();
        for (const { id, model, region, value } of worstStates(deployments())) {
          gauge.set({ deployment: id, model, region }, value);
        }
      },
    });
  }
}

function meterReadings(meter: () => MeterCounts): Reading[] {
  return [
    {
      name: 'admitted_requests',
      help: 'Requests admitted since start',
      read: () => meter().admitted,
    },
    {
      name: 'settled_requests',
      help: 'Admitted requests that are accounted for',
      read: () => meter().settled,
    },
    {
      name: 'requests_in_flight',
      help: 'Admitted requests still running',
      read: () => meter().inFlight,
    },
    {
      name: 'double_settled_requests',
      help: 'Attempts to account twice; must stay 0',
      read: () => meter().doubleSettled,
    },
    {
      name: 'unrecorded_requests',
      help: 'Settled requests whose usage record was lost; must stay 0',
      read: () => meter().unrecorded,
    },
  ];
}
