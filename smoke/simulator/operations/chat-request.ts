import { invalidRequest, invalidType, invalidValue, missingParameter } from '../errors.ts';
import { arrayOf, isObject, textOf } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { readMagicWords } from '../magic-words.ts';
import { checkMembers } from '../parameters.ts';
import { lastUserText } from '../prompt.ts';
import type { Entry, OfferedTool, Prompt, TextFormat, ToolChoice } from '../prompt.ts';
import { checkStrictSchema } from '../strict-schema.ts';

const ROLES = ['system', 'assistant', 'user', 'function', 'tool', 'developer'];

const MESSAGE_MEMBERS = new Set([
  'role',
  'content',
  'name',
  'tool_calls',
  'tool_call_id',
  'function_call',
  'refusal',
  'audio',
  'annotations',
]);

const PART_MEMBERS: Readonly<Record<string, ReadonlySet<string>>> = {
  text: new Set(['type', 'text']),
  image_url: new Set(['type', 'image_url']),
  input_audio: new Set(['type', 'input_audio']),
  file: new Set(['type', 'file']),
  refusal: new Set(['type', 'refusal']),
};

const CALL_MEMBERS = new Set(['id', 'type', 'function', 'custom']);
const TOOL_MEMBERS = new Set(['type', 'function', 'custom']);
const FUNCTION_MEMBERS = new Set(['name', 'description', 'parameters', 'strict']);
const TOOL_NAME = /^[a-zA-Z0-9_-]{1,64}$/;

/** Azure's bound on tools per request. */
const MAX_TOOLS = 128;
/** Azure's bound on messages per request. */
const MAX_MESSAGES = 2048;

/**
 * Reads the body of a chat completion whose parameter names are already checked.
 *
 * @param commands - value of the `x-sim` header
 * @throws {AzureError} 400 for whatever Azure's schema refuses
 */
export function readChatPrompt(body: JsonObject, commands?: string): Prompt {
  if (body['messages'] === undefined) throw missingParameter('messages');
  const messages = arrayOf(body['messages']);
  if (messages.length === 0) {
    throw invalidRequest(
      "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
      'messages',
    );
  }
  if (messages.length > MAX_MESSAGES) {
    throw invalidRequest(
      `Invalid 'messages': array too long. Expected an array with maximum length ${String(MAX_MESSAGES)}, but got an array with length ${String(messages.length)} instead.`,
      'messages',
    );
  }
  const entries = messages.flatMap((message, index) =>
    readMessage(message, `messages[${String(index)}]`),
  );
  checkCallsAreAnswered(messages.filter(isObject));
  const tools = readTools(body);
  const maxOutputTokens = body['max_completion_tokens'] ?? body['max_tokens'];
  const effort = body['reasoning_effort'];
  return {
    entries,
    tools,
    toolChoice: readToolChoice(body['tool_choice'] ?? body['function_call'], tools),
    parallelToolCalls: body['parallel_tool_calls'] !== false,
    format: readFormat(body['response_format'], entries),
    ...(typeof maxOutputTokens === 'number' ? { maxOutputTokens } : {}),
    ...(typeof effort === 'string' ? { effort } : {}),
    summary: false,
    words: readMagicWords(lastUserText(entries), commands),
  };
}

function readMessage(message: unknown, path: string): Entry[] {
  if (!isObject(message)) throw invalidType(path, 'an object', 'something else');
  checkMembers(path, message, MESSAGE_MEMBERS);
  const { role } = message;
  if (typeof role !== 'string') throw missingParameter(`${path}.role`);
  if (!ROLES.includes(role)) throw invalidValue(`${path}.role`, role, ROLES);
  const { text, images } = readContent(message['content'], `${path}.content`);
  if (role === 'tool' || role === 'function') {
    const id = role === 'tool' ? message['tool_call_id'] : message['name'];
    if (typeof id !== 'string') throw missingParameter(`${path}.tool_call_id`);
    return [{ kind: 'output', id, text }];
  }
  if (role !== 'assistant') {
    if (message['content'] === undefined || message['content'] === null) {
      throw invalidType(
        `${path}.content`,
        'one of a string or array of objects',
        message['content'] === null ? 'null' : 'nothing',
      );
    }
    return [{ kind: 'text', role: role === 'user' ? 'user' : 'system', text, images }];
  }
  const calls = arrayOf(message['tool_calls']).map((call, index) =>
    readCall(call, `${path}.tool_calls[${String(index)}]`),
  );
  const spoken = text + textOf(message['refusal']);
  if (spoken === '' && calls.length > 0) return calls;
  return [{ kind: 'text', role: 'assistant', text: spoken, images: 0 }, ...calls];
}

