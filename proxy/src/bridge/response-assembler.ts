import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import type { BridgeContext } from './bridge.ts';
import { callIdOf, noArguments } from './calls.ts';
import { DeclaredTools, unwrapCustomInput } from './declared-tools.ts';
import { asNumber, asObject, asObjects, asString, present } from './json.ts';
import { responseUsage } from './usage-shapes.ts';

/** Receives the events of a response in their order; without `sequence_number`, which is the writer's to count. */
export type EventSink = (type: string, members: JsonObject) => void;

type ReasoningItem = { kind: 'reasoning'; outputIndex: number; id: string; text: string };

type MessageItem = {
  kind: 'message';
  outputIndex: number;
  id: string;
  parts: ContentPart[];
};

type ContentPart =
  | { type: 'output_text'; text: string; annotations: JsonObject[]; logprobs: JsonObject[] }
  | { type: 'refusal'; refusal: string };

type CallItem = {
  outputIndex: number;
  id: string;
  callId: string;
  /** What the caller calls the tool. */
  identity: { name: string; namespace?: string };
  /** A custom tool's input comes as it stands, or wrapped in the arguments of the function that stands for the tool. */
  form: 'function' | 'custom' | 'wrapped';
};

type Call = {
  /** The upstream's place and id, by which its deltas say what they belong to. */
  index: number;
  upstreamId: string | undefined;
  text: string;
  /** Undefined until the name is known, which opens the item. */
  item: CallItem | undefined;
};

/**
 * Builds a response out of what a chat upstream says, whole or piece by piece, and tells the events of its growth.
 *
 * Reasoning and text are one open item at a time, as native responses have them. Calls stay open until the end, because
 * parallel ones may come interleaved.
 */
export class ResponseAssembler {
  readonly #context: BridgeContext;
  readonly #tools: DeclaredTools;
  readonly #emit: EventSink;
  readonly #output: JsonObject[] = [];
  readonly #calls: Call[] = [];
  #itemCount = 0;
  #open: ReasoningItem | MessageItem | undefined;
  #hasStarted = false;
  #finishReason: string | undefined;
  #usage: JsonValue | undefined;
  #serviceTier: JsonValue | undefined;

  constructor(context: BridgeContext, emit: EventSink) {
    this.#context = context;
    this.#tools = new DeclaredTools(context.request);
    this.#emit = emit;
  }

  /** The upstream's word on how it ended; undefined while it has given none. */
  get finishReason(): string | undefined {
    return this.#finishReason;
  }

  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  /** The response as it is when it begins. */
  get begun(): JsonObject {
    return this.#response('in_progress', []);
  }

  /** Takes a chat completion or a chunk of one. */
  absorb(body: JsonObject): void {
    if (asObject(body.usage) !== undefined) this.#usage = body.usage;
    if (asString(body.service_tier) !== undefined) this.#serviceTier = body.service_tier;
    for (const choice of asObjects(body.choices)) {
      // Others than the first were not asked for.
      if ((asNumber(choice.index) ?? 0) !== 0) continue;
      this.#start();
      const delta = asObject(choice.delta) ?? asObject(choice.message);
      if (delta !== undefined) this.#delta(delta, asObject(choice.logprobs));
      const reason = asString(choice.finish_reason);
      // Azure's asynchronous filter may take an earlier `stop` back.
      if (reason !== undefined) this.#finishReason = reason;
    }
  }

  /** Closes every item and gives the response as it is at its end. */
  finish(): JsonObject {
    this.#start();
    const reason = incompleteReason(this.#finishReason);
    const status = reason === undefined ? 'completed' : 'incomplete';
    this.#closeOpen(status);
    for (const call of this.#calls)
      if (call.item !== undefined) this.#closeCall(call, call.item, status);
    const response = this.#response(status, this.#output, reason);
    this.#emit(`response.${status}`, { response });
    return response;
  }

  #start(): void {
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    const response = this.begun;
    this.#emit('response.created', { response });
    this.#emit('response.in_progress', { response });
  }

  #delta(delta: JsonObject, logprobs: JsonObject | undefined): void {
    const reasoning = asString(delta.reasoning_content) ?? asString(delta.reasoning) ?? '';
    if (reasoning !== '') this.#reasoning(reasoning);
    const text = contentText(delta.content);
    if (text !== '') this.#text(text, asObjects(logprobs?.content));
    const refusal = asString(delta.refusal) ?? '';
    if (refusal !== '') this.#refusal(refusal);
    for (const annotation of asObjects(delta.annotations)) this.#annotation(annotation);
    for (const [place, call] of asObjects(delta.tool_calls).entries()) this.#call(call, place);
    const legacy = asObject(delta.function_call);
    if (legacy !== undefined) this.#call({ index: 0, function: legacy }, 0);
  }

