import type { Clock } from '../ports.ts';
import { FreshValue, type FreshEvent } from './fresh-value.ts';
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

type Held = { readonly token: string; readonly header: SecretHeader };

/** One token of Entra ID, kept fresh. */
export class TokenSource {
  readonly #held: FreshValue<Held>;

  constructor(clock: Clock, fetch: FetchToken, onEvent: (event: FreshEvent) => void) {
    this.#held = new FreshValue(
      clock,
      async (previous) => {
        const { value: token, ...times } = await fetch(previous?.token);
        const header = new SecretHeader('authorization', `Bearer ${token}`);
        return { value: { token, header }, ...times };
      },
      onEvent,
    );
  }

  /** The `authorization` header: at once while there is a token. Rejects with what the issuer failed with. */
  header(): Header | Promise<Header> {
    const held = this.#held.value();
    return held instanceof Promise ? held.then(({ header }) => header) : held.header;
  }

  /** The token itself, for clients that make their own header. */
  async token(): Promise<string> {
    return (await this.#held.value()).token;
  }

  /** Drops the token and gets another. Resolves in any case; `header` then tells. */
  renew(): Promise<void> {
    return this.#held.renew();
  }
}
