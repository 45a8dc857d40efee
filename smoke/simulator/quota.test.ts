import { describe, expect, it } from 'vitest';

import { findModel } from './models.ts';
import { provisionedQuota, standardQuota } from './quota.ts';
import type { Quota } from './quota.ts';

function clockAt(start: number): { now(): number; advance(ms: number): void } {
  let now = start;
  return {
    now: () => now,
    advance: (ms) => {
      now += ms;
    },
  };
}

const LIMITS = {
  rpm: 600,
  tpm: 1000,
  sliceSeconds: 10,
  assumedMaxTokens: 16,
  refusedCallsCount: true,
} as const;

function admit(quota: Quota, promptTokens: number, maxOutputTokens = 0) {
  return quota.admit({ promptTokens, maxOutputTokens });
}

describe('a standard deployment', () => {
  it('counts prompt and maximum output at arrival and tells what remains', () => {
    const quota = standardQuota(LIMITS, clockAt(0));
    expect(admit(quota, 24, 60)).toMatchObject({
      admitted: true,
      headers: {
        'x-ratelimit-limit-requests': '600',
        'x-ratelimit-limit-tokens': '1000',
        'x-ratelimit-remaining-requests': '599',
        'x-ratelimit-remaining-tokens': '916',
      },
    });
  });

  it('refuses everything until the minute ends once a call did not fit', () => {
    const clock = clockAt(0);
    const quota = standardQuota(LIMITS, clock);
    admit(quota, 600);
    clock.advance(20_000);
    expect(admit(quota, 500)).toMatchObject({
      admitted: false,
      reason: 'tokens',
      retryAfterMs: 40_000,
      headers: { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '40' },
    });
    expect(admit(quota, 1).admitted).toBe(false);
    clock.advance(40_000);
    expect(admit(quota, 1000).admitted).toBe(true);
  });

  it('lets smaller calls pass after a refusal when refused calls do not count', () => {
    const quota = standardQuota({ ...LIMITS, refusedCallsCount: false }, clockAt(0));
    admit(quota, 600);
    expect(admit(quota, 500).admitted).toBe(false);
    expect(admit(quota, 400).admitted).toBe(true);
  });

  it('holds each slice to its share of the requests per minute', () => {
    const clock = clockAt(0);
    const quota = standardQuota({ ...LIMITS, rpm: 60, sliceSeconds: 1 }, clock);
    expect(admit(quota, 1).admitted).toBe(true);
    clock.advance(130);
    expect(admit(quota, 1)).toMatchObject({
      admitted: false,
      reason: 'requests',
      retryAfterMs: 870,
      headers: { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '1' },
    });
    clock.advance(870);
    expect(admit(quota, 1).admitted).toBe(true);
  });
});

describe('a provisioned deployment', () => {
  const model = findModel('gpt-4o');
  if (model === undefined) throw new Error('no gpt-4o');
  // 60 tokens a second, ten seconds deep: 600 tokens fill the bucket.
  const settings = { units: 1, inputTpmPerUnit: 3600, outputRatio: 4, burstSeconds: 10 };

  it('admits until full, then refuses for as long as draining takes', () => {
    const clock = clockAt(0);
    const quota = provisionedQuota(settings, model, clock);
    expect(admit(quota, 200, 25)).toMatchObject({
      admitted: true,
      headers: { 'azure-openai-deployment-utilization': '50.0%' },
    });
    admit(quota, 360);
    const refused = admit(quota, 1);
    expect(refused).toMatchObject({
      admitted: false,
      reason: 'provisioned',
      headers: { 'azure-openai-deployment-utilization': '110.0%' },
    });
    expect(refused.headers).not.toHaveProperty('x-ratelimit-limit-tokens');
    const wait = refused.admitted ? 0 : refused.retryAfterMs;
    expect(wait).toBe(1001);
    clock.advance(wait);
    expect(admit(quota, 1).admitted).toBe(true);
  });

  it('replaces the estimate by the truth, cached input free of charge', () => {
    const quota = provisionedQuota(settings, model, clockAt(0));
    const admission = admit(quota, 300, 75);
    if (!admission.admitted) throw new Error('refused');
    admission.settle({
      promptTokens: 300,
      cachedTokens: 256,
      completionTokens: 4,
      reasoningTokens: 0,
    });
    expect(admit(quota, 0).headers).toEqual({ 'azure-openai-deployment-utilization': '10.0%' });
  });
});
