import { composeAnswer } from '../answer.ts';
import { createdAt } from '../call.ts';
import type { Call } from '../call.ts';
import { responsesPromptBlocked } from '../content-filter.ts';
import { contextWindowExceeded, invalidRequest, provisionedContextExceeded } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import { refusedCall, type ModelOperationSpec, type Plan } from '../model-call.ts';
import { checkModelAccepts, checkParameters } from '../parameters.ts';
import { lastUserText } from '../prompt.ts';
import { jsonReply } from '../reply.ts';
import type { Frame, Reply } from '../reply.ts';
import type { Deployment } from '../resources.ts';
import { promptTokens } from '../tokens.ts';
import {
  compactionItem,
  failedResponse,
  finishedResponse,
  newResponse,
  outputItems,
} from './response-object.ts';
import { readResponsesRequest } from './responses-request.ts';
import type { ResponsesRequest } from './responses-request.ts';
import { responsesFrames } from './responses-stream.ts';
import { responsesUsage, speakerOf, usageOf } from './usage.ts';

/** POST /responses. */
export const createResponse: ModelOperationSpec = {
  name: 'responses',
  needs: 'responses',
  azureName: 'Responses_Create',
  label: 'responses',
  plan,
};

/** POST /responses/compact. */
export const compactResponse: ModelOperationSpec = {
  name: 'responses.compact',
  needs: 'responses',
  azureName: 'Responses_Compact',
  label: 'responses',
  plan: (call, deployment) => {
    checkParameters('responses.compact', call.body, call.apiVersion);
    const request = readResponsesRequest(call);
    return planned(deployment, request, 0, () => compact(call, deployment, request));
  },
};

/** POST /responses/input_tokens. */
export const countInputTokens: ModelOperationSpec = {
  name: 'responses.input_tokens',
  needs: 'responses',
  azureName: 'Responses_InputTokens',
  label: 'responses',
  plan: (call, deployment) => {
    checkParameters('responses.input_tokens', call.body, call.apiVersion);
    const request = readResponsesRequest(call);
    const counted = { object: 'response.input_tokens', input_tokens: promptTokens(request.prompt) };
    return {
      ...planned(deployment, request, 0, () => jsonReply(200, counted)),
      estimate: { promptTokens: 0, maxOutputTokens: 0 },
    };
  },
};

function plan(call: Call, deployment: Deployment): Plan {
  const { body } = call;
  checkParameters('responses', body, call.apiVersion);
  checkModelAccepts(deployment, body);
  if (body['background'] === true && body['store'] === false) {
    throw invalidRequest("Background mode requires 'store' to be true.", 'background');
  }
  const request = readResponsesRequest(call);
  const most = request.prompt.maxOutputTokens ?? deployment.config.quota.assumedMaxTokens;
  return planned(deployment, request, most, () => respond(call, deployment, request));
}

function planned(
  deployment: Deployment,
  request: ResponsesRequest,
  maxOutputTokens: number,
  respondWith: () => Reply,
): Plan {
  const tokens = promptTokens(request.prompt);
  if (tokens > deployment.contextWindow) {
    const shortened = deployment.contextWindow < deployment.model.contextWindow;
    throw deployment.config.provisioned !== undefined && shortened
      ? provisionedContextExceeded()
      : contextWindowExceeded();
  }
  return {
    estimate: { promptTokens: tokens, maxOutputTokens },
    words: request.prompt.words,
    respond: respondWith,
  };
}

function respond(call: Call, deployment: Deployment, request: ResponsesRequest): Reply {
  const { prompt } = request;
  if (prompt.words.blockPrompt !== undefined) {
    throw responsesPromptBlocked(prompt.words.blockPrompt, lastUserText(prompt.entries).length);
  }
  const started = newResponse(call, deployment, request, call.simulation.ids.response());
  const answer = composeAnswer(prompt, speakerOf(call, deployment));
  const usage = usageOf(deployment, prompt, [answer]);
  const output = outputItems(call, deployment, request, answer);
  const isBackground = call.body['background'] === true;
  const finished =
    isBackground && prompt.words.failRun
      ? failedResponse(started, refusedCall(createResponse, call, deployment))
      : finishedResponse(started, output, answer, usage, prompt.words.filterDown);
  const wantsStream = call.body['stream'] === true;
  const frames = wantsStream
    ? responsesFrames(started, output, finished, prompt.words.doneOnly)
    : [];
  const timed = isBackground ? inBackground(call, frames) : undefined;

  if (call.body['store'] !== false) {
    call.resource.responses.save({
      id: String(started['id']),
      final: finished,
      input: request.input,
      context: request.context,
      ...(timed === undefined ? {} : { background: timed.background }),
      ...(timed === undefined || !wantsStream ? {} : { frames: timed.frames }),
    });
  }
  if (wantsStream) {
    return {
      status: 200,
      headers: {},
      payload: { kind: 'stream', frames: timed?.frames ?? frames },
      usage,
    };
  }
  return jsonReply(200, timed === undefined ? finished : started, usage);
}

/** Spreads the events of a background run over its time: queued first, output evenly, the end last. */
function inBackground(
  call: Call,
  frames: readonly Frame[],
): { background: { startsAt: number; endsAt: number }; frames: Frame[] } {
  const { queuedMs, runMs } = call.simulation.config.background;
  const startsAt = call.simulation.clock.now() + queuedMs;
  const queuedFrames = 2;
  const running = Math.max(1, frames.length - 1 - queuedFrames);
  return {
    background: { startsAt, endsAt: startsAt + runMs },
    frames: frames.map((frame, index) =>
      index < queuedFrames
        ? frame
        : { ...frame, at: startsAt + (runMs * (index - queuedFrames)) / running },
    ),
  };
}

function compact(call: Call, deployment: Deployment, request: ResponsesRequest): Reply {
  const answer = { calls: [], finish: 'stop', reasoningTokens: 0, completionTokens: 64 } as const;
  const usage = usageOf(deployment, request.prompt, [{ ...answer, calls: [] }]);
  const body: JsonObject = {
    id: call.simulation.ids.response(),
    object: 'response.compaction',
    created_at: createdAt(call),
    output: [compactionItem(call, request)],
    usage: responsesUsage(usage),
  };
  return jsonReply(200, body, usage);
}
