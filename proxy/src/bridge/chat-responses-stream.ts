import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import type { BridgeContext, SseEvent, StreamBridge } from './bridge.ts';
import { callIdOf, noArguments } from './calls.ts';
import { usesFunctions } from './chat-responses-request.ts';
import { chatAnnotations, finishReason, itemSeparator } from './chat-responses-answer.ts';
import { asNumber, asObject, asObjects, asString, parseObject, present } from './json.ts';
import { chatErrorEvent, interruption, streamErrorOf, type StreamError } from './stream-error.ts';
import { chatUsage } from './usage-shapes.ts';

/**
 * One call or one text of the upstream's stream. Upstreams send its contents as deltas, whole in the closing events, or both:
 * what counts is how much of it the caller has already seen.
 */
type Progress = { emitted: number };

type CallProgress = Progress & {
  kind: 'function' | 'custom';
  /** Place among the caller's `tool_calls`; undefined until the name is known, which must come first. */
  index: number | undefined;
  /** What came before the name. */
  held: string;
};

const textEvents: ReadonlyMap<string, 'delta' | 'done'> = new Map([
  ['response.output_text.delta', 'delta'],
  ['response.output_text.done', 'done'],
]);
const refusalEvents: ReadonlyMap<string, 'delta' | 'done'> = new Map([
  ['response.refusal.delta', 'delta'],
  ['response.refusal.done', 'done'],
]);
const reasoningEvents: ReadonlyMap<string, 'delta' | 'done'> = new Map([
  ['response.reasoning_summary_text.delta', 'delta'],
  ['response.reasoning_summary_text.done', 'done'],
  ['response.reasoning_text.delta', 'delta'],
  ['response.reasoning_text.done', 'done'],
]);
const callEvents: ReadonlyMap<string, 'delta' | 'done'> = new Map([
  ['response.function_call_arguments.delta', 'delta'],
  ['response.function_call_arguments.done', 'done'],
  ['response.custom_tool_call_input.delta', 'delta'],
  ['response.custom_tool_call_input.done', 'done'],
]);

/** A responses stream as chat chunks. */
export class ResponsesToChatStream implements StreamBridge {
  finished = false;
  readonly #context: BridgeContext;
  readonly #legacy: boolean;
  readonly #wantsUsage: boolean;
  readonly #keyById = new Map<string, string>();
  readonly #texts = new Map<string, Progress>();
  readonly #calls = new Map<string, CallProgress>();
  #callCount = 0;
  #hasStarted = false;
  #lastTextItem: string | undefined;
  #lastReasoningPart: string | undefined;
  readonly #citations: JsonObject[] = [];
  #out = '';

  constructor(context: BridgeContext) {
    this.#context = context;
    this.#legacy = usesFunctions(context.request);
    this.#wantsUsage = asObject(context.request.stream_options)?.include_usage === true;
  }

  push(event: SseEvent): string {
    const body = this.finished ? undefined : parseObject(event.data);
    if (body === undefined) return '';
    this.#out = '';
    const error = streamErrorOf(event, body);
    if (error === undefined) this.#absorb(asString(body.type) ?? event.event, body);
    else this.#fail(error);
    return this.#out;
  }

  end(): string {
    if (this.finished) return '';
    this.#out = '';
    this.#fail(interruption());
    return this.#out;
  }

