import { invalidRequest, invalidType, invalidValue, missingParameter } from '../errors.ts';
import { arrayOf, isObject, textOf } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { checkMembers } from '../parameters.ts';
import type { OfferedTool, ToolChoice } from '../prompt.ts';
import { checkStrictSchema } from '../strict-schema.ts';

/** Tools Azure runs itself; they are accepted and never called. */
const HOSTED_TOOLS = new Set([
  'file_search',
  'computer',
  'computer_use_preview',
  'web_search',
  'web_search_2025_08_26',
  'web_search_preview',
  'web_search_preview_2025_03_11',
  'mcp',
  'code_interpreter',
  'image_generation',
  'local_shell',
  'shell',
  'apply_patch',
  'tool_search',
  'programmatic_tool_calling',
]);

const FUNCTION_MEMBERS = new Set([
  'type',
  'name',
  'description',
  'parameters',
  'strict',
  'output_schema',
  'defer_loading',
  'allowed_callers',
]);

/**
 * Reads the `tools` of a Responses call; the functions of a `namespace` tool are offered one by one.
 *
 * @throws {AzureError} 400, e.g. for a function in the nested shape of chat
 */
export function readResponsesTools(tools: unknown): OfferedTool[] {
  return arrayOf(tools).flatMap((tool, index) => readTool(tool, `tools[${String(index)}]`));
}

function readTool(tool: unknown, path: string): OfferedTool[] {
  if (!isObject(tool)) throw invalidType(path, 'an object', 'something else');
  const type = textOf(tool['type']);
  if (type === '') throw missingParameter(`${path}.type`);
  if (HOSTED_TOOLS.has(type)) {
    return [{ kind: 'hosted', name: type, description: '', parameters: tool }];
  }
  const name = textOf(tool['name']);
  if (name === '' && ['function', 'custom', 'namespace'].includes(type))
    throw missingParameter(`${path}.name`);
  const description = textOf(tool['description']);
  switch (type) {
    case 'function': {
      checkMembers(path, tool, FUNCTION_MEMBERS);
      const { parameters } = tool;
      if (tool['strict'] === true && isObject(parameters)) {
        checkStrictSchema(parameters, {
          subject: `function '${name}'`,
          param: `${path}.parameters`,
          code: 'invalid_function_parameters',
        });
      }
      return [
        { kind: 'function', name, description, ...(isObject(parameters) ? { parameters } : {}) },
      ];
    }
    case 'custom':
      return [{ kind: 'custom', name, description }];
    case 'namespace':
      return arrayOf(tool['tools']).flatMap((inner, index) =>
        readTool(inner, `${path}.tools[${String(index)}]`).map((read) => ({
          ...read,
          namespace: name,
        })),
      );
    default:
      throw invalidValue(`${path}.type`, type, [
        'function',
        'custom',
        'namespace',
        ...HOSTED_TOOLS,
      ]);
  }
}

/**
 * Reads the `tool_choice` of a Responses call.
 *
 * @param declared - the tools as written, for choices that name a hosted tool by type
 * @throws {AzureError} 400 when it names a tool that is not offered
 */
export function readResponsesToolChoice(
  choice: unknown,
  tools: readonly OfferedTool[],
  declared: readonly unknown[],
): ToolChoice {
  if (choice === undefined || choice === null || choice === 'auto') return { mode: 'auto' };
  if (choice === 'none' || choice === 'required') return { mode: choice };
  if (!isObject(choice))
    throw invalidValue('tool_choice', textOf(choice), ['none', 'auto', 'required']);
  if (choice['type'] === 'allowed_tools') {
    const names = arrayOf(choice['tools'])
      .filter(isObject)
      .map((tool) => textOf(tool['name']));
    return { mode: choice['mode'] === 'required' ? 'required' : 'auto', names };
  }
  if (choice['type'] !== 'function' && choice['type'] !== 'custom') {
    const offered = declared.some((tool) => isObject(tool) && tool['type'] === choice['type']);
    if (!offered) throw notFound(choice);
    return { mode: 'auto' };
  }
  const name = textOf(choice['name']);
  if (name === '') throw missingParameter('tool_choice.name');
  if (!tools.some((tool) => tool.name === name)) throw notFound(choice);
  return { mode: 'required', names: [name] };
}

function notFound(choice: JsonObject): Error {
  const wanted = textOf(choice['name']) || textOf(choice['type']);
  return invalidRequest(`Tool choice '${wanted}' not found in 'tools' parameter.`, 'tool_choice');
}
