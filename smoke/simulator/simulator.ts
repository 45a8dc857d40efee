import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

import type { Simulation } from './call.ts';
import type { Clock } from './clock.ts';
import { defaultConfig, resolveConfig } from './config.ts';
import type { ResolvedConfig, SimulatorConfig } from './config.ts';
import type { FaultSpec } from './faults.ts';
import { handleRequest } from './handle-request.ts';
import type { IdentityService } from './identity.ts';
import type { Counters, RecordedRequest } from './recorder.ts';
import { createSimulation, resetSimulation } from './simulation.ts';
import type { Vault } from './vault.ts';

/** How to start a simulator; everything has a default. */
export type SimulatorOptions = {
  /** Default 0: any free port. */
  port?: number;
  /** Default 127.0.0.1. */
  host?: string;
  /** Default: {@link defaultConfig}. */
  config?: SimulatorConfig;
  /** Rules quotas, expiry and background work. Default: the system clock. */
  clock?: Clock;
  /** Seed of ids and chances. Default 1. */
  seed?: number;
  /** Serves HTTPS with this key and certificate (PEM). */
  tls?: { key: string; cert: string };
};

/** A running simulator. */
export type Simulator = {
  /** Address without a slash at the end; speaks for the first resource. */
  url: string;
  /** Address of one resource, e.g. `http://127.0.0.1:9100/east`. @throws {Error} for an unknown resource */
  resourceUrl(name: string): string;
  /** The configuration with every default filled in. */
  readonly config: ResolvedConfig;
  /** Makes something go wrong. @throws {Error} if the specification is wrong */
  fault(spec: FaultSpec): { id: number; remove(): void };
  clearFaults(): void;
  /** Moves the simulator's clock forward, on top of the clock it was given. */
  advance(ms: number): void;
  /** Issues an access token without asking the identity endpoints; a negative lifetime gives an expired one. */
  issueToken: IdentityService['issue'];
  counters(): Counters;
  /** The last requests, oldest first. */
  requests(): readonly RecordedRequest[];
  /** Replaces the keys of a resource, as regenerating one does. @throws {Error} for an unknown resource */
  setKeys(resource: string, keys: readonly string[]): void;
  /** Gives a secret of the vault a new version. @throws {Error} without a vault */
  setSecret(name: string, value: string): void;
  /** Disables the newest version of a secret, or deletes it whole. @throws {Error} for an unknown one */
  removeSecret(name: string, how: 'disabled' | 'deleted'): void;
  /** Back to the beginning: stores, quotas, faults, counters, clock and ids. */
  reset(): void;
  /** Stops at once, ending open connections. */
  close(): Promise<void>;
};

/**
 * Starts a simulator of Azure OpenAI.
 *
 * @throws {Error} if the configuration is wrong or the port is taken
 */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { host = '127.0.0.1', port = 0, clock = Date, seed = 1, tls } = options;
  let url = '';
  const simulation: Simulation = createSimulation({
    config: resolveConfig(options.config ?? defaultConfig),
    clock,
    seed,
    origin: () => url,
  });
  const listener: RequestListener = (request, response) => {
    // A caller who hangs up while sending its body is no concern of the server.
    handleRequest(simulation, request, response).catch(() => response.destroy());
  };
  const server: Server =
    tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  // Callers may keep connections as long as they like, and bodies may take as long as they need.
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  const hostname = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  url = `${tls === undefined ? 'http' : 'https'}://${hostname}:${String(address.port)}`;

  return {
    url,
    resourceUrl: (name) => {
      if (!simulation.resources.has(name)) throw new Error(`no resource ${name}`);
      return `${url}/${name}`;
    },
    get config() {
      return simulation.config;
    },
    fault: (spec) => simulation.faults.add(spec),
    clearFaults: () => {
      simulation.faults.clear();
    },
    advance: (ms) => {
      simulation.clock.advance(ms);
    },
    issueToken: async (claims) => await simulation.identity.issue(claims),
    setKeys: (name, keys) => {
      const resource = simulation.resources.get(name);
      if (resource === undefined) throw new Error(`no resource ${name}`);
      resource.config = { ...resource.config, keys: [...keys] };
    },
    setSecret: (name, value) => {
      vaultOf(simulation).set(name, value);
    },
    removeSecret: (name, how) => {
      vaultOf(simulation).remove(name, how);
    },
    counters: () => simulation.recorder.counters(),
    requests: () => simulation.recorder.requests(),
    reset: () => {
      resetSimulation(simulation);
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function vaultOf({ vault }: Simulation): Vault {
  if (vault === undefined) throw new Error('no vault is configured');
  return vault;
}
