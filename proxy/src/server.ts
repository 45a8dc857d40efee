import {
  createServer,
  STATUS_CODES,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ServerOptions } from './config.ts';
import { GatewayError } from './errors.ts';

/** The main port and the operations port of one process, listening. */
export type Listening = {
  /** Base URL of the main port. */
  readonly url: string;
  /** Base URL of the operations port; undefined without one. */
  readonly opsUrl: string | undefined;
  /**
   * Requests under way are finished up to a limit, then both ports are closed.
   *
   * @param interrupt - called when the limit is reached: what it has said to callers still gets to those who read
   */
  drain(interrupt?: () => void): Promise<void>;
};

/** Answers a request with an error, without reading its body, and tells of it. */
export type Refuse = (
  request: IncomingMessage,
  response: ServerResponse,
  error: GatewayError,
) => void;

/** How often a server that stops ends the connections that have become idle. */
const idleSweepMs = 50;

/** How long callers have to take in the last that is said to them. */
const lastWordsMs = 1000;

/**
 * Listens for callers, whichever plane answers them: bounds of heads, times and connections, the base path, refusals in the
 * gateway's form of what is not HTTP, and an end that lets requests finish.
 *
 * @param answer - gets every request, its target a path without host and base path
 * @param refuse - gets what is HTTP and may not be answered otherwise
 * @param ops - what answers on the operations port, where there is to be one
 * @throws {Error} if a port cannot be listened on
 */
export async function startServer(
  options: ServerOptions,
  answer: RequestListener,
  refuse: Refuse,
  ops: Server,
): Promise<Listening> {
  const listener = received(options.basePath, answer, refuse);
  const server = createServer(httpOptions(options), listener);
  // A socket forgets its peer when it ends unless it was asked before, and callers who left are logged after that.
  server.on('connection', (socket) => void socket.remoteAddress);
  server.on('checkContinue', listener);
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) =>
    refuse(request, response, unmetExpectation()),
  );
  server.on('clientError', answerMalformed);
  // Clients that try a WebSocket first (Codex does where it is told to) go on with POST at once when they are told.
  server.on('upgrade', (_request, socket) =>
    endWith(socket, new GatewayError('upgrade_unsupported')),
  );
  server.keepAliveTimeout = options.keepAliveMs;
  server.maxConnections = options.maxConnections;
  await listen(server, options.port, options.host);
  const { opsPort, opsHost } = options;
  if (opsPort !== undefined) {
    await listen(ops, opsPort, opsHost).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE' || !options.opsPortIsFlexible) throw error;
      return listen(ops, 0, opsHost);
    });
  }
  return {
    url: addressOf(server),
    opsUrl: opsPort === undefined ? undefined : addressOf(ops),
    async drain(interrupt) {
      if (options.stopDelayMs > 0) await delay(options.stopDelayMs);
      // Idle connections go at once, others when they have become idle: also those whose request is still on its way.
      const closed = new Promise<true>((resolve) => server.close(() => resolve(true)));
      const closing = setInterval(() => server.closeIdleConnections(), idleSweepMs);
      const isClosed = await Promise.race([closed, delay(options.drainMs)]);
      if (isClosed !== true && interrupt !== undefined) {
        interrupt();
        await Promise.race([closed, delay(lastWordsMs)]);
      }
      clearInterval(closing);
      server.closeAllConnections();
      await closed;
      if (opsPort !== undefined) await new Promise<void>((resolve) => ops.close(() => resolve()));
    },
  };
}

/** What precedes the path of a target in absolute form, which servers must take (RFC 9112, section 3.2.2). */
const authority = /^https?:\/\/[^/?#]+/i;

function received(basePath: string, answer: RequestListener, refuse: Refuse): RequestListener {
  const below = `${basePath}/`;
  return (request, response) => {
    if (request.headers.host === undefined && request.httpVersion === '1.1') {
      refuse(request, response, invalid('it has no Host header. Send one'));
      return;
    }
    let { url = '' } = request;
    if (!url.startsWith('/')) {
      const path = url.replace(authority, '');
      // Of what is no path, Express would take what suits it.
      if (path === url) {
        refuse(request, response, new GatewayError('not_found'));
        return;
      }
      url = path.startsWith('/') ? path : `/${path}`;
    }
    if (basePath !== '' && url.startsWith(below)) url = url.slice(basePath.length);
    if (url !== request.url) request.url = url;
    answer(request, response);
  };
}

function httpOptions(options: ServerOptions) {
  return {
    maxHeaderSize: options.maxHeaderBytes,
    headersTimeout: options.headersTimeoutMs,
    requestTimeout: options.requestTimeoutMs,
    connectionsCheckingInterval: Math.min(5000, options.headersTimeoutMs),
    // Two lengths for one body are how requests are smuggled: nothing lenient here.
    insecureHTTPParser: false,
    // Of two Authorization headers Node would take the first and say nothing: together they are no key, wherever they came from.
    joinDuplicateHeaders: true,
    noDelay: true,
    // Node's own refusal has no body.
    requireHostHeader: false,
    // Java's HttpClient asks for HTTP/2 with every first request over plain http, and is content with HTTP/1.1.
    shouldUpgradeCallback: ({ headers }: IncomingMessage) =>
      headers.upgrade?.toLowerCase() === 'websocket',
  };
}

/** What is not HTTP, too large in its headers or too slow is answered in the gateway's form before the connection ends. */
function answerMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return endWith(socket, invalid('its headers are larger than this gateway takes', 431));
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return endWith(socket, new GatewayError('request_timeout'));
    default:
      return endWith(socket, invalid('it is not valid HTTP/1.1'));
  }
}

function invalid(reason: string, status?: number): GatewayError {
  return new GatewayError('invalid_body', {
    values: { reason },
    ...(status !== undefined && { status }),
  });
}

function unmetExpectation(): GatewayError {
  return invalid(
    'it expects what is not done here. Leave the Expect header out, or send 100-continue',
    417,
  );
}

/** Answers on the bare socket and ends it. */
function endWith(socket: Duplex, error: GatewayError): void {
  const body = JSON.stringify(error.envelope());
  const head = [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}`,
    'content-type: application/json',
    'x-aigateway-layer: connection',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ].join('\r\n');
  socket.end(`${head}\r\n\r\n${body}`);
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}

function addressOf(server: Server): string {
  const { address, port, family } = server.address() as AddressInfo;
  const isAny = address === '0.0.0.0' || address === '::';
  const host = isAny ? '127.0.0.1' : family === 'IPv6' ? `[${address}]` : address;
  return `http://${host}:${port}`;
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
}
