/** Seeded randomness: the same seed gives the same sequence of ids, faults and vectors. */
export interface Random {
  /** The next number, from 0 inclusive to 1 exclusive. */
  next(): number;
  /** Text of `length` lower-case hexadecimal digits. */
  hex(length: number): string;
  /** A random (version 4) UUID. */
  uuid(): string;
}

/**
 * A mulberry32 generator. Not for secrets.
 *
 * @param seed - any integer
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const hex = (length: number): string => {
    let text = '';
    while (text.length < length) {
      text += Math.floor(next() * 4_294_967_296)
        .toString(16)
        .padStart(8, '0');
    }
    return text.slice(0, length);
  };
  return {
    next,
    hex,
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(12)}`,
  };
}
