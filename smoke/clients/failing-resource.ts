import type { FaultSpec } from '../simulator/faults.ts';

/**
 * Ways in which the first resource that a program's request reaches fails. Each strikes one call: whichever resource it is, the
 * other one is there.
 */
export const failures: readonly { name: string; fault: FaultSpec }[] = [
  { name: 'answers 429', fault: { kind: 'rate-limit', times: 1 } },
  { name: 'answers 500', fault: { kind: 'error', error: '500-internal', times: 1 } },
  { name: 'answers 503', fault: { kind: 'error', error: '503-unavailable', times: 1 } },
  { name: 'drops the connection', fault: { kind: 'reset', times: 1 } },
  {
    name: 'fails inside a stream that began with 200',
    fault: { kind: 'stream-error', shape: 'nested', times: 1 },
  },
  {
    name: 'sends a failed response in a stream that began with 200',
    fault: { kind: 'stream-error', shape: 'failed', error: 'rate-limit', times: 1 },
  },
];
