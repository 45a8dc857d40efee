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

/** Who a request is accounted to. A `KeyRecord` is one. */
export type Payer = {
  keyId: string;
  alias?: string;
  ownerId: string;
  teamId?: string;
  userId?: string;
  organizationId?: string;
};

/** What is known of a call before it is sent. */
export type OpenedCall = {
  readonly requestId: string;
  readonly key: Payer;
  readonly customerId?: string | undefined;
  readonly tags: readonly string[];
  /** The name the caller asked for, after the key's aliases. */
  readonly model: string;
  readonly operation: string;
  readonly stream: boolean;
  /** What it is charged if its end is never known: tokens, and nano-USD. Absent = nothing. */
  readonly expected?:
    | { readonly input: number; readonly output: number; readonly costNanoUsd: number }
    | undefined;
};

/** Where usage records go. `open` is called for every admitted request, `settle` exactly once for each. */
export interface UsageSink {
  /**
   * @returns the account to settle
   * @throws GatewayError `accounting_unavailable` when nothing more can be taken in
   */
  open(call: OpenedCall, startedAt: number): number;
  settle(record: UsageRecord, account: number): void;
}
