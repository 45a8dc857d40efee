import type { ParsedUrlQuery } from 'node:querystring';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import { cors } from './cors.ts';
import { endpoints } from './endpoints/index.ts';
import { GatewayError } from './errors.ts';
import { modelById, modelGroupInfo, modelInfo, modelsList, pageOfModels } from './models-list.ts';
import type { Readiness } from './ops.ts';
import { authenticate, type Caller } from './pipeline/authenticate.ts';
import { authorizeRoute } from './pipeline/authorize.ts';
import type { Gateway } from './pipeline/gateway.ts';
import { identify } from './pipeline/identify.ts';
import { arrivalHeaders, arrive, handle, refuseArrival } from './pipeline/pipeline.ts';
import { asGatewayError } from './pipeline/refuse.ts';
import { litellmModelOf } from './routing/deployments.ts';
import { healthReport } from './routing/health.ts';
import { mayUse } from './routing/models.ts';
import type { Snapshot } from './snapshot.ts';

type View = (snapshot: Snapshot, caller: Caller, request: Request) => unknown;

/** Paths that answer from memory, each with and without the prefixes that clients put before it. */
const views: { readonly path: string; readonly name: string; readonly view: View }[] = [
  { path: '/models', name: 'models', view: (snapshot, { key }) => modelsList(snapshot, key) },
  {
    path: '/models/*id',
    name: 'models.get',
    view: (snapshot, { key }, request) => {
      // A name may hold slashes, e.g. of a group of wildcards.
      const { id } = request.params;
      const name = Array.isArray(id) ? id.join('/') : String(id);
      const entry = modelById(snapshot, key, name);
      if (entry === undefined) {
        throw new GatewayError('model_not_found', {
          values: { model: name.slice(0, 80) },
          param: 'model',
        });
      }
      return entry;
    },
  },
  {
    path: '/model/info',
    name: 'model.info',
    view: (snapshot, { key }, request) => {
      const id = request.query['litellm_model_id'];
      const rows = modelInfo(snapshot, key, typeof id === 'string' ? id : undefined);
      if (typeof id === 'string' && rows.data.length === 0) {
        throw new GatewayError('model_not_found', { values: { model: id.slice(0, 80) } });
      }
      return request.path.startsWith('/v2/')
        ? pageOfModels(rows.data, request.query as ParsedUrlQuery)
        : rows;
    },
  },
  {
    path: '/model_group/info',
    name: 'model_group.info',
    view: (snapshot, { key }, request) => {
      const group = request.query['model_group'];
      return modelGroupInfo(snapshot, key, typeof group === 'string' ? group : undefined);
    },
  },
];

const viewPrefixes = ['', '/v1', '/v2', '/openai/v1', '/openai'];

/** Every path that the proxy answers, for `--routes` and the reference page. Prefixes are left out. */
export function routeList(): { method: string; path: string; name: string }[] {
  return [
    ...endpoints.map(({ method, path, name }) => ({ method, path, name })),
    ...views.map(({ path, name }) => ({ method: 'GET', path: path.replace('*id', ':id'), name })),
    { method: 'GET', path: '/health', name: 'health' },
    { method: 'GET', path: '/health/liveliness', name: 'health.liveliness' },
    { method: 'GET', path: '/health/liveness', name: 'health.liveliness' },
    { method: 'GET', path: '/health/readiness', name: 'health.readiness' },
  ];
}

export type AppOptions = {
  readonly readiness: () => Readiness;
  /** Origins that browsers may call from; empty = none. */
  readonly corsOrigins: readonly string[];
  /** Asked for what is none of the proxy's own before it is refused. */
  readonly management?: RequestHandler | undefined;
};

/**
 * Everything the proxy answers, as one Express application. The server takes the hot paths past it, to the same handlers.
 */