function readContent(content: unknown, path: string): { text: string; images: number } {
  if (content === undefined || content === null) return { text: '', images: 0 };
  if (typeof content === 'string') return { text: content, images: 0 };
  if (!Array.isArray(content))
    throw invalidType(path, 'one of a string or array of objects', 'an object');
  const texts: string[] = [];
  let images = 0;
  for (const [index, part] of (content as unknown[]).entries()) {
    const partPath = `${path}[${String(index)}]`;
    if (!isObject(part)) throw invalidType(partPath, 'an object', 'something else');
    const type = textOf(part['type']);
    if (type === '') throw missingParameter(`${partPath}.type`);
    const members = PART_MEMBERS[type];
    if (members === undefined)
      throw invalidValue(`${partPath}.type`, type, Object.keys(PART_MEMBERS));
    checkMembers(partPath, part, members);
    if (type === 'image_url') {
      const image = part['image_url'];
      if (!isObject(image))
        throw invalidType(
          `${partPath}.image_url`,
          'an object',
          typeof image === 'string' ? 'a string' : 'nothing',
        );
      checkMembers(`${partPath}.image_url`, image, new Set(['url', 'detail']));
      images += 1;
    }
    texts.push(textOf(part['text'] ?? part['refusal']));
  }
  return { text: texts.join('\n'), images };
}

function readCall(call: unknown, path: string): Entry {
  if (!isObject(call)) throw invalidType(path, 'an object', 'something else');
  checkMembers(path, call, CALL_MEMBERS);
  const id = call['id'];
  if (typeof id !== 'string') throw missingParameter(`${path}.id`);
  const called = call['type'] === 'custom' ? call['custom'] : call['function'];
  if (!isObject(called)) throw missingParameter(`${path}.function`);
  return {
    kind: 'call',
    id,
    name: textOf(called['name']),
    arguments: textOf(called['arguments'] ?? called['input']),
  };
}

/** Every call must be answered by the tool messages right behind it, and no tool message may stand alone. */
function checkCallsAreAnswered(messages: readonly JsonObject[]): void {
  let open = new Set<string>();
  let mayAnswer = false;
  for (const [index, message] of messages.entries()) {
    if (message['role'] === 'tool') {
      if (!mayAnswer) {
        throw invalidRequest(
          "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
          `messages.[${String(index)}].role`,
        );
      }
      open.delete(textOf(message['tool_call_id']));
      continue;
    }
    if (open.size > 0) throw unansweredCalls(open, index);
    open = new Set(
      arrayOf(message['tool_calls'])
        .filter(isObject)
        .map((call) => textOf(call['id'])),
    );
    mayAnswer = open.size > 0;
  }
  if (open.size > 0) throw unansweredCalls(open, messages.length);
}

function unansweredCalls(ids: ReadonlySet<string>, index: number): Error {
  return invalidRequest(
    `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${[...ids].join(', ')}`,
    `messages.[${String(index)}].role`,
  );
}

function readTools(body: JsonObject): OfferedTool[] {
  const tools = arrayOf(body['tools']);
  if (tools.length > MAX_TOOLS) {
    throw invalidRequest(
      `Invalid 'tools': array too long. Expected an array with maximum length ${String(MAX_TOOLS)}, but got an array with length ${String(tools.length)} instead.`,
      'tools',
    );
  }
  const offered = tools.map((tool, index) => readTool(tool, `tools[${String(index)}]`));
  const functions = arrayOf(body['functions']).filter(isObject);
  return [...offered, ...functions.map((declared) => functionTool(declared))];
}

