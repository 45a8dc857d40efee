import type { ParsedUrlQuery } from 'node:querystring';
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response,
} from 'express';
import { isObject } from '@aigateway/contract/json';
import type { JsonObject } from '@aigateway/contract/records';
import { cors } from './cors.ts';
import { calculatedCost, estimatedCost } from './costs.ts';
import { endpoints } from './endpoints/index.ts';
import { withoutStraySlashes } from './endpoints/path.ts';
import { GatewayError, methodNotAllowed, modelNotFound } from './errors.ts';
import { healthHistory, healthOf, latestHealth } from './health-lists.ts';
import { supportedParameters } from './model-parameters.ts';
import {
  factsOfModel,
  modelById,
  modelGroupInfo,
  modelInfo,
  modelsList,
  pageOfModels,
} from './models-list.ts';
import type { Readiness } from './ops.ts';
import { authenticate, type Caller } from './pipeline/authenticate.ts';
import { authorizeRoute } from './pipeline/authorize.ts';
import { parseBody } from './pipeline/body.ts';
import type { Gateway } from './pipeline/gateway.ts';
import { identify } from './pipeline/identify.ts';
import { arrivalHeaders, arrive, handle, refuseArrival } from './pipeline/pipeline.ts';
import { checkBodyHeaders, receiveBody } from './pipeline/receive.ts';
import { asGatewayError } from './pipeline/refuse.ts';
import { transformedRequest } from './pipeline/transform.ts';
import type { Snapshot } from './snapshot.ts';

/** What a view is made from. */
type ViewInput = {
  readonly snapshot: Snapshot;
  readonly caller: Caller;
  readonly request: Request;
  readonly requestId: string;
  /** Of a POST. */
  readonly body: JsonObject;
  readonly gateway: Gateway;
  readonly readiness: () => Readiness;
};

type View = {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly name: string;
  readonly answer: (input: ViewInput) => unknown;
};

function view(path: string, name: string, answer: View['answer'], method: View['method'] = 'GET') {
  return { method, path, name, answer };
}

/** Paths that answer from memory, each with and without the prefixes that clients put before it. */
const views: readonly View[] = [
  view('/models', 'models', ({ snapshot, caller: { key } }) => modelsList(snapshot, key)),
  view('/models/*id', 'models.get', ({ snapshot, caller: { key }, request }) => {
    // A name may hold slashes, e.g. of a group of wildcards.
    const { id } = request.params;
    const name = Array.isArray(id) ? id.join('/') : String(id);
    return modelById(snapshot, key, name) ?? unknownModel(name);
  }),
  view('/model/info', 'model.info', ({ snapshot, caller: { key }, request }) => {
    const id = request.query['litellm_model_id'];
    const rows = modelInfo(snapshot, key, typeof id === 'string' ? id : undefined);
    if (typeof id === 'string' && rows.data.length === 0) unknownModel(id);
    return request.path.startsWith('/v2/')
      ? pageOfModels(rows.data, request.query as ParsedUrlQuery)
      : rows;
  }),
  view('/model_group/info', 'model_group.info', ({ snapshot, caller: { key }, request }) => {
    const group = request.query['model_group'];
    return modelGroupInfo(snapshot, key, typeof group === 'string' ? group : undefined);
  }),
  view(
    '/utils/model_info',
    'utils.model_info',
    ({ snapshot, caller: { key }, request }) =>
      factsOfModel(snapshot, key, modelIn(request)) ?? unknownModel(modelIn(request)),
  ),
  view(
    '/utils/supported_openai_params',
    'utils.supported_openai_params',
    ({ snapshot, caller: { key }, request }) => ({
      supported_openai_params:
        supportedParameters(snapshot, key, modelIn(request)) ?? unknownModel(modelIn(request)),
    }),
  ),
  view(
    '/utils/transform_request',
    'utils.transform_request',
    ({ snapshot, caller, body, requestId, gateway }) =>
      transformedRequest(body, requestId, caller, snapshot, gateway),
    'POST',
  ),
  view(
    '/cost/estimate',
    'cost.estimate',
    ({ snapshot, caller: { key }, body }) => estimatedCost(snapshot, key, body),
    'POST',
  ),
  view(
    '/spend/calculate',
    'spend.calculate',
    ({ snapshot, caller: { key }, body }) => calculatedCost(snapshot, key, body),
    'POST',
  ),
];

