/** LiteLLM's `max_latency_list_size`. */
export const latencySamples = 10;

/** The last measurements of one kind, each with its time: as many as were ever asked for. */
export class LatencyWindow {
  #values = new Float64Array(latencySamples);
  #times = new Float64Array(latencySamples);
  #count = 0;

  /** @param value - any unit, the same for all of one window */
  add(value: number, now: number): void {
    const slot = this.#count % this.#values.length;
    this.#values[slot] = value;
    this.#times[slot] = now;
    this.#count += 1;
  }

  /** Mean of the last measurements not older than `windowMs`, `samples` at most; undefined when there is none. */
  mean(now: number, windowMs: number, samples = latencySamples): number | undefined {
    if (samples > this.#values.length) this.#grow(samples);
    const size = this.#values.length;
    let sum = 0;
    let fresh = 0;
    for (let back = 1; back <= Math.min(this.#count, samples); back += 1) {
      const slot = (this.#count - back) % size;
      if (now - (this.#times[slot] ?? 0) > windowMs) break;
      sum += this.#values[slot] ?? 0;
      fresh += 1;
    }
    return fresh === 0 ? undefined : sum / fresh;
  }

  #grow(size: number): void {
    const before = this.#values.length;
    const kept = Math.min(this.#count, before);
    const values = new Float64Array(size);
    const times = new Float64Array(size);
    for (let place = 0; place < kept; place += 1) {
      const slot = (this.#count - kept + place) % before;
      values[place] = this.#values[slot] ?? 0;
      times[place] = this.#times[slot] ?? 0;
    }
    this.#values = values;
    this.#times = times;
    this.#count = kept;
  }
}
