import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { invalidParameter, type GatewayError } from '../errors.ts';
import type { BridgedRequest } from './bridge.ts';
import { noArguments } from './calls.ts';
import { carry, unsupported } from './carry.ts';
import { chatTool, DeclaredTools, wrapCustomInput, type DeclaredTool } from './declared-tools.ts';
import { asNumber, asObject, asObjects, asString, present } from './json.ts';
import { chatToResponses, responsesToChat } from './parameter-tables.ts';

/**
 * Items of earlier turns that tell of work done upstream: what came of it stands in the messages after them. Reasoning is
 * among them since chat has no place for it.
 */
const droppedItems: ReadonlySet<string> = new Set([
  'code_interpreter_call',
  'file_search_call',
  'image_generation_call',
  'mcp_call',
  'mcp_list_tools',
  'reasoning',
  'tool_search_call',
  'web_search_call',
]);

/** Items that bring tools and nothing else; `DeclaredTools` reads them. */
const toolItems: ReadonlySet<string> = new Set(['additional_tools', 'tool_search_output']);

/** Parts of `reasoning` besides the effort that ask for something chat does not give. */
const droppedReasoning = ['summary', 'generate_summary', 'context', 'mode'];

const logprobsInclude = 'message.output_text.logprobs';

/**
 * The chat request for a responses request.
 *
 * @throws GatewayError `bridge_unsupported` naming the parameter that cannot be carried
 */
export function chatRequest(body: JsonObject): BridgedRequest {
  const dropped = new Set<string>();
  const upstream = carry(body, responsesToChat, chatToResponses, 'chat', dropped);
  const declared = new DeclaredTools(body);
  for (const name of declared.dropped) dropped.add(name);
  const messages = new Messages(declared, dropped);
  const instructions = asString(body.instructions);
  if (instructions !== undefined && instructions !== '') messages.system(instructions);
  Object.assign(
    upstream,
    { messages: messages.of(body.input) },
    toolParameters(body, declared),
    outputParameters(body, dropped),
  );
  return { body: upstream, dropped: [...dropped] };
}

function toolParameters(body: JsonObject, declared: DeclaredTools): JsonObject {
  const choice = asObject(body.tool_choice);
  const isAllowList = choice?.type === 'allowed_tools';
  const tools = isAllowList ? allowedTools(choice, declared) : declared.tools;
  const mode = isAllowList ? asString(choice.mode) : asString(body.tool_choice);
  if (tools.length === 0) {
    if (mode === 'required' || (choice !== undefined && !isAllowList)) throw forcedTool();
    // Chat refuses `tool_choice` and `parallel_tool_calls` without tools.
    return {};
  }
  return present({
    tools: tools.map(chatTool),
    tool_choice: choice === undefined || isAllowList ? mode : forced(choice, declared),
    parallel_tool_calls:
      typeof body.parallel_tool_calls === 'boolean' ? body.parallel_tool_calls : undefined,
  });
}

function forcedTool(): GatewayError {
  return unsupported('chat', 'tool_choice', 'it has only functions and custom tools to call');
}

function named(choice: JsonObject, declared: DeclaredTools): string {
  const name = asString(choice.name);
  if (name === undefined || (choice.type !== 'function' && choice.type !== 'custom')) {
    throw forcedTool();
  }
  return declared.flatName(asString(choice.namespace), name);
}

function forced(choice: JsonObject, declared: DeclaredTools): JsonObject {
  return { type: 'function', function: { name: named(choice, declared) } };
}

/** Chat models before 2025 know no `allowed_tools`; offering the allowed ones alone comes to the same. */
function allowedTools(choice: JsonObject, declared: DeclaredTools): DeclaredTool[] {
  const names = asObjects(choice.tools)
    .filter(({ type }) => type === 'function' || type === 'custom')
    .map((tool) => named(tool, declared));
  return declared.tools.filter(({ flatName }) => names.includes(flatName));
}

