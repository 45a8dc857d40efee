import { REASONING_TOKENS } from './answer.ts';
import { FEATURE_SINCE, isAtLeast } from './api-versions.ts';
import {
  invalidType,
  invalidRequest,
  invalidValue,
  unknownParameter,
  unsupportedParameter,
  unsupportedValue,
  versionTooOld,
} from './errors.ts';
import { arrayOf, isObject } from './json.ts';
import type { JsonObject } from './json.ts';
import type { ModelOperation } from './models.ts';
import type { Deployment } from './resources.ts';

type Kind = 'string' | 'number' | 'integer' | 'boolean' | 'object' | 'array' | 'any';

/** Operations with a parameter table: those of models and the two that only count or compact. */
export type ParameterTable = ModelOperation | 'responses.compact' | 'responses.input_tokens';

const SHARED: Record<string, Kind> = {
  metadata: 'object',
  parallel_tool_calls: 'boolean',
  prompt_cache_key: 'string',
  prompt_cache_retention: 'string',
  safety_identifier: 'string',
  service_tier: 'string',
  store: 'boolean',
  stream: 'boolean',
  stream_options: 'object',
  temperature: 'number',
  tool_choice: 'any',
  tools: 'array',
  top_logprobs: 'integer',
  top_p: 'number',
  user: 'string',
};

const RESPONSES_INPUT: Record<string, Kind> = {
  conversation: 'any',
  input: 'any',
  instructions: 'any',
  model: 'string',
  previous_response_id: 'string',
  reasoning: 'object',
  text: 'object',
  truncation: 'string',
};

/** Every parameter an operation knows; anything else is refused, as the published documents have it. */
const TABLES: Record<ParameterTable, Record<string, Kind>> = {
  'chat.completions': {
    ...SHARED,
    audio: 'object',
    data_sources: 'array',
    frequency_penalty: 'number',
    function_call: 'any',
    functions: 'array',
    logit_bias: 'object',
    logprobs: 'boolean',
    max_completion_tokens: 'integer',
    max_tokens: 'integer',
    messages: 'array',
    modalities: 'array',
    model: 'string',
    n: 'integer',
    prediction: 'object',
    presence_penalty: 'number',
    reasoning_effort: 'string',
    response_format: 'object',
    seed: 'integer',
    stop: 'any',
    user_security_context: 'object',
    verbosity: 'string',
  },
  completions: {
    best_of: 'integer',
    echo: 'boolean',
    frequency_penalty: 'number',
    logit_bias: 'object',
    logprobs: 'integer',
    max_tokens: 'integer',
    model: 'string',
    n: 'integer',
    presence_penalty: 'number',
    prompt: 'any',
    seed: 'integer',
    stop: 'any',
    stream: 'boolean',
    stream_options: 'object',
    suffix: 'string',
    temperature: 'number',
    top_p: 'number',
    user: 'string',
  },
  embeddings: {
    dimensions: 'integer',
    encoding_format: 'string',
    input: 'any',
    input_type: 'string',
    model: 'string',
    user: 'string',
  },
  responses: {
    ...SHARED,
    ...RESPONSES_INPUT,
    background: 'boolean',
    // In no published document, but Codex sends it to Azure with every call and is served.
    client_metadata: 'object',
    context_management: 'any',
    include: 'array',
    max_output_tokens: 'integer',
    max_tool_calls: 'integer',
    prompt: 'object',
  },
  'responses.compact': {
    input: 'any',
    instructions: 'any',
    model: 'string',
    previous_response_id: 'string',
    prompt_cache_key: 'string',
    prompt_cache_retention: 'string',
    service_tier: 'string',
    // The published document ends here; Codex compacts with these as well.
    parallel_tool_calls: 'boolean',
    reasoning: 'object',
    text: 'object',
    tools: 'array',
  },
  'responses.input_tokens': {
    ...RESPONSES_INPUT,
    parallel_tool_calls: 'boolean',
    tool_choice: 'any',
    tools: 'array',
  },
};

