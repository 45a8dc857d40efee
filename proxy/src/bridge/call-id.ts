import type { BridgeContext } from './bridge.ts';

/** An id for a call that the upstream gave none: unique, and below the 40 characters that chat takes. */
export function callIdOf(context: BridgeContext, place: number): string {
  return `call_${context.requestId.replaceAll('-', '').slice(-24)}_${place}`;
}
