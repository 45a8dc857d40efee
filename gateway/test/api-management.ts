import { once } from 'node:events';
import {
  createServer,
  request as send,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

/** One API that API Management publishes, as far as it matters to what is behind it. */
export type PublishedApi = {
  /** Where it is published: taken off before the rest of the path is put behind `serviceUrl`. */
  readonly suffix: string;
  readonly serviceUrl: string;
  /** Headers that its inbound policy sets for each subscription, by the subscription's key. */
  readonly subscriptions: { readonly [key: string]: OutgoingHttpHeaders };
  /** Calls that each subscription has until its `rate-limit` policy refuses. */
  readonly calls?: number;
};

export type ApiManagement = {
  readonly url: string;
  close(): Promise<void>;
};

/**
 * Stands for Azure API Management as its documentation describes it: subscription keys in a header or the query, the suffix of an API taken
 * off, headers set by policy and all others passed on, the caller's address appended, bodies not buffered.
 */
export async function startApiManagement(apis: readonly PublishedApi[]): Promise<ApiManagement> {
  const used = new Map<string, number>();
  const server = createServer((request, response) => {
    const { pathname, search, searchParams } = new URL(request.url ?? '', 'http://gateway');
    const api = apis.find(({ suffix }) => pathname.startsWith(`${suffix}/`));
    if (api === undefined) return refuse(response, 404, 'Resource not found');
    const key = String(
      request.headers['ocp-apim-subscription-key'] ??
        request.headers['api-key'] ??
        searchParams.get('subscription-key') ??
        '',
    );
    const policy = api.subscriptions[key];
    if (policy === undefined)
      return refuse(
        response,
        401,
        `Access denied due to ${key === '' ? 'missing' : 'invalid'} subscription key.`,
      );
    const calls = (used.get(key) ?? 0) + 1;
    used.set(key, calls);
    if (calls > (api.calls ?? Infinity)) {
      response.setHeader('retry-after', '3');
      return refuse(response, 429, 'Rate limit is exceeded. Try again in 3 seconds.');
    }
    pass(request, response, api.serviceUrl + pathname.slice(api.suffix.length) + search, policy);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function refuse(response: ServerResponse, statusCode: number, message: string): void {
  response.writeHead(statusCode, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ statusCode, message }));
}

function pass(
  request: IncomingMessage,
  response: ServerResponse,
  url: string,
  policy: OutgoingHttpHeaders,
): void {
  const { host: _, connection: __, ...headers } = request.headers;
  const hops = [headers['x-forwarded-for'] ?? [], request.socket.remoteAddress ?? ''].flat();
  const backend = send(
    url,
    {
      method: request.method ?? 'GET',
      headers: { ...headers, 'x-forwarded-for': hops.join(', '), ...policy },
    },
    (answer) => {
      const { connection: ___, ...answered } = answer.headers;
      response.writeHead(answer.statusCode ?? 502, answered);
      answer.pipe(response);
    },
  );
  backend.on('error', () => response.destroy());
  response.on('close', () => backend.destroy());
  request.pipe(backend);
}
