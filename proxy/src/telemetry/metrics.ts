import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { UsageRecord } from '@aigateway/contract/usage';

/** Seconds; from cached look-ups to reasoning models that think for ten minutes. */
const durationBuckets = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
];

/** What the meter counts; admitted = settled + in flight, always. */
export type MeterCounts = {
  admitted: number;
  settled: number;
  inFlight: number;
  doubleSettled: number;
};

export type DeploymentStanding = {
  id: string;
  model: string;
  region: string;
  state: 'healthy' | 'half-open' | 'cooling';
};

const stateValue = { healthy: 0, 'half-open': 1, cooling: 2 } as const;

/**
 * Every metric of the proxy, in one place. Labels come from sets we own: endpoint names, configured models and deployments,
 * error codes; never from what a caller sends.
 */
export class Metrics {
  readonly registry = new Registry();
  readonly #requests = this.#counter('requests_total', 'Requests answered, by how they ended', [
    'endpoint',
    'model',
    'outcome',
    'status',
  ]);
  readonly #refused = this.#counter(
    'refused_total',
    'Requests refused by the gateway itself, by error code',
    ['code'],
  );
  readonly #tokens = this.#counter('tokens_total', 'Tokens accounted for', ['model', 'kind']);
  readonly #cost = this.#counter('cost_usd_total', 'Cost accounted for, in USD', ['model']);
  readonly #attempts = this.#counter(
    'upstream_attempts_total',
    'Tries of a deployment, by upstream status',
    ['deployment', 'status'],
  );
  readonly #duration = this.#histogram(
    'request_duration_seconds',
    'From arrival to the last byte',
    ['endpoint', 'model'],
  );
  readonly #firstOutput = this.#histogram(
    'first_output_seconds',
    'From arrival to the first byte of output',
    ['endpoint', 'model'],
  );

  /**
   * @param meter - read when metrics are scraped
   * @param deployments - read when metrics are scraped
   */
  constructor(meter: () => MeterCounts, deployments: () => readonly DeploymentStanding[]) {
    collectDefaultMetrics({ register: this.registry, prefix: 'aigateway_' });
    this.#meterGauge('admitted_requests', 'Requests admitted since start', () => meter().admitted);
    this.#meterGauge(
      'settled_requests',
      'Admitted requests that are accounted for',
      () => meter().settled,
    );
    this.#meterGauge(
      'requests_in_flight',
      'Admitted requests still running',
      () => meter().inFlight,
    );
    this.#meterGauge(
      'double_settled_requests',
      'Attempts to account twice; must stay 0',
      () => meter().doubleSettled,
    );
    this.#deploymentGauge(deployments);
  }

  /**
   * One admitted request has ended.
   *
   * @param model - its group as configured: with a wildcard the name itself is the caller's
   */
  settled(endpoint: string, model: string, record: UsageRecord): void {
    const { tokens } = record;
    this.#requests.inc({ endpoint, model, outcome: record.outcome, status: record.status });
    this.#duration.observe({ endpoint, model }, record.durationMs / 1000);
    if (record.firstOutputMs !== undefined) {
      this.#firstOutput.observe({ endpoint, model }, record.firstOutputMs / 1000);
    }
    if (tokens.input > 0) this.#tokens.inc({ model, kind: 'input' }, tokens.input);
    if (tokens.output > 0) this.#tokens.inc({ model, kind: 'output' }, tokens.output);
    if (tokens.cachedInput > 0)
      this.#tokens.inc({ model, kind: 'cached_input' }, tokens.cachedInput);
    if (tokens.reasoning > 0) this.#tokens.inc({ model, kind: 'reasoning' }, tokens.reasoning);
    if (record.costNanoUsd > 0) this.#cost.inc({ model }, record.costNanoUsd / 1e9);
    for (const { deploymentId, status } of record.attempts) {
      this.#attempts.inc({ deployment: deploymentId, status });
    }
  }

  /** A request was refused before or instead of an upstream's answer. */
  refused(code: string): void {
    this.#refused.inc({ code });
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> {
    return new Counter({ name: `aigateway_${name}`, help, labelNames, registers: [this.registry] });
  }

  #histogram<Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
  ): Histogram<Label> {
    return new Histogram({
      name: `aigateway_${name}`,
      help,
      labelNames,
      buckets: durationBuckets,
      registers: [this.registry],
    });
  }

  #meterGauge(name: string, help: string, read: () => number): void {
    const gauge: Gauge = new Gauge({
      name: `aigateway_${name}`,
      help,
      registers: [this.registry],
      collect: () => gauge.set(read()),
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
        for (const { id, model, region, state } of deployments()) {
          gauge.set({ deployment: id, model, region }, stateValue[state]);
        }
      },
    });
  }
}
