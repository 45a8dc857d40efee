import type { Clock } from '../ports.ts';

/** A value with its times in milliseconds since the epoch. */
export type Fresh<Value> = { value: Value; expiresAt: number; refreshAfter?: number };

/**
 * Gets a value from where it comes from.
 *
 * @param previous - the value to be replaced: an answer out of some cache must not be this one again
 */
export type Fetch<Value> = (previous: Value | undefined) => Promise<Fresh<Value>>;

export type FreshEvent =
  /** A new value could not be had; the old one still serves. */
  | { type: 'refresh_failed'; error: Error }
  /** A new value could not be had, and there is none. */
  | { type: 'fetch_failed'; error: Error }
  /** A value that an upstream refused was replaced. */
  | { type: 'renewed' };

/** Azure's own clients refresh five minutes before the end. */
const refreshAheadMs = 300_000;

/** Shorter-lived values are refreshed at half their life. */
const shortLifeMs = 600_000;

/** A value that looks expired when it comes is a matter of clocks: it is used for a moment, and the upstream decides. */
const leastUseMs = 10_000;

/** Between tries while the old value still serves. */
const refreshBackoffMs = 30_000;

/** For how long a failure is answered without asking again. */
const failureMs = 5000;

/** A younger value is not dropped for a 401: the refused call was most likely sent with its predecessor. */
const leastRenewalAgeMs = 10_000;

type Held<Value> = {
  value: Value;
  fetchedAt: number;
  refreshAt: number;
  expiresAt: number;
};

/**
 * One value, kept fresh: fetched once for all who wait, renewed ahead of its end while the old one goes on serving.
 *
 * It renews when it is asked for, not by a timer: an idle gateway asks nobody.
 */
export class FreshValue<Value> {
  readonly #clock: Clock;
  readonly #fetch: Fetch<Value>;
  readonly #onEvent: (event: FreshEvent) => void;
  #held: Held<Value> | undefined;
  #pending: Promise<Value> | undefined;
  #refreshNotBefore = 0;
  #failure: { error: Error; until: number } | undefined;

  constructor(clock: Clock, fetch: Fetch<Value>, onEvent: (event: FreshEvent) => void) {
    this.#clock = clock;
    this.#fetch = fetch;
    this.#onEvent = onEvent;
  }

  /** At once while there is one. Rejects with what fetching it failed with. */
  value(): Value | Promise<Value> {
    const held = this.#held;
    if (held !== undefined) {
      const now = this.#clock.now();
      if (now < held.refreshAt) return held.value;
      if (now < held.expiresAt) {
        this.#refreshBehind(now);
        return held.value;
      }
    }
    return this.#fetchOnce();
  }

  /** Drops the value and gets another. Resolves in any case; `value` then tells. */
  async renew(): Promise<void> {
    const held = this.#held;
    if (this.#pending === undefined && held !== undefined) {
      if (this.#clock.now() - held.fetchedAt < leastRenewalAgeMs) return;
      this.#held = undefined;
    }
    try {
      const value = await this.#fetchOnce(held?.value);
      if (value !== held?.value) this.#onEvent({ type: 'renewed' });
    } catch {
      // Told as `fetch_failed`.
    }
  }

  #refreshBehind(now: number): void {
    if (this.#pending !== undefined || now < this.#refreshNotBefore) return;
    this.#refreshNotBefore = now + refreshBackoffMs;
    // Told as an event; the old value serves.
    this.#fetchOnce().catch(() => {});
  }

  #fetchOnce(previous = this.#held?.value): Promise<Value> {
    if (this.#pending !== undefined) return this.#pending;
    if (this.#failure !== undefined && this.#clock.now() < this.#failure.until) {
      return Promise.reject(this.#failure.error);
    }
    this.#pending = this.#fetchAndHold(previous).finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #fetchAndHold(previous: Value | undefined): Promise<Value> {
    try {
      const fresh = await this.#fetch(previous);
      this.#failure = undefined;
      this.#held = held(fresh, this.#clock.now());
      return fresh.value;
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error('nothing to be had', { cause });
      const now = this.#clock.now();
      const isServed = this.#held !== undefined && now < this.#held.expiresAt;
      if (!isServed) this.#failure = { error, until: now + failureMs };
      this.#onEvent({ type: isServed ? 'refresh_failed' : 'fetch_failed', error });
      throw error;
    }
  }
}

function held<Value>(fresh: Fresh<Value>, now: number): Held<Value> {
  const expiresAt = Math.max(fresh.expiresAt, now + leastUseMs);
  const life = expiresAt - now;
  const ahead = life < shortLifeMs ? now + life / 2 : expiresAt - refreshAheadMs;
  return {
    value: fresh.value,
    fetchedAt: now,
    refreshAt: Math.min(fresh.refreshAfter ?? ahead, ahead),
    expiresAt,
  };
}
