import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { invalidParameter } from '../errors.ts';
import type { BridgedRequest } from './bridge.ts';
import { noArguments } from './calls.ts';
import { carry, unsupported } from './carry.ts';
import { droppedTool } from './declared-tools.ts';
import { asNumber, asObject, asObjects, asString, present } from './json.ts';
import { chatToResponses, responsesToChat } from './parameter-tables.ts';

/** Azure's least `max_output_tokens` on responses; chat allows 1. */
const leastOutputTokens = 16;

/** Members of `reasoning` that responses document; others are vendors'. */
const reasoningMembers = ['effort', 'summary', 'generate_summary', 'context', 'mode'];

/** Whether a chat request speaks of `functions`, chat's word for tools until 2023; its answer must do so too. */
export function usesFunctions(request: JsonObject): boolean {
  return Array.isArray(request.functions) && !Array.isArray(request.tools);
}

/**
 * The responses request for a chat request.
 *
 * Nothing is stored unless the caller asks for it, as in chat. Items go without ids: an item id makes the upstream look for
 * the reasoning that belongs to it, which a chat client cannot send back. For the same reason no encrypted reasoning is asked for.
 *
 * @throws GatewayError `bridge_unsupported` naming the parameter that cannot be carried
 */
export function responsesRequest(body: JsonObject): BridgedRequest {
  const dropped = new Set<string>();
  const upstream = carry(body, chatToResponses, responsesToChat, 'responses', dropped);
  const maxTokens = asNumber(body.max_completion_tokens) ?? asNumber(body.max_tokens);
  const text = present({
    format: textFormat(asObject(body.response_format)),
    verbosity: body.verbosity ?? undefined,
  });
  const reasoning = reasoningOf(body, dropped);
  const tools = toolsOf(body, dropped);
  const obfuscation = asObject(body.stream_options)?.include_obfuscation;
  Object.assign(
    upstream,
    present({
      input: new InputItems(dropped).of(body.messages),
      store: body.store === true,
      max_output_tokens:
        maxTokens === undefined ? undefined : Math.max(maxTokens, leastOutputTokens),
      text: Object.keys(text).length > 0 ? text : undefined,
      reasoning: Object.keys(reasoning).length > 0 ? reasoning : undefined,
      tools: tools.length > 0 ? tools : undefined,
      tool_choice: toolChoice(body),
      stream_options:
        typeof obfuscation === 'boolean' ? { include_obfuscation: obfuscation } : undefined,
    }),
  );
  // Chat's `function_call` has room for one call.
  if (usesFunctions(body)) upstream.parallel_tool_calls = false;
  return { body: upstream, dropped: [...dropped] };
}

function textFormat(format: JsonObject | undefined): JsonObject | undefined {
  if (format?.type !== 'json_schema') return format;
  return { type: 'json_schema', ...asObject(format.json_schema) };
}

function reasoningOf(body: JsonObject, dropped: Set<string>): JsonObject {
  const reasoning: JsonObject = {};
  for (const [name, value] of Object.entries(asObject(body.reasoning) ?? {})) {
    if (reasoningMembers.includes(name)) reasoning[name] = value;
    else dropped.add('reasoning');
  }
  const effort = asString(body.reasoning_effort);
  if (effort !== undefined) reasoning.effort = effort;
  return reasoning;
}

function functionTool(definition: JsonObject): JsonObject {
  return present({
    type: 'function',
    name: definition.name,
    description: definition.description ?? undefined,
    parameters: asObject(definition.parameters) ?? { type: 'object', properties: {} },
    // Responses would turn strict mode on where chat leaves it off.
    strict: definition.strict === true,
  });
}

function customTool(definition: JsonObject): JsonObject {
  const format = asObject(definition.format);
  return present({
    type: 'custom',
    name: definition.name,
    description: definition.description ?? undefined,
    format: format?.type === 'grammar' ? { type: 'grammar', ...asObject(format.grammar) } : format,
  });
}

