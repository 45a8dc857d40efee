import { hashSecret } from './key.ts';

export type LoginThrottleOptions = {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Different wrong keys that an address may try at once. */
  readonly tries: number;
};

/** One more try comes back in this time. */
const tryMs = 6_000;
/** An address that has failed no more for so long is forgotten. */
const forgetMs = 600_000;
const mostAddresses = 10_000;
/** Remembered of each address: the last wrong keys, and keys that were right, both by hash. */
const mostWrong = 8;
const mostRight = 64;

/** What a key looks like that a gateway made: 16 random bytes, which nobody guesses. */
const generated = /^sk-[\w-]{22}$/;

type Standing = {
  /** What is left of tries, each worth `tryMs`, as of `at`. */
  creditMs: number;
  at: number;
  failedAt: number;
  readonly wrong: string[];
  readonly right: Set<string>;
};

/**
 * Slows down who guesses keys, by client address.
 *
 * Behind one address there may be a whole company, so nothing is ever locked: an address that has tried too many different wrong
 * keys only has keys refused that could be guessed (a generated one cannot) and that were not right before from there. A wrong key that is
 * sent again and again is a mistake, not a guess, and takes one try. What is remembered is bounded, whoever fails.
 */
export class LoginThrottle {
  readonly #options: LoginThrottleOptions;
  readonly #standings = new Map<string, Standing>();

  constructor(options: LoginThrottleOptions) {
    this.#options = options;
  }

  /** True while nobody has failed lately: there is nothing to ask. */
  get isQuiet(): boolean {
    return this.#standings.size === 0;
  }

  /**
   * How long it takes until a key is looked at, in milliseconds; 0 = now. To be asked before a key that is right is taken.
   *
   * @param address - of the caller
   */
  waitMs(address: string, secret: string): number {
    const standing = this.#standing(networkOf(address));
    if (standing === undefined || standing.creditMs >= tryMs || generated.test(secret)) return 0;
    return standing.right.has(hashSecret(secret)) ? 0 : untilNextTry(standing);
  }

  /** A key was right: it stays welcome, whoever else fails from there. */
  succeeded(address: string, secret: string): void {
    const standing = this.#standing(networkOf(address));
    if (standing === undefined) return;
    if (standing.right.size >= mostRight) standing.right.clear();
    standing.right.add(hashSecret(secret));
  }

  /**
   * A key was wrong.
   *
   * @returns milliseconds until the next try where there was none left for this one, else 0
   */
  failed(address: string, secret: string): number {
    const { now, tries } = this.#options;
    const network = networkOf(address);
    const hash = hashSecret(secret);
    let standing = this.#standing(network);
    if (standing === undefined) {
      standing = { creditMs: tries * tryMs, at: now(), failedAt: 0, wrong: [], right: new Set() };
      this.#makeRoom();
      this.#standings.set(network, standing);
    }
    standing.failedAt = now();
    if (standing.wrong.includes(hash)) return 0;
    if (standing.creditMs < tryMs) return untilNextTry(standing);
    standing.creditMs -= tryMs;
    standing.wrong.push(hash);
    if (standing.wrong.length > mostWrong) standing.wrong.shift();
    return 0;
  }

  #standing(network: string): Standing | undefined {
    const standing = this.#standings.get(network);
    if (standing === undefined) return undefined;
    const now = this.#options.now();
    if (now - standing.failedAt >= forgetMs) {
      this.#standings.delete(network);
      return undefined;
    }
    const most = this.#options.tries * tryMs;
    standing.creditMs = Math.min(most, standing.creditMs + Math.max(0, now - standing.at));
    standing.at = now;
    return standing;
  }

  /** The address that was remembered first goes first. */
  #makeRoom(): void {
    for (const network of this.#standings.keys()) {
      if (this.#standings.size < mostAddresses) return;
      this.#standings.delete(network);
    }
  }
}

function untilNextTry({ creditMs }: Standing): number {
  return tryMs - creditMs;
}

/**
 * What counts as one address: an IPv4 address without its port, or the network of an IPv6 address (64 bits), all of which one
 * subscriber has.
 */
function networkOf(address: string): string {
  const version4 = /(\d+\.\d+\.\d+\.\d+)(?::\d+)?$/.exec(address)?.[1];
  if (version4 !== undefined) return version4;
  const bare = /^\[([^\]]*)\]/.exec(address)?.[1] ?? address;
  const [head = '', tail] = bare.toLowerCase().split('::', 2);
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const between = Math.max(0, 8 - first.length - last.length);
  const groups = [...first, ...Array.from({ length: between }, () => '0'), ...last];
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}