function outputParameters(body: JsonObject, dropped: Set<string>): JsonObject {
  const text = asObject(body.text);
  const reasoning = asObject(body.reasoning);
  for (const name of droppedReasoning) {
    if ((reasoning?.[name] ?? null) !== null) dropped.add(`reasoning.${name}`);
  }
  const include = Array.isArray(body.include) ? body.include : [];
  if (include.some((entry) => entry !== logprobsInclude)) dropped.add('include');
  const topLogprobs = asNumber(body.top_logprobs) ?? 0;
  const wantsLogprobs = include.includes(logprobsInclude) || topLogprobs > 0;
  const obfuscation = asObject(body.stream_options)?.include_obfuscation;
  return present({
    max_completion_tokens: asNumber(body.max_output_tokens),
    reasoning_effort: asString(reasoning?.effort),
    verbosity: asString(text?.verbosity),
    response_format: responseFormat(asObject(text?.format)),
    logprobs: wantsLogprobs ? true : undefined,
    top_logprobs: topLogprobs > 0 ? topLogprobs : undefined,
    stream_options:
      body.stream === true
        ? present({
            // The closing event of a response always tells the usage.
            include_usage: true,
            include_obfuscation: typeof obfuscation === 'boolean' ? obfuscation : undefined,
          })
        : undefined,
  });
}

function responseFormat(format: JsonObject | undefined): JsonObject | undefined {
  if (format === undefined || format.type === 'text') return undefined;
  if (format.type !== 'json_schema') return format;
  const { type, ...schema } = format;
  return { type, json_schema: schema };
}

/** Builds `messages` from `input`: calls join the assistant's message they belong to, their results follow at once. */
class Messages {
  readonly #declared: DeclaredTools;
  readonly #dropped: Set<string>;
  readonly #messages: JsonObject[] = [];
  /** Queues: some upstreams count their call ids anew in each turn. */
  readonly #results = new Map<string, JsonObject[]>();
  #assistant: JsonObject | undefined;
  #calls: JsonObject[] = [];

  constructor(declared: DeclaredTools, dropped: Set<string>) {
    this.#declared = declared;
    this.#dropped = dropped;
  }

  /** Every chat model takes `system`; `developer` is known to a part of OpenAI's only. */
  system(text: JsonValue): void {
    this.#messages.push({ role: 'system', content: text });
  }

  of(input: JsonValue | undefined): JsonObject[] {
    if (typeof input === 'string') {
      this.#messages.push({ role: 'user', content: input });
      return this.#messages;
    }
    if (!Array.isArray(input)) {
      throw invalidParameter('input', 'input must be a string or an array');
    }
    const items = asObjects(input);
    for (const item of items) {
      if (!isResult(item)) continue;
      const callId = asString(item.call_id) ?? '';
      const queue = this.#results.get(callId);
      if (queue === undefined) this.#results.set(callId, [item]);
      else queue.push(item);
    }
    for (const item of items) this.#item(item);
    this.#flush();
    return this.#messages;
  }

  #item(item: JsonObject): void {
    const type = asString(item.type) ?? (item.role === undefined ? 'item_reference' : 'message');
    if (droppedItems.has(type)) {
      this.#dropped.add(`input[].${type}`);
      return;
    }
    if (toolItems.has(type)) return;
    switch (type) {
      case 'message':
        this.#message(item);
        return;
      case 'function_call':
      case 'custom_tool_call':
        this.#call(item);
        return;
      case 'function_call_output':
      case 'custom_tool_call_output':
        this.#flush();
        // Unless its call took it along, it has none: the upstream is to say so.
        if (this.#results.get(asString(item.call_id) ?? '')?.[0] === item) {
          this.#attach(this.#takeResult(asString(item.call_id) ?? ''));
        }
        return;
      case 'item_reference':
        throw unsupported(
          'chat',
          'input',
          'it keeps no items to refer to; send the items themselves',
        );
      case 'compaction':
        throw unsupported('chat', 'input', 'it cannot read a compacted conversation');
      default:
        throw unsupported('chat', 'input', 'an item is of a kind that it does not have');
    }
  }

  #message(item: JsonObject): void {
    switch (asString(item.role) ?? '') {
      case 'assistant':
        this.#flush();
        this.#assistant = assistantMessage(item.content);
        return;
      case 'system':
      case 'developer':
        this.#flush();
        this.system(chatContent(item.content));
        return;
      case 'user':
        this.#flush();
        this.#messages.push({ role: 'user', content: chatContent(item.content) });
        return;
      default:
        throw unsupported('chat', 'input', 'a message has an unknown role');
    }
  }

  #call(item: JsonObject): void {
    const name = this.#declared.flatName(asString(item.namespace), asString(item.name) ?? '');
    const args =
      item.type === 'custom_tool_call'
        ? wrapCustomInput(asString(item.input) ?? '')
        : asString(item.arguments) || noArguments;
    const id = asString(item.call_id) ?? '';
    this.#calls.push({ id, type: 'function', function: { name, arguments: args } });
  }

  /** Writes the assistant's turn so far. Results that come later in the input move up: chat wants them right behind the calls. */
  #flush(): void {
    const calls = this.#calls;
    const message =
      this.#assistant ?? (calls.length > 0 ? { role: 'assistant', content: null } : undefined);
    this.#assistant = undefined;
    this.#calls = [];
    if (message === undefined) return;
    if (calls.length > 0) message.tool_calls = calls;
    this.#messages.push(message);
    const images: JsonObject[] = [];
    for (const { id } of calls) images.push(...this.#takeResult(id as string));
    this.#attach(images);
  }

  /** Writes the next result of a call id and gives what of it chat's tool messages cannot hold. */
  #takeResult(callId: string): JsonObject[] {
    const item = this.#results.get(callId)?.shift();
    if (item === undefined) return [];
    const content = chatContent(item.output);
    const parts = typeof content === 'string' ? [] : content;
    const texts = parts.filter(({ type }) => type === 'text');
    const others = parts.filter(({ type }) => type !== 'text');
    if (others.length > 0)
      texts.push({ type: 'text', text: 'See the attachment in the next message.' });
    this.#messages.push({
      role: 'tool',
      tool_call_id: callId,
      content: typeof content === 'string' ? content : joined(texts),
    });
    return others;
  }

  #attach(parts: JsonObject[]): void {
    if (parts.length > 0) this.#messages.push({ role: 'user', content: parts });
  }
}

