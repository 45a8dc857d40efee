import type { SseEvent } from '../bridge/bridge.ts';
import { eventObject, type OperationFacts } from '../operations/operation.ts';
import { SseParser } from '../stream/sse.ts';
import type { UpstreamAnswerHeaders } from '../upstream/headers.ts';
import type { TransportControls, TransportError, TransportHandler } from '../upstream/transport.ts';

/** What one try of one deployment came to, at the moment that decides whether another is needed. */
export type AttemptResult =
  /** The first output is there; the rest follows through `Attempt.follow`. */
  | {
      kind: 'stream';
      status: number;
      headers: UpstreamAnswerHeaders;
      held: Buffer[];
      /** False for a whole answer that is too large to collect. */
      events: boolean;
    }
  | { kind: 'whole'; status: number; headers: UpstreamAnswerHeaders; body: Buffer }
  /** An answer of any other status. */
  | { kind: 'refused'; status: number; headers: UpstreamAnswerHeaders; body: Buffer }
  /**
   * A failure inside a 200 answer: of a stream, before any output, the error event's data, or nothing when the stream just ended;
   * of a whole one all of it.
   */
  | { kind: 'broken'; headers: UpstreamAnswerHeaders; data: string | undefined }
  | { kind: 'lost'; error: TransportError };

/** Takes what follows the first output. */
export interface Follower {
  data(chunk: Buffer): void;
  /** @param error - set when the upstream broke off */
  end(error?: TransportError): void;
}

/** More of a refusal than this is never needed to understand it. */
const maxRefusalBytes = 262_144;

/** A whole answer larger than this is passed on as it comes instead of being collected first. */
const maxCollectedBytes = 8 * 1024 * 1024;

/** No answer that must be held, because it will be rewritten or has not begun yet, is larger: it may repeat its request twice. */
const maxHeldBytes = 160 * 1024 * 1024;

/**
 * Receives one upstream answer and decides as early as possible what it is.
 *
 * A stream is held back until its first event of output, so that a failure inside a 200 answer is still a failure that another
 * deployment can make good; a whole answer is collected, so that a connection lost half-way is one too.
 */
export class Attempt implements TransportHandler {
  readonly result: Promise<AttemptResult>;
  readonly #operation: OperationFacts;
  readonly #collectAll: boolean;
  readonly #firstOutputMs: number;
  #resolve: ((result: AttemptResult) => void) | undefined;
  #controls: TransportControls | undefined;
  #aborted = false;
  #status = 0;
  #headers: UpstreamAnswerHeaders = {};
  #chunks: Buffer[] = [];
  #size = 0;
  #parser: SseParser | undefined;
  #firstOutputTimer: NodeJS.Timeout | undefined;
  #follower: Follower | undefined;
  #pendingEnd: { error: TransportError | undefined } | undefined;

