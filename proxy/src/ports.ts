import type { LimitScope } from '@aigateway/contract/limits';
import type { UsageRecord } from '@aigateway/contract/usage';

/** Time as the pipeline sees it, so that tests hold it still. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}

/** What a request is expected to take from the limits of its scopes. */
export type LimitRequest = {
  scopes: readonly LimitScope[];
  /** Estimated input plus output tokens. */
  tokens: number;
  /** Estimated cost in nano-USD. */
  costNanoUsd: number;
};

/** What it really took. */
export type Spent = { tokens: number; costNanoUsd: number };

export type LimitStanding = { limit: number; remaining: number; resetMs: number };

/** The tightest limits after a reservation, for the `x-ratelimit-*` headers. Absent or undefined = no such limit. */
export type RateStanding = {
  requests?: LimitStanding | undefined;
  tokens?: LimitStanding | undefined;
};

/** A held share of every scope's limits. Settled exactly once; a second `settle` does nothing. */
export interface Reservation {
  readonly standing: RateStanding;
  settle(spent: Spent): void;
}

export type Refusal = {
  refused: true;
  scope: LimitScope;
  limitType: 'requests' | 'tokens' | 'max_parallel_requests' | 'budget';
  /** The limit and what was left of it: a count, or nano-USD for budgets. */
  limit: number;
  remaining: number;
  /** When the same request could pass, in milliseconds from now; infinite when it never can. */
  retryAfterMs: number;
};

/** Admission. All scopes grant or none does. */
export interface Limiter {
  /** Answers at once whenever it can: a promise only when the grant needs a round trip. */
  reserve(request: LimitRequest): Reservation | Refusal | Promise<Reservation | Refusal>;
}

/** Where usage records go. `open` is called for every admitted request, `settle` exactly once for each. */
export interface UsageSink {
  /** @throws GatewayError `accounting_unavailable` when nothing more can be taken in */
  open(requestId: string, startedAt: number): void;
  settle(record: UsageRecord): void;
}
