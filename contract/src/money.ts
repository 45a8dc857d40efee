/** Digits after the point of one US dollar in pico-USD, the unit of prices (decision: integers, never floats). */
const picoDigits = 12;
/** Digits after the point of one US dollar in nano-USD, the unit of amounts. */
const nanoDigits = 9;

/**
 * Reads a price in US dollars exactly, without ever rounding through a float.
 *
 * @param usd - decimal text (`2.5e-06`, `0.0000025`), or a number as YAML and JSON parsers make it: its shortest text counts
 * @returns integer pico-USD, rounded half to even below one pico-USD; undefined when it is no amount of zero or more
 */
export function picoUsd(usd: string | number): number | undefined {
  return scaleDecimal(String(usd), picoDigits);
}

/** The same in nano-USD, for budgets and amounts. */
export function nanoUsd(usd: string | number): number | undefined {
  return scaleDecimal(String(usd), nanoDigits);
}

/**
 * Multiplies a non-negative decimal text by a power of ten and rounds half to even.
 *
 * @returns undefined when the text is no such number, or the result is above what a JavaScript integer holds
 */
export function scaleDecimal(text: string, digits: number): number | undefined {
  const match = /^\+?(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,3}))?$/i.exec(text.trim());
  const whole = match?.[1] ?? '';
  const fraction = match?.[2] ?? '';
  if (!match || whole + fraction === '') return undefined;

  const units = BigInt(whole + fraction);
  const power = Number(match[3] ?? 0) - fraction.length + digits;
  const scaled =
    power >= 0 ? units * 10n ** BigInt(power) : divideHalfEven(units, 10n ** BigInt(-power));
  return scaled <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(scaled) : undefined;
}

/** Integer division of non-negative numbers, rounded to the nearest, ties to the even neighbour. */
export function divideHalfEven(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  const twice = (dividend % divisor) * 2n;
  if (twice > divisor || (twice === divisor && quotient % 2n === 1n)) return quotient + 1n;
  return quotient;
}
