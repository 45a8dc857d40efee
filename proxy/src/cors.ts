import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Lets browsers call from the given origins, and answers what they ask beforehand.
 *
 * @param origins - `*` = any
 */
export function cors(origins: readonly string[]) {
  const isAny = origins.includes('*');
  return (request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    const { origin } = request.headers;
    if (origin === undefined || !(isAny || origins.includes(origin))) {
      next();
      return;
    }
    response.setHeader('access-control-allow-origin', origin);
    response.setHeader('vary', 'origin');
    response.setHeader(
      'access-control-expose-headers',
      'x-request-id, retry-after, retry-after-ms',
    );
    if (request.method !== 'OPTIONS') {
      next();
      return;
    }
    response.setHeader('access-control-allow-methods', 'GET, POST, PUT, PATCH, DELETE');
    response.setHeader(
      'access-control-allow-headers',
      request.headers['access-control-request-headers'] ?? '*',
    );
    response.setHeader('access-control-max-age', '600');
    response.writeHead(204).end();
  };
}
