import type { Agent } from 'node:https';
import type { TokenCredential } from '@azure/identity';
import type { CosmosClient } from '@azure/cosmos';
import { StoreUnavailableError } from '../entities.ts';

export type CosmosOptions = {
  /** `https://ACCOUNT.documents.azure.com:443/` */
  endpoint: string;
  /** Name of the database. */
  database: string;
  /** How to sign in: a key of the account, or the identity that the process runs with. */
  credential:
    | { kind: 'key'; key: string }
    | { kind: 'managed-identity'; clientId?: string }
    | { kind: 'workload-identity' };
  /** For tests: trusts a certificate that nobody has signed. */
  agent?: Agent;
  /** How often is looked for changes that a process left half made when it ended, in milliseconds. Default 10 s. */
  recoveryMs?: number;
};

/** How long one request takes at most; the library asks again when it is told to wait. */
const requestTimeoutMs = 10_000;
/** How long the library waits in all when the account says that it is asked too much (429). */
const mostWaitSeconds = 20;

/** The library is heavy and most gateways do without it: it is loaded here and nowhere else. */
export async function connect({
  endpoint,
  credential,
  agent,
}: CosmosOptions): Promise<CosmosClient> {
  const { CosmosClient: Client } = await import('@azure/cosmos');
  return new Client({
    endpoint,
    ...(credential.kind === 'key'
      ? { key: credential.key }
      : { aadCredentials: await identity(credential) }),
    ...(agent && { agent }),
    userAgentSuffix: 'aigateway',
    connectionPolicy: {
      requestTimeout: requestTimeoutMs,
      enableEndpointDiscovery: agent === undefined,
      retryOptions: {
        maxRetryAttemptCount: 9,
        fixedRetryIntervalInMilliseconds: 0,
        maxWaitTimeInSeconds: mostWaitSeconds,
      },
    },
  });
}

async function identity(
  credential: Exclude<CosmosOptions['credential'], { kind: 'key' }>,
): Promise<TokenCredential> {
  const library = await import('@azure/identity');
  if (credential.kind === 'workload-identity') return new library.WorkloadIdentityCredential();
  const { clientId } = credential;
  return new library.ManagedIdentityCredential(clientId === undefined ? {} : { clientId });
}

/** What the service answers to a request that is wrong in itself: a fault of ours. All else is a service that cannot be used. */
const faultCodes: ReadonlySet<unknown> = new Set([400, 413]);

/** An error of the port for one of the library. Its objects hold requests with their signatures, so only code and words are kept. */
export function portError(error: unknown): Error {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const [words = ''] = String(message).split('\n');
  const cause = new Error(`${String(code)}: ${words.slice(0, 500)}`);
  if (faultCodes.has(code)) return new Error('Cosmos DB refused a request', { cause });
  return new StoreUnavailableError('Cosmos DB cannot be used', { cause });
}