function toolsOf(body: JsonObject, dropped: Set<string>): JsonObject[] {
  const tools: JsonObject[] = [];
  for (const tool of asObjects(body.tools)) {
    if (tool.type === 'function') tools.push(functionTool(asObject(tool.function) ?? {}));
    else if (tool.type === 'custom') tools.push(customTool(asObject(tool.custom) ?? {}));
    else dropped.add(droppedTool(tool.type));
  }
  if (usesFunctions(body)) tools.push(...asObjects(body.functions).map(functionTool));
  const search = asObject(body.web_search_options);
  if (search !== undefined) {
    const location = asObject(asObject(search.user_location)?.approximate);
    tools.push(
      present({
        type: 'web_search',
        search_context_size: search.search_context_size,
        user_location: location === undefined ? undefined : { type: 'approximate', ...location },
      }),
    );
  }
  return tools;
}

/** `{type, function: {name}}` and its like as `{type, name}`. */
function namedTool(choice: JsonObject): JsonObject {
  const kind = asString(choice.type) ?? 'function';
  if (kind !== 'function' && kind !== 'custom') {
    throw unsupported(
      'responses',
      'tool_choice',
      'it names a kind of tool that chat does not have',
    );
  }
  return present({ type: kind, name: asObject(choice[kind])?.name });
}

function toolChoice(body: JsonObject): JsonValue | undefined {
  if (usesFunctions(body)) {
    const named = asObject(body.function_call);
    return named === undefined
      ? asString(body.function_call)
      : present({ type: 'function', name: named.name });
  }
  const choice = asObject(body.tool_choice);
  if (choice === undefined) return asString(body.tool_choice);
  if (choice.type !== 'allowed_tools') return namedTool(choice);
  const allowed = asObject(choice.allowed_tools);
  return present({
    type: 'allowed_tools',
    mode: allowed?.mode,
    tools: asObjects(allowed?.tools).map(namedTool),
  });
}

/** Builds `input` from `messages`, remembering between them what a result's message does not say about its call. */
class InputItems {
  readonly #dropped: Set<string>;
  readonly #items: JsonObject[] = [];
  readonly #customCalls = new Set<string>();
  #functionCalls = 0;

  constructor(dropped: Set<string>) {
    this.#dropped = dropped;
  }

  of(messages: JsonValue | undefined): JsonObject[] {
    if (!Array.isArray(messages)) {
      throw invalidParameter('messages', 'messages must be an array');
    }
    for (const message of asObjects(messages)) this.#message(message);
    return this.#items;
  }

