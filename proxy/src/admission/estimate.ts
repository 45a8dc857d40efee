import type { Operation } from '@aigateway/contract/records';
import { bytesPerToken } from '../accounting/usage-reader.ts';

/**
 * Tokens of an inline image or other media: what OpenAI counts for a square image of 1024 pixels in high detail, four tiles of
 * 170 and 85 besides.
 */
const tokensPerMedia = 765;

/** Asked for more than this, an upstream refuses anyway; unclamped, one absurd request would hold a shared limit for itself. */
const mostOutputTokens = 1_000_000;
const mostChoices = 128;

/** Least output expected of a call that sets no maximum. */
const leastOutputTokens = 1024;

/** How much of the mean a new answer makes up: the last ten or so count. */
const newestShare = 0.1;

export type ExpectedCall = {
  operation: Operation;
  bodyBytes: number;
  /** Bytes of the body without inline media, see `measureContent`. Absent = all of it. */
  contentBytes?: number | undefined;
  /** Images, sounds and files carried inline. */
  mediaParts?: number | undefined;
  /** The maximum of output that the caller asked for. */
  requestedOutput?: number | undefined;
  /** The most that the model can give. */
  maxOutput?: number | undefined;
  /** Mean output of this key's recent calls of this model, see {@link OutputMeans}. */
  meanOutput?: number | undefined;
  /** `n` or `best_of`, the larger. Default 1. */
  choices?: number | undefined;
};

export type TokenEstimate = { input: number; output: number; total: number };

/**
 * What a call is expected to use, before it is made.
 *
 * The rule is Azure's for its own limits (prompt by characters, plus the requested maximum for each choice), so it serves for
 * a deployment's quota as well as for a key's. Without a requested maximum twice the recent mean is expected, at least
 * 1024, at most what the model can give.
 */
export function estimateTokens(call: ExpectedCall): TokenEstimate {
  const { operation, bodyBytes, contentBytes = bodyBytes, mediaParts = 0, choices = 1 } = call;
  const input = Math.ceil(contentBytes / bytesPerToken) + mediaParts * tokensPerMedia;
  if (operation === 'embeddings') return { input, output: 0, total: input };

  const expected = Math.max(leastOutputTokens, Math.ceil(2 * (call.meanOutput ?? 0)));
  const perChoice = Math.min(call.requestedOutput ?? expected, call.maxOutput ?? mostOutputTokens);
  const output = perChoice * Math.min(Math.max(1, choices), mostChoices);
  return { input, output, total: input + output };
}

type Mean = { output: number };

/**
 * Recent mean output of each key and model; pairs not used for long are forgotten.
 *
 * Two generations rather than an order of use: what is in use is updated in place, where moving it to the end of a map at
 * every call leaves a trail of discarded tables.
 */
export class OutputMeans {
  readonly #capacity: number;
  #recent = new Map<string, Mean>();
  #older = new Map<string, Mean>();

  /** @param capacity - about how many pairs are remembered at most */
  constructor(capacity = 10_000) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#recent.size + this.#older.size;
  }

  /** Mean output in tokens of one choice, or undefined for a pair that is not known. */
  mean(keyId: string, model: string): number | undefined {
    const pair = pairOf(keyId, model);
    return (this.#recent.get(pair) ?? this.#older.get(pair))?.output;
  }

  /** @param output - tokens of one choice */
  add(keyId: string, model: string, output: number): void {
    const pair = pairOf(keyId, model);
    let mean = this.#recent.get(pair);
    if (mean === undefined) {
      mean = this.#older.get(pair) ?? { output };
      this.#older.delete(pair);
      this.#recent.set(pair, mean);
    }
    mean.output += (output - mean.output) * newestShare;
    if (this.#recent.size * 2 <= this.#capacity) return;
    this.#older = this.#recent;
    this.#recent = new Map();
  }
}

function pairOf(keyId: string, model: string): string {
  return `${keyId}\n${model}`;
}
