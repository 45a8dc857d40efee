import type { Answer } from '../answer.ts';
import { createdAt } from '../call.ts';
import type { Call } from '../call.ts';
import {
  ANSWER_RESULTS,
  BLOCKED_ANSWER_RESULTS,
  FILTER_DOWN_RESULTS,
  filterEntry,
  PROMPT_RESULTS,
} from '../content-filter.ts';
import { arrayOf, isObject } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { conversationDigest, lastUserText } from '../prompt.ts';
import { rateLimitText2026, type RefusedCall } from '../rate-limit-errors.ts';
import type { Deployment } from '../resources.ts';
import type { Usage } from '../tokens.ts';
import type { ResponsesRequest } from './responses-request.ts';
import { responsesUsage } from './usage.ts';

/** A response object before anything is generated. */
export function newResponse(
  call: Call,
  deployment: Deployment,
  request: ResponsesRequest,
  id: string,
): JsonObject {
  const { body } = call;
  const reasons = deployment.model.reasoning;
  const reasoning = isObject(body['reasoning']) ? body['reasoning'] : {};
  const text = isObject(body['text']) ? body['text'] : {};
  const promptLength = lastUserText(request.prompt.entries).length;
  const background = body['background'] === true;
  return {
    id,
    object: 'response',
    created_at: createdAt(call),
    status: background ? 'queued' : 'in_progress',
    background,
    content_filters: [filterEntry('prompt', PROMPT_RESULTS, promptLength)],
    error: null,
    incomplete_details: null,
    instructions: body['instructions'] ?? null,
    max_output_tokens: body['max_output_tokens'] ?? null,
    max_tool_calls: body['max_tool_calls'] ?? null,
    model: deployment.name,
    output: [],
    parallel_tool_calls: body['parallel_tool_calls'] ?? true,
    previous_response_id: body['previous_response_id'] ?? null,
    prompt_cache_key: body['prompt_cache_key'] ?? null,
    reasoning: {
      effort: reasoning['effort'] ?? (reasons ? 'medium' : null),
      summary: reasoning['summary'] ?? null,
    },
    safety_identifier: body['safety_identifier'] ?? null,
    service_tier: 'default',
    store: body['store'] ?? true,
    temperature: body['temperature'] ?? 1,
    text: { format: text['format'] ?? { type: 'text' }, verbosity: text['verbosity'] ?? 'medium' },
    tool_choice: body['tool_choice'] ?? 'auto',
    tools: arrayOf(body['tools']),
    top_logprobs: 0,
    top_p: body['top_p'] ?? 1,
    truncation: body['truncation'] ?? 'disabled',
    usage: null,
    user: body['user'] ?? null,
    metadata: body['metadata'] ?? {},
  };
}

/** The same object when everything is generated. */
export function finishedResponse(
  started: JsonObject,
  output: readonly JsonObject[],
  answer: Answer,
  usage: Usage,
  filterDown: boolean,
): JsonObject {
  const blocked = answer.finish === 'content_filter';
  const cut = blocked || answer.finish === 'length';
  const results = filterDown
    ? FILTER_DOWN_RESULTS
    : blocked
      ? BLOCKED_ANSWER_RESULTS
      : ANSWER_RESULTS;
  const length = (answer.text ?? answer.refusal ?? '').length;
  return {
    ...started,
    status: cut ? 'incomplete' : 'completed',
    content_filters: [
      ...arrayOf(started['content_filters']),
      filterEntry('completion', results, length, blocked),
    ],
    incomplete_details: cut ? { reason: blocked ? 'content_filter' : 'max_output_tokens' } : null,
    output: [...output],
    usage: responsesUsage(usage),
  };
}

/** The same object when its run was refused for want of tokens, which nobody but it can tell any more. */
export function failedResponse(started: JsonObject, refused: RefusedCall): JsonObject {
  const error = { code: 'rate_limit_exceeded', message: rateLimitText2026(refused) };
  return { ...started, status: 'failed', error };
}

/** The output items of an answer: reasoning, then the message, then the calls. */
export function outputItems(
  call: Call,
  deployment: Deployment,
  request: ResponsesRequest,
  answer: Answer,
): JsonObject[] {
  if (request.compaction) return [compactionItem(call, request)];
  const { ids } = call.simulation;
  const items: JsonObject[] = [];
  if (deployment.model.reasoning) items.push(reasoningItem(call, request, answer));
  if (answer.text !== undefined || answer.refusal !== undefined) {
    items.push({
      id: ids.item('msg'),
      type: 'message',
      status: answer.finish === 'stop' ? 'completed' : 'incomplete',
      role: 'assistant',
      content: [
        answer.refusal === undefined
          ? { type: 'output_text', text: answer.text ?? '', annotations: [], logprobs: [] }
          : { type: 'refusal', refusal: answer.refusal },
      ],
    });
  }
  for (const made of answer.calls) {
    const shared = {
      status: 'completed',
      call_id: ids.call(),
      name: made.name,
      ...(made.namespace === undefined ? {} : { namespace: made.namespace }),
    };
    items.push(
      made.kind === 'custom'
        ? { id: ids.item('ctc'), type: 'custom_tool_call', ...shared, input: made.arguments }
        : { id: ids.item('fc'), type: 'function_call', ...shared, arguments: made.arguments },
    );
  }
  return items;
}

function reasoningItem(call: Call, request: ResponsesRequest, answer: Answer): JsonObject {
  const id = call.simulation.ids.item('rs');
  const sealed = arrayOf(call.body['include']).includes('reasoning.encrypted_content');
  const digest = conversationDigest(request.prompt.entries);
  return {
    id,
    type: 'reasoning',
    summary: answer.summary === undefined ? [] : [{ type: 'summary_text', text: answer.summary }],
    ...(sealed
      ? { encrypted_content: call.resource.keyDomain.seal(`reasoning ${id} about ${digest}`) }
      : {}),
  };
}

/** The one item a compaction leaves: the conversation, sealed for this resource alone. */
export function compactionItem(call: Call, request: ResponsesRequest): JsonObject {
  const { entries } = request.prompt;
  const summary = `Compacted conversation ${conversationDigest(entries)}; the user last said: ${lastUserText(entries)}`;
  return {
    id: call.simulation.ids.item('cmp'),
    type: 'compaction',
    encrypted_content: call.resource.keyDomain.seal(summary),
  };
}
