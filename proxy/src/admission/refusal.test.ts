import { describe, expect, it } from 'vitest';
import type { Refusal } from '../ports.ts';
import { rateLimitHeaders, refusalError } from './refusal.ts';

const nowMs = Date.UTC(2026, 10, 21, 12, 0, 20);

function refusal(changes: Partial<Refusal> = {}): Refusal {
  return {
    refused: true,
    scope: { kind: 'team', id: 'secret-id', label: 'Search', limits: {} },
    limitType: 'requests',
    limit: 10,
    remaining: 0,
    retryAfterMs: 39_500,
    ...changes,
  };
}

describe('refusal', () => {
  it('says which limit of whom ran out, in the words LiteLLM has', () => {
    const error = refusalError(refusal(), {
      nowMs,
      estimateTokens: 1033,
      estimateNanoUsd: 30_000_000,
    });
    expect(error.status).toBe(429);
    expect(error.envelope().error).toEqual({
      message:
        'Rate limit exceeded for team: Search. Limit type: requests. Current limit: 10, Remaining: 0. Limit resets at: 2026-11-21 12:01:00 UTC.',
      type: 'throttling_error',
      param: null,
      code: 'rate_limit_exceeded',
    });
  });

  it('tells the true wait in seconds, rounded up, and in milliseconds', () => {
    const { headers, retryAfterMs } = refusalError(refusal(), {
      nowMs,
      estimateTokens: 1033,
      estimateNanoUsd: 30_000_000,
    });
    expect(retryAfterMs).toBe(39_500);
    expect(headers).toEqual({
      'retry-after': '40',
      'retry-after-ms': '39500',
      'x-ratelimit-limit-requests': '10',
      'x-ratelimit-remaining-requests': '0',
      'x-ratelimit-reset-requests': '40',
      'x-ratelimit-team-limit-requests': '10',
      'x-ratelimit-team-remaining-requests': '0',
    });
    expect(
      refusalError(refusal({ retryAfterMs: 0.2 }), {
        nowMs,
        estimateTokens: 1033,
        estimateNanoUsd: 30_000_000,
      }).headers,
    ).toMatchObject({
      'retry-after': '1',
      'retry-after-ms': '1',
    });
  });

  it('tells clients not to retry a wait above a minute', () => {
    const at = (retryAfterMs: number) =>
      refusalError(refusal({ retryAfterMs }), {
        nowMs,
        estimateTokens: 1033,
        estimateNanoUsd: 30_000_000,
      }).headers;
    expect(at(60_000)).not.toHaveProperty('x-should-retry');
    expect(at(60_001)).toMatchObject({ 'retry-after': '61', 'x-should-retry': 'false' });
  });

  it('says what the request was taken for where the limit is of tokens', () => {
    const error = refusalError(refusal({ limitType: 'tokens', limit: 1000, remaining: 982 }), {
      nowMs,
      estimateTokens: 1033,
      estimateNanoUsd: 0,
    });
    expect(error.message).toContain('Remaining: 982. This request is estimated at: 1033. Limit');
  });

  it('promises nothing where the same request can never pass', () => {
    const error = refusalError(refusal({ limit: 0, retryAfterMs: Infinity }), {
      nowMs,
      estimateTokens: 1033,
      estimateNanoUsd: 30_000_000,
    });
    expect(error.retryAfterMs).toBeUndefined();
    expect(error.headers).not.toHaveProperty('retry-after');
    expect(error.headers).toMatchObject({ 'x-should-retry': 'false' });
    expect(error.message).toContain('resets at: never.');
  });

  it('has no reset of parallel requests in the headers: nobody knows it', () => {
    const changes = { limitType: 'max_parallel_requests', limit: 2, retryAfterMs: 1000 } as const;
    const { headers } = refusalError(refusal(changes), {
      nowMs,
      estimateTokens: 1033,
      estimateNanoUsd: 30_000_000,
    });
    expect(headers).toEqual({
      'retry-after': '1',
      'retry-after-ms': '1000',
      'x-ratelimit-team-limit-max_parallel_requests': '2',
      'x-ratelimit-team-remaining-max_parallel_requests': '0',
    });
  });

  it('shows budgets in USD, to the last nano-dollar', () => {
    const changes = { limitType: 'budget', limit: 2_500_000_000, remaining: 1 } as const;
    const error = refusalError(refusal({ ...changes, retryAfterMs: 43_180_000 }), {
      nowMs,
      estimateTokens: 1033,
      estimateNanoUsd: 30_000_000,
    });
    expect(error.status).toBe(429);
    expect(error.envelope().error).toMatchObject({
      message:
        'Budget has been exceeded! team: Search. Current cost: 2.499999999, Max budget: 2.5. This request is estimated at: 0.03. The budget resets at: 2026-11-22 00:00:00 UTC.',
      type: 'budget_exceeded',
    });
    expect(error.headers).toMatchObject({ 'retry-after': '43180', 'x-should-retry': 'false' });
  });

  it.each([-400, 3, 400])('names the end of a window whose wait is %i ms beside it', (beside) => {
    for (const limitType of ['budget', 'requests'] as const) {
      const error = refusalError(refusal({ limitType, retryAfterMs: 43_180_000 + beside }), {
        nowMs,
        estimateTokens: 0,
        estimateNanoUsd: 0,
      });
      expect(error.message).toContain('resets at: 2026-11-22 00:00:00 UTC.');
    }
  });

  it('answers exceeded budgets with the configured status, rate limits never', () => {
    const options = {
      nowMs,
      estimateTokens: 1033,
      estimateNanoUsd: 30_000_000,
      budgetExceededStatus: 422,
    };
    expect(refusalError(refusal({ limitType: 'budget' }), options).status).toBe(422);
    expect(refusalError(refusal(), options).status).toBe(429);
  });
});

describe('rate limit headers', () => {
  it('are those of the limits there are', () => {
    expect(rateLimitHeaders({})).toEqual([]);
    expect(rateLimitHeaders({ tokens: { limit: 1000, remaining: 400, resetMs: 1 } })).toEqual([
      'x-ratelimit-limit-tokens',
      '1000',
      'x-ratelimit-remaining-tokens',
      '400',
      'x-ratelimit-reset-tokens',
      '1',
    ]);
  });
});