  #reasoning(text: string): void {
    let item = this.#open;
    if (item?.kind !== 'reasoning') {
      this.#closeOpen('completed');
      const outputIndex = this.#nextIndex();
      item = { kind: 'reasoning', outputIndex, id: this.#id('rs', outputIndex), text: '' };
      this.#open = item;
      this.#emit('response.output_item.added', {
        output_index: outputIndex,
        item: { id: item.id, type: 'reasoning', summary: [] },
      });
      this.#emit('response.reasoning_summary_part.added', {
        ...summaryPlace(item),
        part: { type: 'summary_text', text: '' },
      });
    }
    item.text += text;
    this.#emit('response.reasoning_summary_text.delta', { ...summaryPlace(item), delta: text });
  }

  #message(): MessageItem {
    const open = this.#open;
    if (open?.kind === 'message') return open;
    this.#closeOpen('completed');
    const outputIndex = this.#nextIndex();
    const item: MessageItem = {
      kind: 'message',
      outputIndex,
      id: this.#id('msg', outputIndex),
      parts: [],
    };
    this.#open = item;
    this.#emit('response.output_item.added', {
      output_index: outputIndex,
      item: { id: item.id, type: 'message', status: 'in_progress', role: 'assistant', content: [] },
    });
    return item;
  }

  #textPart(): { place: JsonObject; part: ContentPart & { type: 'output_text' } } {
    const item = this.#message();
    let contentIndex = item.parts.findIndex(({ type }) => type === 'output_text');
    if (contentIndex === -1) {
      contentIndex = item.parts.length;
      this.#addPart(item, { type: 'output_text', text: '', annotations: [], logprobs: [] });
    }
    const part = item.parts[contentIndex] as ContentPart & { type: 'output_text' };
    return { place: contentPlace(item, contentIndex), part };
  }

  #addPart(item: MessageItem, part: ContentPart): void {
    item.parts.push(part);
    const place = contentPlace(item, item.parts.length - 1);
    this.#emit('response.content_part.added', { ...place, part });
  }

  #text(text: string, logprobs: JsonObject[]): void {
    const { place, part } = this.#textPart();
    part.text += text;
    part.logprobs.push(...logprobs);
    this.#emit('response.output_text.delta', { ...place, delta: text, logprobs });
  }

  #annotation(annotation: JsonObject): void {
    const citation = asObject(annotation.url_citation);
    if (citation === undefined) return;
    const { place, part } = this.#textPart();
    const flat = { type: 'url_citation', ...citation };
    part.annotations.push(flat);
    this.#emit('response.output_text.annotation.added', {
      ...place,
      annotation_index: part.annotations.length - 1,
      annotation: flat,
    });
  }

  #refusal(text: string): void {
    const item = this.#message();
    let contentIndex = item.parts.findIndex(({ type }) => type === 'refusal');
    if (contentIndex === -1) {
      contentIndex = item.parts.length;
      this.#addPart(item, { type: 'refusal', refusal: '' });
    }
    const part = item.parts[contentIndex] as ContentPart & { type: 'refusal' };
    part.refusal += text;
    this.#emit('response.refusal.delta', { ...contentPlace(item, contentIndex), delta: text });
  }

  #call(delta: JsonObject, place: number): void {
    const call = this.#callOf(delta, place);
    const custom = asObject(delta.custom);
    const called = custom ?? asObject(delta.function);
    const name = asString(called?.name);
    if (call.item === undefined && name !== undefined && name !== '') {
      this.#openCall(call, name, custom !== undefined);
      // What came before the name.
      if (call.text !== '') this.#callDelta(call, call.text);
    }
    const text = asString(custom === undefined ? called?.arguments : called?.input) ?? '';
    if (text === '') return;
    call.text += text;
    this.#callDelta(call, text);
  }

  #callOf(delta: JsonObject, place: number): Call {
    const index = asNumber(delta.index) ?? place;
    const id = asString(delta.id) ?? '';
    const known = this.#calls.findLast((call) => call.index === index);
    // Some servers number every call 0: a new id is a new call.
    if (
      known !== undefined &&
      (id === '' || known.upstreamId === undefined || known.upstreamId === id)
    ) {
      if (id !== '') known.upstreamId = id;
      return known;
    }
    const call: Call = { index, upstreamId: id === '' ? undefined : id, text: '', item: undefined };
    this.#calls.push(call);
    return call;
  }

  #openCall(call: Call, upstreamName: string, isCustom: boolean): void {
    this.#closeOpen('completed');
    const outputIndex = this.#nextIndex();
    const tool = this.#tools.byFlatName(upstreamName);
    const name = tool?.name ?? upstreamName;
    const form = isCustom ? 'custom' : tool?.kind === 'custom' ? 'wrapped' : 'function';
    call.item = {
      outputIndex,
      id: this.#id(form === 'function' ? 'fc' : 'ctc', outputIndex),
      callId: call.upstreamId ?? callIdOf(this.#context, outputIndex),
      identity: tool?.namespace === undefined ? { name } : { name, namespace: tool.namespace },
      form,
    };
    this.#emit('response.output_item.added', {
      output_index: outputIndex,
      item: callItem(call.item, '', 'in_progress'),
    });
  }

  #callDelta({ item }: Call, text: string): void {
    // The input of a wrapped custom tool can be told only once its wrapping is complete.
    if (item === undefined || item.form === 'wrapped') return;
    const kind = item.form === 'function' ? 'function_call_arguments' : 'custom_tool_call_input';
    this.#emit(`response.${kind}.delta`, { ...itemPlace(item), delta: text });
  }

  #closeCall(call: Call, item: CallItem, status: string): void {
    const place = itemPlace(item);
    let text = call.text;
    if (item.form === 'function') {
      if (text === '') {
        text = noArguments;
        this.#callDelta(call, text);
      }
      this.#emit('response.function_call_arguments.done', {
        ...place,
        name: item.identity.name,
        arguments: text,
      });
    } else {
      if (item.form === 'wrapped') {
        text = unwrapCustomInput(text);
        if (text !== '')
          this.#emit('response.custom_tool_call_input.delta', { ...place, delta: text });
      }
      this.#emit('response.custom_tool_call_input.done', { ...place, input: text });
    }
    this.#done(item.outputIndex, callItem(item, text, status));
  }

  #closeOpen(status: string): void {
    const item = this.#open;
    this.#open = undefined;
    if (item === undefined) return;
    if (item.kind === 'reasoning') {
      const part = { type: 'summary_text', text: item.text };
      this.#emit('response.reasoning_summary_text.done', {
        ...summaryPlace(item),
        text: item.text,
      });
      this.#emit('response.reasoning_summary_part.done', { ...summaryPlace(item), part });
      this.#done(item.outputIndex, { id: item.id, type: 'reasoning', summary: [part] });
      return;
    }
    for (const [contentIndex, part] of item.parts.entries()) {
      const place = contentPlace(item, contentIndex);
      if (part.type === 'output_text') {
        this.#emit('response.output_text.done', {
          ...place,
          text: part.text,
          logprobs: part.logprobs,
        });
      } else this.#emit('response.refusal.done', { ...place, refusal: part.refusal });
      this.#emit('response.content_part.done', { ...place, part });
    }
    this.#done(item.outputIndex, {
      id: item.id,
      type: 'message',
      status,
      role: 'assistant',
      content: item.parts,
    });
  }

  #done(outputIndex: number, item: JsonObject): void {
    this.#output[outputIndex] = item;
    this.#emit('response.output_item.done', { output_index: outputIndex, item });
  }

  #nextIndex(): number {
    this.#itemCount += 1;
    return this.#itemCount - 1;
  }

  #id(prefix: string, outputIndex: number): string {
    return `${prefix}_${this.#context.requestId}_${outputIndex}`;
  }

  #response(status: string, output: JsonObject[], reason?: string): JsonObject {
    const { request, model, requestId, createdAt } = this.#context;
    const reasoning = asObject(request.reasoning);
    return {
      id: `resp_${requestId}`,
      object: 'response',
      created_at: createdAt,
      status,
      background: false,
      error: null,
      incomplete_details: reason === undefined ? null : { reason },
      instructions: request.instructions ?? null,
      max_output_tokens: request.max_output_tokens ?? null,
      max_tool_calls: request.max_tool_calls ?? null,
      model,
      output: [...output],
      parallel_tool_calls: request.parallel_tool_calls ?? true,
      previous_response_id: null,
      prompt_cache_key: request.prompt_cache_key ?? null,
      reasoning: { effort: reasoning?.effort ?? null, summary: reasoning?.summary ?? null },
      safety_identifier: request.safety_identifier ?? null,
      service_tier: this.#serviceTier ?? request.service_tier ?? 'default',
      // Nothing that goes through this bridge can be fetched again.
      store: false,
      temperature: request.temperature ?? 1,
      text: { format: { type: 'text' }, ...asObject(request.text) },
      tool_choice: request.tool_choice ?? 'auto',
      tools: request.tools ?? [],
      top_logprobs: request.top_logprobs ?? 0,
      top_p: request.top_p ?? 1,
      truncation: 'disabled',
      usage: responseUsage(this.#usage),
      user: request.user ?? null,
      metadata: request.metadata ?? {},
    };
  }
}

function incompleteReason(finishReason: string | undefined): string | undefined {
  if (finishReason === 'length') return 'max_output_tokens';
  return finishReason === 'content_filter' ? 'content_filter' : undefined;
}

/** Some servers give content as parts, in answers as in requests. */
function contentText(content: JsonValue | undefined): string {
  if (typeof content === 'string') return content;
  return asObjects(content)
    .map((part) => asString(part.text) ?? '')
    .join('');
}

function callItem(item: CallItem, text: string, status: string): JsonObject {
  const isFunction = item.form === 'function';
  return present({
    id: item.id,
    type: isFunction ? 'function_call' : 'custom_tool_call',
    status,
    call_id: item.callId,
    ...item.identity,
    [isFunction ? 'arguments' : 'input']: text,
  });
}

function itemPlace(item: { id: string; outputIndex: number }): JsonObject {
  return { item_id: item.id, output_index: item.outputIndex };
}

function summaryPlace(item: ReasoningItem): JsonObject {
  return { ...itemPlace(item), summary_index: 0 };
}

function contentPlace(item: MessageItem, contentIndex: number): JsonObject {
  return { ...itemPlace(item), content_index: contentIndex };
}
