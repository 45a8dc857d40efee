import express, { type Express, type Request, type Response } from 'express';
import { detailError, fieldErrors } from './errors.ts';
import type { Route } from './http/route.ts';
import { answer, type ControlPlanePorts } from './http/registry.ts';

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
  app.use((_request, response, next) => {
    if (isMounted(app)) next();
    else response.status(404).json({ detail: 'Not Found' });
  });
  return app;
}

/** Ready is who can reach its store, in LiteLLM's words. */
async function answerReadiness(response: Response, { store }: ControlPlanePorts): Promise<void> {
  const isReached = await store.entities.get('settings', 'readiness').then(
    () => true,
    () => false,
  );
  response.status(isReached ? 200 : 503).json({
    status: isReached ? 'healthy' : 'unhealthy',
    db: isReached ? 'connected' : 'Not connected',
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
  const { status, body, headers, contentType } = await answer(
    route,
    {
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
  if (contentType === undefined) response.json(body);
  else response.type(contentType).send(body);
}

/** Clients leave the content type out at times; what is sent is taken for JSON. */
const parser = express.json({ limit: largestBody, type: () => true });

function readJson(request: Request, response: Response): Promise<unknown> {
  // Asked for only now, so that a body which is refused before it is read is never sent.
  if (request.headers.expect !== undefined) response.writeContinue();
  return new Promise((resolve, reject) => {
    parser(request, response, (error?: unknown) => {
      if (error === undefined) resolve(request.body);
      else reject(bodyError(error as { status?: number }));
    });
  });
}

function bodyError({ status }: { status?: number }): Error {
  if (status === 413) return detailError(413, `The body is larger than ${largestBody}.`);
  if (status === 415) return detailError(415, 'Unsupported content-encoding or charset.');
  return fieldErrors([{ type: 'json_invalid', loc: ['body'], msg: 'JSON decode error' }]);
}