/** The same about this process, at their own path alone. */
const healthViews: readonly View[] = [
  view('/health/readiness/details', 'health.readiness.details', ({ gateway, readiness }) => {
    const { ready, ...details } = readiness();
    return {
      status: ready ? 'healthy' : 'unhealthy',
      db: 'Not connected',
      cache: null,
      litellm_version: gateway.options.version,
      success_callbacks: [],
      ...details,
    };
  }),
  view('/health/backlog', 'health.backlog', ({ gateway }) => ({
    in_flight_requests: gateway.meter.counts.inFlight,
  })),
  view('/health/latest', 'health.latest', ({ snapshot, caller: { key }, gateway }) =>
    latestHealth(snapshot, key, gateway),
  ),
  view('/health/history', 'health.history', ({ snapshot, caller: { key }, gateway, request }) =>
    healthHistory(snapshot, key, gateway, request.query as ParsedUrlQuery),
  ),
];

const viewPrefixes = ['', '/v1', '/v2', '/openai/v1', '/openai'];

/** @throws GatewayError 404 */
function unknownModel(name: string): never {
  throw modelNotFound(name);
}

/** @throws GatewayError 400 without one */
function modelIn(request: Request): string {
  const { model } = request.query;
  if (typeof model === 'string' && model !== '') return model;
  throw new GatewayError('missing_model', { param: 'model' });
}

/** Every path that the proxy answers, for `--routes` and the reference page. Prefixes are left out. */
export function routeList(): { method: string; path: string; name: string }[] {
  return [
    ...endpoints.map(({ method, path, name }) => ({ method, path, name })),
    ...views.map(({ method, path, name }) => ({ method, path: path.replace('*id', ':id'), name })),
    { method: 'GET', path: '/health', name: 'health' },
    { method: 'GET', path: '/health/liveliness', name: 'health.liveliness' },
    { method: 'GET', path: '/health/liveness', name: 'health.liveliness' },
    { method: 'GET', path: '/health/readiness', name: 'health.readiness' },
    ...healthViews.map(({ method, path, name }) => ({ method, path, name })),
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
  app.use(dropStraySlashes);

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
  const add = (one: View, paths: string[]) =>
    app[one.method === 'GET' ? 'get' : 'post'](paths, (request, response) =>
      answerView(request, response, gateway, options, one),
    );
  for (const one of views)
    add(
      one,
      viewPrefixes.map((prefix) => prefix + one.path),
    );
  for (const one of healthViews) add(one, [one.path]);
  if (options.management !== undefined) app.use(options.management);
  // Not that of one model: POST /models/chat/completions is Foundry's.
  for (const { path, method } of views) {
    if (path.includes('*')) continue;
    app.all(
      viewPrefixes.map((prefix) => prefix + path),
      (request, response) => answerWrongMethod(request, response, gateway, method),
    );
  }
  app.all('/health{/*probe}', (request, response, next) =>
    request.method === 'GET' ? next() : answerWrongMethod(request, response, gateway, 'GET'),
  );
  app.use((request, response) => handle(request, response, gateway));
  app.use(answerFault(gateway));
  return app;
}

/** The paths of models are looked up without stray slashes as well. */
function dropStraySlashes(request: Request, _response: Response, next: () => void): void {
  const [path = ''] = request.url.split('?', 1);
  request.url = withoutStraySlashes(path) + request.url.slice(path.length);
  next();
}

const healthView = view('/health', 'health', ({ snapshot, caller: { key }, gateway }) =>
  healthOf(snapshot, key, gateway),
);

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
  await answerView(request, response, gateway, options, healthView);
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
  { readiness }: AppOptions,
  { name, method, answer }: View,
): Promise<void> {
  const arrival = arrive(request, gateway);
  let caller: Caller | undefined;
  try {
    const snapshot = gateway.snapshot();
    if (snapshot === undefined) throw new GatewayError('not_ready', { retryAfterMs: 1000 });
    caller = await identify(request, snapshot, arrival.startedAt, gateway);
    authorizeRoute(caller.key, request.url);
    const given = method === 'POST' ? await receiveObject(request, response, gateway) : {};
    const { requestId } = arrival;
    const input = { snapshot, caller, request, requestId, body: given, gateway, readiness };
    const body = JSON.stringify(await answer(input));
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

/** @throws GatewayError 400, 413, 415 for a body that is no JSON object of a bearable size */
async function receiveObject(
  request: Request,
  response: Response,
  { options }: Gateway,
): Promise<JsonObject> {
  checkBodyHeaders(request, options);
  const body: unknown = parseBody(await receiveBody(request, response, options));
  if (isObject(body)) return body;
  throw new GatewayError('invalid_body', { values: { reason: 'its body is no JSON object' } });
}

function answerWrongMethod(
  request: Request,
  response: Response,
  gateway: Gateway,
  method: View['method'],
): void {
  const allowed = method === 'GET' ? 'GET, HEAD' : method;
  const error = methodNotAllowed(request.method, allowed);
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
