import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { GatewayError, invalidParameter } from '../errors.ts';
import type { Bridge, BridgeContext, BridgedRequest, StreamBridge } from './bridge.ts';
import { responsesRequest } from './chat-responses-request.ts';
import { chatToResponses } from './parameter-tables.ts';
import { asNumber, asObject, asObjects, asString, present } from './json.ts';

/** Who counted: the upstream, or the gateway by the rule that limits go by. */
type CountSource = 'upstream' | 'estimate';

/** LiteLLM's answer to a count, in which an estimate says that it is one. */
export function tokenCount(
  tokens: number,
  model: string,
  { facts }: BridgeContext['deployment'],
  source: CountSource,
): JsonObject {
  return {
    total_tokens: tokens,
    request_model: model,
    model_used: facts.baseModel ?? model,
    tokenizer_type: source === 'upstream' ? 'azure_input_tokens' : 'bytes_estimate',
    count_source: source,
  };
}

/**
 * The conversation that is to be counted, as chat messages: LiteLLM takes it as `messages`, as a `prompt`, or as Gemini's `contents`.
 *
 * @throws GatewayError `invalid_parameter` when there is none
 */
export function countedMessages(body: JsonObject): JsonValue[] {
  const { messages, prompt, contents } = body;
  if (Array.isArray(messages)) return messages;
  if (typeof prompt === 'string') return [userMessage(prompt)];
  if (Array.isArray(prompt)) {
    return prompt.filter((part) => typeof part === 'string').map(userMessage);
  }
  if (Array.isArray(contents)) return asObjects(contents).map(contentMessage);
  throw invalidParameter('messages', 'One of "messages", "prompt" and "contents" must be there');
}

function userMessage(content: string): JsonObject {
  return { role: 'user', content };
}

function contentMessage({ role, parts }: JsonObject): JsonObject {
  const text = asObjects(parts).flatMap((part) => asString(part.text) ?? []);
  return { role: role === 'model' ? 'assistant' : 'user', content: text.join('\n') };
}

/** Anthropic's `system`: text, or blocks of text. */
function systemText(system: JsonValue | undefined): string | undefined {
  if (typeof system === 'string') return system;
  const blocks = asObjects(system).flatMap((block) => asString(block.text) ?? []);
  return blocks.length === 0 ? undefined : blocks.join('\n');
}

function inputTokensRequest(body: JsonObject): BridgedRequest {
  const { input, tools } = responsesRequest(
    present({ messages: countedMessages(body), tools: chatTools(body.tools) }),
  ).body;
  const instructions = systemText(body.system);
  return { body: present({ model: body.model, input, tools, instructions }), dropped: [] };
}

/** Tools as chat writes them; Anthropic's have their schema in `input_schema`. */
function chatTools(tools: JsonValue | undefined): JsonValue | undefined {
  if (!Array.isArray(tools)) return undefined;
  return asObjects(tools).map((tool) => {
    const parameters = asObject(tool.input_schema);
    if (parameters === undefined) return tool;
    const { name, description } = tool;
    return { type: 'function', function: present({ name, description, parameters }) };
  });
}

/** LiteLLM's `/utils/token_counter` on deployments that count input tokens. */
export const tokenCounterOverInputTokens: Bridge = {
  from: 'token_counter',
  to: 'responses.input_tokens',
  tables: [chatToResponses],
  request: inputTokensRequest,
  response: (body, { model, deployment }) => {
    const tokens = asNumber(body.input_tokens);
    if (tokens === undefined) {
      throw new GatewayError('upstream_error', { values: { reason: 'it gave no count' } });
    }
    return tokenCount(tokens, model, deployment, 'upstream');
  },
  stream: (): StreamBridge => {
    throw new TypeError('a count does not stream');
  },
};
