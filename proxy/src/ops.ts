import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';

/** What a probe is told: ready, and if not, why. */
export type Readiness = {
  readonly ready: boolean;
  readonly reason?: string;
  /** What is wrong although requests are served. */
  readonly warning?: string;
  /** How far a proxy is with what it is told, where it is told anything. */
  readonly snapshot?: {
    readonly revision: number;
    /** Null before there is any. */
    readonly age_seconds: number | null;
    readonly connected: boolean;
  };
};

/**
 * The port for probes and scrapers: `/livez`, `/readyz`, `/metrics`. Without authentication, so it belongs on an address that
 * only the platform reaches.
 */
export function createOpsServer(
  registry: Registry,
  readiness: () => Readiness | Promise<Readiness>,
): Server {
  return createServer((request, response) => void answer(request, response, registry, readiness));
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  registry: Registry,
  readiness: () => Readiness | Promise<Readiness>,
): Promise<void> {
  const path = (request.url ?? '').split('?', 1)[0];
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end();
    return;
  }
  switch (path) {
    case '/livez':
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
      return;
    case '/readyz': {
      const { ready, reason, warning } = await readiness();
      const standing = ready ? 'ready' : (reason ?? 'not ready');
      response
        .writeHead(ready ? 200 : 503, { 'content-type': 'text/plain' })
        .end(warning === undefined ? `${standing}\n` : `${standing}\nwarning: ${warning}\n`);
      return;
    }
    case '/metrics':
      await registry.metrics().then(
        (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
        () => response.writeHead(500).end(),
      );
      return;
    default:
      response.writeHead(404).end();
  }
}
