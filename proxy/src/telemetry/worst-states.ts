import type { DeploymentStanding } from './metrics.ts';

const stateValue = { healthy: 0, 'half-open': 1, cooling: 2 } as const;

/** A deployment's state as a number. Behind a wildcard one has several; its names are no labels, so the worst counts. */
export function worstStates(
  standings: readonly DeploymentStanding[],
): (DeploymentStanding & { value: number })[] {
  const worst = new Map<string, DeploymentStanding & { value: number }>();
  for (const standing of standings) {
    const value = stateValue[standing.state];
    if (value >= (worst.get(standing.id)?.value ?? 0))
      worst.set(standing.id, { ...standing, value });
  }
  return [...worst.values()];
}