  /**
   * @param operation - what the upstream is spoken to in: how its events are to be read
   * @param collectAll - the whole body is needed whatever its size, because it will be rewritten
   * @param firstOutputMs - how long a stream may take from its head to its first output
   */
  constructor(operation: OperationFacts, collectAll: boolean, firstOutputMs: number) {
    this.#operation = operation;
    this.#collectAll = collectAll;
    this.#firstOutputMs = firstOutputMs;
    this.result = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Ends the upstream call; what it still sends is ignored. */
  abort(): void {
    this.#aborted = true;
    this.#controls?.abort();
    this.#decide({ kind: 'lost', error: ended('aborted') });
  }

  pause(): void {
    this.#controls?.pause();
  }

  resume(): void {
    this.#controls?.resume();
  }

  /** Gives the means to end the call before its answer begins. */
  attach(controls: TransportControls): void {
    this.#controls = controls;
    if (this.#aborted) controls.abort();
  }

  /** Takes over after a `stream` result: everything after the held bytes goes to the follower. */
  follow(follower: Follower): void {
    this.#follower = follower;
    const chunks = this.#chunks;
    this.#chunks = [];
    for (const chunk of chunks) follower.data(chunk);
    if (this.#pendingEnd !== undefined) follower.end(this.#pendingEnd.error);
  }

  onHeaders(status: number, headers: UpstreamAnswerHeaders, controls: TransportControls): void {
    this.#controls = controls;
    if (this.#aborted) {
      controls.abort();
      return;
    }
    this.#status = status;
    this.#headers = headers;
    const type = headers['content-type'];
    if (status >= 300 || typeof type !== 'string' || !type.startsWith('text/event-stream')) return;
    this.#parser = new SseParser((event) => this.#heldEvent(event));
    this.#firstOutputTimer = setTimeout(() => this.#tooLate(), this.#firstOutputMs);
  }

  onData(chunk: Buffer): void {
    if (this.#follower !== undefined) {
      this.#follower.data(chunk);
      return;
    }
    // Most answers are one chunk: a list that is made with it takes a sixth of the room of one that it is pushed to.
    if (this.#size === 0) this.#chunks = [chunk];
    else this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#resolve === undefined) return;
    if (this.#size > maxHeldBytes) {
      this.#chunks = [];
      this.#decide({ kind: 'lost', error: ended('protocol') });
      this.#controls?.abort();
      return;
    }
    if (this.#parser !== undefined) {
      this.#parser.push(chunk);
    } else if (this.#status >= 300) {
      if (this.#size > maxRefusalBytes) this.onEnd();
    } else if (this.#size > maxCollectedBytes && !this.#collectAll) {
      this.#startStream();
    }
  }

  onEnd(): void {
    if (this.#resolve === undefined) {
      this.#end(undefined);
      return;
    }
    if (this.#parser !== undefined) {
      this.#parser.end();
      // A stream may end right with its only event; otherwise it gave nothing at all.
      if (this.#resolve === undefined) this.#end(undefined);
      else this.#decide({ kind: 'broken', headers: this.#headers, data: undefined });
      return;
    }
    const [only] = this.#chunks;
    const body =
      only !== undefined && this.#chunks.length === 1 ? only : Buffer.concat(this.#chunks);
    if (this.#status >= 300) {
      this.#decide({ kind: 'refused', status: this.#status, headers: this.#headers, body });
    } else if (isErrorAlone(body)) {
      this.#decide({ kind: 'broken', headers: this.#headers, data: body.toString() });
    } else if (!isJson(this.#headers)) {
      // A page of some proxy on the way: as good as no answer.
      this.#decide({ kind: 'refused', status: 502, headers: this.#headers, body });
    } else if (!endsObject(body)) {
      this.#decide({ kind: 'lost', error: ended('reset') });
    } else {
      this.#decide({ kind: 'whole', status: this.#status, headers: this.#headers, body });
    }
  }

  onError(error: TransportError): void {
    if (this.#resolve === undefined) this.#end(error);
    else this.#decide({ kind: 'lost', error });
  }

  #heldEvent(event: SseEvent): void {
    if (this.#resolve === undefined) return;
    switch (this.#operation.meaning(event)) {
      case 'preamble':
        return;
      case 'error':
        this.#decide({ kind: 'broken', headers: this.#headers, data: event.data });
        this.#controls?.abort();
        return;
      case 'output':
      case 'end':
        this.#startStream();
    }
  }

  #startStream(): void {
    const held = this.#chunks;
    this.#chunks = [];
    const events = this.#parser !== undefined;
    this.#decide({ kind: 'stream', status: this.#status, headers: this.#headers, held, events });
  }

  #tooLate(): void {
    this.#decide({ kind: 'lost', error: ended('headers-timeout') });
    this.#controls?.abort();
  }

  #end(error: TransportError | undefined): void {
    if (this.#aborted) return;
    if (this.#follower === undefined) this.#pendingEnd = { error };
    else this.#follower.end(error);
  }

  #decide(result: AttemptResult): void {
    clearTimeout(this.#firstOutputTimer);
    const resolve = this.#resolve;
    this.#resolve = undefined;
    this.#parser?.stop();
    this.#parser = undefined;
    resolve?.(result);
  }
}

/** Larger answers are no errors. */
const maxErrorBytes = 16_384;

/** What an answer has that is one, whatever it says of errors besides. */
const answerMembers = ['choices', 'output', 'data', 'object'];

// A search stops at each byte that its first one is, and quotes are everywhere: this stops a third as often.
const errorKeyEnd = Buffer.from('rror"');

/** Some OpenAI-compatible servers say with status 200 that they failed. */
function isErrorAlone(body: Buffer): boolean {
  if (body.length > maxErrorBytes || !body.includes(errorKeyEnd)) return false;
  const answer = eventObject({ event: '', data: body.toString() });
  const error = answer?.['error'];
  const isError = typeof error === 'string' || (typeof error === 'object' && error !== null);
  return isError && answer !== undefined && !answerMembers.some((name) => name in answer);
}

const closeBrace = 0x7d;

/** An answer whose length only the end of its connection tells, or tells wrongly, may be cut and look whole: every whole one is an object. */
function endsObject(body: Buffer): boolean {
  let last = body.length - 1;
  // White space: JSON has no other characters down there.
  while ((body[last] ?? closeBrace) <= 0x20) last -= 1;
  return body[last] === closeBrace;
}

function isJson(headers: UpstreamAnswerHeaders): boolean {
  const type = headers['content-type'];
  return typeof type === 'string' && type.includes('json');
}

function ended(kind: 'aborted' | 'headers-timeout' | 'protocol' | 'reset'): TransportError {
  return { kind, reusedSocket: false };
}
