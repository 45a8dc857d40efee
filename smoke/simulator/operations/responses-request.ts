import type { Call } from '../call.ts';
import {
  invalidEncryptedContent,
  invalidRequest,
  invalidType,
  invalidValue,
  itemNotFound,
  missingParameter,
  modelError,
  previousResponseNotFound,
} from '../errors.ts';
import { arrayOf, isObject, textOf } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { readMagicWords } from '../magic-words.ts';
import { checkMembers } from '../parameters.ts';
import { lastUserText } from '../prompt.ts';
import type { Entry, Prompt, TextFormat } from '../prompt.ts';
import { checkStrictSchema } from '../strict-schema.ts';
import { readResponsesToolChoice, readResponsesTools } from './responses-tools.ts';

/** A read request: the prompt, and the items to store with the response. */
export type ResponsesRequest = {
  prompt: Prompt;
  /** Items of this call, each with an id. */
  input: JsonObject[];
  /** Items of the whole conversation, this call's included. */
  context: JsonObject[];
  /** The caller asks for a compaction inside an ordinary call. */
  compaction: boolean;
};

const MESSAGE_ROLES = ['assistant', 'system', 'developer', 'user'];

/** Members of the item types; other types of the published document pass unread. */
const ITEM_MEMBERS: Readonly<Record<string, readonly string[] | undefined>> = {
  message: ['role', 'content', 'phase', 'status'],
  function_call: ['call_id', 'name', 'arguments', 'status', 'namespace', 'caller'],
  function_call_output: ['call_id', 'output', 'status', 'name', 'namespace', 'caller'],
  custom_tool_call: ['call_id', 'name', 'input', 'namespace', 'status', 'caller'],
  custom_tool_call_output: ['call_id', 'output', 'status', 'caller'],
  reasoning: ['summary', 'content', 'encrypted_content', 'status'],
  compaction: ['encrypted_content', 'created_by'],
  compaction_trigger: [],
  item_reference: [],
};

/** Types that are accepted without a look inside: results and calls of hosted tools. */
const OPAQUE_ITEMS = new Set([
  'file_search_call',
  'computer_call',
  'computer_call_output',
  'web_search_call',
  'tool_search_call',
  'tool_search_output',
  'additional_tools',
  'image_generation_call',
  'code_interpreter_call',
  'local_shell_call',
  'local_shell_call_output',
  'shell_call',
  'shell_call_output',
  'apply_patch_call',
  'apply_patch_call_output',
  'mcp_list_tools',
  'mcp_approval_request',
  'mcp_approval_response',
  'mcp_call',
]);

const ID_PREFIXES: Readonly<Record<string, string | undefined>> = {
  message: 'msg',
  function_call: 'fc',
  reasoning: 'rs',
  custom_tool_call: 'ctc',
};

const PART_MEMBERS: Readonly<Record<string, readonly string[] | undefined>> = {
  input_text: ['type', 'text'],
  input_image: ['type', 'image_url', 'file_id', 'detail'],
  input_file: ['type', 'file_id', 'filename', 'file_data', 'file_url', 'detail'],
  output_text: ['type', 'text', 'annotations', 'logprobs'],
  refusal: ['type', 'refusal'],
};
const ASSISTANT_PARTS = ['output_text', 'refusal'];
const OTHER_PARTS = ['input_text', 'input_image', 'input_file'];

/**
 * Reads the body of a Responses call whose parameter names are already checked.
 *
 * @throws {AzureError} 400 for what the schema refuses, for foreign encrypted content and unknown previous responses;
 *   404 for items that are not in this resource
 */
export function readResponsesRequest(call: Call): ResponsesRequest {
  const { body } = call;
  refuseConversation(body['conversation']);
  const input = readInput(body['input']).map((item, index) =>
    readItem(call, item, `input[${String(index)}]`),
  );
  const before = previousContext(call);
  if (input.length === 0 && before.length === 0) throw missingParameter('input');
  const context = [...before, ...input.filter((item) => item['type'] !== 'compaction_trigger')];
  checkCallsAreAnswered(context);
  const entries = [
    ...instructionEntries(body['instructions']),
    ...context.flatMap((item) => entriesOf(call, item)),
  ];
  const tools = readResponsesTools(body['tools']);
  const reasoning = isObject(body['reasoning']) ? body['reasoning'] : {};
  const maxOutputTokens = body['max_output_tokens'];
  return {
    prompt: {
      entries,
      tools,
      toolChoice: readResponsesToolChoice(body['tool_choice'], tools, arrayOf(body['tools'])),
      parallelToolCalls: body['parallel_tool_calls'] !== false,
      format: readFormat(body['text']),
      ...(typeof maxOutputTokens === 'number' ? { maxOutputTokens } : {}),
      ...(typeof reasoning['effort'] === 'string' ? { effort: reasoning['effort'] } : {}),
      summary: typeof reasoning['summary'] === 'string',
      words: readMagicWords(lastUserText(entries), call.headers['x-sim']),
    },
    input,
    context,
    compaction: input.at(-1)?.['type'] === 'compaction_trigger',
  };
}

