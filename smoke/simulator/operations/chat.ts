import { composeAnswer } from '../answer.ts';
import type { Answer } from '../answer.ts';
import { createdAt } from '../call.ts';
import type { Call } from '../call.ts';
import {
  ANSWER_RESULTS,
  BLOCKED_ANSWER_RESULTS,
  FILTER_DOWN_RESULTS,
  PROMPT_RESULTS,
  promptBlocked,
} from '../content-filter.ts';
import { contextLengthExceeded, provisionedContextExceeded } from '../errors.ts';
import { isObject } from '../json.ts';
import type { JsonObject } from '../json.ts';
import type { ModelOperationSpec, Plan } from '../model-call.ts';
import { checkModelAccepts, checkParameters } from '../parameters.ts';
import type { Prompt } from '../prompt.ts';
import { jsonReply } from '../reply.ts';
import type { Reply } from '../reply.ts';
import type { Deployment } from '../resources.ts';
import { promptTokens } from '../tokens.ts';
import { readChatPrompt } from './chat-request.ts';
import { chatFrames } from './chat-stream.ts';
import { chatUsage, speakerOf, usageOf } from './usage.ts';

/** One choice of a completion with the ids its calls were given. */
export type ChatChoice = { answer: Answer; callIds: string[] };

/** POST /chat/completions. */
export const chatCompletions: ModelOperationSpec = {
  name: 'chat.completions',
  needs: 'chat.completions',
  azureName: 'ChatCompletions_Create',
  label: 'chatCompletion',
  plan,
};

function plan(call: Call, deployment: Deployment): Plan {
  const { body } = call;
  checkParameters('chat.completions', body, call.apiVersion);
  checkModelAccepts(deployment, body);
  const prompt = readChatPrompt(body, call.headers['x-sim']);
  const tokens = promptTokens(prompt);
  checkContext(deployment, tokens);
  const choices = typeof body['n'] === 'number' ? body['n'] : 1;
  const most = prompt.maxOutputTokens ?? deployment.config.quota.assumedMaxTokens;
  return {
    estimate: { promptTokens: tokens, maxOutputTokens: most * choices },
    words: prompt.words,
    respond: () => respond(call, deployment, prompt, choices),
  };
}

/** Refuses prompts that do not fit, in words of their own on provisioned deployments with a shorter window. */
function checkContext(deployment: Deployment, tokens: number): void {
  if (tokens <= deployment.contextWindow) return;
  const shortened = deployment.contextWindow < deployment.model.contextWindow;
  if (deployment.config.provisioned !== undefined && shortened) throw provisionedContextExceeded();
  throw contextLengthExceeded(deployment.contextWindow, tokens);
}

function respond(call: Call, deployment: Deployment, prompt: Prompt, count: number): Reply {
  if (prompt.words.blockPrompt !== undefined) throw promptBlocked(prompt.words.blockPrompt);
  const { ids } = call.simulation;
  const choices: ChatChoice[] = Array.from({ length: count }, () => {
    const answer = composeAnswer(prompt, speakerOf(call, deployment));
    return { answer, callIds: answer.calls.map(() => ids.call()) };
  });
  const usage = usageOf(
    deployment,
    prompt,
    choices.map(({ answer }) => answer),
  );
  const root = {
    id: ids.completion(),
    created: createdAt(call),
    model: deployment.modelVersion,
    system_fingerprint: 'fp_sim0000001',
  };
  if (call.body['stream'] !== true) {
    return jsonReply(
      200,
      { ...root, ...completion(choices, prompt), usage: chatUsage(usage) },
      usage,
    );
  }
  const options = call.body['stream_options'];
  const frames = chatFrames(root, choices, {
    usage,
    includeUsage: isObject(options) && options['include_usage'] === true,
    asyncFilter: deployment.config.asyncFilter || prompt.words.asyncFilter,
    filterDown: prompt.words.filterDown,
    wholeArguments: prompt.words.doneOnly,
  });
  return { status: 200, headers: {}, payload: { kind: 'stream', frames }, usage };
}

function completion(choices: readonly ChatChoice[], prompt: Prompt): JsonObject {
  return {
    object: 'chat.completion',
    choices: choices.map((choice, index) => ({
      index,
      finish_reason: choice.answer.finish,
      logprobs: null,
      message: messageOf(choice),
      content_filter_results: resultsOf(choice.answer, prompt),
    })),
    prompt_filter_results: [{ prompt_index: 0, content_filter_results: PROMPT_RESULTS }],
  };
}

function resultsOf(answer: Answer, prompt: Prompt): JsonObject {
  if (prompt.words.filterDown) return FILTER_DOWN_RESULTS;
  if (answer.finish === 'content_filter') return BLOCKED_ANSWER_RESULTS;
  return answer.calls.length > 0 ? {} : ANSWER_RESULTS;
}

function messageOf({ answer, callIds }: ChatChoice): JsonObject {
  return {
    role: 'assistant',
    content: answer.text ?? null,
    refusal: answer.refusal ?? null,
    annotations: [],
    ...(answer.calls.length === 0
      ? {}
      : { tool_calls: answer.calls.map((made, index) => toolCall(made, callIds[index] ?? '')) }),
  };
}

/** A tool call as chat writes it. */
function toolCall(made: Answer['calls'][number], id: string): JsonObject {
  return made.kind === 'custom'
    ? { id, type: 'custom', custom: { name: made.name, input: made.arguments } }
    : { id, type: 'function', function: { name: made.name, arguments: made.arguments } };
}
