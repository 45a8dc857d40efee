import type { JsonObject, Operation } from '@aigateway/contract/records';
import type { SseEvent, StreamBridge } from '../bridge/bridge.ts';
import { eventObject } from '../operations/operation.ts';
import { callerErrorEvent, type ErrorEventContext } from './error-event.ts';
import { EventFilter } from '../stream/event-filter.ts';
import { formatSseEvent, SseParser } from '../stream/sse.ts';

/**
 * How a stream ended.
 *
 * - `complete`: the upstream's own terminal event came
 * - `failed`: the caller has seen an error event
 * - `cut`: neither; the caller does not know yet that the answer is not whole
 */
export type StreamEnding = 'complete' | 'failed' | 'cut';

/** One upstream stream on its way to the caller. */
export interface AnswerStream {
  /** Takes upstream bytes, gives what the caller gets for them now. */
  push(chunk: Buffer): Buffer | string | undefined;
  /**
   * The upstream's connection ended: gives what is left, including what a well-formed stream still lacks.
   *
   * @param tail - the last bytes that came from the upstream
   */
  end(tail: Buffer): Buffer | string | undefined;
  /** The text that ends the stream with an error of the gateway's own, in place of what the upstream would still send. */
  fail(error: JsonObject): string;
  /** Known once `end` was called. */
  readonly ending: StreamEnding;
}

export type AnswerStreamOptions = {
  /** How many answers were asked for: each of them ends by itself. */
  readonly choices: number;
  /** The caller asked for the usage chunk, or gets it by setting. */
  readonly usageWanted: boolean;
  /** Drop Azure's first chunk, which has prompt filter results and no choices. */
  readonly clean: boolean;
  /** Rewrites the data of a Responses event, e.g. to tag its ids; gives the same text when nothing changes. */
  readonly rewriteData: ((data: string) => string) | undefined;
  /** Every event holds something to rewrite; otherwise only those with encrypted content. */
  readonly rewriteEvery: boolean;
  /** Name to put in place of the upstream's `model`. */
  readonly model: string | undefined;
  /** The text that ends a stream for the caller with an error; for the upstream's own, in the form that all clients understand. */
  readonly errorEvent: (error: JsonObject) => string;
  readonly errors: ErrorEventContext;
};

const done = Buffer.from('data: [DONE]\n\n');

/** Streams of chat and text completions. */
class ChatStream implements AnswerStream {
  readonly #filter: EventFilter;
  readonly #options: AnswerStreamOptions;
  ending: StreamEnding = 'cut';

