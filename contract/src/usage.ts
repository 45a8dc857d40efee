/** Tokens of one request by kind. `input` and `output` are totals; the others are parts of them. */
export type TokenCounts = {
  input: number;
  /** Part of `input` read from the upstream's prompt cache. */
  cachedInput: number;
  /** Part of `input` written to the upstream's prompt cache, where the upstream reports it. */
  cacheWrite: number;
  audioInput: number;
  output: number;
  /** Part of `output` spent on reasoning. */
  reasoning: number;
  audioOutput: number;
};

export const noTokens: TokenCounts = Object.freeze({
  input: 0,
  cachedInput: 0,
  cacheWrite: 0,
  audioInput: 0,
  output: 0,
  reasoning: 0,
  audioOutput: 0,
});

/** Where the token counts come from: the upstream's own figures, an estimate from what passed, or nothing was spent. */
export type UsageSource = 'measured' | 'estimated' | 'none';

/**
 * How an admitted request ended.
 *
 * - `completed`: the whole answer reached the caller's socket
 * - `rejected`: the upstream refused the request for a reason of its content (4xx); nothing was generated
 * - `failed`: no upstream could answer; the caller got an error
 * - `interrupted`: the upstream broke off after output had reached the caller, or the gateway stopped and could not wait for the end
 * - `aborted`: the caller left before the end
 */
export type Outcome = 'completed' | 'rejected' | 'failed' | 'interrupted' | 'aborted';

/** One try of one deployment. Failed tries are overhead: the caller pays for the answering one only. */
export type AttemptRecord = {
  deploymentId: string;
  /** HTTP status of the upstream; 0 when there was no answer. */
  status: number;
  reason: string;
  durationMs: number;
};

/** What is accounted for one admitted request, exactly once. Holds no content. A member that does not apply is absent or undefined. */
export type UsageRecord = {
  version: 1;
  requestId: string;
  startedAt: number;
  durationMs: number;
  /** Milliseconds to the first byte of output; absent when there was none. */
  firstOutputMs?: number | undefined;
  keyId: string;
  keyAlias?: string | undefined;
  /** The tenant: team, else user, else key. */
  ownerId: string;
  teamId?: string | undefined;
  userId?: string | undefined;
  organizationId?: string | undefined;
  /** The end user that the caller named. */
  customerId?: string | undefined;
  tags: readonly string[];
  /** The name the caller asked for, after the key's aliases. */
  model: string;
  /** What the caller spoke. */
  operation: string;
  /** What the deployment was spoken to in; differs from `operation` when bridged. */
  upstreamOperation?: string | undefined;
  deploymentId?: string | undefined;
  region?: string | undefined;
  /** The deployment of the same resource that Azure itself passed the request on to, whose prices count then. */
  spilledTo?: string | undefined;
  /** The upstream's own name of the model that answered. */
  servedModel?: string | undefined;
  stream: boolean;
  /** Status the caller saw; 499 when it left before any, 0 when the process ended and nobody knows. */
  status: number;
  outcome: Outcome;
  tokens: TokenCounts;
  usageSource: UsageSource;
  /** Cost in nano-USD (1e-9 USD), rounded once, half to even. */
  costNanoUsd: number;
  /** True when no price is known: the cost is then 0. */
  unpriced: boolean;
  serviceTier?: string | undefined;
  attempts: readonly AttemptRecord[];
  /**
   * Set on a correction: this is no request, but what an earlier record, charged by estimate, turned out to be. Tokens and cost
   * are the differences to it, below zero too, all else is that record's. However many have the same id here, the first counts.
   */
  corrects?: string | undefined;
  /** Set on a sum: this is no request, but what several were of which no more is known. It is not kept among single records. */
  sum?: SumOfRequests | undefined;
};

/** Requests that stand together as one record. */
export type SumOfRequests = {
  /** Names of the dimensions of the ledger that they count in; of others they were counted, or are not known. */
  readonly countsIn: readonly string[];
  readonly requests: number;
  /** Of those, what did not end as `completed`. */
  readonly failed: number;
};

/** One usage record with the place that makes it countable once. */
export type LedgerEvent = {
  /** 1, 2, 3… within its producer. */
  readonly sequence: number;
  readonly record: UsageRecord;
};

/** How far the events of one producer have come. */
export type UsageStanding = {
  /** The sequence that was taken in last: the next one is expected after it. It may move back when what carries events lost some. */
  readonly taken: number;
  /** Every event up to it is counted. */
  readonly mark: number;
};

/** Takes events of producers to the ledger, over whatever lies between. */
export interface UsageTransport {
  /**
   * Takes in events, or some of the first of them, or none: the standing tells. Giving the same again does nothing.
   *
   * @param events - in the order of their sequence, without a gap; none to ask for the standing
   * @param floor - the producer has nothing to give up to this sequence: it was counted, or is lost
   */
  append(producer: string, events: readonly LedgerEvent[], floor: number): Promise<UsageStanding>;
}
