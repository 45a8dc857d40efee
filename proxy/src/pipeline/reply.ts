import type { ServerResponse } from 'node:http';
import type { Heartbeat, Silent } from './heartbeat.ts';

/** Header names and values in turn, as `writeHead` takes them. */
export type FlatHeaders = string[];

export type ReplyTiming = {
  /** How long the status line of a stream is held back for its first output. */
  readonly holdMs: number;
  /** Longest silence on a stream, and between the white space of a slow JSON answer. */
  readonly commentMs: number;
  /** When a JSON answer that is not there yet begins with white space. */
  readonly whitespaceMs: number;
  /** How long a caller may take nothing of what is written to it; then its connection is destroyed. */
  readonly blockedMs: number;
};

const comment = ': waiting\n\n';
const lineFeed = 0x0a;

/**
 * The caller's side of one request: head, bytes and end, heartbeats while nothing comes, and word that the caller left.
 *
 * Once the head is out (`committed`) a failure can no longer be a status; once output is out (`outputSent`) it can no
 * longer be another deployment's answer.
 */
export class Reply implements Silent {
  readonly #response: ServerResponse;
  readonly #heartbeat: Heartbeat;
  readonly #timing: ReplyTiming;
  readonly #stream: boolean;
  readonly #headers: FlatHeaders;
  readonly #startedAt: number;
  #lastWriteAt: number;
  #betweenEvents = true;
  #awaitsDrain = false;
  #isBlocked = false;
  #ended = false;
  heartbeatSlot = -1;
  outputSent = false;
  /** Status that went out; 0 while none did. */
  status = 0;
  /** Called once if the caller leaves before the end. */
  onGone: (() => void) | undefined;
  /** Called once if the gateway ends before the answer does: what is told now is the last. */
  onInterrupt: (() => void) | undefined;
  /** The gateway ended before the caller had all of its answer. */
  interrupted = false;
  /** Called when more may be written after `write` said no. */
  onDrain: (() => void) | undefined;
  /** Called once, when all is written or the connection is lost; `finished` tells which. */
  onClose: ((finished: boolean) => void) | undefined;
  /** What `onClose` is told; undefined until then. */
  closed: boolean | undefined;

  /**
   * @param stream - the caller asked for server-sent events
   * @param headers - headers that every answer to this request carries
   */
  constructor(
    response: ServerResponse,
    heartbeat: Heartbeat,
    timing: ReplyTiming,
    stream: boolean,
    headers: FlatHeaders,
    startedAt: number,
  ) {
    this.#response = response;
    this.#heartbeat = heartbeat;
    this.#timing = timing;
    this.#stream = stream;
    this.#headers = headers;
    this.#startedAt = startedAt;
    this.#lastWriteAt = startedAt;
    // The caller may have left while its limits were asked: then nothing will tell of it any more.
    if (response.closed) {
      this.#ended = true;
      this.closed = false;
      return;
    }
    response.on('close', () => this.#closed());
    heartbeat.add(this);
  }

  get committed(): boolean {
    return this.status !== 0;
  }

  /** True once the connection is gone or all is said. */
  get over(): boolean {
    return this.#ended || this.#response.destroyed;
  }

  /**
   * Sends a whole answer. After white space has been sent, only the body follows.
   *
   * @param headers - the reply's from now on
   */
  send(status: number, headers: FlatHeaders, body: Buffer | string): void {
    if (this.over) return;
    if (!this.committed) {
      const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
      headers.push('content-length', String(length));
      this.#head(status, headers);
    }
    this.outputSent = true;
    this.#ended = true;
    this.#response.end(body);
  }

  /**
   * Begins an answer whose bytes follow; does nothing if the head is out already.
   *
   * @param headers - the reply's from now on
   */
  begin(status: number, headers: FlatHeaders): void {
    if (!this.committed && !this.over) this.#head(status, headers);
  }

  /** @returns false when the caller reads too slowly: wait for `onDrain` */
  write(bytes: Buffer | string, now: number): boolean {
    if (this.over) return true;
    this.outputSent = true;
    this.#lastWriteAt = now;
    this.#betweenEvents = endsEvent(bytes);
    if (this.#response.write(bytes)) return true;
    // Chunks that are read already still come after a pause.
    if (!this.#awaitsDrain) {
      this.#awaitsDrain = true;
      this.#response.once('drain', () => {
        this.#awaitsDrain = false;
        this.onDrain?.();
      });
    }
    return false;
  }

  end(last?: Buffer | string): void {
    if (this.over) return;
    this.#ended = true;
    if (last === undefined || last.length === 0) this.#response.end();
    else this.#response.end(last);
  }

  interrupt(): void {
    this.interrupted = true;
    this.onInterrupt?.();
  }

  /** Breaks the connection: the only honest end for a JSON answer that failed after its head. */
  destroy(): void {
    this.#ended = true;
    this.#response.destroy();
  }

  tick(now: number): void {
    this.#watchCaller();
    if (this.over || this.#isBlocked) return;
    if (!this.committed) {
      const waited = now - this.#startedAt;
      if (this.#stream && waited >= this.#timing.holdMs) this.#speak(now, streamHeaders, comment);
      else if (!this.#stream && waited >= this.#timing.whitespaceMs)
        this.#speak(now, jsonHeaders, ' ');
      return;
    }
    if (now - this.#lastWriteAt < this.#timing.commentMs) return;
    if (this.#stream && this.#betweenEvents) this.#speak(now, streamHeaders, comment);
    // White space may stand before a JSON body, never inside it.
    else if (!this.#stream && !this.outputSent) this.#speak(now, jsonHeaders, ' ');
  }

  /**
   * While written bytes wait for the caller, its socket has a time limit, which node starts anew whenever some were taken. The
   * socket's own end does the rest: the upstream call is ended, and the request accounted for.
   */
  #watchCaller(): void {
    const { socket, writableLength } = this.#response;
    const isBlocked = writableLength > 0;
    if (isBlocked === this.#isBlocked || socket === null) return;
    this.#isBlocked = isBlocked;
    socket.setTimeout(isBlocked ? this.#timing.blockedMs : 0);
  }

  #speak(now: number, headers: FlatHeaders, text: string): void {
    if (!this.committed) this.#head(200, [...headers]);
    this.#lastWriteAt = now;
    this.#response.write(text);
  }

  #head(status: number, headers: FlatHeaders): void {
    this.status = status;
    headers.push(...this.#headers);
    this.#response.writeHead(status, headers);
  }

  #closed(): void {
    this.#heartbeat.remove(this);
    const finished = this.#response.writableFinished;
    this.#ended = true;
    this.closed = finished;
    if (!finished) this.onGone?.();
    this.onClose?.(finished);
  }
}

function endsEvent(bytes: Buffer | string): boolean {
  if (typeof bytes === 'string') return bytes.endsWith('\n\n');
  const { length } = bytes;
  return length > 1 && bytes[length - 1] === lineFeed && bytes[length - 2] === lineFeed;
}

/** Headers of every stream: nothing on the way may hold it back. */
export const streamHeaders: FlatHeaders = [
  'content-type',
  'text/event-stream; charset=utf-8',
  'cache-control',
  'no-cache',
  'x-accel-buffering',
  'no',
];

export const jsonHeaders: FlatHeaders = ['content-type', 'application/json'];
