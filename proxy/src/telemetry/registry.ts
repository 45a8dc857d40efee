import { collectDefaultMetrics, Registry } from 'prom-client';

/** Metrics of a process, those of its runtime among them. */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'aigateway_' });
  return registry;
}