  constructor(options: AnswerStreamOptions) {
    this.#options = options;
    this.#filter = new EventFilter(
      options.model === undefined ? mayMatterInChat : always,
      (event) => this.#rewrite(event),
    );
  }

  push(chunk: Buffer): Buffer | undefined {
    return this.#filter.push(chunk);
  }

  end(tail: Buffer): Buffer | undefined {
    const rest = this.#filter.end();
    if (doneAtEnd.test(tail.toString('latin1', Math.max(0, tail.length - 64)))) {
      this.ending = 'complete';
      return rest;
    }
    const text = tail.toString('latin1');
    if (errorMember.test(text)) {
      this.ending = 'failed';
      return rest;
    }
    const finished = text.match(finishReason)?.length ?? 0;
    if (finished < this.#options.choices) return rest;
    // Some upstreams leave out the [DONE] that SDKs wait for, though their answer is whole.
    this.ending = 'complete';
    return rest === undefined ? done : Buffer.concat([rest, done]);
  }

  fail(error: JsonObject): string {
    return this.#options.errorEvent(error);
  }

  #rewrite(event: SseEvent): string | undefined {
    const { model } = this.#options;
    if (event.data.includes('error')) {
      const error = callerErrorEvent(event, this.#options.errors);
      if (error !== undefined) return formatSseEvent(error);
    }
    if (model === undefined && !noChoices.test(event.data)) return undefined;
    const chunk = eventObject(event);
    if (chunk === undefined) return undefined;
    const choices = chunk['choices'];
    if (Array.isArray(choices) && choices.length === 0) {
      const isUsage = typeof chunk['usage'] === 'object' && chunk['usage'] !== null;
      if (isUsage ? !this.#options.usageWanted : this.#options.clean) return '';
    }
    if (model === undefined || typeof chunk['model'] !== 'string') return undefined;
    chunk['model'] = model;
    return formatSseEvent({ event: event.event, data: JSON.stringify(chunk) });
  }
}

const always = (): boolean => true;

/** An empty list is rare in a stream, and so is its bracket: one search for it is far quicker than one for the member's name. */
const emptyList = Buffer.from('[]');
const mayMatterInChat = (block: Buffer): boolean =>
  block.includes(emptyList) || mayHoldError(block);
const noChoices = /"choices"\s*:\s*\[\s*\]/;

/** How Azure's chunks begin that hold a piece of an answer: those are not looked through for an error. */
const pieceOfAnswer = 'data: {"choices":[{';
const errorWord = Buffer.from('error"');

/** Whether any event of a block may be an error: a member, or what its `object` or `event` says it is. */
function mayHoldError(block: Buffer): boolean {
  // One search of the block settles nearly all; text ends in this word now and then.
  if (!block.includes(errorWord)) return false;
  return block
    .toString('latin1')
    .split('\n\n')
    .some((event) => !event.startsWith(pieceOfAnswer) && event.includes('error"'));
}

const doneAtEnd = /(?:^|\n)data: ?\[DONE\]\s*$/;
const finishReason = /"finish_reason"\s*:\s*"/g;
/** Quotes in text are escaped, so this is a member and not something the model wrote. */
const errorMember = /"error"\s*:\s*\{/;

/** Streams of the Responses API. */
class ResponsesStream implements AnswerStream {
  readonly #filter: EventFilter;
  readonly #options: AnswerStreamOptions;
  ending: StreamEnding = 'cut';

  constructor(options: AnswerStreamOptions) {
    this.#options = options;
    const every = options.rewriteEvery || options.model !== undefined;
    this.#filter = new EventFilter(every ? always : mayMatter, (event) => this.#rewrite(event));
  }

  push(chunk: Buffer): Buffer | undefined {
    return this.#filter.push(chunk);
  }

  end(): Buffer | undefined {
    return this.#filter.end();
  }

  fail(error: JsonObject): string {
    return this.#options.errorEvent(error);
  }

  #rewrite(given: SseEvent): string | undefined {
    const type = given.event;
    const isError = type === 'response.failed' || type === 'error';
    const event = (isError ? callerErrorEvent(given, this.#options.errors) : undefined) ?? given;
    if (type === 'response.completed' || type === 'response.incomplete') this.ending = 'complete';
    else if (isError) this.ending = 'failed';
    const error = type === 'error' ? errorOf(event) : undefined;
    if (error !== undefined) return this.#options.errorEvent(error);
    let data = this.#options.rewriteData?.(event.data) ?? event.data;
    if (this.#options.model !== undefined) data = withModel(data, this.#options.model);
    return data === given.data ? undefined : formatSseEvent({ event: type, data });
  }
}

/** Events that carry pieces of text and nothing else; nearly all events of a stream are of these kinds. */
const pieceOfText =
  /event: response\.(?:output_text|function_call_arguments|reasoning_(?:summary_)?text|custom_tool_call_input|refusal)\.delta\n/y;

/** Whether a block holds any event that may end the stream, fail it, or carry encrypted content: any that is no piece of text. */
function mayMatter(block: Buffer): boolean {
  // Made into text once: a call into the runtime for each event would cost as much as the event.
  const text = block.toString('latin1');
  for (let at = 0; at < text.length;) {
    pieceOfText.lastIndex = at;
    if (!pieceOfText.test(text)) return true;
    const end = text.indexOf('\n\n', at);
    if (end === -1) return false;
    at = end + 2;
  }
  return false;
}

/** The error of an error event, which is nested or flat. */
function errorOf(event: SseEvent): JsonObject | undefined {
  const object = eventObject(event);
  if (object === undefined) return undefined;
  const { error, code = null, message = '', param = null } = object;
  return asObject(error) ?? { type: 'server_error', code, message, param };
}

function withModel(data: string, model: string): string {
  const object = eventObject({ event: '', data });
  const response = asObject(object?.['response']);
  if (typeof response?.['model'] !== 'string') return data;
  response['model'] = model;
  return JSON.stringify(object);
}

/** A stream of one operation made from the stream of another. */
class BridgedStream implements AnswerStream {
  readonly #bridge: StreamBridge;
  readonly #errors: ErrorEventContext;
  readonly #parser: SseParser;
  #text = '';
  ending: StreamEnding = 'cut';

  constructor(bridge: StreamBridge, errors: ErrorEventContext) {
    this.#bridge = bridge;
    this.#errors = errors;
    this.#parser = new SseParser((event) => this.#event(event));
  }

  push(chunk: Buffer): string | undefined {
    this.#parser.push(chunk);
    return this.#take();
  }

  end(): string | undefined {
    this.#parser.end();
    // A bridge ends its stream whatever happened: with the closing events, or with an error event of its own.
    if (this.ending === 'cut') this.ending = this.#bridge.finished ? 'complete' : 'failed';
    this.#text += this.#bridge.end();
    return this.#take();
  }

  fail(error: JsonObject): string {
    return this.#bridge.push({ event: 'error', data: JSON.stringify({ error }) });
  }

  #event(event: SseEvent): void {
    const error = mayBeError.test(event.data) ? callerErrorEvent(event, this.#errors) : undefined;
    if (error !== undefined) this.ending = 'failed';
    this.#text += this.#bridge.push(error ?? event);
  }

  #take(): string | undefined {
    const text = this.#text;
    this.#text = '';
    return text === '' ? undefined : text;
  }
}

const mayBeError = /"error"|response\.failed/;

function asObject(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : undefined;
}

/** A stream that the caller gets in the operation it came in. */
export function nativeStream(operation: Operation, options: AnswerStreamOptions): AnswerStream {
  return operation === 'responses' ? new ResponsesStream(options) : new ChatStream(options);
}

export function bridgedStream(bridge: StreamBridge, errors: ErrorEventContext): AnswerStream {
  return new BridgedStream(bridge, errors);
}
