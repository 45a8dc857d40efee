import { Counter, Histogram, type Registry } from 'prom-client';
import type { AccessLog, ManagementCall } from './access-log.ts';

/** From an answer out of memory to a report over many rows. */
const durationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Line and metrics of every call of the management API. Labels are declared paths, never what a caller sends. */
export class ManagementCalls {
  readonly #accessLog: AccessLog;
  readonly #requests: Counter<'route' | 'method' | 'status'>;
  readonly #duration: Histogram<'route' | 'method'>;

  constructor(registry: Registry, accessLog: AccessLog) {
    this.#accessLog = accessLog;
    this.#requests = new Counter({
      name: 'aigateway_management_requests_total',
      help: 'Calls of the management API, by declared path',
      labelNames: ['route', 'method', 'status'],
      registers: [registry],
    });
    this.#duration = new Histogram({
      name: 'aigateway_management_request_duration_seconds',
      help: 'From the arrival of a call of the management API to its answer',
      labelNames: ['route', 'method'],
      buckets: durationBuckets,
      registers: [registry],
    });
  }

  answered(call: ManagementCall): void {
    const { endpoint: route, method, status } = call;
    this.#requests.inc({ route, method, status });
    this.#duration.observe({ route, method }, call.durationMs / 1000);
    this.#accessLog.managed(call);
  }
}
