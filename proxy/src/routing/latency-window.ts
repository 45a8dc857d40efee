/** LiteLLM's `max_latency_list_size`. */
const size = 10;

/** The last ten measurements of one kind, each with its time. */
export class LatencyWindow {
  readonly #values = new Float64Array(size);
  readonly #times = new Float64Array(size);
  #count = 0;

  /** @param value - any unit, the same for all of one window */
  add(value: number, now: number): void {
    const slot = this.#count % size;
    this.#values[slot] = value;
    this.#times[slot] = now;
    this.#count += 1;
  }

  /** Mean of the measurements not older than `windowMs`; undefined when there is none. */
  mean(now: number, windowMs: number): number | undefined {
    let sum = 0;
    let fresh = 0;
    for (let slot = 0; slot < Math.min(this.#count, size); slot += 1) {
      if (now - (this.#times[slot] ?? 0) > windowMs) continue;
      sum += this.#values[slot] ?? 0;
      fresh += 1;
    }
    return fresh === 0 ? undefined : sum / fresh;
  }
}
