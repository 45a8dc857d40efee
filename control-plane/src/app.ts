import type { IncomingMessage } from 'node:http';
import { masterKeyId } from '@aigateway/contract/key';
import { requestIdOf } from '@aigateway/contract/request-id';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type Response,
} from 'express';
import type { Actor } from './auth/actor.ts';
import { detailError, fieldErrors, proxyError } from './errors.ts';
import type { Route } from './http/route.ts';
import { isWrongMethod, methodsAt } from './http/methods.ts';
import { answer, type ControlPlanePorts } from './http/registry.ts';
import { repeatedName } from './http/repeated-name.ts';

const largestBody = '1mb';

/** The management API as an Express application. Mounted in another one it passes on what it does not have. */
export function createApp(routes: readonly Route[], ports: ControlPlanePorts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  for (const route of routes) {
    for (const path of route.paths) {
      app[route.method](path, (request: Request, response: Response) =>
        serve(route, path, request, response, ports),
      );
    }
  }
  app.get(['/health/liveliness', '/health/liveness'], (_request, response, next) => {
    if (isMounted(app)) next();
    else response.json("I'm alive!");
  });
  app.get('/health/readiness', (_request, response, next) =>
    isMounted(app) ? next() : answerReadiness(response, ports),
  );
  const atPath = methodsAt([...routes, ...probes]);
  const atMountedPath = methodsAt(routes);
  app.use((request, response, next) => {
    const allowed = (isMounted(app) ? atMountedPath : atPath)(request.path);
    if (isWrongMethod(request.method, allowed))
      answerWrongMethod(request, response, ports, allowed);
    else if (isMounted(app)) next();
    else answerUnknown(request, response, ports);
  });
  // A path that cannot be decoded is none.
  const answerFault: ErrorRequestHandler = (error: unknown, request, response, next) => {
    if (isMounted(app)) next(error);
    else answerUnknown(request, response, ports);
  };
  app.use(answerFault);
  return app;
}

/** Whether a control plane is fit to be called, and if not, why. */
export type ControlReadiness = { readonly ready: boolean; readonly reason?: string };

/** Ready is who can reach its store and is not about to end. */
export async function controlReadiness({
  store,
  isStopping,
}: ControlPlanePorts): Promise<ControlReadiness> {
  if (isStopping?.()) return { ready: false, reason: 'draining' };
  return store.entities.get('settings', 'readiness').then(
    () => ({ ready: true }),
    () => ({ ready: false, reason: 'the store cannot be reached' }),
  );
}

/** The same in LiteLLM's words. */
async function answerReadiness(response: Response, ports: ControlPlanePorts): Promise<void> {
  const { ready, reason } = await controlReadiness(ports);
  response.status(ready ? 200 : 503).json({
    status: ready ? 'healthy' : 'unhealthy',
    db: ready || ports.isStopping?.() ? 'connected' : 'Not connected',
    ...(reason !== undefined && { reason }),
  });
}

/** What is answered by a control plane that stands alone. */
const probes = [
  { method: 'get', paths: ['/health/liveliness', '/health/liveness', '/health/readiness'] },
] as const;

function answerUnknown(request: Request, response: Response, ports: ControlPlanePorts): void {
  refuse(
    request,
    response,
    ports,
    404,
    'Not Found. This is a control plane: models are called and listed at a proxy.',
  );
}

function answerWrongMethod(
  request: Request,
  response: Response,
  ports: ControlPlanePorts,
  allowed: readonly string[],
): void {
  response.set('allow', allowed.join(', '));
  refuse(request, response, ports, 405, 'Method Not Allowed');
}

function refuse(
  request: Request,
  response: Response,
  ports: ControlPlanePorts,
  status: number,
  detail: string,
): void {
  const startedAt = ports.clock.now();
  const requestId = requestIdOf(request.headers);
  response.status(status).set('x-request-id', requestId).json({ detail });
  report(ports, request, { requestId, startedAt, endpoint: 'unknown', status }, undefined);
}

function clientOf(request: IncomingMessage, { clientAddress }: ControlPlanePorts): string {
  return clientAddress?.(request) ?? request.socket.remoteAddress ?? '';
}

/** Tells of an answered call; nothing that the caller sent but its method and id. */
function report(
  ports: ControlPlanePorts,
  request: IncomingMessage,
  call: { requestId: string; startedAt: number; endpoint: string; status: number },
  actor: Actor | undefined,
): void {
  ports.onAnswered?.({
    ...call,
    durationMs: ports.clock.now() - call.startedAt,
    client: clientOf(request, ports),
    method: request.method ?? '',
    keyId: actor?.kind === 'master' ? masterKeyId : actor?.key?.key_id,
    userId: actor?.userId,
    role: actor?.role,
  });
}

function isMounted(app: Express): boolean {
  return (app as unknown as { parent?: unknown }).parent !== undefined;
}

async function serve(
  route: Route,
  path: string,
  request: Request,
  response: Response,
  ports: ControlPlanePorts,
): Promise<void> {
  const startedAt = ports.clock.now();
  const { status, body, headers, contentType, actor } = await answer(
    route,
    {
      client: clientOf(request, ports),
      headers: request.headers,
      path,
      params: request.params as { [name: string]: string },
      query: request.query,
      readBody: () => readJson(request, response),
    },
    ports,
  );
  response.status(status).set(headers);
  // Keys and spend: nothing between here and the caller may keep them.
  response.set('cache-control', 'no-store');
  if (status === 304) response.end();
  else if (contentType === undefined) response.json(body);
  else response.type(contentType).send(body);
  const requestId = headers['x-request-id'] ?? '';
  report(ports, request, { requestId, startedAt, endpoint: path, status }, actor);
}

/** Bytes of bodies that are being read. */
const bytesOf = new WeakMap<IncomingMessage, Buffer>();

/** Clients leave the content type out at times; what is sent is taken for JSON, and so for UTF-8. */
const parser = express.json({
  limit: largestBody,
  type: () => true,
  verify: (request, _response, bytes, encoding) => {
    if (encoding !== 'utf-8') throw Object.assign(new Error(encoding), { status: 415 });
    bytesOf.set(request, bytes);
  },
});

function readJson(request: Request, response: Response): Promise<unknown> {
  // Asked for only now, so that a body which is refused before it is read is never sent.
  if (request.headers.expect !== undefined) response.writeContinue();
  return new Promise((resolve, reject) => {
    parser(request, response, (error?: unknown) => {
      const name =
        error === undefined ? repeatedName(bytesOf.get(request)?.toString() ?? '') : undefined;
      bytesOf.delete(request);
      if (error !== undefined) reject(bodyError(error as { status?: number }));
      else if (name !== undefined) reject(repeated(name));
      else resolve(request.body);
    });
  });
}

function repeated(name: string): Error {
  const shown = JSON.stringify(name.slice(0, 40));
  return proxyError(
    400,
    'bad_request_error',
    `The key ${shown} stands twice in one object of the body: readers disagree about which one counts. Send it once.`,
    name.slice(0, 40),
  );
}

function bodyError({ status }: { status?: number }): Error {
  if (status === 413) return detailError(413, `The body is larger than ${largestBody}.`);
  if (status === 415) return detailError(415, 'Unsupported content-encoding or charset.');
  return fieldErrors([{ type: 'json_invalid', loc: ['body'], msg: 'JSON decode error' }]);
}
