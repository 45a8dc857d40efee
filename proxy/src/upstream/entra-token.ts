import type { Environment } from '@aigateway/contract/environment-config';
import type { VaultReference } from '@aigateway/contract/key-vault';
import type { CredentialMethod, SecretReference } from '@aigateway/contract/records';
import type * as IdentityLibrary from '@azure/identity';
import type { AccessToken as AzureToken, TokenCredential } from '@azure/identity';
import { isKnownAuthority } from './azure-cloud.ts';
import type { FreshValue } from './fresh-value.ts';
import type { AccessToken, FetchToken } from './token-source.ts';

/** The ways to authenticate that end in a token of Entra ID. */
export type EntraMethod = Extract<
  CredentialMethod,
  {
    kind:
      | 'managed-identity'
      | 'workload-identity'
      | 'client-secret'
      | 'client-certificate'
      | 'developer';
  }
>;

/** Whether a method ends in a token of Entra ID. */
export function isEntra(method: CredentialMethod): method is EntraMethod {
  return method.kind !== 'api-key' && method.kind !== 'token' && method.kind !== 'none';
}

export type EntraTokenRequest = {
  method: EntraMethod;
  scope: string;
  authorityHost: string;
  environment: Environment;
  /** Where secrets of vaults come from; needed only by applications whose secret is there. */
  vault?: VaultLookup;
};

/** What is known of a secret in a vault, and a look for a newer version. */
export type VaultLookup = (reference: VaultReference) => FreshValue<string>;

/** Longest that callers wait for an issuer. */
const issuerTimeoutMs = 30_000;

/**
 * Tries of the library inside one fetch. Few, because callers are waiting; the token source has its own pace.
 */
const issuerRetries = 2;

/** Where virtual machines ask for tokens; never reached through a proxy. */
const metadataHost = '169.254.169.254';

/**
 * Tokens through Microsoft's identity library, which is loaded at the first fetch: it is heavy, and few set-ups need it.
 *
 * Exactly the configured method is used. A credential object is made for every fetch, because the library's objects hold caches of
 * their own that would answer with the token to be replaced; managed identities are cached for the whole process and are asked past
 * that cache. Errors carry the library's words, never its objects: those hold the request with its secrets.
 */
export function createEntraTokenFetcher(request: EntraTokenRequest): FetchToken {
  return async (previous) => {
    try {
      const library = await loadIdentityLibrary(request.environment);
      const get = async (): Promise<AccessToken> => {
        const credential = credentialOf(library, request, await applicationSecret(request));
        const signal = AbortSignal.timeout(issuerTimeoutMs);
        const fetched = getToken(credential, request.scope, previous, signal);
        const token = await orAborted(fetched, signal);
        if (token === null) throw new Error('the issuer gave no token');
        return fromAzure(token);
      };
      return await get().catch(async (error: unknown) => {
        // The secret may have been replaced since it was looked up.
        if (!(await hasNewSecret(request))) throw error;
        return get();
      });
    } catch (error) {
      throw new Error(`no ${request.method.kind} token: ${wordsOf(error)}`);
    }
  };
}

/** What proves the application; undefined for methods without a secret. */
async function applicationSecret(request: EntraTokenRequest): Promise<string | undefined> {
  const { method, environment, vault } = request;
  if (method.kind !== 'client-secret') return undefined;
  if (method.secret.kind !== 'vault') return resolveSecret(method.secret, environment);
  if (vault === undefined) throw new Error('its secret is in a Key Vault that is not asked');
  return vault(method.secret).value();
}

async function hasNewSecret({ method, vault }: EntraTokenRequest): Promise<boolean> {
  if (method.kind !== 'client-secret' || method.secret.kind !== 'vault' || !vault) return false;
  const secret = vault(method.secret);
  const before = await secret.value();
  await secret.renew();
  return (await secret.value()) !== before;
}

async function loadIdentityLibrary(environment: Environment): Promise<typeof IdentityLibrary> {
  keepDirect([metadataHost, hostOf(environment['IDENTITY_ENDPOINT'])]);
  return import('@azure/identity');
}

/**
 * Takes hosts out of the process's proxy settings. The library knows no other way, and would send even the metadata service's
 * plain-text tokens through `HTTPS_PROXY`.
 */
function keepDirect(hosts: readonly (string | undefined)[]): void {
  const variables = process.env; // oxlint-disable-line node/no-process-env -- where the library looks
  const name = variables['NO_PROXY'] ? 'NO_PROXY' : variables['no_proxy'] ? 'no_proxy' : 'NO_PROXY';
  const present = (variables[name] ?? '').split(',').map((entry) => entry.trim());
  const missing = hosts.filter((host) => host !== undefined && !present.includes(host));
  if (missing.length === 0) return;
  variables[name] = [...present, ...missing].filter((entry) => entry !== '').join(',');
}

