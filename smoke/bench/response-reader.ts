const headerEnd = '\r\n\r\n';
/** The last chunk of a chunked body without trailers, with the line end of the chunk before it. */
const lastChunk = '\r\n0\r\n\r\n';

/**
 * Finds the end of HTTP/1.1 responses on one connection, one response at a time, at a fraction of a client library's cost:
 * the load generator shares a core with the upstream. Bodies are counted, not kept.
 */
export class ResponseReader {
  /** Status of the response being read; 0 until its head is complete. */
  status = 0;
  /** Bytes of the response so far, head included. */
  bytes = 0;
  #head = '';
  /** Body bytes still to come; -1 for a chunked body. */
  #remaining = 0;
  #tail = '';

  /** Takes the next bytes off the wire; true when they complete the response. The next call begins the next response. */
  push(chunk: Buffer): boolean {
    if (this.#complete) this.#reset();
    this.bytes += chunk.length;
    let body = chunk;
    if (this.status === 0) {
      const before = this.#head.length;
      this.#head += chunk.toString('latin1', 0, Math.min(chunk.length, 16_384));
      const end = this.#head.indexOf(headerEnd);
      if (end < 0) return false;
      this.#readHead(this.#head.slice(0, end).toLowerCase());
      body = chunk.subarray(end + headerEnd.length - before);
    }
    if (this.#remaining >= 0) {
      this.#remaining -= body.length;
      this.#complete = this.#remaining <= 0;
    } else {
      const text =
        this.#tail + body.toString('latin1', Math.max(0, body.length - lastChunk.length));
      this.#tail = text.slice(-lastChunk.length);
      this.#complete = this.#tail === lastChunk;
    }
    return this.#complete;
  }

  #complete = false;

  #readHead(head: string): void {
    this.status = Number(head.slice(9, 12));
    const length = /\r\ncontent-length: *(\d+)/.exec(head)?.[1];
    if (length !== undefined) this.#remaining = Number(length);
    else if (head.includes('\r\ntransfer-encoding: chunked')) {
      this.#remaining = -1;
      this.#tail = '\r\n'; // an empty body consists of the last chunk alone
    } else throw new Error(`a response without a length cannot be measured: ${head}`);
  }

  #reset(): void {
    this.status = 0;
    this.bytes = 0;
    this.#head = '';
    this.#complete = false;
  }
}
