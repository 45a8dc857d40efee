import type { SnapshotStanding } from '@aigateway/contract/snapshot';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { SpoolStanding } from '../stores/file/spool.ts';

/** A number that is kept elsewhere anyway, and read when metrics are scraped. */
export type Reading = {
  /** Without the prefix; `_total` makes a counter of it. */
  readonly name: string;
  readonly help: string;
  readonly read: () => number;
};

/** Makes metrics of readings. */
export function registerReadings(registry: Registry, readings: readonly Reading[]): void {
  for (const { name, help, read } of readings) {
    const options = { name: `aigateway_${name}`, help, registers: [registry] };
    if (name.endsWith('_total')) {
      const counter: Counter = new Counter({
        ...options,
        collect: () => {
          counter.reset();
          counter.inc(read());
        },
      });
    } else {
      const gauge: Gauge = new Gauge({ ...options, collect: () => gauge.set(read()) });
    }
  }
}

/** How far a proxy is with what it is told. */
export function snapshotReadings(standing: () => SnapshotStanding, now: () => number): Reading[] {
  return [
    {
      name: 'snapshot_revision',
      help: 'Revision of the records in force; 0 = none yet',
      read: () => standing().revision,
    },
    {
      name: 'snapshot_age_seconds',
      help: 'Time since a control plane last vouched for the records in force; above 30 they are stale',
      read: () => snapshotAgeSeconds(standing(), now()),
    },
    {
      name: 'snapshot_connected',
      help: 'Whether the place that records come from answers: 1 or 0',
      read: () => Number(standing().connected),
    },
    {
      name: 'snapshot_refused_total',
      help: 'What was refused because its signature or revision was wrong; must stay 0',
      read: () => standing().refused,
    },
  ];
}

/** Seconds since a control plane last vouched for what is in force; infinite before it ever did. */
export function snapshotAgeSeconds({ asOfMs }: SnapshotStanding, now: number): number {
  return asOfMs === 0 ? Number.POSITIVE_INFINITY : Math.max(0, now - asOfMs) / 1000;
}

/** How much usage is still on its way to the ledger. */
export function spoolReadings(standing: () => SpoolStanding): Reading[] {
  return [
    {
      name: 'usage_spool_events',
      help: 'Usage events of this proxy that no ledger has counted yet',
      read: () => standing().last - standing().mark,
    },
    {
      name: 'usage_spool_bytes',
      help: 'Size of the usage spool on the disk',
      read: () => standing().bytes,
    },
    {
      name: 'usage_spool_full',
      help: 'Whether calls are refused because the spool takes no more: 1 or 0',
      read: () => Number(standing().isFull),
    },
  ];
}

/** How far a control plane is with the usage of its proxies. */
export type UsageIntake = {
  readonly waiting: number;
  readonly producers: number;
  readonly taken: number;
  readonly refused: number;
  readonly missing: number;
};

export function usageReadings(standing: () => UsageIntake): Reading[] {
  return [
    {
      name: 'usage_waiting_events',
      help: 'Usage events of all proxies that wait in Redis, as this control plane last saw',
      read: () => standing().waiting,
    },
    {
      name: 'usage_producers',
      help: 'Proxies whose usage is known in Redis',
      read: () => standing().producers,
    },
    {
      name: 'usage_taken_total',
      help: 'Usage events given to the ledger; one more than once after a failure, which counts it once',
      read: () => standing().taken,
    },
    {
      name: 'usage_refused_total',
      help: 'Usage events set aside: unsigned, unreadable or refused by the ledger; must stay 0',
      read: () => standing().refused,
    },
    {
      name: 'usage_missing_total',
      help: 'Usage events that are not counted because the store was put back to before them and no proxy has them any more',
      read: () => standing().missing,
    },
  ];
}

/** How a control plane is getting on with dropping old usage. */
export type LogRetentionStanding = { readonly dropped: number; readonly isFailing: boolean };

export function logReadings(standing: () => LogRetentionStanding): Reading[] {
  return [
    {
      name: 'usage_dropped_days_total',
      help: 'Days whose single usage records this control plane dropped because they were too old',
      read: () => standing().dropped,
    },
    {
      name: 'usage_drop_failing',
      help: 'Whether this control plane could not drop what is too old when it last tried: 1 or 0',
      read: () => Number(standing().isFailing),
    },
  ];
}