  #absorb(type: string, body: JsonObject): void {
    const key = this.#key(body.output_index, asString(body.item_id));
    const text = textEvents.get(type);
    if (text !== undefined) {
      const part = partKey(key, 'text', body.content_index);
      if (text === 'delta') this.#text(key, part, asString(body.delta) ?? '', body.logprobs);
      else this.#restOfText(key, part, asString(body.text) ?? '');
      return;
    }
    const refusal = refusalEvents.get(type);
    if (refusal !== undefined) {
      const part = partKey(key, 'refusal', body.content_index);
      if (refusal === 'delta') this.#refusal(part, asString(body.delta) ?? '');
      else this.#restOfRefusal(part, asString(body.refusal) ?? '');
      return;
    }
    const reasoning = reasoningEvents.get(type);
    if (reasoning !== undefined) {
      const part = partKey(key, 'reasoning', body.summary_index ?? body.content_index);
      if (reasoning === 'delta') this.#reasoning(part, asString(body.delta) ?? '');
      else this.#restOfReasoning(part, asString(body.text) ?? '');
      return;
    }
    const call = callEvents.get(type);
    if (call !== undefined) {
      const kind = type.startsWith('response.custom') ? 'custom' : 'function';
      const progress = this.#call(key, kind);
      if (call === 'delta') this.#argumentsDelta(progress, asString(body.delta) ?? '');
      else this.#restOfArguments(progress, asString(body.arguments ?? body.input) ?? '');
      return;
    }
    switch (type) {
      case 'response.output_item.added':
      case 'response.output_item.done': {
        const item = asObject(body.item);
        if (item === undefined) return;
        const itemKey = this.#key(body.output_index, asString(item.id));
        this.#item(itemKey, item, type === 'response.output_item.done');
        return;
      }
      case 'response.content_part.done':
        this.#part(key, asNumber(body.content_index) ?? 0, asObject(body.part) ?? {});
        return;
      case 'response.reasoning_summary_part.done': {
        const part = partKey(key, 'reasoning', body.summary_index);
        this.#restOfReasoning(part, asString(asObject(body.part)?.text) ?? '');
        return;
      }
      case 'response.output_text.annotation.added':
        this.#citations.push(...chatAnnotations([body.annotation ?? null]));
        return;
      case 'response.completed':
      case 'response.incomplete':
        this.#complete({
          status: type === 'response.completed' ? 'completed' : 'incomplete',
          ...asObject(body.response),
        });
    }
  }

  /** The name of an item within this stream: by its place, which every event carries, unless its id is known already. */
  #key(outputIndex: JsonValue | undefined, id: string | undefined): string {
    const known = id === undefined ? undefined : this.#keyById.get(id);
    if (known !== undefined) return known;
    const index = asNumber(outputIndex);
    const key = index === undefined ? `id ${id ?? ''}` : `at ${index}`;
    if (id !== undefined) this.#keyById.set(id, key);
    return key;
  }

  #item(key: string, item: JsonObject, isDone: boolean): void {
    switch (asString(item.type) ?? '') {
      case 'function_call':
      case 'custom_tool_call': {
        const kind = item.type === 'custom_tool_call' ? 'custom' : 'function';
        const call = this.#call(key, kind);
        this.#nameCall(call, asString(item.call_id), asString(item.name));
        if (isDone) this.#restOfArguments(call, asString(item.arguments ?? item.input) ?? '');
        return;
      }
      case 'message':
        if (!isDone) return;
        for (const [index, part] of asObjects(item.content).entries()) this.#part(key, index, part);
        return;
      case 'reasoning': {
        if (!isDone) return;
        const summary = asObjects(item.summary);
        const parts = summary.length > 0 ? summary : asObjects(item.content);
        for (const [index, part] of parts.entries()) {
          this.#restOfReasoning(partKey(key, 'reasoning', index), asString(part.text) ?? '');
        }
      }
    }
  }

  #part(key: string, index: number, part: JsonObject): void {
    if (part.type === 'output_text') {
      this.#restOfText(key, partKey(key, 'text', index), asString(part.text) ?? '', part.logprobs);
    } else if (part.type === 'refusal') {
      this.#restOfRefusal(partKey(key, 'refusal', index), asString(part.refusal) ?? '');
    }
  }

  #text(item: string, part: string, text: string, logprobs?: JsonValue): void {
    if (text === '') return;
    const isNext = this.#lastTextItem !== undefined && this.#lastTextItem !== item;
    this.#lastTextItem = item;
    this.#progress(part).emitted += text.length;
    const tokens = asObjects(logprobs);
    this.#delta(
      { content: isNext ? itemSeparator + text : text },
      tokens.length > 0 ? { content: tokens, refusal: null } : null,
    );
  }

  #restOfText(item: string, part: string, whole: string, logprobs?: JsonValue): void {
    const { emitted } = this.#progress(part);
    this.#text(item, part, whole.slice(emitted), emitted === 0 ? logprobs : undefined);
  }

  #refusal(part: string, text: string): void {
    if (text === '') return;
    this.#progress(part).emitted += text.length;
    this.#delta({ refusal: text });
  }

  #restOfRefusal(part: string, whole: string): void {
    this.#refusal(part, whole.slice(this.#progress(part).emitted));
  }

  #reasoning(part: string, text: string): void {
    if (text === '') return;
    const isNext = this.#lastReasoningPart !== undefined && this.#lastReasoningPart !== part;
    this.#lastReasoningPart = part;
    this.#progress(part).emitted += text.length;
    this.#delta({ reasoning_content: isNext ? itemSeparator + text : text });
  }

  #restOfReasoning(part: string, whole: string): void {
    this.#reasoning(part, whole.slice(this.#progress(part).emitted));
  }

  #progress(part: string): Progress {
    let progress = this.#texts.get(part);
    if (progress === undefined) this.#texts.set(part, (progress = { emitted: 0 }));
    return progress;
  }

  #call(key: string, kind: CallProgress['kind']): CallProgress {
    let call = this.#calls.get(key);
    if (call === undefined) {
      call = { kind, index: undefined, held: '', emitted: 0 };
      this.#calls.set(key, call);
    }
    return call;
  }

  #nameCall(call: CallProgress, callId: string | undefined, name: string | undefined): void {
    if (call.index !== undefined || name === undefined) return;
    call.index = this.#callCount;
    this.#callCount += 1;
    const id = callId ?? callIdOf(this.#context, call.index);
    if (this.#legacy) {
      if (call.index === 0) this.#delta({ function_call: { name, arguments: '' } });
    } else {
      const called =
        call.kind === 'custom'
          ? { type: 'custom', custom: { name, input: '' } }
          : { type: 'function', function: { name, arguments: '' } };
      this.#delta({ tool_calls: [{ index: call.index, id, ...called }] });
    }
    const { held } = call;
    call.held = '';
    this.#argumentsDelta(call, held);
  }

  #argumentsDelta(call: CallProgress, text: string): void {
    if (text === '') return;
    if (call.index === undefined) {
      call.held += text;
      return;
    }
    call.emitted += text.length;
    if (this.#legacy) {
      if (call.index === 0) this.#delta({ function_call: { arguments: text } });
      return;
    }
    const called =
      call.kind === 'custom' ? { custom: { input: text } } : { function: { arguments: text } };
    this.#delta({ tool_calls: [{ index: call.index, ...called }] });
  }

  #restOfArguments(call: CallProgress, whole: string): void {
    this.#argumentsDelta(call, whole.slice(call.emitted + call.held.length));
  }

  #complete(response: JsonObject): void {
    const output = asObjects(response.output);
    for (const [index, item] of output.entries()) {
      this.#item(this.#key(index, asString(item.id)), item, true);
    }
    const parts = output.flatMap(({ content }) => asObjects(content));
    const citations = chatAnnotations(parts.flatMap((part) => asObjects(part.annotations)));
    // In one piece: clients put members they do not know over each other instead of together.
    const annotations = citations.length > 0 ? citations : this.#citations;
    if (annotations.length > 0) this.#delta({ annotations });
    for (const call of this.#calls.values()) {
      if (call.kind === 'function' && call.emitted === 0) {
        this.#argumentsDelta(call, noArguments);
      }
    }
    const reason = finishReason(response, this.#callCount > 0, this.#legacy);
    const tier = response.service_tier ?? undefined;
    this.#chunk(this.#choice({}, null, reason), { service_tier: tier });
    const usage = chatUsage(response.usage);
    if (this.#wantsUsage && usage !== undefined) this.#chunk([], { service_tier: tier, usage });
    this.#out += 'data: [DONE]\n\n';
    this.finished = true;
  }

  #fail(error: StreamError): void {
    this.#out += chatErrorEvent(error);
    this.finished = true;
  }

  #delta(delta: JsonObject, logprobs: JsonObject | null = null): void {
    this.#chunk(this.#choice(delta, logprobs, null));
  }

  #choice(delta: JsonObject, logprobs: JsonObject | null, reason: string | null): JsonObject[] {
    // The role goes with the first output and not before: until then another deployment may still take over.
    const first = { role: 'assistant', content: reason === null ? null : '', refusal: null };
    const whole = this.#hasStarted ? delta : { ...first, ...delta };
    this.#hasStarted = true;
    return [{ index: 0, delta: whole, logprobs, finish_reason: reason }];
  }

  #chunk(choices: JsonObject[], extra: { [key: string]: JsonValue | undefined } = {}): void {
    const chunk = present({
      id: `chatcmpl-${this.#context.requestId}`,
      object: 'chat.completion.chunk',
      created: this.#context.createdAt,
      model: this.#context.model,
      choices,
      usage: this.#wantsUsage ? null : undefined,
      ...extra,
    });
    this.#out += `data: ${JSON.stringify(chunk)}\n\n`;
  }
}

function partKey(item: string, kind: string, index: JsonValue | undefined): string {
  return `${item} ${kind} ${asNumber(index) ?? 0}`;
}
