import type { Operation } from '@aigateway/contract/records';
import {
  noTokens,
  type AttemptRecord,
  type Outcome,
  type TokenCounts,
  type UsageRecord,
  type UsageSource,
} from '@aigateway/contract/usage';
import type { BackgroundResponse } from './corrections.ts';
import type { Clock, OpenedCall, Reservation, UsageSink } from '../ports.ts';

/** Takes in the output of answers, for later estimates. */
export interface OutputListener {
  /** @param output - tokens of one choice */
  add(keyId: string, model: string, output: number): void;
}

export type MeterOptions = { clock: Clock; sink: UsageSink; means?: OutputListener };

/** A request that its limits have let in. */
export type AdmittedRequest = OpenedCall & {
  /** When it came, in milliseconds since the epoch. Default: now. */
  startedAt?: number | undefined;
  operation: Operation;
  /** `n` of the request. Default 1. */
  choices?: number | undefined;
  /** What its limits hold for it. Settled with the request. */
  reservation: Reservation;
};

/** How a request ended. */
export type RequestEnd = {
  outcome: Outcome;
  /** Status the caller saw; 499 when it left before any. */
  status: number;
  /** What it used. Absent = nothing. */
  usage?: { tokens: TokenCounts; source: Exclude<UsageSource, 'none'> } | undefined;
  /** What that costs, in nano-USD. Absent = no price is known. */
  costNanoUsd?: number | undefined;
  serviceTier?: string | undefined;
  deploymentId?: string | undefined;
  region?: string | undefined;
  spilledTo?: string | undefined;
  servedModel?: string | undefined;
  /** What the deployment was spoken to in, when bridged. */
  upstreamOperation?: Operation | undefined;
  /** When the first output was there, in milliseconds since the epoch. */
  firstOutputAt?: number | undefined;
  attempts: readonly AttemptRecord[];
  /** Set where usage was not known yet of a response that is generated in the background, or where it has become known. */
  background?: BackgroundResponse | undefined;
};

export type MeterCounts = {
  admitted: number;
  settled: number;
  /** Admitted and not settled: always `admitted - settled`. */
  inFlight: number;
  /** Second settlements, which were ignored. Above zero is a fault in the gateway. */
  doubleSettled: number;
  /** Records that the sink refused. Above zero is lost usage. */
  unrecorded: number;
};

/**
 * Accounts for every admitted request exactly once, whichever way it ends: one record to the sink, the reservation settled.
 */
export class Meter {
  readonly #clock: Clock;
  readonly #sink: UsageSink;
  readonly #means: OutputListener | undefined;
  #admitted = 0;
  #settled = 0;
  #doubleSettled = 0;
  #unrecorded = 0;
  #idle: { promise: Promise<void>; resolve: () => void } | undefined;

  constructor(options: MeterOptions) {
    this.#clock = options.clock;
    this.#sink = options.sink;
    this.#means = options.means;
  }

  get counts(): MeterCounts {
    return {
      admitted: this.#admitted,
      settled: this.#settled,
      inFlight: this.#admitted - this.#settled,
      doubleSettled: this.#doubleSettled,
      unrecorded: this.#unrecorded,
    };
  }

  /**
   * Opens the account of a request. From here on it must be settled.
   *
   * @throws GatewayError `accounting_unavailable` when the sink takes in nothing more; the reservation is then released
   */
  admit(request: AdmittedRequest): Admission {
    const startedAt = request.startedAt ?? this.#clock.now();
    let account: number;
    try {
      account = this.#sink.open(request, startedAt);
    } catch (cause) {
      request.reservation.settle({ tokens: 0, costNanoUsd: 0 });
      throw cause;
    }
    this.#admitted += 1;
    return new Admission(this, request, startedAt, account);
  }

