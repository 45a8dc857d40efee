import type { IncomingMessage, ServerResponse } from 'node:http';
import { GatewayError } from '../errors.ts';
import { ChunkList } from '../stream/chunk-list.ts';

export type ReceiveLimits = { readonly maxBodyBytes: number };

/**
 * Refuses by its headers what must not be read: too large, compressed, or not JSON.
 *
 * @throws GatewayError 413 or 415
 */
export function checkBodyHeaders(request: IncomingMessage, limits: ReceiveLimits): void {
  const { headers } = request;
  const length = Number(headers['content-length'] ?? 0);
  if (length > limits.maxBodyBytes) throw tooLarge(limits);
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && !/^identity$/i.test(encoding))
    throw new GatewayError('unsupported_encoding');
  const type = headers['content-type'];
  // A missing type is taken for JSON: some programs leave it out.
  if (type !== undefined && !/json|^text\/plain/i.test(type)) {
    throw new GatewayError('unsupported_media_type', { values: { expected: 'application/json' } });
  }
}

/**
 * Takes in the whole body. A body that does not arrive in time is the HTTP server's to end (`requestTimeout`).
 *
 * @throws GatewayError 413 past the limit, 499 when the caller leaves
 */
export function receiveBody(
  request: IncomingMessage,
  response: ServerResponse,
  limits: ReceiveLimits,
): Promise<Buffer> {
  // Asked for only now, so that a body which is refused by its headers is never sent.
  if (request.headers.expect !== undefined) response.writeContinue();
  return new Promise((resolve, reject) => {
    const chunks = new ChunkList();
    let isWhole = false;
    // Listeners stay where they are, to go with the request: taking them off costs more than receiving a small body.
    request.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (chunks.size <= limits.maxBodyBytes) return;
      request.removeAllListeners('data');
      reject(tooLarge(limits));
    });
    request.on('end', () => {
      isWhole = true;
      resolve(chunks.bytes());
    });
    request.on('close', () => {
      if (!isWhole) reject(new GatewayError('client_closed'));
    });
  });
}

function tooLarge(limits: ReceiveLimits): GatewayError {
  return new GatewayError('body_too_large', { values: { limit: limits.maxBodyBytes } });
}