function readTool(tool: unknown, path: string): OfferedTool {
  if (!isObject(tool)) throw invalidType(path, 'an object', 'something else');
  const type = textOf(tool['type']);
  if (type === '') throw missingParameter(`${path}.type`);
  if (type !== 'function' && type !== 'custom')
    throw invalidValue(`${path}.type`, type, ['function', 'custom']);
  const declared = tool[type];
  if (!isObject(declared)) throw missingParameter(`${path}.${type}`);
  checkMembers(path, tool, TOOL_MEMBERS);
  const name = textOf(declared['name']);
  if (name === '') throw missingParameter(`${path}.${type}.name`);
  if (!TOOL_NAME.test(name)) {
    throw invalidRequest(
      `Invalid '${path}.${type}.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.`,
      `${path}.${type}.name`,
    );
  }
  if (type === 'custom')
    return { kind: 'custom', name, description: textOf(declared['description']) };
  checkMembers(`${path}.function`, declared, FUNCTION_MEMBERS);
  if (declared['strict'] === true && isObject(declared['parameters'])) {
    checkStrictSchema(declared['parameters'], {
      subject: `function '${name}'`,
      param: `${path}.function.parameters`,
      code: 'invalid_function_parameters',
    });
  }
  return functionTool(declared);
}

function functionTool(declared: JsonObject): OfferedTool {
  const { parameters } = declared;
  return {
    kind: 'function',
    name: textOf(declared['name']),
    description: textOf(declared['description']),
    ...(isObject(parameters) ? { parameters } : {}),
  };
}

function readToolChoice(choice: unknown, tools: readonly OfferedTool[]): ToolChoice {
  if (choice === undefined || choice === null || choice === 'auto') return { mode: 'auto' };
  if (tools.length === 0 && choice !== 'none') {
    throw invalidRequest(
      "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
      'tool_choice',
    );
  }
  if (choice === 'none' || choice === 'required') return { mode: choice };
  if (!isObject(choice))
    throw invalidValue('tool_choice', textOf(choice), ['none', 'auto', 'required']);
  if (choice['type'] === 'allowed_tools') {
    const allowed = isObject(choice['allowed_tools']) ? choice['allowed_tools'] : {};
    const names = arrayOf(allowed['tools'])
      .filter(isObject)
      .map((tool) => nameIn(tool));
    return { mode: allowed['mode'] === 'required' ? 'required' : 'auto', names };
  }
  const name = nameIn(choice);
  if (!tools.some((tool) => tool.name === name)) {
    throw invalidRequest(
      `Invalid value for 'tool_choice': function '${name}' was not found in 'tools'.`,
      'tool_choice',
    );
  }
  return { mode: 'required', names: [name] };
}

function nameIn(choice: JsonObject): string {
  const named = choice['function'] ?? choice['custom'] ?? choice;
  return isObject(named) ? textOf(named['name']) : '';
}

function readFormat(format: unknown, entries: readonly Entry[]): TextFormat {
  if (!isObject(format)) return { kind: 'text' };
  switch (format['type']) {
    case 'text':
      return { kind: 'text' };
    case 'json_object':
      if (!entries.some((entry) => entry.kind === 'text' && /json/i.test(entry.text))) {
        throw invalidRequest(
          "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
          'messages',
        );
      }
      return { kind: 'json_object' };
    case 'json_schema': {
      const named = format['json_schema'];
      if (!isObject(named)) throw missingParameter('response_format.json_schema');
      if (textOf(named['name']) === '') throw missingParameter('response_format.json_schema.name');
      const schema = isObject(named['schema']) ? named['schema'] : {};
      if (named['strict'] === true) {
        checkStrictSchema(schema, {
          subject: `response_format '${textOf(named['name'])}'`,
          param: 'response_format',
          code: null,
        });
      }
      return { kind: 'json_schema', schema };
    }
    default:
      throw invalidValue('response_format.type', textOf(format['type']), [
        'json_object',
        'json_schema',
        'text',
      ]);
  }
}