function isResult({ type }: JsonObject): boolean {
  return type === 'function_call_output' || type === 'custom_tool_call_output';
}

function joined(texts: readonly JsonObject[]): string {
  return texts.map((part) => asString(part.text) ?? '').join('\n');
}

function assistantMessage(content: JsonValue | undefined): JsonObject {
  const parts = asObjects(content);
  const text =
    asString(content) ??
    parts.map((part) => (part.type === 'refusal' ? '' : (asString(part.text) ?? ''))).join('');
  const refusal = parts.map((part) => asString(part.refusal) ?? '').join('');
  return present({
    role: 'assistant',
    content: text === '' && refusal !== '' ? null : text,
    refusal: refusal === '' ? undefined : refusal,
  });
}

/** One text part is how many clients write a string; the string is what every chat model takes. */
function chatContent(content: JsonValue | undefined): string | JsonObject[] {
  if (!Array.isArray(content)) return asString(content) ?? '';
  const parts = asObjects(content).map(chatPart);
  const only = parts.length === 1 ? parts[0] : undefined;
  if (only?.type === 'text' && only.prompt_cache_breakpoint === undefined)
    return asString(only.text) ?? '';
  return parts.length === 0 ? '' : parts;
}

function chatPart(part: JsonObject): JsonObject {
  const cacheBreakpoint = part.prompt_cache_breakpoint;
  switch (asString(part.type) ?? '') {
    case 'input_text':
    case 'output_text':
    case 'text':
      return present({
        type: 'text',
        text: asString(part.text) ?? '',
        prompt_cache_breakpoint: cacheBreakpoint,
      });
    case 'input_image': {
      const url = asString(part.image_url);
      if (url === undefined)
        throw unsupported('chat', 'input', 'it takes images by URL or as data only');
      const detail = asString(part.detail);
      return present({
        type: 'image_url',
        image_url: present({
          url,
          // `original` is finer than anything chat has.
          detail: detail === 'original' ? 'high' : detail,
        }),
        prompt_cache_breakpoint: cacheBreakpoint,
      });
    }
    case 'input_file': {
      if (asString(part.file_url) !== undefined) {
        throw unsupported('chat', 'input', 'it takes files by id or as data only');
      }
      return present({
        type: 'file',
        file: present({
          file_id: part.file_id ?? undefined,
          filename: part.filename ?? undefined,
          file_data: part.file_data ?? undefined,
        }),
        prompt_cache_breakpoint: cacheBreakpoint,
      });
    }
    case 'input_audio':
      throw unsupported('chat', 'input', 'this bridge takes no audio');
    default:
      throw unsupported('chat', 'input', 'a content part is of a kind that it does not have');
  }
}
