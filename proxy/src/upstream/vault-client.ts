import { getCACertificates } from 'node:tls';
import type { GetVaultSecret } from './vault-secrets.ts';

/** Longest that a look-up may take; callers may be waiting for it. */
const lookUpTimeoutMs = 15_000;

/** Served by every cloud's vaults. */
const serviceVersion = '7.5';

/** Callers wait no longer than this for a vault that asks for patience; the secret's own pace goes on from there. */
const retryOptions = { maxRetries: 1, maxRetryDelayInMs: 2000 };

class VaultError extends Error {
  override readonly name = 'VaultError';
  readonly statusCode: number | undefined;

  constructor(message: string, statusCode: number | undefined) {
    super(message);
    this.statusCode = statusCode;
  }
}

/**
 * Look-ups through Microsoft's library, which is loaded at the first of them: few set-ups need it.
 *
 * Whatever a vault's challenge says, the token is the one for vaults of its cloud, and no redirect is followed with it. Errors carry the
 * library's words, never its objects: those hold the request with its token.
 *
 * @param caCertificates - trusted besides the usual ones, PEM
 */
export function createVaultClient(caCertificates: readonly string[] = []): GetVaultSecret {
  // `ca` replaces the trusted certificates, so the usual ones are named again.
  const tlsOptions =
    caCertificates.length === 0
      ? undefined
      : { ca: [...getCACertificates('default'), ...caCertificates] };
  return async ({ vault, name }, token) => {
    const { SecretClient } = await import('@azure/keyvault-secrets');
    // A client holds the token it was given: each look-up has one of its own, and tokens are kept elsewhere.
    const credential = {
      getToken: async () => ({ token: await token(), expiresOnTimestamp: Infinity }),
    };
    const client = new SecretClient(vault, credential, {
      serviceVersion,
      retryOptions,
      redirectOptions: { maxRetries: 0 },
      // Only stand-ins have a host that no challenge fits; see `vaultHost` for which hosts there are.
      disableChallengeResourceVerification: !vault.includes('.vault.'),
      ...(tlsOptions !== undefined && { tlsOptions }),
    });
    const abortSignal = AbortSignal.timeout(lookUpTimeoutMs);
    try {
      const { value } = await client.getSecret(name, { abortSignal });
      if (value === undefined || value.trim() === '') throw new Error('it is empty');
      return value.trim();
    } catch (error) {
      throw new VaultError(
        `no secret ${name} from ${new URL(vault).host}: ${wordsOf(error)}`,
        statusOf(error),
      );
    }
  };
}

function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : undefined;
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const status = statusOf(error);
  return status === undefined ? error.message : `${status} ${error.message}`;
}
