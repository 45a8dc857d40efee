import { optional } from '@aigateway/contract/optional';
import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { SseParser } from '../stream/sse.ts';
import { loggedBody, withoutTail, type LoggedBody } from './message-redaction.ts';

/** A larger body is not read again for the log. */
const mostReadBytes = 8 * 1024 * 1024;

/** What a body is logged as that is not read. */
const unread: LoggedBody = { text: '', isCut: true };

/** Members of a piece of a chat stream that are no pieces of text. */
const wholeMembers: ReadonlySet<string> = new Set(['id', 'type', 'role', 'index']);

/**
 * What a caller got of an answer, for the log: a whole body, or the text of a stream put together from its pieces, because a secret that
 * is split over two of them can be recognised in neither. Keeps no more of a stream than will be logged.
 */
export class RecordedAnswer {
  readonly maxLength: number;
  readonly #parser = new SseParser(({ data }) => this.#event(data));
  readonly #texts = new Map<string, string>();
  #whole: Buffer | string | undefined;
  #left: number;
  #isBroken = false;
  /** The whole response, which the last event of its stream has. */
  #final: JsonObject | undefined;
  #error: JsonObject | undefined;
  /** Of the answer, as it was sent. */
  bytes = 0;

  /** @param maxLength - of the text that is logged */
  constructor(maxLength: number) {
    this.maxLength = maxLength;
    // What is redacted away makes room for what comes after.
    this.#left = 2 * maxLength;
  }

  /** A whole answer. */
  whole(body: Buffer | string): void {
    this.#whole = body;
    this.bytes += typeof body === 'string' ? Buffer.byteLength(body) : body.length;
  }

  /** A piece of a stream. */
  push(piece: Buffer | string): void {
    const chunk = typeof piece === 'string' ? Buffer.from(piece) : piece;
    this.bytes += chunk.length;
    if (this.#isBroken) return;
    try {
      this.#parser.push(chunk);
    } catch {
      // Whatever it is, the caller gets it.
      this.#isBroken = true;
    }
  }

  /**
   * What of it may be logged.
   *
   * @param isComplete - it came to its own end
   */
  logged(isComplete: boolean): LoggedBody {
    if (this.#whole !== undefined) return loggedText(this.#whole, this.maxLength);
    if (!this.#isBroken) this.#parser.end();
    if (this.#final !== undefined) return loggedBody(this.#final, this.maxLength);
    // An answer that is passed on as it comes, because it is too large to be held, is no stream of events.
    if (this.#texts.size === 0 && this.#error === undefined) return unread;
    const isWhole = isComplete && !this.#isBroken && this.#left > 0;
    const texts = [...this.#texts].map(([place, text]): [string, JsonValue] => [
      place,
      isWhole ? text : withoutTail(text),
    ]);
    const parts = { ...Object.fromEntries(texts), ...optional('error', this.#error) };
    const { text, isCut } = loggedBody(parts, this.maxLength);
    return { text, isCut: isCut || !isWhole };
  }

  #event(data: string): void {
    const event = objectIn(data);
    if (event === undefined) return;
    const { type, response, choices, delta, error } = event;
    if (isObject(error)) this.#error = error;
    if (Array.isArray(choices)) {
      for (const choice of choices) if (isObject(choice)) this.#choice(choice);
    } else if (typeof type === 'string') {
      if (typeof delta === 'string') this.#add(placeOf(type, event), delta);
      const isWhole = type === 'response.completed' || type === 'response.incomplete';
      if (isWhole && isObject(response)) this.#final = response;
      if (type === 'response.failed' && isObject(response) && isObject(response['error']))
        this.#error = response['error'];
    }
  }

  #choice(choice: JsonObject): void {
    const { delta, text, finish_reason: reason } = choice;
    const place = `choices[${indexOf(choice, 0)}]`;
    if (typeof text === 'string') this.#add(`${place}.text`, text);
    if (isObject(delta)) this.#pieces(place, delta);
    if (typeof reason === 'string') this.#texts.set(`${place}.finish_reason`, reason);
  }

  /** Every text in a piece goes on where the one of the piece before ended. */
  #pieces(place: string, piece: JsonObject): void {
    for (const [name, value] of Object.entries(piece)) {
      if (wholeMembers.has(name)) continue;
      const at = `${place}.${name}`;
      if (typeof value === 'string') this.#add(at, value);
      else if (isObject(value)) this.#pieces(at, value);
      else if (Array.isArray(value)) {
        for (const [position, item] of value.entries())
          if (isObject(item)) this.#pieces(`${at}[${indexOf(item, position)}]`, item);
      }
    }
  }

  #add(place: string, text: string): void {
    if (this.#left <= 0) return;
    this.#left -= text.length;
    this.#texts.set(place, (this.#texts.get(place) ?? '') + text);
  }
}

/** A JSON body as it may be logged. */
export function loggedText(body: Buffer | string, maxLength: number): LoggedBody {
  if (body.length > mostReadBytes) return unread;
  const object = objectIn(body.toString());
  return object === undefined ? unread : loggedBody(object, maxLength);
}

/** Pieces of one thing have its index; its position in a piece says nothing. */
function indexOf({ index }: JsonObject, position: number): number {
  return typeof index === 'number' ? index : position;
}

/** E.g. `output_text[0]`, which a part of an output item has as its place. */
function placeOf(type: string, { output_index: output, content_index: part }: JsonObject): string {
  const name = type.replace(/^response\./, '').replace(/\.delta$/, '');
  const places = [output, part].filter((index) => typeof index === 'number');
  return name + places.map((index) => `[${index}]`).join('');
}

function objectIn(text: string): JsonObject | undefined {
  try {
    const value = JSON.parse(text) as JsonValue;
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
