import { Agent as HttpAgent, type ClientRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { SecureContext } from 'node:tls';
import { requestIdOf } from '@aigateway/contract/request-id';
import { isWrongMethod, methodsAt } from '@aigateway/control-plane/http/methods';
import { routes } from '@aigateway/control-plane/routes';
import { GatewayError, methodNotAllowed } from '@aigateway/proxy/errors';
import { clientAddress } from '@aigateway/proxy/pipeline/client-address';
import { connectionHeaders } from '@aigateway/proxy/upstream/headers';
import {
  type NextFunction,
  type Request,
  type RequestHandler,
  type Response,
  Router,
} from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';

/** Segments that somebody on the way might resolve, and so leave the path that was looked at. */
const dotSegment = /(?:^|[/\\])\.{1,2}(?:[/\\]|$)/;

export type ForwardOptions = {
  /** Base URL of the control plane; what is asked for is appended to its path. */
  readonly target: string;
  /** Reverse proxies of our own before this process. */
  readonly trustedHops: number;
  /** Limit for the head of an answer, from the call's arrival on, and for every silence after that. */
  readonly silenceMs: number;
  /** Authorities that are trusted, where they are not the usual ones. */
  readonly secureContext?: SecureContext | undefined;
  /** An https control plane is reached through a CONNECT tunnel of it; user and password in it are shown to it alone. */
  readonly proxyUrl?: string | undefined;
};

/** Forwards the paths of the management API to a control plane, and passes on all others. */
export function forwardManagement(options: ForwardOptions): RequestHandler {
  const { target, trustedHops, silenceMs, secureContext, proxyUrl } = options;
  const waiting = new WeakMap<IncomingMessage, NextFunction>();

  /** The proxy's own error handler answers and logs; once, and only where nothing was sent. */
  const fail = (request: Request, response: Response, cause: unknown): void => {
    const next = waiting.get(request);
    waiting.delete(request);
    if (next === undefined || response.destroyed) return;
    if (response.headersSent) response.destroy();
    else next(new GatewayError('control_plane_unavailable', { retryAfterMs: 1000, cause }));
  };

  const forward = createProxyMiddleware<Request, Response>({
    target,
    changeOrigin: true,
    // A connection for each call: calls are few, and none goes out on one that a restart of the control plane has ended.
    agent: target.startsWith('https:')
      ? new HttpsAgent({
          ...(secureContext !== undefined && { secureContext }),
          ...(proxyUrl !== undefined && { proxyEnv: { HTTPS_PROXY: proxyUrl } }),
        })
      : new HttpAgent(),
    proxyTimeout: silenceMs,
    on: {
      proxyReq(call, request) {
        limitWait(call, silenceMs);
        for (const name of [...connectionHeaders, ...namedIn(request)]) call.removeHeader(name);
        call.setHeader('connection', 'close');
        call.setHeader('x-forwarded-for', forwardedFor(request, trustedHops));
      },
      proxyRes(answer, request, response) {
        const { statusCode: status = 0, headers } = answer;
        if (status >= 300 && status < 400 && status !== 304) {
          fail(
            request,
            response,
            new Error(`the control plane answered with a redirect, ${status}`),
          );
          answer.resume();
          return;
        }
        for (const name of [...connectionHeaders, ...namedIn(answer)]) delete headers[name];
        headers.connection = response.shouldKeepAlive ? 'keep-alive' : 'close';
      },
      error(cause, request, response) {
        if ('req' in response) fail(request, response, cause);
      },
    },
  });

  const router = Router();
  const handler: RequestHandler = (request, response, next) => {
    if (dotSegment.test(decodeURIComponent(request.path))) {
      next();
      return;
    }
    // One id for the call, wherever it ends.
    request.headers['x-request-id'] = requestIdOf(request.headers);
    if (request.headers.expect !== undefined) {
      delete request.headers.expect;
      response.writeContinue();
    }
    waiting.set(request, next);
    void forward(request, response, (cause?: unknown) => fail(request, response, cause));
  };
  for (const { method, paths } of routes) router[method]([...paths], handler);
  const allowedAt = methodsAt(routes);
  return (request, response, next) => {
    router(request, response, (failure?: unknown) => {
      const { method, path } = request;
      const methods = failure === undefined ? allowedAt(path) : [];
      next(isWrongMethod(method, methods) ? methodNotAllowed(method, methods.join(', ')) : failure);
    });
  };
}

/** A connection that is not made and an answer that does not begin end the same way: time is up. */
function limitWait(call: ClientRequest, limitMs: number): void {
  const timer = setTimeout(
    () => call.destroy(new Error(`the control plane gave no answer within ${limitMs} ms`)),
    limitMs,
  );
  const clear = (): void => clearTimeout(timer);
  call.once('response', clear);
  call.once('close', clear);
}

/** Headers that a message itself declares to hold for one connection. */
function namedIn({ headers }: IncomingMessage): string[] {
  return (headers.connection ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => /^[\w-]+$/.test(name) && !kept.has(name));
}

/** What no declaration takes away: where a message goes, its framing, its id. */
const kept: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'host',
  'transfer-encoding',
  'x-request-id',
]);

/** The caller last, so that a control plane which trusts one hop sees it, whatever stands before this process. */
function forwardedFor(request: IncomingMessage, trustedHops: number): string {
  const before = request.headers['x-forwarded-for'];
  return [
    ...(before === undefined ? [] : [before].flat()),
    clientAddress(request, trustedHops),
  ].join(', ');
}
