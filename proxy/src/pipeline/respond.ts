import type { JsonObject } from '@aigateway/contract/records';
import { noTokens, type AttemptRecord, type Outcome } from '@aigateway/contract/usage';
import { estimateId, type BackgroundResponse } from '../accounting/corrections.ts';
import type { RequestEnd } from '../accounting/meter.ts';
import { Tail } from '../accounting/tail.ts';
import { estimateUsage } from '../accounting/usage-reader.ts';
import { usageFromBody, usageFromTail } from '../accounting/usage-tail.ts';
import { rateLimitHeaders } from '../admission/refusal.ts';
import { parseObject } from '../bridge/json.ts';
import { GatewayError } from '../errors.ts';
import { eventObject } from '../operations/operation.ts';
import { litellmModelOf, type DeploymentState } from '../routing/deployments.ts';
import { upstreamName, type ResolvedModel } from '../routing/models.ts';
import { toCallerError, type UpstreamFailure } from '../upstream/failure.ts';
import { callerHeaders, type UpstreamAnswerHeaders } from '../upstream/headers.ts';
import type { TransportError } from '../upstream/transport.ts';
import { answerCost } from './answer-cost.ts';
import { bridgedStream, nativeStream, type AnswerStream } from './answer-stream.ts';
import type { Attempt, AttemptResult } from './attempt.ts';
import { callerErrorIn, type ErrorEventContext } from './error-event.ts';
import { keyHeaders } from './key-headers.ts';
import { lostCause, upstreamRequestId } from './attempt-cause.ts';
import type { Grant } from './authorize.ts';
import { endedResponse, isBackground } from './background.ts';
import type { Gateway } from './gateway.ts';
import type { Call } from './read.ts';
import type { Admitted } from './limit.ts';
import type { Prepared } from './prepare.ts';
import { asGatewayError, errorHeaders, retryFlatHeaders, stopping } from './refuse.ts';
import { jsonHeaders, streamHeaders, type FlatHeaders, type Reply } from './reply.ts';
import { spilledTo } from './spillover.ts';
import { inCallersIds, responseRewrite, type StatefulBody } from './state.ts';

export type Answered = Extract<AttemptResult, { kind: 'stream' | 'whole' }>;

export type RespondInput = {
  readonly grant: Grant;
  readonly admitted: Admitted;
  readonly reply: Reply;
  readonly gateway: Gateway;
  readonly attempt: Attempt;
  readonly result: Answered;
  readonly prepared: Prepared;
  readonly state: DeploymentState;
  readonly model: ResolvedModel;
  readonly attempts: readonly AttemptRecord[];
  readonly fallbacks: number;
  /** Changes made to the request's state, for the response header. */
  readonly stateChanges: readonly string[];
};

/** A deployment's answer has reached the caller, or as much of it as could. */
export type Delivered = { readonly kind: 'delivered'; readonly end: RequestEnd };

/** Hands a deployment's answer to the caller and waits until all is written or the caller is gone. Never throws. */
export function respond(input: RespondInput): Promise<Delivered> {
  return input.result.kind === 'whole'
    ? respondWhole(input, input.result)
    : respondStream(input, input.result);
}

async function respondWhole(
  input: RespondInput,
  result: Extract<Answered, { kind: 'whole' }>,
): Promise<Delivered> {
  const { grant, gateway, reply } = input;
  const used = usedBy(input, result.body, result.body.length, false);
  const background = backgroundIn(input, used, result.body);
  const firstOutputAt = gateway.clock.now();
  const closed = whenClosed(reply);
  let body: Buffer | string;
  try {
    body = rewriteWhole(input, result.body);
  } catch (thrown) {
    const error = asGatewayError(thrown);
    sendError(input, error.status, errorHeaders(error), error.envelope());
    await closed;
    const end = requestEnd(input, used, 'failed', reply.status, firstOutputAt, background);
    return { kind: 'delivered', end };
  }
  const isOwn = typeof body === 'string';
  const headers = answerHeaders(input, isOwn);
  if (isOwn) headers.push(...jsonHeaders);
  headers.push(
    'x-litellm-response-cost',
    String((used.costNanoUsd ?? 0) / 1e9),
    'x-litellm-response-duration-ms',
    String(gateway.clock.now() - grant.call.startedAt),
  );
  reply.send(result.status, headers, body);
  const outcome = (await closed) ? 'completed' : cutOff(reply);
  const end = requestEnd(input, used, outcome, result.status, firstOutputAt, background);
  return { kind: 'delivered', end };
}