  #message(message: JsonObject): void {
    if (message.name !== undefined && message.role !== 'function') {
      this.#dropped.add('messages[].name');
    }
    const role = asString(message.role) ?? '';
    switch (role) {
      case 'system':
      case 'developer':
      case 'user':
        this.#items.push({
          type: 'message',
          role,
          content: this.#inputContent(message.content),
        });
        return;
      case 'assistant':
        this.#assistant(message);
        return;
      case 'tool':
        this.#result(asString(message.tool_call_id) ?? '', message.content);
        return;
      case 'function':
        this.#result(`call_function_${this.#functionCalls}`, message.content);
        return;
      default:
        throw unsupported('responses', 'messages', 'a message has an unknown role');
    }
  }

  #assistant(message: JsonObject): void {
    if (asObject(message.audio) !== undefined) {
      throw unsupported('responses', 'messages', 'it takes no audio');
    }
    if (message.reasoning_content !== undefined) {
      this.#dropped.add('messages[].reasoning_content');
    }
    const parts = this.#outputContent(message);
    if (parts.length > 0) {
      // Parts are documented for items with an id only; without one, text is to be a string. A refusal has no other place.
      const isText = parts.every(({ type }) => type === 'output_text');
      const content = isText ? parts.map(({ text }) => text as string).join('') : parts;
      this.#items.push({ type: 'message', role: 'assistant', content });
    }
    for (const call of asObjects(message.tool_calls)) this.#call(call);
    const legacy = asObject(message.function_call);
    if (legacy === undefined) return;
    this.#functionCalls += 1;
    this.#call({ id: `call_function_${this.#functionCalls}`, type: 'function', function: legacy });
  }

  #call(call: JsonObject): void {
    const callId = asString(call.id) ?? '';
    if (call.type === 'custom') {
      const custom = asObject(call.custom);
      this.#customCalls.add(callId);
      this.#items.push(
        present({
          type: 'custom_tool_call',
          call_id: callId,
          name: custom?.name,
          input: asString(custom?.input) ?? '',
        }),
      );
      return;
    }
    const called = asObject(call.function);
    this.#items.push(
      present({
        type: 'function_call',
        call_id: callId,
        name: called?.name,
        arguments: asString(called?.arguments) || noArguments,
      }),
    );
  }

  #result(callId: string, content: JsonValue | undefined): void {
    const output = this.#inputContent(content);
    // One text part is how some clients write a string; the string is understood everywhere.
    const only = Array.isArray(output) && output.length === 1 ? asObject(output[0]) : undefined;
    this.#items.push({
      type: this.#customCalls.has(callId) ? 'custom_tool_call_output' : 'function_call_output',
      call_id: callId,
      output: only?.type === 'input_text' ? (asString(only.text) ?? '') : output,
    });
  }

  #outputContent(message: JsonObject): JsonObject[] {
    const parts: JsonObject[] = [];
    const text = asString(message.content);
    if (text !== undefined && text !== '') parts.push({ type: 'output_text', text });
    for (const part of asObjects(message.content)) {
      this.#reportPartFields(part, ['type', 'text', 'refusal']);
      if (part.type === 'refusal') {
        parts.push({ type: 'refusal', refusal: asString(part.refusal) ?? '' });
      } else if (asString(part.text) !== undefined) {
        parts.push({ type: 'output_text', text: part.text! });
      } else
        throw unsupported('responses', 'messages', 'an assistant message holds more than text');
    }
    const refusal = asString(message.refusal);
    if (refusal !== undefined && refusal !== '') parts.push({ type: 'refusal', refusal });
    return parts;
  }

  #inputContent(content: JsonValue | undefined): string | JsonObject[] {
    if (!Array.isArray(content)) return asString(content) ?? '';
    return asObjects(content).map((part) => this.#inputPart(part));
  }

  #inputPart(part: JsonObject): JsonObject {
    const cacheBreakpoint = part.prompt_cache_breakpoint;
    switch (asString(part.type) ?? '') {
      case 'text':
        this.#reportPartFields(part, ['type', 'text', 'prompt_cache_breakpoint']);
        return present({
          type: 'input_text',
          text: asString(part.text) ?? '',
          prompt_cache_breakpoint: cacheBreakpoint,
        });
      case 'image_url': {
        this.#reportPartFields(part, ['type', 'image_url', 'prompt_cache_breakpoint']);
        const image = asObject(part.image_url);
        return present({
          type: 'input_image',
          image_url: asString(part.image_url) ?? image?.url,
          detail: asString(image?.detail) ?? 'auto',
          prompt_cache_breakpoint: cacheBreakpoint,
        });
      }
      case 'file': {
        this.#reportPartFields(part, ['type', 'file', 'prompt_cache_breakpoint']);
        const file = asObject(part.file);
        return present({
          type: 'input_file',
          file_id: file?.file_id,
          filename: file?.filename,
          file_data: file?.file_data,
          prompt_cache_breakpoint: cacheBreakpoint,
        });
      }
      case 'input_audio':
        throw unsupported('responses', 'messages', 'it takes no audio');
      default:
        throw unsupported('responses', 'messages', 'a content part is of an unknown kind');
    }
  }

  #reportPartFields(part: JsonObject, known: readonly string[]): void {
    for (const name of Object.keys(part)) {
      if (known.includes(name)) continue;
      // The one vendor field that agents put there; any other is not worth a name in a header.
      this.#dropped.add(
        name === 'cache_control'
          ? 'messages[].content[].cache_control'
          : 'messages[].content[].unknown',
      );
    }
  }
}
