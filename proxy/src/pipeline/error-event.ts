import type { JsonObject } from '@aigateway/contract/records';
import type { SseEvent } from '../bridge/bridge.ts';
import { eventObject } from '../operations/operation.ts';
import { classifyStreamError, toCallerError, type FailureContext } from '../upstream/failure.ts';

/** Whose error it is, and what of it a caller may see. */
export type ErrorEventContext = FailureContext & {
  /** The name the caller asked for. */
  readonly model: string;
  readonly sanitiseContentFilter: boolean;
};

/**
 * An upstream's error inside a stream, in the words that a caller would get for it as an answer of its own: without names of
 * deployments, hosts and subscriptions. The event keeps its form: `response.failed`, an `error` that is nested or flat, a chunk.
 *
 * @returns undefined for an event that is none
 */
export function callerErrorEvent(
  event: SseEvent,
  context: ErrorEventContext,
): SseEvent | undefined {
  const body = eventObject(event);
  const cleaned = body === undefined ? undefined : callerErrorIn(body, context);
  return cleaned === undefined ? undefined : { event: event.event, data: JSON.stringify(cleaned) };
}

/**
 * The same for an event that is parsed, and for a whole response that failed.
 *
 * @returns undefined for a body without an error
 */
export function callerErrorIn(
  body: JsonObject,
  context: ErrorEventContext,
): JsonObject | undefined {
  const isFlat = body['object'] === 'error';
  const failure = classifyStreamError(isFlat ? { error: body } : body, context);
  if (failure === null) return undefined;
  const { error } = toCallerError(failure, context).body;
  return { ...body, ...inForm(body, { ...error }) };
}

/** The members of an event of this form that tell the error. */
function inForm(body: JsonObject, error: JsonObject): JsonObject {
  if (body['type'] === 'response.failed') {
    const { response } = body;
    const failed = typeof response === 'object' && !Array.isArray(response) ? response : {};
    return { response: { ...failed, error: errorOfResponse(error) } };
  }
  if (body['object'] === 'response') return { error: errorOfResponse(error) };
  if (body['error'] !== undefined) return { error };
  const { type: _, ...rest } = error;
  return body['object'] === 'error' ? error : rest;
}

function errorOfResponse({ code, message }: JsonObject): JsonObject {
  return { code: code ?? 'server_error', message: message ?? '' };
}
