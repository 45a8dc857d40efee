/** What goes wrong while the load runs. */
export const troubles = [
  /** A proxy ends by SIGKILL and starts again on its directory. */
  'proxy killed',
  /** A proxy is held up by SIGSTOP with all it has leased, and goes on. */
  'proxy held up',
  /** A control plane ends by SIGKILL and starts again. */
  'control plane killed',
  /** PostgreSQL takes no connection for a while. */
  'store away',
  /** Redis takes no connection for a while. */
  'redis away',
  /** A replica that has everything takes the place of Redis. */
  'redis failed over',
  /** A replica that lacks the last writes takes the place of Redis. */
  'redis failed over with loss',
  /** An empty server takes the place of Redis. */
  'redis emptied',
] as const;

export type Trouble = (typeof troubles)[number];

/** How a key is limited. Each is put to more than it may do. */
export const holders = {
  free: {},
  requests: { rpm_limit: 60 },
  tokens: { tpm_limit: 2_000 },
  parallel: { max_parallel_requests: 3 },
  budget: { max_budget: 0.02 },
} as const;

export type Holder = keyof typeof holders;

export type LedgerPlan = {
  /** The same seed makes the same calls and the same troubles in the same order. */
  readonly seed: number;
  /** Tries of callers in all, refused ones among them. */
  readonly calls: number;
  /** Callers at one time. */
  readonly callers: number;
  /** How far the clocks of the proxies are wrong; there is one proxy for each. */
  readonly skewsMs: readonly number[];
  readonly controlPlanes: number;
  /** Spread evenly over the calls, in an order that the seed decides. */
  readonly troubles: readonly Trouble[];
};

/** Numbers from 0 to 1 that a seed decides (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One of several, as chance decides. */
export function oneOf<Item>(items: readonly Item[], chance: () => number): Item {
  const item = items[Math.floor(chance() * items.length)];
  if (item === undefined) throw new RangeError('there is nothing to choose from');
  return item;
}

/** In an order that chance decides. */
export function shuffled<Item>(items: readonly Item[], chance: () => number): Item[] {
  return items
    .map((item) => ({ item, at: chance() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
