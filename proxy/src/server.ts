import {
  createServer,
  STATUS_CODES,
  type IncomingMessage,
  type RequestListener,
  type Server,
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

/** How often a server that stops ends the connections that have become idle. */
const idleSweepMs = 50;

/** How long callers have to take in the last that is said to them. */
const lastWordsMs = 1000;

/**
 * Listens for callers, whichever plane answers them: bounds of heads, times and connections, the base path, refusals in the
 * gateway's form of what is not HTTP, and an end that lets requests finish.
 *
 * @param answer - gets every request, its base path taken off
 * @param ops - what answers on the operations port, where there is to be one
 * @throws {Error} if a port cannot be listened on
 */
export async function startServer(
  options: ServerOptions,
  answer: RequestListener,
  ops: Server,
): Promise<Listening> {
  const listener = belowBasePath(options.basePath, answer);
  const server = createServer(httpOptions(options), listener);
  // A socket forgets its peer when it ends unless it was asked before, and callers who left are logged after that.
  server.on('connection', (socket) => void socket.remoteAddress);
  server.on('checkContinue', listener);
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

function belowBasePath(basePath: string, answer: RequestListener): RequestListener {
  if (basePath === '') return answer;
  return (request, response) => {
    const { url = '' } = request;
    if (url.startsWith(`${basePath}/`)) request.url = url.slice(basePath.length);
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
  const invalid = (reason: string, status?: number) =>
    new GatewayError('invalid_body', {
      values: { reason },
      ...(status !== undefined && { status }),
    });
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return endWith(socket, invalid('its headers are larger than this gateway takes', 431));
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return endWith(socket, new GatewayError('request_timeout'));
    default:
      return endWith(socket, invalid('it is not valid HTTP/1.1'));
  }
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
