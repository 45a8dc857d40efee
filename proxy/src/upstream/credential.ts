import { hash } from 'node:crypto';
import type { Environment } from '@aigateway/contract/environment-config';
import type {
  CredentialMethod,
  CredentialRecord,
  DialectName,
  SecretReference,
} from '@aigateway/contract/records';
import { GatewayError } from '../errors.ts';
import type { Clock } from '../ports.ts';
import { azureCloudOf } from './azure-cloud.ts';
import {
  createEntraTokenFetcher,
  resolveSecret,
  type EntraMethod,
  type EntraTokenRequest,
} from './entra-token.ts';
import type { Header } from './headers.ts';
import { SecretHeader } from './secret-header.ts';
import type { FreshEvent, FreshValue } from './fresh-value.ts';
import { TokenSource, type FetchToken } from './token-source.ts';
import { createVaultClient } from './vault-client.ts';
import { VaultSecrets, type GetVaultSecret } from './vault-secrets.ts';

/** How one upstream is authenticated to. */
export interface Credential {
  /**
   * The header to send, at once whenever it is at hand; null where the upstream wants none.
   *
   * @throws GatewayError `upstream_auth`, also as a rejection, when there is none to be had
   */
  header(): Header | null | Promise<Header | null>;
  /** After a 401: replaces the token, once for all who ask. Resolves in any case; `header` then tells. */
  renew(): Promise<void>;
  /** Whether `renew` can change anything. */
  readonly renewable: boolean;
}

export interface Credentials {
  /**
   * The credential for calls to an origin, ready to use; cheap enough for every call. Tokens outlive their records: a record of
   * the next snapshot that says the same finds them.
   *
   * @throws GatewayError `upstream_auth` for an origin that the credential is not bound to
   */
  get(record: CredentialRecord, origin: string, dialect: DialectName): Credential;
  /** Gets the token of every credential handed out so far, so that no caller waits for it. Resolves in any case. */
  warm(): Promise<void>;
  /** Forgets every token. */
  close(): void;
}

/** What became of a credential's token, or of a secret of a vault. */
export type CredentialEvent = FreshEvent & ({ credential: string } | { secret: string });

export type CredentialsOptions = {
  clock: Clock;
  /** Where secret references of kind `env` and identity settings such as `AZURE_TENANT_ID` are looked up. */
  environment: Environment;
  onEvent: (event: CredentialEvent) => void;
  /** How this process signs in to Key Vaults, where secrets may be. */
  vaultIdentity?: CredentialMethod | undefined;
  /** Authorities that vaults' certificates may be from besides the usual ones, PEM. */
  caCertificates?: readonly string[] | undefined;
  /** Stands in for Entra ID; the default asks it through Microsoft's library. */
  fetchTokens?: (request: EntraTokenRequest) => FetchToken;
  /** Stands in for Key Vaults; the default asks them through Microsoft's library. */
  getSecret?: GetVaultSecret;
};

/** The credentials of one record, by origin. */
type Bound = {
  readonly origins: ReadonlySet<string>;
  readonly azure: Map<string, Credential>;
  readonly openai: Map<string, Credential>;
};

