import { modelError } from './errors.ts';
import type { AzureError } from './errors.ts';
import type { JsonObject } from './json.ts';

const SAFE = { filtered: false, severity: 'safe' };
const CLEAN = { filtered: false, detected: false };

const SEVERITIES = { hate: SAFE, self_harm: SAFE, sexual: SAFE, violence: SAFE };

const BLOCKED_TEXT =
  "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry. To learn more about our content filtering policies please read our documentation: https://go.microsoft.com/fwlink/?linkid=2198766";

/** Categories that are detected rather than graded. */
const DETECTED = new Set(['jailbreak', 'indirect_attack', 'profanity', 'protected_material_text']);

/** Findings on a harmless prompt. */
export const PROMPT_RESULTS: JsonObject = { ...SEVERITIES, jailbreak: CLEAN };

/** Findings on a harmless piece of a stream. */
export const CHUNK_RESULTS: JsonObject = SEVERITIES;

/** Findings on a harmless answer. */
export const ANSWER_RESULTS: JsonObject = {
  ...SEVERITIES,
  protected_material_code: CLEAN,
  protected_material_text: CLEAN,
};

/** Findings on an answer that is cut off. */
export const BLOCKED_ANSWER_RESULTS: JsonObject = {
  ...ANSWER_RESULTS,
  violence: { filtered: true, severity: 'medium' },
};

/** What stands in place of findings while the filter does not run. */
export const FILTER_DOWN_RESULTS: JsonObject = {
  error: { code: 'content_filter_error', message: 'The contents are not filtered' },
};

/** What is left of an answer that is cut off. */
export const BLOCKED_ANSWER_TEXT = 'The first part';

function blockedPromptResults(category: string): JsonObject {
  return {
    ...PROMPT_RESULTS,
    [category]: DETECTED.has(category)
      ? { filtered: true, detected: true }
      : { filtered: true, severity: 'high' },
  };
}

function filtered(error: Parameters<typeof modelError>[1]): AzureError {
  const refusal = modelError(400, error);
  refusal.reply.headers['x-ms-rai-invoked'] = 'true';
  return refusal;
}

/** The refusal of a blocked prompt as chat, completions and embeddings word it. */
export function promptBlocked(category: string): AzureError {
  return filtered({
    message: BLOCKED_TEXT,
    type: null,
    param: 'prompt',
    code: 'content_filter',
    status: 400,
    innererror: {
      code: 'ResponsibleAIPolicyViolation',
      content_filter_result: blockedPromptResults(category),
    },
  });
}

/** The refusal of a blocked prompt as Responses words it: no `innererror`. */
export function responsesPromptBlocked(category: string, promptLength: number): AzureError {
  return filtered({
    message: BLOCKED_TEXT,
    param: 'prompt',
    code: 'content_filter',
    content_filters: [
      {
        blocked: true,
        source_type: 'prompt',
        content_filter_results: blockedPromptResults(category),
        content_filter_offsets: { start_offset: 0, end_offset: promptLength, check_offset: 0 },
      },
    ],
  });
}

/** The `content_filters` entry of a response object. */
export function filterEntry(
  source: 'prompt' | 'completion',
  results: JsonObject,
  length: number,
  blocked = false,
): JsonObject {
  return {
    blocked,
    source_type: source,
    content_filter_raw: [],
    content_filter_results: results,
    content_filter_offsets: { start_offset: 0, end_offset: length, check_offset: 0 },
  };
}
