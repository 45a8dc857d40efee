import { composeAnswer } from '../answer.ts';
import type { Answer } from '../answer.ts';
import { createdAt } from '../call.ts';
import type { Call } from '../call.ts';
import {
  ANSWER_RESULTS,
  BLOCKED_ANSWER_RESULTS,
  PROMPT_RESULTS,
  promptBlocked,
} from '../content-filter.ts';
import { contextLengthExceeded, invalidType } from '../errors.ts';
import { isObject } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { readMagicWords } from '../magic-words.ts';
import type { ModelOperationSpec, Plan } from '../model-call.ts';
import { checkModelAccepts, checkParameters } from '../parameters.ts';
import type { Prompt } from '../prompt.ts';
import { dataFrame, jsonReply } from '../reply.ts';
import type { Frame, Reply } from '../reply.ts';
import type { Deployment } from '../resources.ts';
import { CODE_POINTS_PER_TOKEN, estimateTokens, pieces, promptTokens } from '../tokens.ts';
import { chatUsage, speakerOf, usageOf } from './usage.ts';

/** Output tokens when the caller names no maximum: the API's own default. */
const DEFAULT_MAX_TOKENS = 16;
const TOKENS_PER_CHUNK = 4;

/** POST /completions, of instruct models. */
export const completions: ModelOperationSpec = {
  name: 'completions',
  needs: 'completions',
  azureName: 'Completions_Create',
  label: 'completion',
  plan,
};

function plan(call: Call, deployment: Deployment): Plan {
  const { body } = call;
  checkParameters('completions', body, call.apiVersion);
  checkModelAccepts(deployment, body);
  const most = typeof body['max_tokens'] === 'number' ? body['max_tokens'] : DEFAULT_MAX_TOKENS;
  const prompts = readTexts(body['prompt']).map((text) =>
    promptOf(text, most, call.headers['x-sim']),
  );
  const [first] = prompts;
  if (first === undefined)
    throw invalidType('prompt', 'a string or array of strings', 'an empty array');
  const tokens = prompts.reduce((sum, prompt) => sum + promptTokens(prompt), 0);
  if (tokens > deployment.contextWindow)
    throw contextLengthExceeded(deployment.contextWindow, tokens);
  const n = typeof body['n'] === 'number' ? body['n'] : 1;
  const bestOf = typeof body['best_of'] === 'number' ? body['best_of'] : n;
  return {
    estimate: { promptTokens: tokens, maxOutputTokens: most * bestOf * prompts.length },
    words: first.words,
    respond: () => respond(call, deployment, prompts, n),
  };
}

function readTexts(prompt: unknown): string[] {
  if (typeof prompt === 'string') return [prompt];
  if (prompt === undefined || prompt === null) return ['<|endoftext|>'];
  if (!Array.isArray(prompt))
    throw invalidType('prompt', 'a string or array of strings', 'an object');
  const parts = prompt as unknown[];
  if (parts.every((part) => typeof part === 'string')) return parts;
  if (parts.every((part) => typeof part === 'number')) return [JSON.stringify(parts)];
  return parts.map((part) => (typeof part === 'string' ? part : JSON.stringify(part)));
}

function promptOf(text: string, maxOutputTokens: number, commands: string | undefined): Prompt {
  return {
    entries: [{ kind: 'text', role: 'user', text, images: 0 }],
    tools: [],
    toolChoice: { mode: 'none' },
    parallelToolCalls: false,
    format: { kind: 'text' },
    maxOutputTokens,
    summary: false,
    words: readMagicWords(text, commands),
  };
}

function respond(call: Call, deployment: Deployment, prompts: readonly Prompt[], n: number): Reply {
  const blocked = prompts.find((prompt) => prompt.words.blockPrompt !== undefined);
  if (blocked?.words.blockPrompt !== undefined) throw promptBlocked(blocked.words.blockPrompt);
  const answers = prompts.flatMap((prompt) =>
    Array.from({ length: n }, () => composeAnswer(prompt, speakerOf(call, deployment))),
  );
  const all: Prompt = {
    ...(prompts[0] as Prompt),
    entries: prompts.flatMap((prompt) => prompt.entries),
  };
  const usage = usageOf(deployment, all, answers);
  usage.promptTokens = prompts.reduce((sum, prompt) => sum + promptTokens(prompt), 0);
  const root = {
    id: call.simulation.ids.completion().replace('chatcmpl', 'cmpl'),
    object: 'text_completion',
    created: createdAt(call),
    model: deployment.modelVersion,
  };
  const filters = prompts.map((_, prompt_index) => ({
    prompt_index,
    content_filter_results: PROMPT_RESULTS,
  }));
  if (call.body['stream'] !== true) {
    const choices = answers.map((answer, index) => ({
      ...choiceOf(answer, index),
      text: textOf(answer),
    }));
    return jsonReply(
      200,
      { ...root, prompt_filter_results: filters, choices, usage: chatUsage(usage) },
      usage,
    );
  }
  const options = call.body['stream_options'];
  const includeUsage = isObject(options) && options['include_usage'] === true;
  const frames: Frame[] = [
    dataFrame({
      ...root,
      id: '',
      model: '',
      object: '',
      created: 0,
      prompt_filter_results: filters,
      choices: [],
    }),
  ];
  for (const [index, answer] of answers.entries()) {
    for (const text of pieces(textOf(answer), TOKENS_PER_CHUNK * CODE_POINTS_PER_TOKEN)) {
      const choice = { ...choiceOf(answer, index), text, finish_reason: null };
      frames.push(dataFrame({ ...root, choices: [choice] }, estimateTokens(text)));
    }
    frames.push(dataFrame({ ...root, choices: [{ ...choiceOf(answer, index), text: '' }] }));
  }
  if (includeUsage) frames.push(dataFrame({ ...root, choices: [], usage: chatUsage(usage) }));
  frames.push(dataFrame('[DONE]'));
  return { status: 200, headers: {}, payload: { kind: 'stream', frames }, usage };
}

function textOf(answer: Answer): string {
  return answer.text ?? answer.refusal ?? '';
}

function choiceOf(answer: Answer, index: number): JsonObject {
  return {
    index,
    finish_reason: answer.finish,
    logprobs: null,
    content_filter_results:
      answer.finish === 'content_filter' ? BLOCKED_ANSWER_RESULTS : ANSWER_RESULTS,
  };
}