function refuseConversation(conversation: unknown): void {
  if (conversation === undefined || conversation === null) return;
  const id = isObject(conversation) ? textOf(conversation['id']) : textOf(conversation);
  throw modelError(404, {
    message: `Conversation with id '${id}' not found.`,
    param: 'conversation',
  });
}

function readInput(input: unknown): JsonObject[] {
  if (input === undefined || input === null) return [];
  if (typeof input === 'string') return [{ type: 'message', role: 'user', content: input }];
  if (!Array.isArray(input))
    throw invalidType('input', 'one of a string or array of objects', 'an object');
  return (input as unknown[]).map((item, index) => {
    if (!isObject(item))
      throw invalidType(`input[${String(index)}]`, 'an object', 'something else');
    return item;
  });
}

function previousContext(call: Call): JsonObject[] {
  const id = call.body['previous_response_id'];
  if (typeof id !== 'string') return [];
  const previous = call.resource.responses.find(id);
  if (previous === undefined) throw previousResponseNotFound(id);
  return [...previous.context, ...(previous.final['output'] as JsonObject[])];
}

/** Checks one item and gives it an id; a reference becomes the item it names. */
function readItem(call: Call, item: JsonObject, path: string): JsonObject {
  const type = typeOfItem(item, path);
  if (OPAQUE_ITEMS.has(type)) return item;
  const members = ITEM_MEMBERS[type];
  if (members === undefined)
    throw invalidValue(`${path}.type`, type, [...Object.keys(ITEM_MEMBERS), ...OPAQUE_ITEMS]);
  checkMembers(path, item, new Set(['type', 'id', ...members]));
  const id = item['id'];
  if (typeof id === 'string') checkIdPrefix(id, type, path);
  switch (type) {
    case 'item_reference': {
      const found = call.resource.responses.findItem(textOf(id));
      if (found === undefined) throw itemNotFound(textOf(id));
      return found;
    }
    case 'reasoning':
      checkReasoning(call, item);
      return item;
    case 'message':
      checkMessage(item, path);
      break;
    case 'function_call':
    case 'custom_tool_call':
      for (const name of ['call_id', 'name']) {
        if (typeof item[name] !== 'string') throw missingParameter(`${path}.${name}`);
      }
      if (type === 'function_call' && typeof item['arguments'] !== 'string')
        throw missingParameter(`${path}.arguments`);
      break;
    case 'function_call_output':
    case 'custom_tool_call_output':
      if (typeof item['call_id'] !== 'string') throw missingParameter(`${path}.call_id`);
      if (item['output'] === undefined) throw missingParameter(`${path}.output`);
      break;
    default:
      break;
  }
  const prefix = type === 'function_call' ? 'fc' : type === 'custom_tool_call' ? 'ctc' : 'msg';
  return { ...item, type, id: typeof id === 'string' ? id : call.simulation.ids.item(prefix) };
}

function typeOfItem(item: JsonObject, path: string): string {
  if (typeof item['type'] === 'string') return item['type'];
  if (typeof item['role'] === 'string') return 'message';
  if (typeof item['id'] === 'string' && Object.keys(item).length === 1) return 'item_reference';
  throw missingParameter(`${path}.type`);
}

function checkIdPrefix(id: string, type: string, path: string): void {
  const prefix = ID_PREFIXES[type];
  if (prefix === undefined || id.startsWith(prefix)) return;
  throw modelError(400, {
    message: `Invalid '${path}.id': '${id}'. Expected an ID that begins with '${prefix}'.`,
    param: `${path}.id`,
    code: 'invalid_value',
  });
}

/** Reasoning comes back either sealed by this resource's key domain or as an item that is stored here. */
function checkReasoning(call: Call, item: JsonObject): void {
  const sealed = item['encrypted_content'];
  if (typeof sealed === 'string') {
    if (call.resource.keyDomain.open(sealed) === undefined) throw invalidEncryptedContent(sealed);
    return;
  }
  const id = item['id'];
  if (typeof id === 'string' && call.resource.responses.findItem(id) === undefined)
    throw itemNotFound(id);
}