  /** Resolves when nothing is in flight. */
  async whenIdle(): Promise<void> {
    if (this.#admitted === this.#settled) return;
    this.#idle ??= Promise.withResolvers<void>();
    await this.#idle.promise;
  }

  /** For {@link Admission.settle} alone, which sees to it that it is called once. */
  close(
    request: AdmittedRequest,
    startedAt: number,
    account: number,
    end: RequestEnd,
  ): UsageRecord {
    try {
      const record = usageRecord(request, startedAt, this.#clock.now(), end);
      request.reservation.settle({
        tokens: record.tokens.input + record.tokens.output,
        costNanoUsd: record.costNanoUsd,
      });
      this.#learn(request, record);
      this.#write(record, account);
      return record;
    } finally {
      this.#settled += 1;
      if (this.#admitted === this.#settled) {
        this.#idle?.resolve();
        this.#idle = undefined;
      }
    }
  }

  /** For {@link Admission.settle} alone: an account was closed again. */
  countSecondSettlement(): void {
    this.#doubleSettled += 1;
  }

  /** Broken-off answers and estimates say nothing of how long answers are. */
  #learn(request: AdmittedRequest, record: UsageRecord): void {
    if (record.outcome !== 'completed' || record.usageSource !== 'measured') return;
    if (request.operation === 'embeddings') return;
    const choices = Math.max(1, request.choices ?? 1);
    this.#means?.add(record.keyId, record.model, record.tokens.output / choices);
  }

  #write(record: UsageRecord, account: number): void {
    try {
      this.#sink.settle(record, account);
    } catch {
      // The answer has gone out: nothing is left to refuse. The count tells of the loss.
      this.#unrecorded += 1;
    }
  }
}

/** An open account of one request. */
export class Admission {
  readonly startedAt: number;
  readonly #meter: Meter;
  readonly #request: AdmittedRequest;
  readonly #account: number;
  #isSettled = false;

  /** Made by {@link Meter.admit} alone. */
  constructor(meter: Meter, request: AdmittedRequest, startedAt: number, account: number) {
    this.#meter = meter;
    this.#request = request;
    this.#account = account;
    this.startedAt = startedAt;
  }

  get requestId(): string {
    return this.#request.requestId;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /**
   * Closes the account. The first call counts: a later one changes nothing and is counted as a fault. What the sink throws
   * is counted as `unrecorded` and goes no further.
   *
   * @returns the record, or undefined when the account was closed before
   */
  settle(end: RequestEnd): UsageRecord | undefined {
    if (this.#isSettled) {
      this.#meter.countSecondSettlement();
      return undefined;
    }
    this.#isSettled = true;
    return this.#meter.close(this.#request, this.startedAt, this.#account, end);
  }
}

function usageRecord(
  request: AdmittedRequest,
  startedAt: number,
  endedAt: number,
  end: RequestEnd,
): UsageRecord {
  const { key, operation } = request;
  const { usage, costNanoUsd, upstreamOperation } = end;
  // One literal with every member: records of one shape are cheap to make and to read.
  return {
    version: 1,
    requestId: request.requestId,
    startedAt,
    durationMs: Math.max(0, endedAt - startedAt),
    firstOutputMs:
      end.firstOutputAt === undefined ? undefined : Math.max(0, end.firstOutputAt - startedAt),
    keyId: key.keyId,
    keyAlias: key.alias,
    ownerId: key.ownerId,
    teamId: key.teamId,
    userId: key.userId,
    organizationId: key.organizationId,
    customerId: request.customerId,
    tags: request.tags,
    model: request.model,
    operation,
    upstreamOperation: upstreamOperation === operation ? undefined : upstreamOperation,
    deploymentId: end.deploymentId,
    region: end.region,
    spilledTo: end.spilledTo,
    servedModel: end.servedModel,
    stream: request.stream,
    status: end.status,
    outcome: end.outcome,
    tokens: usage?.tokens ?? noTokens,
    usageSource: usage?.source ?? 'none',
    costNanoUsd: costNanoUsd ?? 0,
    unpriced: usage !== undefined && costNanoUsd === undefined,
    serviceTier: end.serviceTier,
    attempts: end.attempts,
  };
}