function credentialOf(
  library: typeof IdentityLibrary,
  request: EntraTokenRequest,
  secret: string | undefined,
): TokenCredential {
  const { method, authorityHost, environment } = request;
  const retryOptions = { maxRetries: issuerRetries };
  const options = {
    authorityHost,
    retryOptions,
    // Looking an unknown authority up at Microsoft's would fail.
    disableInstanceDiscovery: !isKnownAuthority(authorityHost),
  };
  switch (method.kind) {
    case 'managed-identity': {
      const clientId = method.clientId ?? environment['AZURE_CLIENT_ID'];
      return new library.ManagedIdentityCredential(
        clientId === undefined || clientId === '' ? { retryOptions } : { clientId, retryOptions },
      );
    }
    case 'workload-identity':
      return new library.WorkloadIdentityCredential({
        ...options,
        tenantId: method.tenantId ?? required(environment, 'AZURE_TENANT_ID'),
        clientId: method.clientId ?? required(environment, 'AZURE_CLIENT_ID'),
        tokenFilePath: method.tokenFile ?? required(environment, 'AZURE_FEDERATED_TOKEN_FILE'),
      });
    case 'client-secret':
      return new library.ClientSecretCredential(
        method.tenantId,
        method.clientId,
        secret ?? '',
        options,
      );
    case 'client-certificate':
      return new library.ClientCertificateCredential(
        method.tenantId,
        method.clientId,
        { certificatePath: method.certificatePath },
        options,
      );
    case 'developer': {
      const tenant = method.tenantId === undefined ? {} : { tenantId: method.tenantId };
      return new library.ChainedTokenCredential(
        new library.AzureCliCredential(tenant),
        new library.AzureDeveloperCliCredential(tenant),
      );
    }
  }
}

/** The value that a reference names. @throws Error when the environment does not hold it */
export function resolveSecret(
  reference: Exclude<SecretReference, VaultReference>,
  environment: Environment,
): string {
  if (reference.kind === 'env') return required(environment, reference.name);
  if (reference.kind === 'inline') return reference.value;
  throw new Error('it is sealed with another root secret');
}

function required(environment: Environment, name: string): string {
  const value = environment[name];
  if (value === undefined || value === '')
    throw new Error(`the environment variable ${name} is not set`);
  return value;
}

async function getToken(
  credential: TokenCredential,
  scope: string,
  previous: string | undefined,
  abortSignal: AbortSignal,
): Promise<AzureToken | null> {
  const token = await credential.getToken(scope, { abortSignal });
  if (token === null || token.token !== previous) return token;
  return (await pastProcessCache(credential, scope)) ?? token;
}

/**
 * Managed identities share one cache per process, which every new credential object reads. The object's inner application can be
 * asked past it; the library has no public way. Undefined where there is no such application.
 */
async function pastProcessCache(
  credential: TokenCredential,
  scope: string,
): Promise<AzureToken | undefined> {
  const application: unknown = Reflect.get(credential, 'managedIdentityApp');
  if (!isManagedIdentityApplication(application)) return undefined;
  const resource = scope.replace(/\/\.default$/, '');
  const { accessToken, expiresOn, refreshOn } = await application.acquireToken({
    resource,
    forceRefresh: true,
  });
  if (expiresOn === null) throw new Error('the issuer gave a token without end');
  return {
    token: accessToken,
    expiresOnTimestamp: expiresOn.getTime(),
    ...(refreshOn !== undefined && { refreshAfterTimestamp: refreshOn.getTime() }),
  };
}

type ManagedIdentityApplication = {
  acquireToken(request: {
    resource: string;
    forceRefresh: boolean;
  }): Promise<{ accessToken: string; expiresOn: Date | null; refreshOn?: Date }>;
};

function isManagedIdentityApplication(value: unknown): value is ManagedIdentityApplication {
  return (
    typeof value === 'object' &&
    value !== null &&
    'acquireToken' in value &&
    typeof value.acquireToken === 'function'
  );
}

function fromAzure(token: AzureToken): AccessToken {
  const {
    token: value,
    expiresOnTimestamp: expiresAt,
    refreshAfterTimestamp: refreshAfter,
  } = token;
  return refreshAfter === undefined ? { value, expiresAt } : { value, expiresAt, refreshAfter };
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('the issuer did not answer in time')), {
      once: true,
    });
  });
  return Promise.race([work, aborted]);
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error';
}

function hostOf(url: string | undefined): string | undefined {
  return url !== undefined && URL.canParse(url) ? new URL(url).hostname : undefined;
}
