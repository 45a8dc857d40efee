import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { GatewayError } from '../errors.ts';
import type { Bridge, BridgeContext, BridgedRequest, SseEvent, StreamBridge } from './bridge.ts';
import { carry, unsupported } from './carry.ts';
import { asNumber, asObject, asObjects, asString, parseObject, present } from './json.ts';
import { chatToResponses, completionsToChat } from './parameter-tables.ts';
import { chatErrorEvent, interruption, streamErrorOf, type StreamError } from './stream-error.ts';

function promptText(prompt: JsonValue | undefined): string {
  const only = Array.isArray(prompt) && prompt.length === 1 ? prompt[0] : prompt;
  if (typeof only === 'string') return only;
  throw unsupported('chat', 'prompt', 'it takes one prompt, as text');
}

function chatRequest(body: JsonObject): BridgedRequest {
  const dropped = new Set<string>();
  const upstream = carry(body, completionsToChat, chatToResponses, 'chat', dropped);
  const logprobs = asNumber(body.logprobs);
  Object.assign(
    upstream,
    present({
      messages: [{ role: 'user', content: promptText(body.prompt) }],
      max_completion_tokens: asNumber(body.max_tokens),
      logprobs: logprobs === undefined ? undefined : true,
      top_logprobs: logprobs,
    }),
  );
  return { body: upstream, dropped: [...dropped] };
}

/** Completions end by themselves, by length or by filter; they call nothing. */
function finishReason(reason: JsonValue | undefined): string | null {
  if (reason === null || reason === undefined) return null;
  return reason === 'length' || reason === 'content_filter' ? reason : 'stop';
}

/** Completions' lists for chat's tokens; `offset` is how much text came before. */
function completionLogprobs(value: JsonValue | undefined, offset: number): JsonObject | null {
  const tokens = asObjects(asObject(value)?.content);
  if (tokens.length === 0) return null;
  let next = offset;
  const offsets = tokens.map(({ token }) => {
    const start = next;
    next += (asString(token) ?? '').length;
    return start;
  });
  return {
    tokens: tokens.map(({ token }) => token ?? ''),
    token_logprobs: tokens.map(({ logprob }) => logprob ?? null),
    top_logprobs: tokens.map(({ top_logprobs: top }) =>
      Object.fromEntries(
        asObjects(top).map(({ token, logprob }) => [asString(token) ?? '', logprob ?? null]),
      ),
    ),
    text_offset: offsets,
  };
}

function answer(choices: JsonObject[], chat: JsonObject, context: BridgeContext): JsonObject {
  return present({
    id: `cmpl-${context.requestId}`,
    object: 'text_completion',
    created: context.createdAt,
    model: context.model,
    choices,
    usage: chat.usage,
    service_tier: chat.service_tier ?? undefined,
  });
}

function completion(chat: JsonObject, context: BridgeContext): JsonObject {
  const choices = asObjects(chat.choices);
  if (choices.length === 0) {
    throw new GatewayError('upstream_error', { values: { reason: 'it gave no answer' } });
  }
  const texts = choices.map((choice, place) => {
    const message = asObject(choice.message);
    return {
      text: asString(message?.content) ?? asString(message?.refusal) ?? '',
      index: asNumber(choice.index) ?? place,
      logprobs: completionLogprobs(choice.logprobs, 0),
      finish_reason: finishReason(choice.finish_reason) ?? 'stop',
    };
  });
  return answer(texts, chat, context);
}

/** A chat stream as the chunks of a completion. */
class ChatToCompletionStream implements StreamBridge {
  finished = false;
  readonly #context: BridgeContext;
  readonly #wantsUsage: boolean;
  /** Text so far and whether it ended, by choice. */
  readonly #choices = new Map<number, { length: number; hasEnded: boolean }>();

  constructor(context: BridgeContext) {
    this.#context = context;
    this.#wantsUsage = asObject(context.request.stream_options)?.include_usage === true;
  }

  push(event: SseEvent): string {
    if (this.finished) return '';
    if (event.data === '[DONE]') return this.#close();
    const body = parseObject(event.data);
    if (body === undefined) return '';
    const error = streamErrorOf(event, body);
    if (error !== undefined) return this.#fail(error);
    const choices = asObjects(body.choices).flatMap((choice) => this.#choice(choice));
    const isUsage = choices.length === 0 && asObject(body.usage) !== undefined;
    if (choices.length === 0 && !(isUsage && this.#wantsUsage)) return '';
    return this.#chunk(choices, this.#wantsUsage ? body : {});
  }

  end(): string {
    if (this.finished) return '';
    const hasEnded = [...this.#choices.values()].some((choice) => choice.hasEnded);
    return hasEnded ? this.#close() : this.#fail(interruption());
  }

  #choice(choice: JsonObject): JsonObject[] {
    const index = asNumber(choice.index) ?? 0;
    const state = this.#choices.get(index) ?? { length: 0, hasEnded: false };
    this.#choices.set(index, state);
    const delta = asObject(choice.delta);
    const text = (asString(delta?.content) ?? '') + (asString(delta?.refusal) ?? '');
    const reason = finishReason(choice.finish_reason);
    if (text === '' && reason === null) return [];
    const logprobs = completionLogprobs(choice.logprobs, state.length);
    state.length += text.length;
    state.hasEnded ||= reason !== null;
    return [{ text, index, logprobs, finish_reason: reason }];
  }

  #close(): string {
    if (this.#choices.size === 0) return this.#fail(interruption());
    const open = [...this.#choices].filter(([, { hasEnded }]) => !hasEnded);
    const endings = open.map(([index]) => ({
      text: '',
      index,
      logprobs: null,
      finish_reason: 'stop',
    }));
    this.finished = true;
    return `${endings.length > 0 ? this.#chunk(endings, {}) : ''}data: [DONE]\n\n`;
  }

  #fail(error: StreamError): string {
    this.finished = true;
    return chatErrorEvent(error);
  }

  #chunk(choices: JsonObject[], chat: JsonObject): string {
    return `data: ${JSON.stringify(answer(choices, chat, this.#context))}\n\n`;
  }
}

/** Completions clients on deployments that answer on chat: the prompt becomes the user's one message. */
export const completionsOverChat: Bridge = {
  from: 'completions',
  to: 'chat',
  tables: [completionsToChat],
  request: chatRequest,
  response: completion,
  stream: (context) => new ChatToCompletionStream(context),
};
