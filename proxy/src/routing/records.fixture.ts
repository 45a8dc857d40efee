import type { DeploymentRecord, RouterRecord } from '@aigateway/contract/records';
import { routerRecord } from '../../../contract/test/router.fixture.ts';
import type { Clock } from '../ports.ts';
import { Deployments, type DeploymentState } from './deployments.ts';

/** Records as the tests of this folder need them: everything at its most ordinary, overridden where a test cares. */
export function deploymentRecord(overrides: Partial<DeploymentRecord> = {}): DeploymentRecord {
  const id = overrides.id ?? 'd1';
  return {
    id,
    model: 'chat',
    deployment: `${id}-upstream`,
    resource: { id: `res-${id}`, origin: `https://${id}.openai.azure.com`, basePath: '' },
    dialect: 'v1',
    credential: 'c1',
    priority: 1,
    capacity: 'standard',
    tags: [],
    drop: [],
    defaults: {},
    headers: {},
    facts: {},
    litellmModel: `azure/${id}-upstream`,
    ...overrides,
  };
}

/** A clock that stands still until told otherwise. It starts at the beginning of a minute. */
export class TestClock implements Clock {
  #now = 29_700_000 * 60_000;
  now(): number {
    return this.#now;
  }
  pass(ms: number): void {
    this.#now += ms;
  }
}

/** Park and Miller's generator: repeatable numbers between 0 and 1. */
export function seededRandom(seed: number): () => number {
  let state = (seed % 2_147_483_646) + 1;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

export function deploymentsOf(
  clock: Clock,
  records: readonly DeploymentRecord[],
  router: RouterRecord = routerRecord(),
): Deployments {
  const deployments = new Deployments(clock);
  deployments.update({ deployments: records, router });
  return deployments;
}

export function ids(states: readonly DeploymentState[]): string[] {
  return states.map((state) => state.record.id);
}
