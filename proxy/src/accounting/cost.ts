import type { PriceRecord } from '@aigateway/contract/records';
import type { TokenCounts } from '@aigateway/contract/usage';

const picoPerNano = 1000;

/**
 * What a call costs, in nano-USD: exact in pico-USD, then rounded once, half to even.
 *
 * Parts (cached, written to the cache, audio, reasoning) are taken out of their total and priced by themselves; parts that
 * would exceed their total are cut to it, so nothing is charged twice. Above the long-context threshold all tokens take the
 * long prices. A part that the chosen prices do not name has its ordinary price, and where there is none, its total's.
 *
 * @param tokens - whole numbers, zero or more
 * @param price - integer pico-USD per token
 * @param tier - the service tier that the answer names. One without prices of its own is charged as ordinary; a call of long
 *   context has the long prices whatever its tier, since a tier has no long prices
 * @returns an integer, at most `Number.MAX_SAFE_INTEGER` (nine million USD)
 * @see the rules follow LiteLLM's cost calculation, so that both arrive at the same figure
 */
export function costNanoUsd(tokens: TokenCounts, price: PriceRecord, tier?: string): number {
  const rates = ratesFor(tokens.input, price, tier);
  const cachedInputRate = cachedInputRateOf(rates, price);
  const cacheWriteRate = price.cacheWrite ?? rates.input;
  const audioInputRate = price.audioInput ?? rates.input;
  const reasoningRate = price.reasoning ?? rates.output;
  const audioOutputRate = price.audioOutput ?? rates.output;

  let textInput = tokens.input;
  const cachedInput = Math.min(tokens.cachedInput, textInput);
  textInput -= cachedInput;
  const cacheWrite = Math.min(tokens.cacheWrite, textInput);
  textInput -= cacheWrite;
  const audioInput = Math.min(tokens.audioInput, textInput);
  textInput -= audioInput;

  let textOutput = tokens.output;
  const reasoning = Math.min(tokens.reasoning, textOutput);
  textOutput -= reasoning;
  const audioOutput = Math.min(tokens.audioOutput, textOutput);
  textOutput -= audioOutput;

  const picoUsd =
    textInput * rates.input +
    cachedInput * cachedInputRate +
    cacheWrite * cacheWriteRate +
    audioInput * audioInputRate +
    textOutput * rates.output +
    reasoning * reasoningRate +
    audioOutput * audioOutputRate;
  // Nothing is subtracted here, so a product or sum that lost a digit on the way leaves a result above the safe integers.
  if (Number.isSafeInteger(picoUsd)) return toNano(picoUsd);

  return toNanoExactly([
    [textInput, rates.input],
    [cachedInput, cachedInputRate],
    [cacheWrite, cacheWriteRate],
    [audioInput, audioInputRate],
    [textOutput, rates.output],
    [reasoning, reasoningRate],
    [audioOutput, audioOutputRate],
  ]);
}

/**
 * What a call is expected to cost before it is known who answers it: the dearest of those that may, without any discount for
 * cached input, in nano-USD.
 *
 * @param prices - of the deployments that may answer; one without a price counts as free
 * @param tier - the service tier that the request asks for
 */
export function costEstimate(
  tokens: { input: number; output: number },
  prices: Iterable<PriceRecord | undefined>,
  tier?: string,
): number {
  const { input, output } = tokens;
  let dearest = 0;
  for (const price of prices) {
    if (price === undefined) continue;
    const rates = ratesFor(input, price, tier);
    const inputRate = Math.max(rates.input, price.cacheWrite ?? 0);
    const outputRate = Math.max(rates.output, price.reasoning ?? 0);
    dearest = Math.max(dearest, Math.ceil((input * inputRate + output * outputRate) / picoPerNano));
  }
  return Math.min(dearest, Number.MAX_SAFE_INTEGER);
}

type Rates = Pick<PriceRecord, 'input' | 'output' | 'cachedInput'>;

/** The prices of a call's tokens by kind, in pico-USD. @param input - tokens of its input, which long prices hang on */
export function tokenRates(
  input: number,
  price: PriceRecord,
): Required<Pick<PriceRecord, 'input' | 'output' | 'cachedInput' | 'cacheWrite' | 'reasoning'>> {
  const rates = ratesFor(input, price, undefined);
  return {
    input: rates.input,
    output: rates.output,
    cachedInput: cachedInputRateOf(rates, price),
    cacheWrite: price.cacheWrite ?? rates.input,
    reasoning: price.reasoning ?? rates.output,
  };
}

function cachedInputRateOf(rates: Rates, price: PriceRecord): number {
  return rates.cachedInput ?? price.cachedInput ?? rates.input;
}

function ratesFor(input: number, price: PriceRecord, tier: string | undefined): Rates {
  if (price.long !== undefined && input > price.long.aboveInputTokens) return price.long;
  if (tier !== undefined && price.tiers !== undefined && Object.hasOwn(price.tiers, tier)) {
    return price.tiers[tier] ?? price;
  }
  return price;
}

function toNano(picoUsd: number): number {
  const rest = picoUsd % picoPerNano;
  const nanoUsd = (picoUsd - rest) / picoPerNano;
  const isUp = rest > picoPerNano / 2 || (rest === picoPerNano / 2 && nanoUsd % 2 === 1);
  return isUp ? nanoUsd + 1 : nanoUsd;
}

function toNanoExactly(parts: readonly (readonly [tokens: number, rate: number])[]): number {
  let picoUsd = 0n;
  for (const [tokens, rate] of parts) picoUsd += BigInt(tokens) * BigInt(rate);
  const rest = picoUsd % 1000n;
  let nanoUsd = picoUsd / 1000n;
  if (rest > 500n || (rest === 500n && nanoUsd % 2n === 1n)) nanoUsd += 1n;
  return nanoUsd > Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : Number(nanoUsd);
}
