import type { RouterRecord } from '../src/records.ts';

/** Routing at its most ordinary, overridden where a test cares. */
export function routerRecord(overrides: Partial<RouterRecord> = {}): RouterRecord {
  return {
    strategy: 'simple-shuffle',
    latencyWindowMs: 3_600_000,
    latencyBuffer: 0,
    retries: 2,
    retryPolicy: {},
    allowedFailsPolicy: {},
    coolDownMs: 5_000,
    maxAttempts: 9,
    totalTimeoutMs: 600_000,
    timeoutMs: 600_000,
    streamTimeoutMs: 600_000,
    retryAfterMs: 0,
    fallbacks: {},
    contextWindowFallbacks: {},
    contentPolicyFallbacks: {},
    defaultFallbacks: [],
    maxFallbacks: 5,
    preCallChecks: false,
    tagFiltering: false,
    tagMatchAny: true,
    aliases: {},
    defaultModels: {},
    enforceRateLimits: false,
    ...overrides,
  };
}
