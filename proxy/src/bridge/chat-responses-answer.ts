import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { GatewayError } from '../errors.ts';
import type { BridgeContext } from './bridge.ts';
import { noArguments } from './calls.ts';
import { usesFunctions } from './chat-responses-request.ts';
import { asObject, asObjects, asString, present } from './json.ts';
import { chatUsage } from './usage-shapes.ts';

/** What stands between the texts of two output items where chat has one text for them. */
export const itemSeparator = '\n\n';

/** Chat's reason for the end of an answer. */
export function finishReason(response: JsonObject, calledTools: boolean, legacy: boolean): string {
  if (response.status === 'incomplete') {
    const reason = asObject(response.incomplete_details)?.reason;
    return reason === 'content_filter' ? 'content_filter' : 'length';
  }
  if (!calledTools) return 'stop';
  return legacy ? 'function_call' : 'tool_calls';
}

/** Chat's form of the citations among annotations; others have none. */
export function chatAnnotations(annotations: JsonValue[]): JsonObject[] {
  return asObjects(annotations)
    .filter(({ type }) => type === 'url_citation')
    .map(({ type, ...citation }) => ({ type: type!, url_citation: citation }));
}

/** The text of a reasoning item: its summary, or the reasoning itself where a model shows it. */
function reasoningText(item: JsonObject): string {
  const summary = asObjects(item.summary);
  const parts = summary.length > 0 ? summary : asObjects(item.content);
  return joinTexts(parts.map((part) => asString(part.text) ?? ''));
}

function joinTexts(texts: readonly string[]): string {
  return texts.filter((text) => text !== '').join(itemSeparator);
}

function chatCall(item: JsonObject): JsonObject {
  const id = asString(item.call_id) ?? asString(item.id) ?? '';
  if (item.type === 'custom_tool_call') {
    const custom = { name: item.name ?? '', input: asString(item.input) ?? '' };
    return { id, type: 'custom', custom };
  }
  const called = { name: item.name ?? '', arguments: asString(item.arguments) || noArguments };
  return { id, type: 'function', function: called };
}

function chatMessage(output: readonly JsonObject[], legacy: boolean): JsonObject {
  const messages = output.filter(({ type }) => type === 'message');
  const parts = messages.flatMap(({ content }) => asObjects(content));
  const calls = output.filter(
    ({ type }) => type === 'function_call' || (type === 'custom_tool_call' && !legacy),
  );
  const text = joinTexts(
    messages.map(({ content }) =>
      asObjects(content)
        .map((part) => (part.type === 'output_text' ? (asString(part.text) ?? '') : ''))
        .join(''),
    ),
  );
  const refusal = parts
    .map((part) => (part.type === 'refusal' ? (asString(part.refusal) ?? '') : ''))
    .join('');
  const annotations = chatAnnotations(parts.flatMap((part) => asObjects(part.annotations)));
  const reasoning = joinTexts(output.filter(({ type }) => type === 'reasoning').map(reasoningText));
  const isWithoutText = text === '' && (calls.length > 0 || refusal !== '');
  return present({
    role: 'assistant',
    content: isWithoutText ? null : text,
    refusal: refusal === '' ? null : refusal,
    reasoning_content: reasoning === '' ? undefined : reasoning,
    annotations: annotations.length > 0 ? annotations : undefined,
    tool_calls: calls.length > 0 && !legacy ? calls.map(chatCall) : undefined,
    function_call: calls.length > 0 && legacy ? chatCall(calls[0]!).function : undefined,
  });
}

/**
 * The chat completion for a whole response.
 *
 * @throws GatewayError `upstream_error` when the response says that it failed
 */
export function chatCompletion(response: JsonObject, context: BridgeContext): JsonObject {
  if (
    response.status === 'failed' ||
    response.status === 'cancelled' ||
    !Array.isArray(response.output)
  ) {
    const error = asObject(response.error);
    throw new GatewayError('upstream_error', {
      values: { reason: asString(error?.code) ?? 'it gave no answer' },
      cause: error,
    });
  }
  const output = asObjects(response.output);
  const legacy = usesFunctions(context.request);
  const message = chatMessage(output, legacy);
  const calledTools = message.tool_calls !== undefined || message.function_call !== undefined;
  const logprobs = output
    .flatMap(({ content }) => asObjects(content))
    .flatMap((part) => asObjects(part.logprobs));
  return present({
    id: `chatcmpl-${context.requestId}`,
    object: 'chat.completion',
    created: context.createdAt,
    model: context.model,
    choices: [
      {
        index: 0,
        message,
        logprobs: logprobs.length > 0 ? { content: logprobs, refusal: null } : null,
        finish_reason: finishReason(response, calledTools, legacy),
      },
    ],
    usage: chatUsage(response.usage),
    service_tier: response.service_tier ?? undefined,
  });
}
