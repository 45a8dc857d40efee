import { createHash } from 'node:crypto';
import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { asObject, asObjects, asString, parseObject, present } from './json.ts';

/** A tool of a responses request, as a chat deployment is told of it: always a function, under a name of its own. */
export type DeclaredTool = {
  kind: 'function' | 'custom';
  namespace: string | undefined;
  name: string;
  /** The name that chat sees. */
  flatName: string;
  /** The tool as the caller declared it. */
  declaration: JsonObject;
};

const chatToolName = /^[a-zA-Z0-9_-]{1,64}$/;

/** Tools that the upstream or the caller's own program would have to know by type; a chat deployment knows none of them. */
const hostedTools: ReadonlySet<string> = new Set([
  'apply_patch',
  'code_interpreter',
  'computer',
  'computer_use_preview',
  'file_search',
  'image_generation',
  'local_shell',
  'mcp',
  'programmatic_tool_calling',
  'shell',
  'tool_search',
  'web_search',
  'web_search_2025_08_26',
  'web_search_preview',
  'web_search_preview_2025_03_11',
]);

/** How a dropped tool is reported: by its type where that is a documented one, since callers may write anything there. */
export function droppedTool(type: JsonValue | undefined): string {
  return typeof type === 'string' && hostedTools.has(type) ? `tools[].${type}` : 'tools[].unknown';
}

function marked(name: string, identity: string): string {
  const hash = createHash('sha256').update(identity).digest('hex').slice(0, 8);
  return `${name.replaceAll(/[^a-zA-Z0-9_-]/g, '_').slice(0, 55)}_${hash}`;
}

function identityOf(namespace: string | undefined, name: string): string {
  return JSON.stringify([namespace ?? '', name]);
}

/** Without the underscores at its end; a pattern would take quadratic time for a long run of them that something follows. */
function withoutTrail(text: string): string {
  let end = text.length;
  while (text[end - 1] === '_') end -= 1;
  return text.slice(0, end);
}

function flatten(namespace: string | undefined, name: string): string {
  const joined = namespace === undefined ? name : `${withoutTrail(namespace)}__${name}`;
  return chatToolName.test(joined) ? joined : marked(joined, identityOf(namespace, name));
}

/** The tools of one responses request, findable by what either side calls them. The same request always gives the same names. */
export class DeclaredTools {
  readonly tools: readonly DeclaredTool[];
  /** Names of what was left out, ready to be reported. */
  readonly dropped: readonly string[];
  readonly #byFlatName = new Map<string, DeclaredTool>();
  readonly #byIdentity = new Map<string, DeclaredTool>();

  constructor(request: JsonObject) {
    const dropped = new Set<string>();
    const loaded = asObjects(request.input).filter(
      // Tools that came with the conversation: a chat deployment learns of all tools at once.
      ({ type }) => type === 'additional_tools' || type === 'tool_search_output',
    );
    for (const declaration of [request, ...loaded].flatMap(({ tools }) => asObjects(tools))) {
      if (declaration.type === 'namespace') {
        const namespace = asString(declaration.name);
        for (const tool of asObjects(declaration.tools)) this.#declare(namespace, tool, dropped);
      } else this.#declare(undefined, declaration, dropped);
    }
    this.tools = [...this.#byIdentity.values()];
    this.dropped = [...dropped];
  }

  #declare(namespace: string | undefined, declaration: JsonObject, dropped: Set<string>): void {
    const name = asString(declaration.name);
    const kind = declaration.type;
    if (name === undefined || (kind !== 'function' && kind !== 'custom')) {
      dropped.add(droppedTool(kind));
      return;
    }
    const identity = identityOf(namespace, name);
    if (this.#byIdentity.has(identity)) return;
    const plain = flatten(namespace, name);
    const flatName = this.#byFlatName.has(plain) ? marked(plain, identity) : plain;
    const tool: DeclaredTool = { kind, namespace, name, flatName, declaration };
    this.#byIdentity.set(identity, tool);
    this.#byFlatName.set(flatName, tool);
  }

  /** The chat name of a tool, also of one that earlier turns used and this request no longer declares. */
  flatName(namespace: string | undefined, name: string): string {
    const tool = this.#byIdentity.get(identityOf(namespace, name));
    return tool?.flatName ?? flatten(namespace, name);
  }

  byFlatName(flatName: string): DeclaredTool | undefined {
    return this.#byFlatName.get(flatName);
  }
}

/** A tool as chat declares it. A custom tool becomes a function of one string, which every chat model can call. */
export function chatTool(tool: DeclaredTool): JsonObject {
  const { declaration, flatName } = tool;
  const description = asString(declaration.description);
  if (tool.kind === 'custom') {
    return {
      type: 'function',
      function: {
        name: flatName,
        description: customDescription(description, asObject(declaration.format)),
        parameters: {
          type: 'object',
          properties: { input: { type: 'string' } },
          required: ['input'],
          additionalProperties: false,
        },
      },
    };
  }
  return {
    type: 'function',
    function: present({
      name: flatName,
      description,
      parameters: asObject(declaration.parameters),
      // Absent or null leaves the choice to responses, which tries strict mode and falls back; chat's strict mode fails instead.
      strict: typeof declaration.strict === 'boolean' ? declaration.strict : undefined,
    }),
  };
}

function customDescription(
  description: string | undefined,
  format: JsonObject | undefined,
): string {
  const lines = [description ?? '', 'Put the whole input of this tool into the string "input".'];
  const definition = asString(format?.definition);
  if (definition !== undefined) {
    lines.push(
      `The input must follow this ${asString(format?.syntax) ?? ''} grammar:\n${definition}`,
    );
  }
  return lines.filter((line) => line !== '').join('\n\n');
}

/** The arguments of the function that stands for a custom tool. */
export function wrapCustomInput(input: string): string {
  return JSON.stringify({ input });
}

/** A custom tool's input out of such arguments; arguments of another shape are taken for the input itself. */
export function unwrapCustomInput(args: string): string {
  return asString(parseObject(args)?.input) ?? args;
}
