import type { DeploymentState } from './deployments.ts';
import { byScore, type Strategy } from './strategy.ts';

/**
 * Lowest recent latency first: time to first output for streams, time per output token otherwise. Untried ones come first, but
 * only one call at a time explores them. Those within LiteLLM's `lowest_latency_buffer` of the best are equals.
 */
export const lowestLatency: Strategy = (candidates, context) => {
  const { windowMs, buffer, samples } = context.latency;
  const latencies = new Map<DeploymentState, number>();
  let best = Infinity;
  for (const state of candidates) {
    const window = context.stream ? state.latencies.firstOutput : state.latencies.perToken;
    const mean = window.mean(context.now, windowMs, samples);
    if (mean === undefined) continue;
    latencies.set(state, mean);
    best = Math.min(best, mean);
  }
  const bound = best * (1 + buffer);
  return byScore(candidates, context, (state) => {
    const latency = latencies.get(state);
    if (latency === undefined) return state.inFlight === 0 ? 0 : best;
    return latency <= bound ? best : latency;
  });
};