/** Members of `stream_options` by operation: Responses knows nothing of usage chunks. */
const STREAM_OPTIONS: Partial<Record<ParameterTable, readonly string[]>> = {
  'chat.completions': ['include_usage', 'include_obfuscation'],
  completions: ['include_usage', 'include_obfuscation'],
  responses: ['include_obfuscation'],
};

/** Chat parameters that Responses names otherwise, with the text of the refusal. */
const MOVED_IN_RESPONSES: Readonly<Record<string, string>> = {
  messages: 'input',
  max_tokens: 'max_output_tokens',
  max_completion_tokens: 'max_output_tokens',
  response_format: 'text.format',
  reasoning_effort: 'reasoning.effort',
  verbosity: 'text.verbosity',
};

/**
 * Checks names, types and combinations of the parameters of a body.
 *
 * @param apiVersion - dated version of the classic surface, or undefined on v1
 * @throws {AzureError} 400
 */
export function checkParameters(
  table: ParameterTable,
  body: JsonObject,
  apiVersion: string | undefined,
): void {
  const known = TABLES[table];
  for (const [name, value] of Object.entries(body)) {
    const kind = known[name];
    if (kind === undefined) {
      const moved = table === 'responses' ? MOVED_IN_RESPONSES[name] : undefined;
      if (moved === undefined) throw unknownParameter(name);
      throw movedParameter(name, moved);
    }
    if (value !== null && value !== undefined) checkKind(name, value, kind);
  }
  checkIncludes(body);
  checkStreamOptions(table, body);
  checkRanges(body);
  if (apiVersion !== undefined) checkVersion(body, apiVersion);
}

function movedParameter(name: string, moved: string): Error {
  const error = unsupportedParameter(name);
  error.reply.payload = {
    kind: 'json',
    value: {
      error: {
        message: `Unsupported parameter: '${name}'. In the Responses API, this parameter has moved to '${moved}'. Try again with the new parameter.`,
        type: 'invalid_request_error',
        param: name,
        code: 'unsupported_parameter',
      },
    },
  };
  return error;
}

const INCLUDES = [
  'file_search_call.results',
  'web_search_call.results',
  'web_search_call.action.sources',
  'message.input_image.image_url',
  'computer_call_output.output.image_url',
  'code_interpreter_call.outputs',
  'reasoning.encrypted_content',
  'message.output_text.logprobs',
];

function checkIncludes(body: JsonObject): void {
  for (const [index, value] of arrayOf(body['include']).entries()) {
    const name = typeof value === 'string' ? value : JSON.stringify(value);
    if (!INCLUDES.includes(name)) throw invalidValue(`include[${String(index)}]`, name, INCLUDES);
  }
}

function checkStreamOptions(table: ParameterTable, body: JsonObject): void {
  const options = body['stream_options'];
  if (!isObject(options)) return;
  for (const name of Object.keys(options)) {
    if (!STREAM_OPTIONS[table]?.includes(name)) throw unknownParameter(`stream_options.${name}`);
  }
  if (body['stream'] !== true) {
    throw invalidRequest(
      "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
      'stream_options',
    );
  }
}

const RANGES: Readonly<Record<string, readonly [least: number, most: number]>> = {
  temperature: [0, 2],
  top_p: [0, 1],
  frequency_penalty: [-2, 2],
  presence_penalty: [-2, 2],
  top_logprobs: [0, 20],
  n: [1, 128],
  max_tokens: [1, Number.POSITIVE_INFINITY],
  max_completion_tokens: [1, Number.POSITIVE_INFINITY],
  max_output_tokens: [16, Number.POSITIVE_INFINITY],
};

function checkRanges(body: JsonObject): void {
  for (const [name, [least, most]] of Object.entries(RANGES)) {
    const value = body[name];
    if (typeof value !== 'number') continue;
    const kind = Number.isInteger(value) ? 'integer' : 'decimal';
    if (value < least) throw outOfRange(name, value, kind, 'below minimum', `>= ${String(least)}`);
    if (value > most) throw outOfRange(name, value, kind, 'above maximum', `<= ${String(most)}`);
  }
}