/** The answer as the caller gets it: the upstream's own bytes unless something in it must change. */
function rewriteWhole(input: RespondInput, body: Buffer): Buffer | string {
  const { prepared, grant } = input;
  const { settings } = grant.snapshot.records;
  const { bridge } = prepared;
  if (bridge !== undefined)
    return JSON.stringify(bridge.bridge.response(parseAnswer(body), bridge.context));
  const rewrite = responseRewrite(
    grant.call,
    grant.key.ownerId,
    input.state.record,
    input.gateway.tagger,
  );
  const cleaned = isFailedResponse(grant.call, body) ? cleanResponse(input, body) : body;
  const text = rewrite?.apply(cleaned.toString());
  if (settings.responseModel === 'native') return text ?? cleaned;
  const answer = parseAnswer(text ?? cleaned);
  if (typeof answer['model'] === 'string') answer['model'] = grant.asked;
  return JSON.stringify(answer);
}

/** Quotes in text are escaped, so what looks like this value is one: of the response, or of a tool call in it. */
function isFailedResponse({ operation }: Call, body: Buffer): boolean {
  return operation.name === 'responses' && body.includes('"failed"');
}

/** A response tells its error as a member: one that failed in the background has no other place for it. */
function cleanResponse(input: RespondInput, body: Buffer): Buffer | string {
  const answer = parseAnswer(body);
  // The answer may be about another deployment of the resource than the one that was asked for it.
  const { model } = answer;
  const context = errorContext(input, typeof model === 'string' ? model : undefined);
  const cleaned = callerErrorIn(answer, context);
  return cleaned === undefined ? body : JSON.stringify(cleaned);
}

function parseAnswer(body: Buffer | string): JsonObject {
  const answer = parseObject(body.toString());
  if (answer !== undefined) return answer;
  throw new GatewayError('upstream_error', { values: { reason: 'its answer is no JSON object' } });
}

async function respondStream(
  input: RespondInput,
  result: Extract<Answered, { kind: 'stream' }>,
): Promise<Delivered> {
  const { reply, gateway, attempt, grant } = input;
  const { operation } = grant.call;
  const tail = new Tail();
  const errorEvent = (error: JsonObject) =>
    operation.errorEvent(error, tail.bytes().toString('latin1'), begunAnswer(input, result.held));
  const stream = result.events ? answerStream(input, errorEvent) : undefined;
  const firstOutputAt = gateway.clock.now();
  let interrupted = false;
  const headers = answerHeaders(input, result.events);
  if (result.events) headers.push(...streamHeaders);
  reply.begin(result.status, headers);
  reply.onDrain = () => attempt.resume();
  const breakOff = () => {
    interrupted = true;
    const { error } = new GatewayError('stream_interrupted').envelope();
    if (stream === undefined) reply.destroy();
    else reply.end(errorEvent({ ...error }));
  };
  // What an upstream sends is not ours to trust: a stream that cannot be read ends like one that was cut.
  const guarded = (step: () => void) => {
    try {
      step();
    } catch (error) {
      gateway.logger.error({ error, requestId: grant.call.requestId }, 'unreadable stream');
      breakOff();
      attempt.abort();
    }
  };
  const data = (chunk: Buffer) =>
    guarded(() => {
      tail.push(chunk);
      const bytes = stream === undefined ? chunk : stream.push(chunk);
      if (bytes !== undefined && !reply.write(bytes, gateway.clock.now())) attempt.pause();
    });
  const end = (error?: TransportError) =>
    guarded(() => {
      const rest = stream?.end(tail.bytes());
      if (rest !== undefined) reply.write(rest, gateway.clock.now());
      const ending = stream?.ending ?? (error === undefined ? 'complete' : 'cut');
      interrupted = ending !== 'complete';
      if (interrupted) {
        gateway.deploymentLog.failed(input.state, {
          requestId: grant.call.requestId,
          status: result.status,
          reason: 'interrupted',
          upstreamRequestId: upstreamRequestId(result.headers),
          cause: error === undefined ? undefined : lostCause(error),
        });
      }
      if (ending === 'cut') breakOff();
      else reply.end();
    });
  const stop = () => {
    guarded(() => {
      interrupted = true;
      const { error } = stopping().envelope();
      if (stream === undefined) reply.destroy();
      else reply.end(stream.fail({ ...error }));
    });
    attempt.abort();
  };
  const closed = whenClosed(reply);
  for (const chunk of result.held) data(chunk);
  reply.onInterrupt = stop;
  // While the answer was on its way to here.
  if (reply.interrupted) stop();
  attempt.follow({ data, end });
  const finished = await closed;
  const used = usedBy(input, tail.bytes(), tail.seenBytes, result.events);
  const outcome = interrupted ? 'interrupted' : finished ? 'completed' : cutOff(reply);
  const background = backgroundIn(input, used, tail.bytes());
  return {
    kind: 'delivered',
    end: requestEnd(input, used, outcome, reply.status, firstOutputAt, background),
  };
}

