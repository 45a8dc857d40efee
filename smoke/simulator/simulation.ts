import type { Simulation } from './call.ts';
import { adjustableClock } from './clock.ts';
import type { Clock } from './clock.ts';
import type { ResolvedConfig } from './config.ts';
import { createFaultBook } from './faults.ts';
import { createIdentityService } from './identity.ts';
import { seededIds } from './ids.ts';
import { seededRandom } from './random.ts';
import { createRecorder } from './recorder.ts';
import { createResources } from './resources.ts';
import { createVault } from './vault.ts';

/** Chances have a sequence of their own, so that they do not depend on how many ids were given out. */
const FAULT_SEED_OFFSET = 1;

/** What a simulation is made from. */
export type SimulationParts = {
  config: ResolvedConfig;
  clock: Clock;
  seed: number;
  /** Address of the running server, for issuer names. */
  origin: () => string;
};

/** A simulation with empty resources and no faults. */
export function createSimulation({ config, clock, seed, origin }: SimulationParts): Simulation {
  const adjustable = adjustableClock(clock);
  const random = seededRandom(seed);
  const identity = createIdentityService(config.identity, adjustable, origin);
  return {
    seed,
    origin,
    config,
    clock: adjustable,
    random,
    ids: seededIds(random),
    resources: createResources(config, adjustable),
    identity,
    vault: createVault(config.vault, { identity, clock: adjustable, origin }),
    faults: createFaultBook(seededRandom(seed + FAULT_SEED_OFFSET)),
    recorder: createRecorder(config.recordedRequests),
  };
}

/** Back to the beginning: stores, quotas, faults, counters, clock and the sequence of ids. */
export function resetSimulation(simulation: Simulation): void {
  const { clock, config, seed, origin } = simulation;
  clock.reset();
  simulation.random = seededRandom(seed);
  simulation.ids = seededIds(simulation.random);
  simulation.resources = createResources(config, clock);
  const identity = createIdentityService(config.identity, clock, origin);
  simulation.identity = identity;
  simulation.vault = createVault(config.vault, { identity, clock, origin });
  simulation.faults = createFaultBook(seededRandom(seed + FAULT_SEED_OFFSET));
  simulation.recorder.reset();
}
