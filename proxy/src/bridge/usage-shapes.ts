import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { asNumber, asObject, present } from './json.ts';

/** Chat's `usage` for that of a response; undefined when there is none. */
export function chatUsage(value: JsonValue | undefined): JsonObject | undefined {
  const usage = asObject(value);
  if (usage === undefined) return undefined;
  const input = asNumber(usage.input_tokens) ?? 0;
  const output = asNumber(usage.output_tokens) ?? 0;
  const inputDetails = asObject(usage.input_tokens_details);
  const outputDetails = asObject(usage.output_tokens_details);
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: asNumber(usage.total_tokens) ?? input + output,
    prompt_tokens_details: { cached_tokens: 0, ...inputDetails },
    completion_tokens_details: { reasoning_tokens: 0, ...outputDetails },
  };
}

/** A response's `usage` for that of chat; null, as responses have it, when there is none. */
export function responseUsage(value: JsonValue | undefined): JsonObject | null {
  const usage = asObject(value);
  if (usage === undefined) return null;
  const input = asNumber(usage.prompt_tokens) ?? 0;
  const output = asNumber(usage.completion_tokens) ?? 0;
  const inputDetails = asObject(usage.prompt_tokens_details);
  const outputDetails = asObject(usage.completion_tokens_details);
  return {
    input_tokens: input,
    input_tokens_details: present({
      cached_tokens: asNumber(inputDetails?.cached_tokens) ?? 0,
      cache_write_tokens: asNumber(inputDetails?.cache_write_tokens),
    }),
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: asNumber(outputDetails?.reasoning_tokens) ?? 0 },
    total_tokens: asNumber(usage.total_tokens) ?? input + output,
  };
}