type Used = Pick<RequestEnd, 'usage' | 'costNanoUsd' | 'serviceTier' | 'servedModel'>;

const nothingUsed: Used = {
  usage: undefined,
  costNanoUsd: undefined,
  serviceTier: undefined,
  servedModel: undefined,
};

/**
 * What the answer used: the upstream's own figures where the end of its answer has them, else an estimate from what passed.
 *
 * @param tail - the last bytes of the answer
 * @param seenBytes - bytes of it in all
 */
function usedBy(input: RespondInput, tail: Buffer, seenBytes: number, stream: boolean): Used {
  const { grant, prepared, admitted } = input;
  if (!grant.call.match.endpoint.metered) return nothingUsed;
  const seen = usageReader(input.result)(tail, prepared.upstream.name);
  const { record } = input.state;
  const other = spilledTo(input.result.headers, record);
  const { deployments } = grant.snapshot.records;
  if (seen === undefined) {
    const { estimate } = admitted;
    // What passed of a background response is its envelope: it is generated after this request has ended.
    const tokens = isBackground(grant.call)
      ? { ...noTokens, input: estimate.input, output: estimate.output }
      : estimateUsage({ inputTokens: estimate.input, outputBytes: seenBytes, stream });
    return {
      usage: { tokens, source: 'estimated' },
      costNanoUsd: answerCost(tokens, record, other, undefined, deployments),
      serviceTier: undefined,
      servedModel: undefined,
    };
  }
  return {
    usage: { tokens: seen.tokens, source: 'measured' },
    costNanoUsd: answerCost(seen.tokens, record, other, seen, deployments),
    serviceTier: seen.serviceTier,
    servedModel: seen.model,
  };
}

function usageReader({ kind }: Answered) {
  return kind === 'whole' ? usageFromBody : usageFromTail;
}

function answerStream(
  input: RespondInput,
  errorEvent: (error: JsonObject) => string,
): AnswerStream {
  const { prepared, grant, gateway, state } = input;
  const { call, snapshot } = grant;
  const { settings } = snapshot.records;
  const { bridge } = prepared;
  const errors = errorContext(input, undefined);
  if (bridge !== undefined) return bridgedStream(bridge.bridge.stream(bridge.context), errors);
  const rewrite = responseRewrite(call, grant.key.ownerId, state.record, gateway.tagger);
  return nativeStream(call.operation.name, {
    choices: call.choices,
    usageWanted: call.wantsUsage || settings.alwaysIncludeStreamUsage,
    clean: settings.cleanChatStream,
    rewriteData: rewrite === undefined ? undefined : (data) => rewrite.apply(data),
    rewriteEvery: rewrite?.every ?? false,
    model: settings.responseModel === 'alias' ? grant.asked : undefined,
    errorEvent,
    errors,
  });
}

/** @param deployment - the upstream's name of what answered; undefined = that of the deployment that was asked */
function errorContext(
  { grant, state, model, gateway }: RespondInput,
  deployment: string | undefined,
): ErrorEventContext {
  return {
    capability: grant.call.operation.name,
    capacity: state.record.capacity,
    names: { deployment: deployment ?? upstreamName(state.record, model), model: grant.asked },
    now: gateway.clock.now(),
    model: grant.asked,
    sanitiseContentFilter: grant.snapshot.records.settings.sanitiseContentFilter,
  };
}

