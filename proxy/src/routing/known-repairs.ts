import type { Operation } from '@aigateway/contract/records';
import type { Repair } from './repair.ts';

type RepairsByOperation = { readonly [operation in Operation]?: readonly Repair[] };

/**
 * What every reasoning model refuses, so that the first call need not fail. Sampling parameters may stay at their default,
 * and while reasoning is off.
 */
export const reasoningRepairs: RepairsByOperation = {
  chat: [
    { param: 'max_tokens', action: 'rename', to: 'max_completion_tokens' },
    { param: 'temperature', action: 'default-only', default: 1, unlessReasoningOff: true },
    { param: 'top_p', action: 'default-only', default: 1, unlessReasoningOff: true },
    { param: 'presence_penalty', action: 'default-only', default: 0, unlessReasoningOff: true },
    { param: 'frequency_penalty', action: 'default-only', default: 0, unlessReasoningOff: true },
    { param: 'logprobs', action: 'default-only', default: false, unlessReasoningOff: true },
    { param: 'top_logprobs', action: 'default-only', unlessReasoningOff: true },
    { param: 'logit_bias', action: 'default-only', unlessReasoningOff: true },
  ],
  responses: [
    { param: 'temperature', action: 'default-only', default: 1, unlessReasoningOff: true },
    { param: 'top_p', action: 'default-only', default: 1, unlessReasoningOff: true },
    { param: 'top_logprobs', action: 'default-only', unlessReasoningOff: true },
  ],
};

/** The output limit by its names in other operations: clients mix them up. */
export const outputLimitNames: { readonly [operation in Operation]?: readonly string[] } = {
  chat: ['max_completion_tokens', 'max_tokens'],
  completions: ['max_tokens'],
  responses: ['max_output_tokens'],
};

type Paths = { readonly [operation in Operation]?: readonly string[] };

const topLevel = (name: string): Paths => ({
  chat: [name],
  completions: [name],
  responses: [name],
});

/**
 * Fields of other vendors' dialects that coding agents send to any "OpenAI-compatible" address and Azure refuses, with every
 * place they occur in. None of them changes what an Azure model would answer. Sources: published code of Roo Code, Qoder,
 * Kilo and Cline; the parameters of vLLM, Anthropic, Qwen and OpenRouter that they copy.
 */
export const vendorFields: { readonly [name: string]: Paths } = {
  cache_control: {
    chat: [
      'cache_control',
      'messages[].cache_control',
      'messages[].content[].cache_control',
      'tools[].cache_control',
      'tools[].function.cache_control',
    ],
    responses: [
      'cache_control',
      'input[].cache_control',
      'input[].content[].cache_control',
      'tools[].cache_control',
    ],
  },
  top_k: topLevel('top_k'),
  min_p: topLevel('min_p'),
  top_a: topLevel('top_a'),
  repetition_penalty: topLevel('repetition_penalty'),
  thinking: topLevel('thinking'),
  enable_thinking: topLevel('enable_thinking'),
  thinking_budget: topLevel('thinking_budget'),
  preserve_thinking: topLevel('preserve_thinking'),
  chat_template_kwargs: topLevel('chat_template_kwargs'),
  include_reasoning: topLevel('include_reasoning'),
  transforms: topLevel('transforms'),
  // `reasoning` belongs to Responses; in a chat request it is OpenRouter's.
  reasoning: { chat: ['reasoning', 'messages[].reasoning'] },
  reasoning_content: { chat: ['messages[].reasoning_content'] },
  reasoning_details: { chat: ['messages[].reasoning_details'] },
  tool_call_index: { chat: ['messages[].tool_calls[].index'] },
};

const vendorRepairsOf = new WeakMap<readonly string[], Map<Operation, readonly Repair[]>>();

/**
 * Repairs that remove vendor fields.
 *
 * @param names - names of `vendorFields`; any other text is itself the path of a field
 */
export function vendorRepairs(names: readonly string[], operation: Operation): readonly Repair[] {
  let byOperation = vendorRepairsOf.get(names);
  if (byOperation === undefined) {
    byOperation = new Map();
    vendorRepairsOf.set(names, byOperation);
  }
  let repairs = byOperation.get(operation);
  if (repairs === undefined) {
    repairs = names
      .flatMap((name) => {
        const known = Object.hasOwn(vendorFields, name) ? vendorFields[name] : undefined;
        return known === undefined ? [name] : (known[operation] ?? []);
      })
      .map((param): Repair => ({ param, action: 'drop' }));
    byOperation.set(operation, repairs);
  }
  return repairs;
}
