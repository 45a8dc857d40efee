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

/** What a call that ended earlier was charged too little, or too much. */
export type SpendCorrection = {
  scopes: readonly LimitScope[];
  /** Nano-USD to be charged on top; below zero = charged too much. */
  moreNanoUsd: number;
  /** When the call began, in milliseconds since the epoch. */
  startedAt: number;
};

/** Admission. All scopes grant or none does. */
export interface Limiter {
  /** Answers at once whenever it can: a promise only when the grant needs a round trip. */
  reserve(request: LimitRequest): Reservation | Refusal | Promise<Reservation | Refusal>;
  /**
   * Sets budgets right. As with settling, what was charged too much goes back to the window it was taken from, or is lost with it;
   * what is charged on top is charged now.
   */
  correct(correction: SpendCorrection): Promise<void>;
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

/** The account of a record that belongs to no admitted request: a correction. */
export const noAccount = 0;

/**
 * Records of calls that were charged by estimate and whose real usage is yet to be known, by an id that names what they made.
 * Each is kept for {@link estimateLifeMs}.
 */
export interface Estimates {
  hold(id: string, record: UsageRecord): Promise<void>;
  find(id: string): Promise<UsageRecord | undefined>;
  /** @returns whether it was there: true for one of all that ask */
  drop(id: string): Promise<boolean>;
}

/** Azure keeps a stored response for 30 days. */
export const estimateLifeMs = 31 * 86_400_000;

/** Where usage records go. `open` is called for every admitted request, `settle` exactly once for each, and for each correction. */
export interface UsageSink {
  /**
   * @returns the account to settle, above {@link noAccount}
   * @throws GatewayError `accounting_unavailable` when nothing more can be taken in
   */
  open(call: OpenedCall, startedAt: number): number;
  settle(record: UsageRecord, account: number): void;
}
