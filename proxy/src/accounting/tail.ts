/**
 * The end of a body that passes by: references to its last chunks, nothing copied until it is asked for.
 *
 * What follows the usage in a responses answer (user, up to 16 pairs of metadata) fits in the default.
 */
export class Tail {
  readonly #minBytes: number;
  #chunks: Buffer[] = [];
  #first = 0;
  #kept = 0;
  #seen = 0;

  /** @param minBytes - at least so much of the end is kept; at most one chunk more */
  constructor(minBytes = 16_384) {
    this.#minBytes = minBytes;
  }

  /** Bytes that have passed in all. */
  get seenBytes(): number {
    return this.#seen;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#kept += chunk.length;
    this.#seen += chunk.length;
    for (;;) {
      const oldest = this.#chunks[this.#first];
      if (oldest === undefined || this.#kept - oldest.length < this.#minBytes) break;
      this.#kept -= oldest.length;
      this.#first += 1;
    }
    // Moving the list at every chunk would cost more than the references it frees.
    if (this.#first < 64 || this.#first * 2 < this.#chunks.length) return;
    this.#chunks = this.#chunks.slice(this.#first);
    this.#first = 0;
  }

  /** What is kept, in one piece. */
  bytes(): Buffer {
    const [only, ...others] = this.#chunks.slice(this.#first);
    if (only === undefined) return Buffer.alloc(0);
    if (others.length === 0) return only;
    // Kept, because it is asked for twice at the end of a stream.
    const all = Buffer.concat([only, ...others]);
    this.#chunks = [all];
    this.#first = 0;
    return all;
  }
}
