import type { Config } from './config.ts';
import type { CredentialMethod, SecretReference } from './records.ts';
import type { RedisSettings } from './redis-settings.ts';

/** Settings of one process, as against the records, which all processes share. */
export type ServerSettings = {
  profile: 'development' | 'production';
  host: string;
  port: number;
  opsHost: string;
  opsPort: number;
  /** Path the gateway is published under: empty, or starting with a slash and without one at the end. */
  basePath: string;
  dataDir: string;
  maxBodyBytes: number;
  maxHeaderBytes: number;
  maxConnections: number;
  headersTimeoutMs: number;
  bodyTimeoutMs: number;
  /** How long a caller may take nothing of its answer. */
  writeTimeoutMs: number;
  keepAliveTimeoutMs: number;
  connectTimeoutMs: number;
  /** How long calls are still taken after a stop signal: load balancers need a moment to look elsewhere. */
  stopDelayMs: number;
  /** How long calls may go on after a stop signal. */
  drainMs: number;
  /** How long a stream waits for first output before its status line is sent. */
  firstOutputHoldMs: number;
  /** Interval of comments in silent streams. */
  heartbeatMs: number;
  /** After how much silence a plain answer begins with white space. */
  silentAnswerMs: number;
  trustedHops: number;
  /** Networks that calls are taken from; undefined = all. */
  allowedIps?: readonly string[];
  /** Different wrong keys that an address may try at once; 0 = any number. */
  wrongKeys: number;
  /** HTTP proxy towards upstreams; may hold a password. */
  proxy?: SecretReference;
  noProxy: readonly string[];
  caFile?: string;
  logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';
  corsOrigins: readonly string[];
  /** Plain http upstreams were allowed explicitly. */
  allowInsecureUpstream: boolean;
  /** Root secret and the one before it, while both are accepted. */
  secret?: SecretReference;
  previousSecret?: SecretReference;
  /** What processes share; undefined = nothing. */
  redis?: RedisSettings;
  /** How many processes like this one there are. */
  replicas: number;
  /** Where management paths are forwarded to; undefined = nowhere. */
  controlPlaneUrl?: string;
  /** How this process signs in to Key Vaults. */
  vaultIdentity: CredentialMethod;
  /** Origins of the vaults that what is given over the API may refer to. */
  apiKeyVaults: readonly string[];
};

/** What of it the gateway takes once, at its start, by the name of the setting. */
const startSettings = {
  host: 'host',
  port: 'port',
  opsHost: 'ops_host',
  opsPort: 'ops_port',
  basePath: 'base_path',
  maxBodyBytes: 'max_body',
  maxHeaderBytes: 'max_header_bytes',
  maxConnections: 'max_connections',
  headersTimeoutMs: 'headers_timeout',
  bodyTimeoutMs: 'body_timeout',
  writeTimeoutMs: 'write_timeout',
  keepAliveTimeoutMs: 'keep_alive_timeout',
  connectTimeoutMs: 'connect_timeout',
  stopDelayMs: 'stop_delay',
  drainMs: 'drain_time',
  firstOutputHoldMs: 'first_output_hold',
  heartbeatMs: 'heartbeat',
  silentAnswerMs: 'silent_answer',
  trustedHops: 'trusted_hops',
  allowedIps: 'allowed_ips',
  wrongKeys: 'wrong_keys',
  redis: 'redis_*',
  controlPlaneUrl: 'control_plane_url',
  proxy: 'proxy',
  noProxy: 'no_proxy',
  caFile: 'ca_file',
  corsOrigins: 'cors_origins',
} as const satisfies { readonly [setting in keyof ServerSettings]?: string };

/** Names of the settings that differ and that a running process cannot change. */
export function settingsForRestart(running: ServerSettings, next: ServerSettings): string[] {
  return Object.entries(startSettings).flatMap(([setting, name]) => {
    const key = setting as keyof typeof startSettings;
    return JSON.stringify(running[key]) === JSON.stringify(next[key]) ? [] : [name];
  });
}

const MiB = 1_048_576;

/** Settings of the process with their defaults, which the reference page states as well. */
export function serverSettings(
  config: Config,
  profile: ServerSettings['profile'],
): Omit<ServerSettings, 'vaultIdentity' | 'apiKeyVaults'> {
  const ours = config.aigateway_settings ?? {};
  const general = config.general_settings ?? {};
  const host = ours.host ?? (profile === 'production' ? '0.0.0.0' : '127.0.0.1');
  const requestMb = general.max_request_size_mb;
  return {
    profile,
    host,
    port: ours.port ?? 8080,
    opsHost: ours.ops_host ?? host,
    opsPort: ours.ops_port ?? 9090,
    basePath: toBasePath(ours.base_path ?? ''),
    dataDir: ours.data_dir ?? './.aigateway',
    maxBodyBytes:
      ours.max_body ?? (requestMb === undefined ? 64 * MiB : Math.floor(requestMb * MiB)),
    maxHeaderBytes: ours.max_header_bytes ?? 32 * 1024,
    maxConnections: ours.max_connections ?? 10_000,
    headersTimeoutMs: ours.headers_timeout ?? 30_000,
    bodyTimeoutMs: ours.body_timeout ?? 120_000,
    writeTimeoutMs: ours.write_timeout ?? 120_000,
    keepAliveTimeoutMs: ours.keep_alive_timeout ?? 650_000,
    connectTimeoutMs: ours.connect_timeout ?? 10_000,
    stopDelayMs: ours.stop_delay ?? (profile === 'production' ? 5_000 : 0),
    drainMs: ours.drain_time ?? 120_000,
    firstOutputHoldMs: ours.first_output_hold ?? 15_000,
    heartbeatMs: ours.heartbeat ?? 15_000,
    silentAnswerMs: ours.silent_answer ?? 180_000,
    trustedHops: ours.trusted_hops ?? 0,
    ...(general.allowed_ips === undefined ? {} : { allowedIps: general.allowed_ips }),
    wrongKeys: ours.wrong_keys ?? 20,
    replicas: ours.replicas ?? 1,
    ...(ours.proxy === undefined ? {} : { proxy: ours.proxy }),
    noProxy: ours.no_proxy ?? [],
    ...(ours.ca_file === undefined ? {} : { caFile: ours.ca_file }),
    logLevel: ours.log_level ?? (config.litellm_settings?.set_verbose === true ? 'debug' : 'info'),
    corsOrigins: ours.cors_origins ?? [],
    allowInsecureUpstream: ours.allow_insecure_upstream ?? false,
  };
}

function toBasePath(path: string): string {
  const bare = path.replace(/^\/+|\/+$/g, '');
  return bare === '' ? '' : `/${bare}`;
}
