import type { SseEvent } from '../bridge/bridge.ts';
import { ChunkList } from './chunk-list.ts';
import { EventTooLongError, formatSseEvent, maxEventBytes, SseParser } from './sse.ts';

/**
 * What becomes of one event: the text to write instead (empty = drop it), or undefined to pass it on as it came.
 */
export type EventRewrite = (event: SseEvent) => string | undefined;

const carriageReturn = 0x0d;
const lineFeed = 0x0a;
const blankLine = Buffer.from('\n\n');

/**
 * Passes a stream on in whole events and rewrites the few that need it.
 *
 * Blocks of whole events that do not concern the rewrite are passed on as the bytes they came in, unparsed. An incomplete
 * event waits for its end, which no reader of server-sent events could use before.
 */
export class EventFilter {
  readonly #concerns: (block: Buffer) => boolean;
  readonly #rewrite: EventRewrite;
  #rest: ChunkList | undefined;
  #restEndsLine = false;
  #parser: SseParser | undefined;
  /** For events of blocks: it is always between two of them. */
  #blockParser: SseParser | undefined;
  #out: string[] = [];
  #ended = false;

  /**
   * @param concerns - whether a block of whole events may hold one to rewrite; asked for every block, so it must be quick
   * @param rewrite - called for each event of a block that does
   */
  constructor(concerns: (block: Buffer) => boolean, rewrite: EventRewrite) {
    this.#concerns = concerns;
    this.#rewrite = rewrite;
  }

  /**
   * Takes a chunk, gives what can be written now; undefined when nothing can.
   *
   * @throws {EventTooLongError}
   */
  push(chunk: Buffer): Buffer | undefined {
    // Other line ends than LF are foreign to Azure; such a stream is parsed throughout.
    if (this.#parser === undefined && chunk.includes(carriageReturn)) this.#parseThroughout();
    if (this.#parser !== undefined) {
      this.#parser.push(chunk);
      return this.#take();
    }
    const joins = this.#restEndsLine && chunk[0] === lineFeed;
    const chunkEnd = chunk.lastIndexOf(blankLine);
    if (!joins && chunkEnd === -1) {
      this.#keep(chunk);
      return undefined;
    }
    let bytes = chunk;
    let end = chunkEnd;
    if (this.#rest !== undefined) {
      this.#rest.push(chunk);
      bytes = this.#rest.bytes();
      end = bytes.lastIndexOf(blankLine);
      this.#rest = undefined;
    }
    this.#restEndsLine = false;
    if (end + 2 < bytes.length) this.#keep(bytes.subarray(end + 2));
    return this.#block(bytes.subarray(0, end + 2));
  }

  /**
   * The stream ended: gives what was still held back, with the closing blank line that upstreams do leave out at the end.
   * An event that broke off inside its data is left out: whatever is written next would become a part of it.
   */
  end(): Buffer | undefined {
    if (this.#parser === undefined) this.#parseThroughout();
    this.#ended = true;
    this.#parser?.end();
    return this.#take();
  }

  /** Holds the beginning of an event until its end is there. */
  #keep(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#rest ??= new ChunkList();
    this.#rest.push(chunk);
    this.#restEndsLine = chunk[chunk.length - 1] === lineFeed;
    if (this.#rest.size > maxEventBytes) throw new EventTooLongError();
  }

  #block(block: Buffer): Buffer | undefined {
    if (!this.#concerns(block)) return block;
    this.#blockParser ??= new SseParser((event) => this.#event(event));
    const parts: Buffer[] = [];
    // What lies before it in the block passes as it came.
    let from = 0;
    for (let start = 0; start < block.length;) {
      const blank = block.indexOf(blankLine, start);
      // Of more blank lines than one the last may stand by itself.
      const end = blank === -1 ? block.length : blank + blankLine.length;
      const event = block.subarray(start, end);
      if (this.#concerns(event)) {
        if (start > from) parts.push(block.subarray(from, start));
        this.#blockParser.push(event);
        const text = this.#take();
        if (text !== undefined) parts.push(text);
        from = end;
      }
      start = end;
    }
    if (from < block.length) parts.push(block.subarray(from));
    const [only] = parts;
    return parts.length < 2 ? only : Buffer.concat(parts);
  }

  #parseThroughout(): void {
    this.#parser = new SseParser((event) => this.#event(event));
    if (this.#rest === undefined) return;
    this.#parser.push(this.#rest.bytes());
    this.#rest = undefined;
  }

  #event(event: SseEvent): void {
    if (this.#ended && !isWhole(event.data)) return;
    const text = this.#rewrite(event) ?? formatSseEvent(event);
    if (text !== '') this.#out.push(text);
  }

  #take(): Buffer | undefined {
    if (this.#out.length === 0) return undefined;
    const text = this.#out.join('');
    this.#out = [];
    return Buffer.from(text);
  }
}

/** Every event of the streams that pass here holds JSON, but for the last one of chat. */
function isWhole(data: string): boolean {
  if (data === '[DONE]') return true;
  try {
    JSON.parse(data);
    return true;
  } catch {
    return false;
  }
}
