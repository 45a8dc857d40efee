import type { JsonObject, Operation } from '@aigateway/contract/records';
import { chatRequest } from '../bridge/responses-chat-request.ts';
import { responsesRequest } from '../bridge/chat-responses-request.ts';
import {
  chatToResponses,
  completionsToChat,
  responsesToChat,
  type ParameterTable,
} from '../bridge/parameter-tables.ts';
import { embeddingParameters } from '../model-parameters.ts';

const documented: { readonly [operation in Operation]: ReadonlySet<string> } = {
  chat: new Set(Object.keys(chatToResponses)),
  responses: new Set(Object.keys(responsesToChat)),
  completions: new Set(Object.keys(completionsToChat)),
  embeddings: new Set(embeddingParameters),
};

const known = new WeakMap<JsonObject, Map<Operation, JsonObject>>();

/**
 * A deployment's defaults, which its configuration names as one operation does, as another one has them: `max_tokens` is
 * `max_output_tokens` on responses. What the operation does not have is left out; what none documents stays as it stands.
 */
export function defaultsOn(operation: Operation, defaults: JsonObject): JsonObject {
  let byOperation = known.get(defaults);
  if (byOperation === undefined) {
    byOperation = new Map();
    known.set(defaults, byOperation);
  }
  let found = byOperation.get(operation);
  if (found === undefined) {
    found = translated(operation, defaults);
    byOperation.set(operation, found);
  }
  return found;
}

function translated(operation: Operation, defaults: JsonObject): JsonObject {
  const foreign = only(defaults, (name) => !takes(operation, name));
  const own = only(defaults, (name) => takes(operation, name));
  switch (operation) {
    case 'responses':
      return {
        ...added(responsesRequest, { messages: [] }, carriedOver(foreign, chatToResponses)),
        ...own,
      };
    case 'chat':
      return {
        ...added(chatRequest, { input: [] }, carriedOver(foreign, responsesToChat)),
        ...own,
      };
    case 'completions': {
      const limit = foreign['max_completion_tokens'] ?? foreign['max_output_tokens'];
      return { ...(limit !== undefined && { max_tokens: limit }), ...own };
    }
    case 'embeddings':
      return own;
  }
}

function takes(operation: Operation, name: string): boolean {
  return (
    documented[operation].has(name) || !Object.values(documented).some((names) => names.has(name))
  );
}

/** Those that have a translation; what the operation cannot do without is the caller's. */
function carriedOver(foreign: JsonObject, table: ParameterTable): JsonObject {
  return only(foreign, (name) => table[name]?.fate === 'translated' && !required.has(name));
}

const required: ReadonlySet<string> = new Set(['messages', 'input', 'instructions']);

/** What the parameters add to a request without any. */
function added(
  translate: (body: JsonObject) => { body: JsonObject },
  empty: JsonObject,
  parameters: JsonObject,
): JsonObject {
  const without = translate(empty).body;
  return only(translate({ ...empty, ...parameters }).body, (name) => !Object.hasOwn(without, name));
}

function only(object: JsonObject, keeps: (name: string) => boolean): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => keeps(name)));
}
