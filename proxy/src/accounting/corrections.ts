import { createHash } from 'node:crypto';
import type { LimitScope } from '@aigateway/contract/limits';
import type { TokenCounts, UsageRecord } from '@aigateway/contract/usage';
import {
  noAccount,
  type Estimates,
  type Limiter,
  type SpendCorrection,
  type UsageSink,
} from '../ports.ts';
import type { TailUsage } from './usage-tail.ts';

export type CorrectionsOptions = {
  readonly estimates: Estimates;
  readonly sink: Pick<UsageSink, 'settle'>;
  readonly limiter: Pick<Limiter, 'correct'>;
  /** Told of every correction. */
  readonly onRecord: (record: UsageRecord) => void;
  /** What failed: the estimate stands, or is corrected when the usage is seen again. */
  readonly onTrouble: (error: unknown) => void;
};

/** What was seen of a response that is generated in the background. */
export type BackgroundResponse = {
  /** {@link estimateId} of it. */
  readonly id: string;
  /** What it used, once it has ended. */
  readonly seen: TailUsage | undefined;
};

/** How a call is charged that an estimate was held for. */
export type Charge = {
  /** Nano-USD; undefined where no price is known. */
  cost(record: UsageRecord, seen: TailUsage): number | undefined;
  /** Who has budgets that it counts for. */
  scopes(record: UsageRecord): readonly LimitScope[];
};

/** Names a stored response, without telling what it is. @param original - the upstream's own id */
export function estimateId(resourceId: string, original: string): string {
  return createHash('sha256').update(`${resourceId}\0${original}`).digest('base64url').slice(0, 22);
}

/**
 * Sets right what calls were charged that ended before their usage was known.
 *
 * The record of a correction goes to the sink before the estimate is dropped, and names what it corrects: it may be written more
 * than once, and counts once. Budgets are corrected by whoever dropped the estimate, at most once.
 */
export class Corrections {
  readonly #options: CorrectionsOptions;
  readonly #correcting = new Set<string>();
  readonly #pending = new Set<Promise<void>>();

  constructor(options: CorrectionsOptions) {
    this.#options = options;
  }

  /** Keeps the record of a call that is charged by estimate until {@link correct} is told what it used. */
  hold(id: string, record: UsageRecord): void {
    this.#track(this.#options.estimates.hold(id, record));
  }

  /** What it used is seen, now or again. Does nothing unless an estimate is held for it. */
  correct(id: string, seen: TailUsage, charge: Charge): void {
    if (this.#correcting.has(id)) return;
    this.#correcting.add(id);
    this.#track(this.#correct(id, seen, charge).finally(() => this.#correcting.delete(id)));
  }

  /** Charges holders of budgets for a call that they did not bind. */
  charge(correction: SpendCorrection): void {
    this.#track(this.#options.limiter.correct(correction));
  }

  /** Resolves when all that is under way is done. */
  async whenIdle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  async #correct(id: string, seen: TailUsage, charge: Charge): Promise<void> {
    const { estimates, sink, limiter, onRecord } = this.#options;
    const estimate = await estimates.find(id);
    if (estimate === undefined) return;
    const correction = correctionOf(estimate, id, seen, charge.cost(estimate, seen));
    sink.settle(correction, noAccount);
    onRecord(correction);
    // The sink writes at the end of this turn: what is dropped before would be lost with the process.
    await new Promise((resolve) => setImmediate(resolve));
    if (!(await estimates.drop(id))) return;
    await limiter.correct({
      scopes: charge.scopes(estimate),
      moreNanoUsd: correction.costNanoUsd,
      startedAt: estimate.startedAt,
    });
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#options.onTrouble(error))
      .finally(() => this.#pending.delete(tracked));
    this.#pending.add(tracked);
  }
}

function correctionOf(
  estimate: UsageRecord,
  id: string,
  seen: TailUsage,
  cost: number | undefined,
): UsageRecord {
  return {
    ...estimate,
    tokens: difference(seen.tokens, estimate.tokens),
    usageSource: 'measured',
    costNanoUsd: (cost ?? 0) - estimate.costNanoUsd,
    unpriced: cost === undefined,
    servedModel: seen.model ?? estimate.servedModel,
    serviceTier: seen.serviceTier,
    attempts: [],
    corrects: id,
  };
}

function difference(real: TokenCounts, estimated: TokenCounts): TokenCounts {
  return {
    input: real.input - estimated.input,
    cachedInput: real.cachedInput - estimated.cachedInput,
    cacheWrite: real.cacheWrite - estimated.cacheWrite,
    audioInput: real.audioInput - estimated.audioInput,
    output: real.output - estimated.output,
    reasoning: real.reasoning - estimated.reasoning,
    audioOutput: real.audioOutput - estimated.audioOutput,
  };
}
