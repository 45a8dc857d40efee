import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { GatewayError } from '../errors.ts';
import { formatSseEvent } from '../stream/sse.ts';
import type { SseEvent } from './bridge.ts';
import { asObject, asString } from './json.ts';

/** An error inside a stream, in the members that chat and responses share. */
export type StreamError = {
  message: string;
  type: string;
  param: string | null;
  code: string | null;
};

function streamError(error: JsonObject): StreamError {
  const code = error.code;
  return {
    message: asString(error.message) ?? 'The upstream gave an error without a message.',
    type: asString(error.type) ?? 'server_error',
    param: asString(error.param) ?? null,
    code: typeof code === 'number' ? String(code) : (asString(code) ?? null),
  };
}

/**
 * The error that an upstream's event is, undefined when it is none.
 *
 * Takes `{"error":{…}}`, `{"error":"text"}`, Azure's nested `{"type":"error","error":{…}}`, the OpenAPI document's flat
 * `{"type":"error","code","message"}`, the flat `{"object":"error","message"}` of other servers, and `response.failed`.
 */
export function streamErrorOf(event: SseEvent, body: JsonObject): StreamError | undefined {
  if (body.type === 'response.failed') return streamError(failure(asObject(body.response)?.error));
  if (body.error !== undefined && body.error !== null && body.error !== false) {
    return streamError(failure(body.error));
  }
  if (event.event !== 'error' && body.type !== 'error' && body.object !== 'error') return undefined;
  // The flat forms spend `type` on saying that this is an error.
  const { type, ...rest } = body;
  return streamError(type === 'error' || type === undefined ? rest : body);
}

function failure(error: JsonValue | undefined): JsonObject {
  if (typeof error === 'string') return { message: error };
  return asObject(error) ?? {};
}

/** The error for an upstream that ended before its answer did. */
export function interruption(): StreamError {
  const { message, type, param, code } = new GatewayError('stream_interrupted').envelope().error;
  return { message, type, param, code };
}

/** Chat's error event. `[DONE]` must not follow: clients would take the answer as whole. */
export function chatErrorEvent(error: StreamError): string {
  return formatSseEvent({ event: '', data: JSON.stringify({ error }) });
}
