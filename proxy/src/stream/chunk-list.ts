/** So many chunks in a row become one once they are found to be small. */
const mergedChunks = 1024;
/** Chunks of this mean size cost little beside what they hold. */
const smallBytes = 512;

const none = Buffer.alloc(0);
/** Never pushed to. */
const noChunks: Buffer[] = [];

/**
 * The chunks of a body until it is needed in one piece.
 *
 * Small ones are put together as they come: a sender that cuts its body into single bytes would otherwise have an object of a
 * hundred bytes held for each.
 */
export class ChunkList {
  #merged: Buffer[] | undefined;
  #chunks: Buffer[] = noChunks;
  #chunkBytes = 0;
  #size = 0;

  /** Bytes in all. */
  get size(): number {
    return this.#size;
  }

  push(chunk: Buffer): void {
    // Most bodies are one chunk: a list that is made with it takes a sixth of the room of one that it is pushed to.
    if (this.#chunks.length === 0) this.#chunks = [chunk];
    else this.#chunks.push(chunk);
    this.#chunkBytes += chunk.length;
    this.#size += chunk.length;
    if (this.#chunks.length < mergedChunks) return;
    this.#merged ??= [];
    if (this.#chunkBytes < mergedChunks * smallBytes) {
      this.#merged.push(Buffer.concat(this.#chunks, this.#chunkBytes));
    } else {
      for (const large of this.#chunks) this.#merged.push(large);
    }
    this.#chunks = noChunks;
    this.#chunkBytes = 0;
  }

  /** All of it in one piece. */
  bytes(): Buffer {
    const all = this.#merged === undefined ? this.#chunks : [...this.#merged, ...this.#chunks];
    const [only] = all;
    if (only === undefined) return none;
    return all.length === 1 ? only : Buffer.concat(all, this.#size);
  }
}
