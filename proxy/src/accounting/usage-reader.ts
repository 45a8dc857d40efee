import { isObject } from '@aigateway/contract/json';
import type { Operation } from '@aigateway/contract/records';
import type { TokenCounts } from '@aigateway/contract/usage';

/**
 * Bytes of English text or source code to one token.
 *
 * @see OpenAI's rule of thumb; Azure's own estimate at arrival counts characters the same way
 */
export const bytesPerToken = 4;

/**
 * Bytes of a chat or responses stream to one token of output. Azure sends 275 to 620 bytes of framing, ids and filter results
 * with each event, and with its default content filter several tokens in one event.
 */
const streamBytesPerToken = 150;

/**
 * Reads the upstream's usage object. A zero that is stated is a zero.
 *
 * Both families of names are understood, the operation's own first, since OpenAI-compatible upstreams mix them. A part larger
 * than its total, or not a count, is cut to what it can be: totals are what is billed.
 *
 * @param usage - the value of `usage`, as parsed
 * @returns undefined when there is no total of input, or for generating operations none of output
 */
export function readUsage(operation: Operation, usage: unknown): TokenCounts | undefined {
  if (!isObject(usage)) return undefined;
  const isResponses = operation === 'responses';
  const input = isResponses
    ? firstCount(usage['input_tokens'], usage['prompt_tokens'])
    : firstCount(usage['prompt_tokens'], usage['input_tokens']);
  if (input === undefined) return undefined;
  const output = operation === 'embeddings' ? 0 : readOutput(usage, isResponses, input);
  if (output === undefined) return undefined;

  const ofInput = firstObject(usage['prompt_tokens_details'], usage['input_tokens_details']);
  const ofOutput = firstObject(usage['completion_tokens_details'], usage['output_tokens_details']);
  const cachedInput = part(input, ofInput['cached_tokens'], usage['cache_read_input_tokens']);
  return {
    input,
    cachedInput,
    cacheWrite: part(
      input - cachedInput,
      ofInput['cache_write_tokens'],
      ofInput['cache_creation_tokens'],
      usage['cache_creation_input_tokens'],
    ),
    audioInput: part(input, ofInput['audio_tokens']),
    output,
    reasoning: part(output, ofOutput['reasoning_tokens']),
    audioOutput: part(output, ofOutput['audio_tokens']),
  };
}

/** What passed of an answer whose usage never came. */
export type SeenOutput = {
  /** The estimate that the request was admitted with. */
  inputTokens: number;
  /** Bytes of the answer that came from the upstream. */
  outputBytes: number;
  /** True when these are a stream's bytes, framing included. */
  stream: boolean;
};

/** Usage by estimate, for an answer that broke off or an upstream that does not tell. To be recorded as `estimated`. */
export function estimateUsage({ inputTokens, outputBytes, stream }: SeenOutput): TokenCounts {
  return {
    input: inputTokens,
    cachedInput: 0,
    cacheWrite: 0,
    audioInput: 0,
    output: Math.ceil(outputBytes / (stream ? streamBytesPerToken : bytesPerToken)),
    reasoning: 0,
    audioOutput: 0,
  };
}

function readOutput(
  usage: Record<string, unknown>,
  isResponses: boolean,
  input: number,
): number | undefined {
  const output = isResponses
    ? firstCount(usage['output_tokens'], usage['completion_tokens'])
    : firstCount(usage['completion_tokens'], usage['output_tokens']);
  if (output !== undefined) return output;
  const total = countOf(usage['total_tokens']);
  return total !== undefined && total >= input ? total - input : undefined;
}

function part(total: number, first: unknown, second?: unknown, third?: unknown): number {
  return Math.min(total, firstCount(first, second) ?? countOf(third) ?? 0);
}

/** No model reads or writes nearly as much in one call: a larger figure is a mistake, and would lock its key for a window. */
const mostTokens = 100_000_000;

// No lists of names to look through: with each answer a dozen of them would be made.
function firstCount(first: unknown, second: unknown): number | undefined {
  return countOf(first) ?? countOf(second);
}

function countOf(value: unknown): number | undefined {
  const isCount = typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
  return isCount && value <= mostTokens ? value : undefined;
}

const noDetails: Record<string, unknown> = {};

function firstObject(first: unknown, second: unknown): Record<string, unknown> {
  if (isObject(first)) return first;
  return isObject(second) ? second : noDetails;
}