/** What the caller was told of the answer when its stream began. */
function begunAnswer(input: RespondInput, held: readonly Buffer[]): JsonObject {
  const { grant, prepared, state, gateway } = input;
  const unbegun = unbegunAnswer(grant);
  if (prepared.bridge !== undefined || grant.call.operation.name !== 'responses') return unbegun;
  const data = firstData(held);
  const rewrite = responseRewrite(grant.call, grant.key.ownerId, state.record, gateway.tagger);
  const response = responseIn(rewrite?.apply(data) ?? data);
  if (response === undefined) return unbegun;
  const isAlias = grant.snapshot.records.settings.responseModel === 'alias';
  return isAlias ? { ...response, model: grant.asked } : response;
}

/** The data of the first event of a stream. */
function firstData(held: readonly Buffer[]): string {
  const lines = Buffer.concat(held).toString().split('\n');
  return lines.find((line) => line.startsWith('data:'))?.slice('data:'.length) ?? '';
}

function responseIn(data: string): JsonObject | undefined {
  const response = eventObject({ event: '', data })?.['response'];
  if (typeof response !== 'object' || response === null || Array.isArray(response))
    return undefined;
  return response;
}

/** A background response whose usage is known only now, or not yet. */
function backgroundIn(
  { grant: { call }, state: { record }, result }: RespondInput,
  { usage }: Used,
  tail: Buffer,
): BackgroundResponse | undefined {
  if (call.match.endpoint.kind === 'stored')
    return endedResponse(call, record, () => usageReader(result)(tail, 'responses'));
  if (usage?.source !== 'estimated' || !isBackground(call)) return undefined;
  const created =
    result.kind === 'whole' ? parseAnswer(result.body) : responseIn(firstData(result.held));
  const id = created?.['id'];
  return typeof id === 'string'
    ? { id: estimateId(record.resource.id, id), seen: undefined }
    : undefined;
}

/** An answer of which the caller knows no more than what it asked for. */
function unbegunAnswer({ call, asked }: Grant): JsonObject {
  return {
    id: `resp_${call.requestId}`,
    created_at: Math.floor(call.startedAt / 1000),
    model: asked,
  };
}

function requestEnd(
  { state: { record }, prepared, attempts, result }: RespondInput,
  { usage, costNanoUsd: cost, serviceTier, servedModel }: Used,
  outcome: Outcome,
  status: number,
  firstOutputAt: number,
  background: BackgroundResponse | undefined,
): RequestEnd {
  return {
    outcome,
    status,
    usage,
    costNanoUsd: cost,
    serviceTier,
    deploymentId: record.id,
    region: record.region ?? record.resource.region,
    spilledTo: spilledTo(result.headers, record),
    servedModel,
    upstreamOperation: prepared.upstream.name,
    firstOutputAt,
    attempts,
    background,
  };
}

/** Headers of an answered call, beside those that every reply has. */
function answerHeaders(input: RespondInput, isOwn: boolean): FlatHeaders {
  const { grant, result, state, prepared, admitted, model } = input;
  const expose = grant.snapshot.exposesUpstream(grant.key);
  const headers = [
    'x-litellm-model-id',
    headerValue(state.record.id),
    'x-litellm-model-group',
    headerValue(model.name),
    'x-litellm-attempted-retries',
    String(Math.max(0, input.attempts.length - 1)),
    'x-litellm-attempted-fallbacks',
    String(input.fallbacks),
  ];
  addUpstreamPart(headers, result.headers, expose, isOwn, admitted);
  headers.push(...keyHeaders(grant.key));
  if (prepared.changes.length + input.stateChanges.length > 0) {
    const changes = [...prepared.changes, ...input.stateChanges].map(headerValue);
    headers.push('x-aigateway-changes', changes.join(', '));
  }
  if (expose) {
    headers.push(
      'x-litellm-model-name',
      headerValue(litellmModelOf(state)),
      'x-litellm-model-api-base',
      state.record.resource.origin,
    );
    const region = state.record.region ?? state.record.resource.region;
    if (region !== undefined) headers.push('x-litellm-model-region', headerValue(region));
  }
  return headers;
}

/** Names come from the configuration and, behind a wildcard, from callers: what a header may not hold is percent-encoded. */
export function headerValue(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : encodeURIComponent(text.toWellFormed());
}