function checkMessage(item: JsonObject, path: string): void {
  const role = textOf(item['role']);
  if (!MESSAGE_ROLES.includes(role)) throw invalidValue(`${path}.role`, role, MESSAGE_ROLES);
  const { content } = item;
  if (typeof content === 'string') return;
  if (!Array.isArray(content)) throw missingParameter(`${path}.content`);
  const supported = role === 'assistant' ? ASSISTANT_PARTS : OTHER_PARTS;
  for (const [index, part] of (content as unknown[]).entries()) {
    const partPath = `${path}.content[${String(index)}]`;
    if (!isObject(part)) throw invalidType(partPath, 'an object', 'something else');
    const type = textOf(part['type']);
    if (!supported.includes(type)) throw invalidValue(partPath, type, supported);
    checkMembers(partPath, part, new Set(PART_MEMBERS[type]));
  }
}

/** Calls and outputs must come in pairs. */
function checkCallsAreAnswered(items: readonly JsonObject[]): void {
  const calls = new Set<string>();
  const outputs = new Set<string>();
  for (const item of items) {
    const type = textOf(item['type']);
    const id = textOf(item['call_id']);
    if (type === 'function_call' || type === 'custom_tool_call') calls.add(id);
    if (type !== 'function_call_output' && type !== 'custom_tool_call_output') continue;
    outputs.add(id);
    if (!calls.has(id))
      throw invalidRequest(
        `No tool call found for function call output with call_id ${id}.`,
        'input',
      );
  }
  for (const id of calls) {
    if (!outputs.has(id))
      throw invalidRequest(`No tool output found for function call ${id}.`, 'input');
  }
}

function instructionEntries(instructions: unknown): Entry[] {
  const text = typeof instructions === 'string' ? instructions : '';
  return text === '' ? [] : [{ kind: 'text', role: 'system', text, images: 0 }];
}

function entriesOf(call: Call, item: JsonObject): Entry[] {
  switch (item['type']) {
    case 'message': {
      const role = item['role'];
      const { text, images } = readContent(item['content']);
      return [
        {
          kind: 'text',
          role: role === 'user' || role === 'assistant' ? role : 'system',
          text,
          images,
        },
      ];
    }
    case 'function_call':
    case 'custom_tool_call':
      return [
        {
          kind: 'call',
          id: textOf(item['call_id']),
          name: textOf(item['name']),
          arguments: textOf(item['arguments'] ?? item['input']),
        },
      ];
    case 'function_call_output':
    case 'custom_tool_call_output':
      return [
        { kind: 'output', id: textOf(item['call_id']), text: readContent(item['output']).text },
      ];
    case 'compaction': {
      const sealed = textOf(item['encrypted_content']);
      const text = call.resource.keyDomain.open(sealed);
      if (text === undefined) throw invalidEncryptedContent(sealed);
      return [{ kind: 'text', role: 'system', text, images: 0 }];
    }
    default:
      return [];
  }
}

function readContent(content: unknown): { text: string; images: number } {
  if (typeof content === 'string') return { text: content, images: 0 };
  const parts = arrayOf(content).filter(isObject);
  return {
    text: parts
      .filter((part) => part['type'] !== 'input_image')
      .map((part) => textOf(part['text'] ?? part['refusal']))
      .join('\n'),
    images: parts.filter((part) => part['type'] === 'input_image').length,
  };
}

function readFormat(text: unknown): TextFormat {
  const format = isObject(text) ? text['format'] : undefined;
  if (!isObject(format)) return { kind: 'text' };
  switch (format['type']) {
    case 'text':
      return { kind: 'text' };
    case 'json_object':
      return { kind: 'json_object' };
    case 'json_schema':
      if (textOf(format['name']) === '') throw missingParameter('text.format.name');
      if (!isObject(format['schema'])) throw missingParameter('text.format.schema');
      if (format['strict'] === true) {
        checkStrictSchema(format['schema'], {
          subject: `response_format '${textOf(format['name'])}'`,
          param: 'text.format.schema',
          code: 'invalid_json_schema',
        });
      }
      return { kind: 'json_schema', schema: format['schema'] };
    default:
      throw invalidValue('text.format.type', textOf(format['type']), [
        'json_object',
        'json_schema',
        'text',
      ]);
  }
}