function outOfRange(name: string, value: number, kind: string, side: string, bound: string): Error {
  const error = invalidRequest('', name);
  error.reply.payload = {
    kind: 'json',
    value: {
      error: {
        message: `Invalid '${name}': ${kind} ${side} value. Expected a value ${bound}, but got ${String(value)} instead.`,
        type: 'invalid_request_error',
        param: name,
        code: `${kind}_${side.replace(' ', '_')}_value`,
      },
    },
  };
  return error;
}

function checkVersion(body: JsonObject, apiVersion: string): void {
  for (const [feature, since] of Object.entries(FEATURE_SINCE)) {
    const [path = '', wanted] = feature.split('=');
    let value: unknown = body;
    for (const step of path.split('.')) value = isObject(value) ? value[step] : undefined;
    if (value === undefined || value === null) continue;
    if (wanted !== undefined && value !== wanted) continue;
    if (isAtLeast(apiVersion, since)) continue;
    throw versionTooOld(
      wanted === undefined ? path : `${path.split('.')[0] ?? path} value as ${wanted}`,
      since,
    );
  }
}

function checkKind(path: string, value: unknown, kind: Kind): void {
  const fits: Record<Kind, boolean> = {
    any: true,
    string: typeof value === 'string',
    number: typeof value === 'number',
    integer: Number.isInteger(value),
    boolean: typeof value === 'boolean',
    object: isObject(value),
    array: Array.isArray(value),
  };
  if (!fits[kind]) throw invalidType(path, nameOfKind(kind), nameOfValue(value));
}

function nameOfKind(kind: Kind): string {
  return /^[aeio]/.test(kind) ? `an ${kind}` : `a ${kind}`;
}

function nameOfValue(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'an integer' : 'a decimal number';
  return nameOfKind(typeof value as Kind);
}

/** Refuses members of an object that are not known there. */
export function checkMembers(path: string, value: JsonObject, known: ReadonlySet<string>): void {
  for (const name of Object.keys(value)) {
    if (!known.has(name)) throw unknownParameter(`${path}.${name}`);
  }
}

const EFFORTS = Object.keys(REASONING_TOKENS);

/** Sampling parameters reasoning models refuse outright. */
const REFUSED_BY_REASONING = [
  'top_p',
  'presence_penalty',
  'frequency_penalty',
  'logprobs',
  'top_logprobs',
  'logit_bias',
];

/**
 * Checks what this deployment's model refuses although its operation knows it.
 *
 * @throws {AzureError} 400 with `unsupported_parameter` or `unsupported_value`
 */
export function checkModelAccepts(deployment: Deployment, body: JsonObject): void {
  for (const path of deployment.config.refusedParameters) {
    let value: unknown = body;
    for (const step of path.split('.')) value = isObject(value) ? value[step] : undefined;
    if (value !== undefined && value !== null) throw unsupportedParameter(path);
  }
  const given = (name: string): boolean => body[name] !== undefined && body[name] !== null;
  checkEffort(body);
  if (!deployment.model.reasoning) {
    if (arrayOf(body['include']).includes('reasoning.encrypted_content')) {
      throw invalidRequest('Encrypted content is not supported with this model.', 'include');
    }
    if (given('reasoning_effort')) throw unsupportedParameter('reasoning_effort');
    if (isObject(body['reasoning']) && given('reasoning') && isGiven(body['reasoning']['effort'])) {
      throw unsupportedParameter('reasoning.effort');
    }
    return;
  }
  if (given('max_tokens')) throw unsupportedParameter('max_tokens', 'max_completion_tokens');
  if (given('temperature') && body['temperature'] !== 1) {
    throw unsupportedValue('temperature', body['temperature']);
  }
  if (given('n') && body['n'] !== 1) throw unsupportedValue('n', body['n']);
  for (const name of REFUSED_BY_REASONING) {
    if (given(name)) throw unsupportedParameter(name);
  }
}

function checkEffort(body: JsonObject): void {
  const reasoning = isObject(body['reasoning']) ? body['reasoning'] : {};
  const given = {
    reasoning_effort: body['reasoning_effort'],
    'reasoning.effort': reasoning['effort'],
  };
  for (const [path, effort] of Object.entries(given)) {
    if (typeof effort === 'string' && !EFFORTS.includes(effort))
      throw invalidValue(path, effort, EFFORTS);
  }
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}
