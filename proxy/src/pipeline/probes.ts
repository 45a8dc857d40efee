import type { DeploymentState } from '../routing/deployments.ts';
import { standing } from '../routing/health.ts';
import { probe } from '../upstream/probe.ts';
import type { Gateway } from './gateway.ts';

/**
 * Looks after deployments that rest: a probe that costs no tokens may end a rest early or confirm it, so that a deployment that
 * nobody calls does not stay away for longer than it must.
 */
export class Prober {
  readonly #gateway: Gateway;
  readonly #intervalMs: number;
  readonly #running = new Set<DeploymentState>();
  #timer: NodeJS.Timeout | undefined;

  /** @param intervalMs - 0 turns probing off */
  constructor(gateway: Gateway, intervalMs: number) {
    this.#gateway = gateway;
    this.#intervalMs = intervalMs;
  }

  start(): void {
    if (this.#intervalMs === 0) return;
    this.#timer = setInterval(() => this.#tick(), this.#intervalMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const now = this.#gateway.clock.now();
    for (const state of this.#gateway.deployments.all()) {
      this.#gateway.deploymentLog.observe(state);
      // A rest for a rate limit ends by the clock: a list of models says nothing about quota.
      const isOpen = state.health.open && standing(state, now) !== 'healthy';
      if (isOpen && !this.#running.has(state)) void this.#probe(state);
    }
  }

  async #probe(state: DeploymentState): Promise<void> {
    const snapshot = this.#gateway.snapshot();
    const credential = snapshot?.credential(state.record.credential);
    if (credential === undefined) return;
    this.#running.add(state);
    try {
      const { origin } = state.record.resource;
      const header = this.#gateway.credentials.get(credential, origin, state.record.dialect);
      const { ok } = await probe(state.record, header, this.#gateway.transport);
      this.#gateway.deployments.recordProbe(state, ok);
    } catch (error) {
      this.#gateway.logger.debug({ error, deployment: state.record.id }, 'probe failed');
      this.#gateway.deployments.recordProbe(state, false);
    } finally {
      this.#gateway.deploymentLog.observe(state);
      this.#running.delete(state);
    }
  }
}
