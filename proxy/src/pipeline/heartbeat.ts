/** Something that must not stay silent for long. */
export interface Silent {
  /** Called every tick with the current time; decides by itself whether to speak. */
  tick(now: number): void;
}

/**
 * One timer for all open answers: a timer per stream would cost more than the streams.
 *
 * @see Azure Container Apps and App Service cut connections after about 240 s of silence
 */
export class Heartbeat {
  readonly #open = new Set<Silent>();
  readonly #now: () => number;
  readonly #tickMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(now: () => number, tickMs: number) {
    this.#now = now;
    this.#tickMs = tickMs;
  }

  add(silent: Silent): void {
    this.#open.add(silent);
    this.#timer ??= setInterval(() => this.#tick(), this.#tickMs).unref();
  }

  remove(silent: Silent): void {
    this.#open.delete(silent);
    if (this.#open.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    const now = this.#now();
    for (const silent of this.#open) silent.tick(now);
  }
}
