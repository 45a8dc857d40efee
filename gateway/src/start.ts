import { readFileSync } from 'node:fs';
import { LoginThrottle } from '@aigateway/contract/login-throttle';
import { unshared, type Compiled } from '@aigateway/contract/compile';
import type { Environment } from '@aigateway/contract/environment-config';
import type { Records, SecretReference } from '@aigateway/contract/records';
import type { ServerSettings } from '@aigateway/contract/server-settings';
import type { ProxyOptions, ServerOptions } from '@aigateway/proxy/config';
import { startProxy, type Proxy, type ProxyPorts } from '@aigateway/proxy/proxy';

export type StartInput = {
  readonly compiled: Compiled;
  readonly environment: { readonly [name: string]: string | undefined };
  /** Root secret of tagged ids, and the one before it during a rotation. */
  readonly secret: { readonly current: string; readonly previous?: string };
  readonly version: string;
};

/**
 * Starts a proxy with some of its ports chosen.
 *
 * @param records - undefined when they come later, from a control plane
 */
export function startWith(
  records: Records | undefined,
  { compiled, environment, secret, version }: StartInput,
  ports: Omit<ProxyPorts, 'environment' | 'secret'>,
): Promise<Proxy> {
  const options = proxyOptions(compiled.server, environment, version);
  const logins = ports.logins ?? loginThrottle(compiled.server);
  return startProxy(records, options, {
    ...ports,
    ...(logins !== undefined && { logins }),
    environment,
    secret,
  });
}

/** What slows down who guesses keys, for all of a process; undefined where nobody is to. */
export function loginThrottle({ wrongKeys }: ServerSettings): LoginThrottle | undefined {
  return wrongKeys === 0 ? undefined : new LoginThrottle({ now: Date.now, tries: wrongKeys });
}

/** How often silent answers are looked at; well below the shortest interval that can be set. */
const heartbeatTickMs = 1000;

/** How often deployments that rest are looked after. */
const probeIntervalMs = 5000;

/** Longest that a request waits for a deployment to come back: within the patience of the SDKs' own retries. */
const longestWaitMs = 20_000;

const bodyIdleMs = 300_000;

/** Where a process listens and what it bears there, whichever plane it serves. */
export function serverOptions(server: ServerSettings): ServerOptions {
  return {
    port: server.port,
    host: server.host,
    basePath: server.basePath,
    opsPort: server.opsPort,
    opsHost: server.opsHost,
    opsPortIsFlexible: server.profile === 'development',
    keepAliveMs: server.keepAliveTimeoutMs,
    maxConnections: server.maxConnections,
    maxHeaderBytes: server.maxHeaderBytes,
    headersTimeoutMs: server.headersTimeoutMs,
    requestTimeoutMs: server.bodyTimeoutMs,
    stopDelayMs: server.stopDelayMs,
    drainMs: server.drainMs,
  };
}

function proxyOptions(
  server: ServerSettings,
  environment: StartInput['environment'],
  version: string,
): ProxyOptions {
  return {
    ...serverOptions(server),
    pipeline: {
      version,
      maxBodyBytes: server.maxBodyBytes,
      timing: {
        holdMs: server.firstOutputHoldMs,
        commentMs: server.heartbeatMs,
        whitespaceMs: server.silentAnswerMs,
        blockedMs: server.writeTimeoutMs,
      },
      longestWaitMs,
      bodyIdleMs,
      trustedHops: server.trustedHops,
    },
    transport: transportOptions(server, environment),
    vaultIdentity: server.vaultIdentity,
    heartbeatTickMs,
    probeIntervalMs,
    ...(server.replicas > 1 &&
      server.redis === undefined && { warning: unshared(server.replicas) }),
    corsOrigins: server.corsOrigins,
    allowedIps: server.allowedIps,
    logLevel: server.logLevel,
  };
}

/**
 * The way to upstreams.
 *
 * @throws {Error} for a file that cannot be read, or a variable that is not set
 */
export function transportOptions(
  server: ServerSettings,
  environment: StartInput['environment'],
): ProxyOptions['transport'] {
  const proxyUrl =
    server.proxy === undefined ? undefined : resolveSecret(server.proxy, environment);
  return {
    ...(proxyUrl !== undefined && { proxyUrl }),
    noProxy: server.noProxy.join(','),
    ...(server.caFile !== undefined && { caCertificates: [readFileSync(server.caFile, 'utf8')] }),
    keepAliveMs: 60_000,
    connectTimeoutMs: server.connectTimeoutMs,
  };
}

/** @throws {Error} naming the variable, never its value, when it is not set */
export function resolveSecret(
  reference: SecretReference,
  environment: StartInput['environment'],
): string {
  if (reference.kind === 'vault') throw new Error('a setting of the process is in no Key Vault');
  if (reference.kind !== 'env') return reference.value;
  const value = environment[reference.name];
  if (value === undefined || value === '')
    throw new Error(`the environment variable ${reference.name} is not set`);
  return value;
}

/** The root secret, and the one before it during a rotation. @throws {Error} when it is not set */
export function rootSecrets(
  server: ServerSettings,
  environment: Environment,
): { current: string; previous?: string } {
  if (server.secret === undefined) throw new Error('AIGATEWAY_SECRET is not set');
  const current = resolveSecret(server.secret, environment);
  return server.previousSecret === undefined
    ? { current }
    : { current, previous: resolveSecret(server.previousSecret, environment) };
}
