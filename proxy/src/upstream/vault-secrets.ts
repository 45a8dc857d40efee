import type { Environment } from '@aigateway/contract/environment-config';
import type { VaultReference } from '@aigateway/contract/key-vault';
import type { CredentialMethod } from '@aigateway/contract/records';
import type { Clock } from '../ports.ts';
import { vaultCloudOf } from './azure-cloud.ts';
import { isEntra, type EntraTokenRequest } from './entra-token.ts';
import { FreshValue, type FreshEvent } from './fresh-value.ts';
import { TokenSource, type FetchToken } from './token-source.ts';

/** Gets the newest version of a secret from its vault. @throws Error saying why it cannot be had */
export type GetVaultSecret = (
  reference: VaultReference,
  token: () => Promise<string>,
) => Promise<string>;

export type VaultSecretsOptions = {
  readonly clock: Clock;
  readonly environment: Environment;
  /** How this process signs in to vaults; undefined where it has no way to. */
  readonly identity: CredentialMethod | undefined;
  readonly onEvent: (event: FreshEvent & { secret: string }) => void;
  readonly fetchTokens: (request: EntraTokenRequest) => FetchToken;
  readonly getSecret: GetVaultSecret;
};

/** How long a new version of a secret may stay unseen; a refusal by the upstream has it looked for at once. */
const lookAgainMs = 300_000;

/** Between tries while the vault cannot be asked and the secret known from before serves. */
const lookAgainSoonMs = 30_000;

/**
 * Secrets of Key Vaults, each kept fresh by itself. One that was had once goes on serving while its vault is away, whatever is asked:
 * the upstream decides what it is worth.
 */
export class VaultSecrets {
  readonly #options: VaultSecretsOptions;
  readonly #secrets = new Map<string, FreshValue<string>>();
  readonly #tokens = new Map<string, TokenSource>();

  constructor(options: VaultSecretsOptions) {
    this.#options = options;
  }

  /** The same for all who refer to it. */
  get(reference: VaultReference): FreshValue<string> {
    const key = `${reference.vault}/${reference.name}`;
    let secret = this.#secrets.get(key);
    if (secret === undefined) {
      secret = this.#create(reference);
      this.#secrets.set(key, secret);
    }
    return secret;
  }

  /** Gets every secret that was asked for so far. Resolves in any case. */
  async warm(): Promise<void> {
    await Promise.allSettled(Array.from(this.#secrets.values(), async (secret) => secret.value()));
  }

  close(): void {
    this.#secrets.clear();
    this.#tokens.clear();
  }

  #create(reference: VaultReference): FreshValue<string> {
    const { clock, onEvent } = this.#options;
    const label = `${reference.name} of ${new URL(reference.vault).host}`;
    const tell = (event: FreshEvent): void => onEvent({ ...event, secret: label });
    return new FreshValue(
      clock,
      async (previous: string | undefined) => {
        try {
          const value = await this.#fetch(reference);
          return { value, expiresAt: Infinity, refreshAfter: clock.now() + lookAgainMs };
        } catch (cause) {
          const error = cause instanceof Error ? cause : new Error('no secret', { cause });
          if (previous === undefined) throw error;
          tell({ type: 'refresh_failed', error });
          const refreshAfter = clock.now() + lookAgainSoonMs;
          return { value: previous, expiresAt: Infinity, refreshAfter };
        }
      },
      tell,
    );
  }

  async #fetch(reference: VaultReference): Promise<string> {
    const tokens = this.#tokensFor(reference.vault);
    try {
      return await this.#options.getSecret(reference, () => tokens.token());
    } catch (error) {
      if (!isUnauthorized(error)) throw error;
      await tokens.renew();
      return this.#options.getSecret(reference, () => tokens.token());
    }
  }

  /** One token for all vaults of a cloud. */
  #tokensFor(vault: string): TokenSource {
    const { identity, environment, clock, onEvent, fetchTokens } = this.#options;
    if (identity === undefined || !isEntra(identity))
      throw new Error('the environment holds no identity to ask Key Vaults with');
    const cloud = vaultCloudOf(vault);
    let source = this.#tokens.get(cloud.scope);
    if (source === undefined) {
      const authorityHost =
        environment['AZURE_AUTHORITY_HOST']?.replace(/\/+$/, '') || cloud.authorityHost;
      const request = { method: identity, scope: cloud.scope, authorityHost, environment };
      source = new TokenSource(clock, fetchTokens(request), (event) =>
        onEvent({ ...event, secret: `token for ${cloud.scope}` }),
      );
      this.#tokens.set(cloud.scope, source);
    }
    return source;
  }
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof Error && 'statusCode' in error && error.statusCode === 401;
}
