import type { CredentialMethod } from '@aigateway/contract/records';
import type { PipelineOptions } from './pipeline/gateway.ts';
import type { LogLevel } from './telemetry/logger.ts';
import type { TransportOptions } from './upstream/transport.ts';

/** Where a process listens, and what it bears there. */
export type ServerOptions = {
  readonly port: number;
  readonly host: string;
  /** Path under which the gateway is published, e.g. behind API Management; empty or starting with a slash. */
  readonly basePath: string;
  /** Port of `/livez`, `/readyz` and `/metrics`; absent = none. */
  readonly opsPort: number | undefined;
  readonly opsHost: string;
  /** Take any free ops port when the wanted one is taken, so that two gateways run on one laptop. */
  readonly opsPortIsFlexible: boolean;
  /** Longer than the load balancer's, so that it is never we who close a connection it is about to use. */
  readonly keepAliveMs: number;
  /** Further connections are refused. */
  readonly maxConnections: number;
  readonly maxHeaderBytes: number;
  readonly headersTimeoutMs: number;
  /** From the first byte of a request to the last of its body. */
  readonly requestTimeoutMs: number;
  /** How long requests are still taken after a stop was asked for, while readiness already says no. */
  readonly stopDelayMs: number;
  /** How long requests under way may go on after a stop was asked for. */
  readonly drainMs: number;
};

/** Settings of one proxy process. What belongs to the one truth is in the records instead. */
export type ProxyOptions = ServerOptions & {
  readonly pipeline: PipelineOptions;
  readonly transport: TransportOptions;
  /** How the process signs in to Key Vaults; absent = it cannot. */
  readonly vaultIdentity?: CredentialMethod;
  readonly heartbeatTickMs: number;
  /** Told by readiness probes although requests are served. */
  readonly warning?: string | undefined;
  /** Between probes of a deployment that rests; 0 = none. */
  readonly probeIntervalMs: number;
  readonly corsOrigins: readonly string[];
  /** Networks that calls are taken from; undefined = all. */
  readonly allowedIps?: readonly string[] | undefined;
  readonly logLevel: LogLevel;
};
