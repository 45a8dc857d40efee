import {
  rememberedChanges,
  type StandingChange,
  type StandingChanges,
} from '@aigateway/contract/standing-changes';

/** What one process saw. */
export class MemoryStandingChanges implements StandingChanges {
  readonly #changes: StandingChange[] = [];

  tell(change: StandingChange): void {
    this.#changes.push(change);
    if (this.#changes.length > rememberedChanges) this.#changes.shift();
  }

  recent(): Promise<readonly StandingChange[]> {
    return Promise.resolve(this.#changes);
  }
}
