import type { PriceRecord } from '@aigateway/contract/records';
import { noTokens, type TokenCounts } from '@aigateway/contract/usage';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { costEstimate, costNanoUsd } from './cost.ts';

/** gpt-4o: 2.50, 1.25 and 10 USD per million tokens. */
const gpt4o: PriceRecord = { input: 2_500_000, cachedInput: 1_250_000, output: 10_000_000 };

describe('cost', () => {
  it('is input, cached input and output at their own prices', () => {
    const tokens = { ...noTokens, input: 1000, cachedInput: 400, output: 100 };
    expect(costNanoUsd(tokens, gpt4o)).toBe(600 * 2500 + 400 * 1250 + 100 * 10_000);
  });

  it('counts fractions of a nano-dollar exactly and rounds the sum once, half to even', () => {
    const price = { input: 20_100, output: 0 };
    expect(costNanoUsd({ ...noTokens, input: 5 }, price)).toBe(100);
    expect(costNanoUsd({ ...noTokens, input: 15 }, price)).toBe(302);
    expect(costNanoUsd({ ...noTokens, input: 1 }, { input: 500, output: 0 })).toBe(0);
    expect(costNanoUsd({ ...noTokens, input: 3 }, { input: 500, output: 0 })).toBe(2);
  });

  it('prices audio, cache writes and reasoning by themselves where they have a price', () => {
    const price = {
      ...gpt4o,
      audioInput: 40_000_000,
      audioOutput: 80_000_000,
      cacheWrite: 3_000_000,
    };
    const tokens = {
      input: 100,
      cachedInput: 10,
      cacheWrite: 20,
      audioInput: 30,
      output: 50,
      reasoning: 15,
      audioOutput: 5,
    };
    expect(costNanoUsd(tokens, price)).toBe(
      40 * 2500 + 10 * 1250 + 20 * 3000 + 30 * 40_000 + 30 * 10_000 + 15 * 10_000 + 5 * 80_000,
    );
    expect(costNanoUsd(tokens, { ...price, reasoning: 1_000_000 })).toBe(
      40 * 2500 + 10 * 1250 + 20 * 3000 + 30 * 40_000 + 30 * 10_000 + 15 * 1000 + 5 * 80_000,
    );
  });

  it('prices all tokens of a call of long context higher, not just those above the threshold', () => {
    const price = {
      ...gpt4o,
      long: {
        aboveInputTokens: 272_000,
        input: 5_000_000,
        output: 15_000_000,
        cachedInput: 500_000,
      },
    };
    const at = { ...noTokens, input: 272_000, output: 10 };
    expect(costNanoUsd(at, price)).toBe(272_000 * 2500 + 10 * 10_000);
    const above = { ...noTokens, input: 272_001, cachedInput: 1, output: 10 };
    expect(costNanoUsd(above, price)).toBe(272_000 * 5000 + 500 + 10 * 15_000);
  });

  it('prices a service tier by the tier that the answer names, an unknown one as ordinary', () => {
    const price = { ...gpt4o, tiers: { priority: { input: 4_250_000, output: 17_000_000 } } };
    const tokens = { ...noTokens, input: 10, output: 1 };
    expect(costNanoUsd(tokens, price, 'priority')).toBe(10 * 4250 + 17_000);
    expect(costNanoUsd(tokens, price, 'default')).toBe(10 * 2500 + 10_000);
    expect(costNanoUsd(tokens, price, 'constructor')).toBe(10 * 2500 + 10_000);
  });

  it('charges nothing twice when parts exceed their total', () => {
    const tokens = { ...noTokens, input: 10, cachedInput: 8, audioInput: 8 };
    expect(costNanoUsd(tokens, { ...gpt4o, audioInput: 40_000_000 })).toBe(8 * 1250 + 2 * 40_000);
  });

  it('is the rounded rational sum for any tokens and prices', () => {
    const count = fc.oneof(fc.nat({ max: 2000 }), fc.nat({ max: 2 ** 31 - 1 }));
    const rate = fc.oneof(fc.nat({ max: 1000 }), fc.nat({ max: 500_000_000 }));
    const counts = fc.record({
      input: count,
      cachedInput: count,
      cacheWrite: count,
      audioInput: count,
      output: count,
      reasoning: count,
      audioOutput: count,
    });
    const rates = { input: rate, output: rate };
    const prices = fc.record(
      {
        ...rates,
        cachedInput: rate,
        cacheWrite: rate,
        audioInput: rate,
        audioOutput: rate,
        reasoning: rate,
        long: fc.record(
          { aboveInputTokens: count, ...rates, cachedInput: rate },
          { requiredKeys: ['aboveInputTokens', 'input', 'output'] },
        ),
        tiers: fc.record({
          flex: fc.record({ ...rates, cachedInput: rate }, { requiredKeys: ['input', 'output'] }),
        }),
      },
      { requiredKeys: ['input', 'output'] },
    );
    fc.assert(
      fc.property(
        counts,
        prices,
        fc.constantFrom(undefined, 'flex', 'auto'),
        (tokens, price, tier) => {
          expect(costNanoUsd(tokens, price, tier)).toBe(reference(tokens, price, tier));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('leaves the safe integers only as their largest', () => {
    const tokens = { ...noTokens, input: Number.MAX_SAFE_INTEGER };
    expect(costNanoUsd(tokens, { input: Number.MAX_SAFE_INTEGER, output: 0 })).toBe(
      Number.MAX_SAFE_INTEGER,
    );
  });
});

describe('cost estimate', () => {
  it('takes the dearest deployment that may answer', () => {
    const cheap = { input: 1_000_000, output: 1_000_000 };
    const tokens = { input: 100, output: 10 };
    expect(costEstimate(tokens, [cheap, undefined, gpt4o])).toBe(100 * 2500 + 10 * 10_000);
    expect(costEstimate(tokens, [undefined])).toBe(0);
  });

  it('is never below the cost of the tokens it was made for', () => {
    const rate = fc.nat({ max: 100_000_000 });
    fc.assert(
      fc.property(
        fc.nat(1_000_000),
        fc.nat(100_000),
        rate,
        rate,
        (input, output, ...[first, second]) => {
          const price = { input: first, output: second, cachedInput: Math.floor(first / 2) };
          const tokens = { ...noTokens, input, cachedInput: Math.floor(input / 3), output };
          expect(costEstimate({ input, output }, [price])).toBeGreaterThanOrEqual(
            costNanoUsd(tokens, price),
          );
        },
      ),
    );
  });
});

/** The same rules on whole numbers of any size. */
function reference(tokens: TokenCounts, price: PriceRecord, tier?: string): number {
  const isLong = price.long !== undefined && tokens.input > price.long.aboveInputTokens;
  const tierRates = tier === 'flex' ? price.tiers?.['flex'] : undefined;
  const rates: Pick<PriceRecord, 'input' | 'output' | 'cachedInput'> = isLong
    ? price.long!
    : (tierRates ?? price);

  const take = (
    total: bigint,
    parts: [count: number, rate: number | undefined][],
    rest: number,
  ) => {
    let left = total;
    let sum = 0n;
    for (const [count, rate] of parts) {
      const taken = BigInt(count) < left ? BigInt(count) : left;
      left -= taken;
      sum += taken * BigInt(rate ?? rest);
    }
    return sum + left * BigInt(rest);
  };
  const picoUsd =
    take(
      BigInt(tokens.input),
      [
        [tokens.cachedInput, rates.cachedInput ?? price.cachedInput],
        [tokens.cacheWrite, price.cacheWrite],
        [tokens.audioInput, price.audioInput],
      ],
      rates.input,
    ) +
    take(
      BigInt(tokens.output),
      [
        [tokens.reasoning, price.reasoning],
        [tokens.audioOutput, price.audioOutput],
      ],
      rates.output,
    );

  // Half to even: twice the rest against the divisor decides, evenness breaks the tie.
  const floor = picoUsd / 1000n;
  const twice = 2n * (picoUsd - floor * 1000n);
  const up = twice > 1000n || (twice === 1000n && floor % 2n === 1n);
  return Number(up ? floor + 1n : floor);
}
