import type { LimitScope } from '@aigateway/contract/limits';
import type { Refusal } from '../ports.ts';

/** Of two refusals the one that lasts longer: before it ends, the other's end would be a false promise. */
export function later(
  first: Refusal | undefined,
  scope: LimitScope,
  limitType: Refusal['limitType'],
  limit: number,
  left: number,
  retryAfterMs: number,
): Refusal {
  if (first !== undefined && first.retryAfterMs >= retryAfterMs) return first;
  const remaining = Math.max(0, left);
  return { refused: true, scope, limitType, limit, remaining, retryAfterMs };
}
