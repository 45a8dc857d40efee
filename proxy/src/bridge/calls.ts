import type { BridgeContext } from './bridge.ts';

/** An id for a call that the upstream gave none: unique, and below the 40 characters that chat takes. */
export function callIdOf(context: BridgeContext, place: number): string {
  return `call_${context.requestId.replaceAll('-', '').slice(-24)}_${place}`;
}

/** The arguments of a call that has none: some models send an empty text, which clients fail to parse. */
export const noArguments = '{}';
