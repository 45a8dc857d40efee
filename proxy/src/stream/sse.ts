import type { SseEvent } from '../bridge/bridge.ts';
import { ChunkList } from './chunk-list.ts';

const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** The largest events hold pictures and the request's own text; what is longer never ends. */
export const maxEventBytes = 64 * 1024 * 1024;

/** An event that is longer than `maxEventBytes`. */
export class EventTooLongError extends Error {
  override readonly name = 'EventTooLongError';

  constructor() {
    super(`an event is longer than ${maxEventBytes} bytes`);
  }
}

/**
 * Parser of server-sent events that takes bytes split anywhere, also inside UTF-8 sequences and CRLF pairs.
 *
 * Accepts LF, CRLF and CR line ends, joins several `data:` lines with newlines and ignores comments.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class SseParser {
  readonly #onEvent: (event: SseEvent) => void;
  #rest: ChunkList | undefined;
  #eventBytes = 0;
  #afterCarriageReturn = false;
  #event = '';
  #data: string | undefined;
  #isStopped = false;

  constructor(onEvent: (event: SseEvent) => void) {
    this.#onEvent = onEvent;
  }

  /** Nothing more is read, the rest of the present chunk neither: for who has seen what it was looking for. */
  stop(): void {
    this.#isStopped = true;
  }

  /** @throws {EventTooLongError} */
  push(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#afterCarriageReturn && bytes.length > 0) {
      this.#afterCarriageReturn = false;
      if (bytes[0] === lineFeed) bytes = bytes.subarray(1);
    }
    if (this.#rest !== undefined) {
      this.#rest.push(bytes);
      // Joined only where a line ends: to join a long line at every chunk of it takes quadratic time.
      if (!bytes.includes(lineFeed) && !bytes.includes(carriageReturn)) {
        if (this.#rest.size > maxEventBytes) throw new EventTooLongError();
        return;
      }
      bytes = this.#rest.bytes();
      this.#rest = undefined;
    }
    let start = 0;
    // Carriage returns are rare; one native search settles whether this chunk has any.
    let nextReturn = bytes.indexOf(carriageReturn);
    for (;;) {
      const nextFeed = bytes.indexOf(lineFeed, start);
      const isReturn = nextReturn !== -1 && (nextFeed === -1 || nextReturn < nextFeed);
      const end = isReturn ? nextReturn : nextFeed;
      if (end === -1) break;
      this.#line(bytes, start, end);
      if (this.#isStopped) return;
      start = end + 1;
      if (!isReturn) continue;
      if (start === bytes.length) this.#afterCarriageReturn = true;
      else if (bytes[start] === lineFeed) start += 1;
      nextReturn = bytes.indexOf(carriageReturn, start);
    }
    if (start === bytes.length) return;
    this.#rest = new ChunkList();
    this.#rest.push(bytes.subarray(start));
  }

  /** The stream ended. An event whose closing blank line is missing is still given: upstreams do leave it out at the end. */
  end(): void {
    if (this.#rest !== undefined) {
      const bytes = this.#rest.bytes();
      this.#rest = undefined;
      this.#line(bytes, 0, bytes.length);
    }
    this.#dispatch();
  }

  #line(bytes: Buffer, start: number, end: number): void {
    if (start === end) {
      this.#dispatch();
      return;
    }
    this.#eventBytes += end - start;
    if (this.#eventBytes > maxEventBytes) throw new EventTooLongError();
    const line = bytes.toString('utf8', start, end);
    if (line.startsWith('data:')) {
      const value = line.startsWith('data: ') ? line.slice(6) : line.slice(5);
      this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`;
    } else if (line === 'data') {
      this.#data = this.#data === undefined ? '' : `${this.#data}\n`;
    } else if (line.startsWith('event:')) {
      this.#event = line.startsWith('event: ') ? line.slice(7) : line.slice(6);
    }
  }

  #dispatch(): void {
    const data = this.#data;
    const event = this.#event;
    this.#data = undefined;
    this.#event = '';
    this.#eventBytes = 0;
    if (data !== undefined) this.#onEvent({ event, data });
  }
}

/** Writes one event as text; `data` may hold newlines. */
export function formatSseEvent(event: SseEvent): string {
  const data = event.data.includes('\n') ? event.data.replaceAll('\n', '\ndata: ') : event.data;
  return event.event === '' ? `data: ${data}\n\n` : `event: ${event.event}\ndata: ${data}\n\n`;
}