export function createApp(gateway: Gateway, options: AppOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  if (options.corsOrigins.length > 0) app.use(cors(options.corsOrigins));

  app.get(['/health/liveliness', '/health/liveness'], (_request, response) => {
    response.json("I'm alive!");
  });
  app.get('/health/readiness', (_request, response) => {
    const { ready, ...details } = options.readiness();
    response
      .status(ready ? 200 : 503)
      .json({ status: ready ? 'healthy' : 'unhealthy', ...details });
  });
  app.get('/health', (request, response) => answerHealth(request, response, gateway, options));
  for (const { path, name, view } of views) {
    app.get(
      viewPrefixes.map((prefix) => prefix + path),
      (request, response) => answerView(request, response, gateway, name, view),
    );
  }
  if (options.management !== undefined) app.use(options.management);
  // Not that of one model: POST /models/chat/completions is Foundry's.
  const fixed = views.map(({ path }) => path).filter((path) => !path.includes('*'));
  app.all(
    [...fixed.flatMap((path) => viewPrefixes.map((prefix) => prefix + path)), '/health{/*probe}'],
    (request, response, next) =>
      request.method === 'GET' ? next() : answerWrongMethod(request, response, gateway),
  );
  app.use((request, response) => handle(request, response, gateway));
  app.use(answerFault(gateway));
  return app;
}

/** LiteLLM's lists of endpoints, of the models a key may use, from what calls have shown: nothing is called for it. */
async function answerHealth(
  request: Request,
  response: Response,
  gateway: Gateway,
  options: AppOptions,
): Promise<void> {
  const { ready } = options.readiness();
  const snapshot = gateway.snapshot();
  if (snapshot === undefined || isAnonymous(request, snapshot)) {
    response.status(ready ? 200 : 503).json({ status: ready ? 'healthy' : 'unhealthy' });
    return;
  }
  await answerView(request, response, gateway, 'health', ({ models }, { key }) => {
    const now = gateway.clock.now();
    const rows = [...gateway.deployments.all()]
      .filter(({ record }) => {
        const model = models.resolve(record.model);
        return model !== undefined && mayUse(key, model);
      })
      .map((state) => ({
        model: litellmModelOf(state),
        model_id: state.record.id,
        ...healthReport(state, now),
      }));
    const healthy = rows.filter(({ standing }) => standing !== 'cooling');
    const unhealthy = rows.filter(({ standing }) => standing === 'cooling');
    return {
      healthy_endpoints: healthy,
      unhealthy_endpoints: unhealthy,
      healthy_count: healthy.length,
      unhealthy_count: unhealthy.length,
    };
  });
}

/** True for a probe that brings no key at all; a wrong key is refused like anywhere else. */
function isAnonymous(request: Request, snapshot: Snapshot): boolean {
  try {
    authenticate(request.headers, snapshot, 0);
    return false;
  } catch (error) {
    return error instanceof GatewayError && error.code === 'missing_key';
  }
}

async function answerView(
  request: Request,
  response: Response,
  gateway: Gateway,
  name: string,
  view: View,
): Promise<void> {
  const arrival = arrive(request, gateway);
  let caller: Caller | undefined;
  try {
    const snapshot = gateway.snapshot();
    if (snapshot === undefined) throw new GatewayError('not_ready', { retryAfterMs: 1000 });
    caller = await identify(request, snapshot, arrival.startedAt, gateway);
    authorizeRoute(caller.key, request.url);
    const body = JSON.stringify(view(snapshot, caller, request));
    response.writeHead(200, [
      ...arrivalHeaders(arrival),
      'content-type',
      'application/json',
      'content-length',
      String(Buffer.byteLength(body)),
    ]);
    response.end(body);
  } catch (thrown) {
    refuseArrival(request, response, gateway, arrival, name, asGatewayError(thrown), caller);
  }
}

function answerWrongMethod(request: Request, response: Response, gateway: Gateway): void {
  const allowed = 'GET, HEAD';
  const error = new GatewayError('method_not_allowed', {
    values: { method: request.method, allowed },
    headers: { allow: allowed },
  });
  refuseArrival(request, response, gateway, arrive(request, gateway), 'unknown', error);
}

/** Express's own refusals, e.g. of a path that is not decodable, in the gateway's form. */
function answerFault(gateway: Gateway): ErrorRequestHandler {
  return (error: unknown, request, response, _next) => {
    const isClients = error instanceof URIError || (error as { status?: number }).status === 400;
    const known = isClients ? new GatewayError('not_found') : asGatewayError(error);
    refuseArrival(request, response, gateway, arrive(request, gateway), 'unknown', known);
  };
}
