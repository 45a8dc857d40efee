import type { Answer } from '../answer.ts';
import type { Call } from '../call.ts';
import type { JsonObject } from '../json.ts';
import type { Prompt } from '../prompt.ts';
import type { Deployment } from '../resources.ts';
import { promptTokens } from '../tokens.ts';
import type { Usage } from '../tokens.ts';

/** What a prompt and its answers consume; remembers the prompt in the deployment's cache. */
export function usageOf(deployment: Deployment, prompt: Prompt, answers: readonly Answer[]): Usage {
  const tokens = promptTokens(prompt);
  return {
    promptTokens: tokens,
    cachedTokens: deployment.promptCache.match(prompt.entries, prompt.tools, tokens),
    completionTokens: answers.reduce((sum, answer) => sum + answer.completionTokens, 0),
    reasoningTokens: answers.reduce((sum, answer) => sum + answer.reasoningTokens, 0),
  };
}

/** Usage as chat and completions write it. */
export function chatUsage(usage: Usage): JsonObject {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoningTokens,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

/** Usage as Responses writes it. */
export function responsesUsage(usage: Usage): JsonObject {
  return {
    input_tokens: usage.promptTokens,
    input_tokens_details: { cached_tokens: usage.cachedTokens },
    output_tokens: usage.completionTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: usage.promptTokens + usage.completionTokens,
  };
}

/** Who answers a call, as answers need to know it. */
export function speakerOf(
  call: Call,
  deployment: Deployment,
): { resource: string; deployment: string; reasoning: boolean } {
  return {
    resource: call.resource.name,
    deployment: deployment.name,
    reasoning: deployment.model.reasoning,
  };
}