export function createCredentials(options: CredentialsOptions): Credentials {
  const { environment, fetchTokens = createEntraTokenFetcher } = options;
  let bound = new WeakMap<CredentialRecord, Bound>();
  const sources = new Map<string, TokenSource>();
  const vaults = new VaultSecrets({
    clock: options.clock,
    environment,
    identity: options.vaultIdentity,
    onEvent: options.onEvent,
    fetchTokens,
    getSecret: options.getSecret ?? createVaultClient(options.caCertificates),
  });

  const sourceOf = (record: CredentialRecord, method: EntraMethod, origin: string): TokenSource => {
    const cloud = azureCloudOf(origin);
    const request: EntraTokenRequest = {
      method,
      scope: record.scope ?? cloud.scope,
      authorityHost:
        record.authorityHost ?? configuredAuthority(method, environment) ?? cloud.authorityHost,
      environment,
      vault: (reference) => vaults.get(reference),
    };
    const key = sourceKey(request);
    let source = sources.get(key);
    if (source === undefined) {
      source = new TokenSource(options.clock, fetchTokens(request), (event) =>
        options.onEvent({ ...event, credential: record.id }),
      );
      sources.set(key, source);
    }
    return source;
  };

  const ofSecret = (name: string, prefix: string, reference: SecretReference): Credential =>
    reference.kind === 'vault'
      ? vaultCredential(name, prefix, vaults.get(reference))
      : staticCredential(name, prefix, reference, environment);

  const create = (record: CredentialRecord, origin: string, dialect: DialectName): Credential => {
    const { method } = record;
    switch (method.kind) {
      case 'none':
        return { header: () => null, renew: async () => {}, renewable: false };
      case 'api-key':
        return dialect === 'openai'
          ? ofSecret('authorization', 'Bearer ', method.key)
          : ofSecret('api-key', '', method.key);
      case 'token':
        return ofSecret('authorization', 'Bearer ', method.token);
      case 'managed-identity':
      case 'workload-identity':
      case 'client-secret':
      case 'client-certificate':
      case 'developer':
        return tokenCredential(sourceOf(record, method, origin));
    }
  };

  const get: Credentials['get'] = (record, origin, dialect) => {
    let own = bound.get(record);
    if (own === undefined) {
      const origins = new Set(record.origins.map((text) => new URL(text).origin));
      own = { origins, azure: new Map(), openai: new Map() };
      bound.set(record, own);
    }
    const ready = dialect === 'openai' ? own.openai : own.azure;
    let credential = ready.get(origin);
    if (credential === undefined) {
      if (!own.origins.has(new URL(origin).origin)) {
        throw new GatewayError('upstream_auth', {
          cause: new Error(`the credential ${record.id} is not bound to ${origin}`),
        });
      }
      credential = create(record, origin, dialect);
      ready.set(origin, credential);
    }
    return credential;
  };

  return {
    get,

    async warm() {
      const tokens = Array.from(sources.values(), async (source) => source.header());
      await Promise.allSettled([...tokens, vaults.warm()]);
    },

    close() {
      bound = new WeakMap();
      sources.clear();
      vaults.close();
    },
  };
}

function staticCredential(
  name: string,
  prefix: string,
  reference: Exclude<SecretReference, { kind: 'vault' }>,
  environment: Environment,
): Credential {
  let header: SecretHeader | undefined;
  return {
    header() {
      if (header === undefined) {
        try {
          header = new SecretHeader(name, prefix + resolveSecret(reference, environment));
        } catch (cause) {
          throw new GatewayError('upstream_auth', { cause });
        }
      }
      return header;
    },
    renew: async () => {},
    renewable: false,
  };
}

/** A key in a vault. A refusal has its newest version looked for: another key may have taken its place. */
function vaultCredential(name: string, prefix: string, source: FreshValue<string>): Credential {
  let secret: string | undefined;
  let ready: SecretHeader | undefined;
  const headerOf = (value: string): SecretHeader => {
    if (ready === undefined || value !== secret) {
      secret = value;
      ready = new SecretHeader(name, prefix + value);
    }
    return ready;
  };
  return {
    header() {
      const value = source.value();
      return value instanceof Promise ? orUnavailable(value.then(headerOf)) : headerOf(value);
    },
    renew: () => source.renew(),
    renewable: true,
  };
}

function tokenCredential(source: TokenSource): Credential {
  return {
    header() {
      const header = source.header();
      return header instanceof Promise ? orUnavailable(header) : header;
    },
    renew: () => source.renew(),
    renewable: true,
  };
}

async function orUnavailable(header: Promise<Header>): Promise<Header> {
  try {
    return await header;
  } catch (cause) {
    throw new GatewayError('upstream_auth', { cause });
  }
}

/** The webhook of workload identity sets its authority in the environment. */
function configuredAuthority(method: EntraMethod, environment: Environment): string | undefined {
  if (method.kind !== 'workload-identity') return undefined;
  return environment['AZURE_AUTHORITY_HOST']?.replace(/\/+$/, '') || undefined;
}

/** Where a method may find its identity, as far as its record does not name it. */
const identityVariables = ['AZURE_CLIENT_ID', 'AZURE_TENANT_ID', 'AZURE_FEDERATED_TOKEN_FILE'];

/** Tokens are shared exactly by what would get the same one: method, identity, scope and authority. */
function sourceKey({ method, scope, authorityHost, environment }: EntraTokenRequest): string {
  const known =
    method.kind === 'client-secret'
      ? { ...method, secret: secretKey(method.secret, environment) }
      : method;
  const fields = Object.entries(known).toSorted(([left], [right]) => (left < right ? -1 : 1));
  const variables = identityVariables.map((name) => environment[name] ?? '');
  return JSON.stringify([fields, scope, authorityHost, variables]);
}

/** By value: what a variable holds can change under its name. What a vault holds is looked up under its own. */
function secretKey(secret: SecretReference, environment: Environment): string {
  if (secret.kind === 'vault') return `${secret.vault}/${secret.name}`;
  const value = secret.kind === 'env' ? environment[secret.name] : secret.value;
  return hash('sha256', value ?? '');
}