/** Adds the upstream's headers; its rate limits only where this gateway has none of its own for the caller. */
function addUpstreamPart(
  headers: FlatHeaders,
  upstream: UpstreamAnswerHeaders,
  expose: boolean,
  isOwn: boolean,
  admitted: Admitted,
): void {
  const { standing } = admitted.reservation;
  const hasOwn = standing.requests !== undefined || standing.tokens !== undefined;
  const options = {
    expose,
    body: isOwn ? 'own' : 'upstream',
    rateLimits: hasOwn ? 'own' : 'upstream',
  } as const;
  callerHeaders(upstream, options, headers);
  if (hasOwn) rateLimitHeaders(standing, headers);
}

/** Resolves once the reply is over: true when all of it was written. */
export function whenClosed(reply: Reply): Promise<boolean> {
  return new Promise((resolve) => {
    if (reply.closed !== undefined) resolve(reply.closed);
    else reply.onClose = resolve;
  });
}

/** How a call ended whose caller did not get all: by whose doing. */
export function cutOff(reply: Reply): Outcome {
  return reply.interrupted ? 'interrupted' : 'aborted';
}

export type AnswerErrorInput = {
  readonly grant: Grant;
  readonly admitted: Admitted;
  readonly reply: Reply;
  readonly gateway: Gateway;
  readonly attempts: readonly AttemptRecord[];
  readonly stateful: StatefulBody | undefined;
  /** The caller has left: nothing can be said any more. */
  readonly gone: boolean;
  readonly error: GatewayError | UpstreamFailure;
};

/** Tells the caller that nobody could answer, in whatever form its answer has by now. */
export async function answerError(input: AnswerErrorInput): Promise<RequestEnd> {
  const { error, grant, reply, gone } = input;
  const { settings } = grant.snapshot.records;
  if (gone)
    return {
      outcome: 'aborted',
      status: reply.status === 0 ? 499 : reply.status,
      attempts: input.attempts,
    };
  const closed = whenClosed(reply);
  if (error instanceof GatewayError) {
    sendError(input, error.status, errorHeaders(error), error.envelope());
    input.gateway.metrics.refused(error.code);
    if (error.cause !== undefined)
      input.gateway.logger.error(
        { error: error.cause, requestId: grant.call.requestId },
        error.code,
      );
  } else {
    const { status, body } = toCallerError(error, {
      sanitiseContentFilter: settings.sanitiseContentFilter,
      model: grant.asked,
    });
    const { message } = body.error;
    if (input.stateful !== undefined)
      body.error.message = inCallersIds(
        message,
        input.stateful,
        input.gateway.tagger,
        grant.key.ownerId,
      );
    const expose = grant.snapshot.exposesUpstream(grant.key);
    const headers = upstreamErrorHeaders(error, status, input.attempts.length);
    addUpstreamPart(headers, error.answerHeaders ?? {}, expose, true, input.admitted);
    sendError(input, status, headers, body);
  }
  const finished = await closed;
  const isRejected =
    error instanceof GatewayError ? error.status === 400 : !error.blame && reply.status < 500;
  const isStopped = error instanceof GatewayError && error.code === 'not_ready';
  return {
    outcome: finished && !isStopped ? (isRejected ? 'rejected' : 'failed') : cutOff(reply),
    status: reply.status,
    attempts: input.attempts,
  };
}

function upstreamErrorHeaders(
  failure: UpstreamFailure,
  status: number,
  attempts: number,
): FlatHeaders {
  const headers = [...jsonHeaders, 'x-aigateway-layer', 'upstream'];
  if (status === 429 || status === 503) headers.push(...retryFlatHeaders(failure.waitMs ?? 1000));
  // What several tries could not get, or what nobody got because an administrator must act, another try will not get either.
  else if (status >= 500 && (attempts > 1 || failure.retry === 'other-deployment'))
    headers.push('x-should-retry', 'false');
  return headers;
}

function sendError(
  { reply, grant }: Pick<RespondInput, 'reply' | 'grant'>,
  status: number,
  headers: FlatHeaders,
  body: { error: { message: string; type: string; param: string | null; code: string | null } },
): void {
  if (!reply.committed) reply.send(status, headers, JSON.stringify(body));
  else if (grant.call.stream)
    reply.end(grant.call.operation.errorEvent({ ...body.error }, '', unbegunAnswer(grant)));
  else reply.destroy();
}
