import type { AdjustableClock } from './clock.ts';
import type { ResolvedConfig } from './config.ts';
import type { FaultBook } from './faults.ts';
import type { Ids } from './ids.ts';
import type { IdentityService } from './identity.ts';
import type { JsonObject } from './json.ts';
import type { Random } from './random.ts';
import type { Recorder } from './recorder.ts';
import type { Resource } from './resources.ts';
import type { Vault } from './vault.ts';

/** Everything a running simulator holds. Replaced piece by piece on reset. */
export type Simulation = {
  /** Seed of ids and chances; a reset starts them anew. */
  seed: number;
  /** Address of the running server, for issuer names. */
  origin: () => string;
  config: ResolvedConfig;
  clock: AdjustableClock;
  random: Random;
  ids: Ids;
  resources: Map<string, Resource>;
  identity: IdentityService;
  vault: Vault | undefined;
  faults: FaultBook;
  recorder: Recorder;
};

/** The two surfaces of Azure OpenAI. */
export type Dialect = 'classic' | 'v1';

/** One authenticated call of a known operation. */
export type Call = {
  simulation: Simulation;
  resource: Resource;
  dialect: Dialect;
  /** The dated version on the classic surface, undefined on v1. */
  apiVersion: string | undefined;
  method: string;
  /** Parts of the path the operation's template names. */
  path: Readonly<Record<string, string>>;
  query: URLSearchParams;
  /** Names in lower case. */
  headers: Record<string, string>;
  /** The JSON body; empty for calls without one. */
  body: JsonObject;
};

/** The moment of a call in seconds since 1970, as bodies carry it. */
export function createdAt(call: Call): number {
  return Math.floor(call.simulation.clock.now() / 1000);
}
