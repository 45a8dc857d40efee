import type { Clock } from '../ports.ts';
import type { Header } from './headers.ts';
import { SecretHeader } from './secret-header.ts';

/** An access token with its times in milliseconds since the epoch. */
export type AccessToken = { value: string; expiresAt: number; refreshAfter?: number };

/**
 * Gets a token from its issuer.
 *
 * @param previous - the token to be replaced: an answer out of some cache must not be this one again
 */
export type FetchToken = (previous: string | undefined) => Promise<AccessToken>;

export type TokenEvent =
  /** A new token could not be had; the old one still serves. */
  | { type: 'refresh_failed'; error: Error }
  /** A new token could not be had, and there is none. */
  | { type: 'fetch_failed'; error: Error }
  /** A token that an upstream refused was replaced. */
  | { type: 'renewed' };

/** Azure's own clients refresh five minutes before the end. */
const refreshAheadMs = 300_000;

/** Shorter-lived tokens are refreshed at half their life. */
const shortLifeMs = 600_000;

/** A token that looks expired when it comes is a matter of clocks: it is used for a moment, and the upstream decides. */
const leastUseMs = 10_000;

/** Between tries of the issuer while the old token still serves. */
const refreshBackoffMs = 30_000;

/** For how long a failure is answered without asking the issuer again. */
const failureMs = 5000;

/** A younger token is not dropped for a 401: the refused call was most likely sent with its predecessor. */
const leastRenewalAgeMs = 10_000;

type Held = {
  header: SecretHeader;
  value: string;
  fetchedAt: number;
  refreshAt: number;
  expiresAt: number;
};

/**
 * One token, kept fresh: fetched once for all who wait, renewed ahead of its end while the old one goes on serving.
 *
 * It renews when it is asked for, not by a timer: an idle gateway asks nobody.
 */
export class TokenSource {
  readonly #clock: Clock;
  readonly #fetch: FetchToken;
  readonly #onEvent: (event: TokenEvent) => void;
  #held: Held | undefined;
  #pending: Promise<Header> | undefined;
  #refreshNotBefore = 0;
  #failure: { error: Error; until: number } | undefined;

  constructor(clock: Clock, fetch: FetchToken, onEvent: (event: TokenEvent) => void) {
    this.#clock = clock;
    this.#fetch = fetch;
    this.#onEvent = onEvent;
  }

  /** The `authorization` header: at once while there is a token. Rejects with what the issuer failed with. */
  header(): Header | Promise<Header> {
    const held = this.#held;
    if (held !== undefined) {
      const now = this.#clock.now();
      if (now < held.refreshAt) return held.header;
      if (now < held.expiresAt) {
        this.#refreshBehind(now);
        return held.header;
      }
    }
    return this.#fetchOnce();
  }

  /** Drops the token and gets another. Resolves in any case; `header` then tells. */
  async renew(): Promise<void> {
    const held = this.#held;
    if (this.#pending === undefined && held !== undefined) {
      if (this.#clock.now() - held.fetchedAt < leastRenewalAgeMs) return;
      this.#held = undefined;
    }
    try {
      await this.#fetchOnce(held?.value);
      this.#onEvent({ type: 'renewed' });
    } catch {
      // Told as `fetch_failed`.
    }
  }

  #refreshBehind(now: number): void {
    if (this.#pending !== undefined || now < this.#refreshNotBefore) return;
    this.#refreshNotBefore = now + refreshBackoffMs;
    // Told as an event; the old token serves.
    this.#fetchOnce().catch(() => {});
  }

  #fetchOnce(previous = this.#held?.value): Promise<Header> {
    if (this.#pending !== undefined) return this.#pending;
    if (this.#failure !== undefined && this.#clock.now() < this.#failure.until) {
      return Promise.reject(this.#failure.error);
    }
    this.#pending = this.#fetchAndHold(previous).finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #fetchAndHold(previous: string | undefined): Promise<Header> {
    try {
      const token = await this.#fetch(previous);
      this.#failure = undefined;
      this.#held = held(token, this.#clock.now());
      return this.#held.header;
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error('no token', { cause });
      const now = this.#clock.now();
      const isServed = this.#held !== undefined && now < this.#held.expiresAt;
      if (!isServed) this.#failure = { error, until: now + failureMs };
      this.#onEvent({ type: isServed ? 'refresh_failed' : 'fetch_failed', error });
      throw error;
    }
  }
}

function held(token: AccessToken, now: number): Held {
  const expiresAt = Math.max(token.expiresAt, now + leastUseMs);
  const life = expiresAt - now;
  const ahead = life < shortLifeMs ? now + life / 2 : expiresAt - refreshAheadMs;
  return {
    header: new SecretHeader('authorization', `Bearer ${token.value}`),
    value: token.value,
    fetchedAt: now,
    refreshAt: Math.min(token.refreshAfter ?? ahead, ahead),
    expiresAt,
  };
}
