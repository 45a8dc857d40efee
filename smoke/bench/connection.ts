import { connect, type Socket } from 'node:net';
import { ResponseReader } from './response-reader.ts';

/** Where and what to send: a whole HTTP/1.1 request, made once and written again and again. */
export type Shot = { port: number; request: Buffer };

/** Puts a request together. */
export function shot(
  port: number,
  path: string,
  body: string,
  headers: Readonly<Record<string, string>>,
): Shot {
  const all = {
    host: `127.0.0.1:${port}`,
    'content-type': 'application/json',
    accept: '*/*',
    'user-agent': 'aigateway-bench',
    ...headers,
    'content-length': String(Buffer.byteLength(body)),
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return { port, request: Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`) };
}

/**
 * How a call ended: `ok` with status 200, `refused` with another, `broken` when the connection ended first, `late` at its
 * deadline, `cut` by ourselves.
 */
export type Ending = 'ok' | 'refused' | 'broken' | 'late' | 'cut';

/** One kept connection; one call at a time. */
export class Connection {
  readonly #socket: Socket;
  readonly #reader = new ResponseReader();
  #done: ((ending: Ending) => void) | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #cutAfter = Number.POSITIVE_INFINITY;
  /** Whether it can take no further call. */
  closed = false;

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.on('error', () => this.#close('broken'));
    this.#socket.on('close', () => this.#close('broken'));
  }

  /**
   * Sends one request.
   *
   * @param deadlineMs - after which the call is given up and the connection closed
   * @param done - called exactly once, however the call ends; may send the next one at once
   * @param cutAfter - hang up after so many bytes of the answer
   */
  send(
    request: Buffer,
    deadlineMs: number,
    done: (ending: Ending) => void,
    cutAfter = Number.POSITIVE_INFINITY,
  ): void {
    if (this.closed) {
      done('broken');
      return;
    }
    this.#done = done;
    this.#cutAfter = cutAfter;
    // One timer per connection, moved along: a new one per call would cost more than the rest of the call.
    if (this.#deadline) this.#deadline.refresh();
    else this.#deadline = setTimeout(() => this.#close('late'), deadlineMs).unref();
    this.#socket.write(request);
  }

  /** Hangs up; a call under way ends as `cut`. */
  close(): void {
    this.#close('cut');
  }

  #read(chunk: Buffer): void {
    if (this.#reader.push(chunk)) this.#finish(this.#reader.status === 200 ? 'ok' : 'refused');
    else if (this.#reader.bytes >= this.#cutAfter) this.#close('cut');
  }

  #close(ending: Ending): void {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.#deadline);
    this.#socket.destroy();
    this.#finish(ending);
  }

  #finish(ending: Ending): void {
    const done = this.#done;
    this.#done = undefined;
    done?.(ending);
  }
}
