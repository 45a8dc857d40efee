/** Something that must not stay silent for long. */
export interface Silent {
  /** Its place among the open ones, kept by {@link Heartbeat} alone. */
  heartbeatSlot: number;
  /** Called every tick with the current time; decides by itself whether to speak. */
  tick(now: number): void;
  /** The gateway ends and waits no longer: what is still to be said must be said now. */
  interrupt(): void;
}

/**
 * One timer for all open answers: a timer per stream would cost more than the streams.
 *
 * @see Azure Container Apps and App Service cut connections after about 240 s of silence
 */
export class Heartbeat {
  // Not a set: a set that lives long and changes with every call leaves a chain of discarded tables, which keeps what they held
  // alive until the next full garbage collection. Here the last one takes the place of the one removed.
  readonly #open: Silent[] = [];
  readonly #now: () => number;
  readonly #tickMs: number;
  #timer: NodeJS.Timeout | undefined;
  #isInterrupted = false;

  constructor(now: () => number, tickMs: number) {
    this.#now = now;
    this.#tickMs = tickMs;
  }

  add(silent: Silent): void {
    silent.heartbeatSlot = this.#open.length;
    this.#open.push(silent);
    this.#timer ??= setInterval(() => this.#tick(), this.#tickMs).unref();
    if (this.#isInterrupted) silent.interrupt();
  }

  remove(silent: Silent): void {
    const slot = silent.heartbeatSlot;
    if (this.#open[slot] !== silent) return;
    const last = this.#open.pop();
    if (last === undefined || last === silent) return;
    last.heartbeatSlot = slot;
    this.#open[slot] = last;
  }

  /** The gateway ended what was open. */
  get isInterrupted(): boolean {
    return this.#isInterrupted;
  }

  /**
   * Ends every open answer, and from now on each that is opened.
   *
   * @returns how many were open
   */
  interrupt(): number {
    this.#isInterrupted = true;
    const open = [...this.#open];
    for (const silent of open) silent.interrupt();
    return open.length;
  }

  #tick(): void {
    if (this.#open.length === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const now = this.#now();
    // From the end: a tick that removes its own moves only one that has been called already.
    for (let slot = this.#open.length - 1; slot >= 0; slot -= 1) this.#open[slot]?.tick(now);
  }
}
