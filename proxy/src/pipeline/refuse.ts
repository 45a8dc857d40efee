import type { ServerResponse } from 'node:http';
import { retryHeaders } from '../admission/refusal.ts';
import { GatewayError } from '../errors.ts';
import type { FlatHeaders } from './reply.ts';

/** Any thrown value as an error of the gateway's own; what is not one is ours to explain, without details for the caller. */
export function asGatewayError(error: unknown): GatewayError {
  return error instanceof GatewayError
    ? error
    : new GatewayError('internal_error', { cause: error });
}

/** What callers are told whose calls a gateway that stops cannot wait for. Another one, or this one soon, takes them. */
export function stopping(): GatewayError {
  return new GatewayError('not_ready', { retryAfterMs: 1000 });
}

/** Headers that say which layer refused, and when another try makes sense. */
export function errorHeaders(error: GatewayError): FlatHeaders {
  const retry = error.retryAfterMs === undefined ? {} : retryHeaders(error.retryAfterMs);
  return [
    'content-type',
    'application/json',
    'x-aigateway-layer',
    error.layer,
    ...Object.entries({ ...retry, ...error.headers }).flat(),
  ];
}

/** `retry-after` and its kin for a wait in milliseconds. */
export function retryFlatHeaders(waitMs: number): FlatHeaders {
  return Object.entries(retryHeaders(waitMs)).flat();
}

/** Answers with an error where nothing has been sent yet. A body still on its way is not read: the connection ends. */
export function refuse(response: ServerResponse, headers: FlatHeaders, error: GatewayError): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const body = JSON.stringify(error.envelope());
  const ends = response.req.complete ? [] : ['connection', 'close'];
  response.writeHead(error.status, [
    ...headers,
    ...errorHeaders(error),
    ...ends,
    'content-length',
    String(Buffer.byteLength(body)),
  ]);
  response.end(body);
}
