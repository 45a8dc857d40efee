import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { divideHalfEven, nanoUsd, picoUsd, scaleDecimal } from './money.ts';

describe('prices and amounts are read exactly', () => {
  it.each([
    ['2.5e-06', 2_500_000],
    ['0.0000025', 2_500_000],
    [2.5e-6, 2_500_000],
    ['1.43e-07', 143_000],
    ['2e-8', 20_000],
    ['0.0', 0],
    ['0', 0],
    ['.5', 500_000_000_000],
    ['1', 1_000_000_000_000],
    // Below one pico-USD: half to even.
    ['0.5e-12', 0],
    ['1.5e-12', 2],
    ['2.5e-12', 2],
  ])('%s US dollars in pico-USD', (text, expected) => {
    expect(picoUsd(text)).toBe(expected);
  });

  it('never goes through a float: 0.1 + 0.2 of a dollar are 0.3', () => {
    expect((nanoUsd('0.1') ?? 0) + (nanoUsd('0.2') ?? 0)).toBe(nanoUsd('0.3'));
    expect(nanoUsd(20_000)).toBe(20_000_000_000_000);
    expect(nanoUsd('1.005')).toBe(1_005_000_000);
  });

  it.each(['', '-1', 'abc', '1,5', '1e', 'NaN', 'Infinity', '0x10', '9e9999', '99999999999'])(
    'refuses %j',
    (text) => {
      expect(picoUsd(text)).toBeUndefined();
    },
  );

  it('agrees with exact decimals for any number of digits', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 9_007_199_254_740_991n }),
        fc.nat(15),
        (units, digits) => {
          const text = units.toString().padStart(digits + 1, '0');
          const decimal = digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`;
          expect(scaleDecimal(decimal, digits)).toBe(Number(units));
          expect(scaleDecimal(`${units}e-${digits}`, digits)).toBe(Number(units));
        },
      ),
    );
  });

  it('rounds to the nearest integer, ties to the even one', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 10n ** 18n }),
        fc.bigInt({ min: 1n, max: 10n ** 9n }),
        (dividend, divisor) => {
          const rest = dividend - divideHalfEven(dividend, divisor) * divisor;
          const distance = (rest < 0n ? -rest : rest) * 2n;
          expect(distance <= divisor).toBe(true);
          if (distance === divisor) expect(divideHalfEven(dividend, divisor) % 2n).toBe(0n);
        },
      ),
    );
  });
});
