import { setImmediate } from 'node:timers/promises';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import type { Dispatcher } from 'undici';
// By their files: undici as a whole loads its fetch, caches and mocks, a tenth of a start.
import buildConnector from 'undici/lib/core/connect.js';
import Pool from 'undici/lib/dispatcher/pool.js';
import type { UpstreamAnswerHeaders } from './headers.ts';
import { createProxyRules } from './proxy-rules.ts';
import { createTunnel } from './tunnel.ts';

/**
 * Why a call ended without a complete answer.
 *
 * - `connect`, `connect-timeout`: no connection, so the request was not sent
 * - `reset`: the connection broke
 * - `headers-timeout`, `body-timeout`: nothing came for too long
 * - `protocol`: what came is not HTTP/1.1
 * - `request`: the request cannot be sent as it is, or the transport is closed
 * - `handler`: the handler threw
 * - `aborted`: `abort` was called
 */
export type TransportErrorKind =
  | 'connect'
  | 'connect-timeout'
  | 'reset'
  | 'headers-timeout'
  | 'body-timeout'
  | 'protocol'
  | 'request'
  | 'handler'
  | 'aborted';

export type TransportError = {
  readonly kind: TransportErrorKind;
  /**
   * The connection had served an earlier request and died before any byte of this answer: the upstream had most likely closed it
   * while it was idle. Worth one more try at once, which then gets another connection.
   */
  readonly reusedSocket: boolean;
  /** For logs, never for callers. */
  readonly cause?: unknown;
};

export type TransportRequest = {
  method: 'GET' | 'POST' | 'DELETE';
  /** Path and query. */
  path: string;
  /** Names and values in turns, without host and content-length. */
  headers: string[];
  body: Buffer | null;
  /** From the sent request to the answer's headers; 0 = no limit. Above one second it is kept to about half a second. */
  headersTimeoutMs: number;
  /** Between two chunks while not paused; 0 = no limit. */
  bodyTimeoutMs: number;
};

/** What can be done about a call that is under way; without effect once it has ended. */
export interface TransportControls {
  /** Ends the call and closes its connection; `onError` is called with `aborted` before this returns. */
  abort(): void;
  /** Stops reading from the upstream; a chunk that is already read may still come. */
  pause(): void;
  resume(): void;
}

/** Hears of one call. Exactly one of `onEnd` and `onError` is called, as the last. */
export interface TransportHandler {
  /** @param headers - as undici parses them in any case: lower-case names, a list where a name came more than once */
  onHeaders(status: number, headers: UpstreamAnswerHeaders, controls: TransportControls): void;
  /** @param chunk - the receiver's to keep */
  onData(chunk: Buffer): void;
  /** The answer is complete. */
  onEnd(): void;
  onError(error: TransportError): void;
}

/** Connections to one origin, as counts. */
export type OriginStats = {
  /** Open at the moment. */
  connected: number;
  /** Open and without a request. */
  idle: number;
  /** Requests under way, and those waiting for a connection that is being made. */
  running: number;
  pending: number;
  /** Connections made since the start. */
  opened: number;
};

/** HTTP to the upstreams. Redirects are never followed, answers never decompressed. */
export interface Transport {
  /**
   * Sends a request. Never throws: whatever goes wrong is told to the handler, possibly before this returns.
   *
   * @param origin - scheme, host and port
   */
  dispatch(origin: string, request: TransportRequest, handler: TransportHandler): TransportControls;
  /** Opens a connection to each origin, by an unauthenticated GET of `/`. Resolves in any case, at most after the limits. */
  warm(origins: readonly string[]): Promise<void>;
  stats(): { readonly [origin: string]: OriginStats };
  /** Waits for the calls under way, then closes every connection. Later calls end with `request`. */
  close(): Promise<void>;
}

export type TransportOptions = {
  /** `HTTPS_PROXY`: https origins are reached through a CONNECT tunnel of it. Plain http origins are inside the network: direct. */
  proxyUrl?: string | undefined;
  /** `NO_PROXY`. */
  noProxy?: string | undefined;
  /** PEM certificates trusted besides the usual ones. */
  caCertificates?: readonly string[] | undefined;
  /** How long an idle connection is kept, at most a minute: Azure's balancers drop silent ones after four. */
  keepAliveMs: number;
  connectTimeoutMs: number;
};

const maxKeepAliveMs = 60_000;

/** What a warm-up waits for an answer. */
const warmTimeoutMs = 5000;

/** A pool per origin rather than per deployment: deployments of one resource share its connections. */
type Origin = {
  pool: Pool;
  opened: number;
  /** True exactly while a new connection is handed to its pool, which starts the request it was made for. */
  isOpening: boolean;
};

/** Creates the transport. Nothing is connected before the first call or `warm`. */
export function createTransport(options: TransportOptions): Transport {
  const isDirect = createProxyRules(options.noProxy ?? '');
  const origins = new Map<string, Origin>();
  let secureContext: SecureContext | undefined;
  let closing: Promise<unknown> | undefined;

  const open = (name: string): Origin => {
    const isSecure = name.startsWith('https:');
    // One context for all connections: building it parses every trusted certificate.
    if (isSecure) secureContext ??= createContext(options.caCertificates ?? []);
    const connect = buildConnector({
      allowH2: false,
      timeout: options.connectTimeoutMs,
      ...(secureContext !== undefined && { secureContext }),
    });
    const tunnelled =
      isSecure && options.proxyUrl !== undefined && !isDirect(name)
        ? createTunnel(options.proxyUrl, options.connectTimeoutMs, connect)
        : connect;
    const keepAliveMs = Math.min(options.keepAliveMs, maxKeepAliveMs);
    const origin: Origin = {
      pool: new Pool(name, {
        connect: announced(tunnelled, () => origin),
        // HTTP/2 is on by default over TLS and doubles the CPU of a request.
        allowH2: false,
        pipelining: 1,
        keepAliveTimeout: keepAliveMs,
        keepAliveMaxTimeout: keepAliveMs,
      }),
      opened: 0,
      isOpening: false,
    };
    return origin;
  };

  const dispatch: Transport['dispatch'] = (name, request, handler) => {
    let origin = origins.get(name);
    if (origin === undefined) {
      if (closing !== undefined) return refuse(handler, new Error('the transport is closed'));
      try {
        origin = open(name);
      } catch (cause) {
        return refuse(handler, cause);
      }
      origins.set(name, origin);
    }
    const exchange = new Exchange(origin, handler);
    origin.pool.dispatch(
      {
        method: request.method,
        path: request.path,
        headers: request.headers,
        body: request.body,
        headersTimeout: request.headersTimeoutMs,
        bodyTimeout: request.bodyTimeoutMs,
      },
      exchange,
    );
    return exchange;
  };

  return {
    dispatch,

    async warm(names) {
      const request = {
        method: 'GET',
        path: '/',
        body: null,
        headersTimeoutMs: warmTimeoutMs,
        bodyTimeoutMs: warmTimeoutMs,
      } as const;
      await Promise.all(
        names.map(
          (name) =>
            new Promise<void>((resolve) => {
              dispatch(name, { ...request, headers: [] }, untilEnd(resolve));
            }),
        ),
      );
      // undici frees a connection for its next call one turn of the event loop after the answer.
      await setImmediate();
    },

    stats() {
      return Object.fromEntries(
        Array.from(origins, ([name, { pool, opened }]) => {
          const { connected, free, running, pending } = pool.stats;
          return [name, { connected, idle: free, running, pending, opened }];
        }),
      );
    },

    async close() {
      closing ??= Promise.all(Array.from(origins.values(), ({ pool }) => pool.close()));
      await closing;
    },
  };
}

/** Trust in the usual authorities and some more, given as PEM. */
export function createContext(caCertificates: readonly string[]): SecureContext {
  if (caCertificates.length === 0) return createSecureContext();
  // `ca` replaces the trusted certificates, so the usual ones (with NODE_EXTRA_CA_CERTS) are named again.
  return createSecureContext({ ca: [...getCACertificates('default'), ...caCertificates] });
}

/** undici starts the waiting request inside the callback, which is how an exchange knows that its connection is new. */
function announced(
  connect: buildConnector.connector,
  originOf: () => Origin,
): buildConnector.connector {
  return (options, callback) => {
    connect(options, (...result) => {
      if (result[0] !== null) {
        callback(...result);
        return;
      }
      const origin = originOf();
      origin.opened += 1;
      origin.isOpening = true;
      try {
        callback(...result);
      } finally {
        origin.isOpening = false;
      }
    });
  };
}

function refuse(handler: TransportHandler, cause: unknown): TransportControls {
  handler.onError({ kind: 'request', reusedSocket: false, cause });
  return { abort() {}, pause() {}, resume() {} };
}

function untilEnd(done: () => void): TransportHandler {
  return { onHeaders() {}, onData() {}, onEnd: done, onError: done };
}

/** One call: what undici speaks to, and what the handler steers with. One object, no closures. */
class Exchange implements Dispatcher.DispatchHandler, TransportControls {
  readonly #origin: Origin;
  readonly #handler: TransportHandler;
  #controller: Dispatcher.DispatchController | null = null;
  #reusedSocket = false;
  /** Some byte of the answer came. */
  #isAnswered = false;
  #isEnded = false;

  constructor(origin: Origin, handler: TransportHandler) {
    this.#origin = origin;
    this.#handler = handler;
  }

  abort(): void {
    if (this.#isEnded) return;
    this.#fail({ kind: 'aborted', reusedSocket: false });
    this.#controller?.abort(new Error('aborted'));
  }

  pause(): void {
    if (!this.#isEnded) this.#controller?.pause();
  }

  // After the end undici's controller would wake the connection's next call.
  resume(): void {
    if (!this.#isEnded) this.#controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Aborted while the connection was being made.
    if (this.#isEnded) {
      controller.abort(new Error('aborted'));
      return;
    }
    this.#controller = controller;
    this.#reusedSocket = !this.#origin.isOpening;
  }

  onResponseStarted(): void {
    this.#isAnswered = true;
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: UpstreamAnswerHeaders,
  ): void {
    if (this.#isEnded || status < 200) return;
    try {
      this.#handler.onHeaders(status, headers, this);
    } catch (cause) {
      this.#handlerThrew(controller, cause);
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isEnded) return;
    try {
      this.#handler.onData(chunk);
    } catch (cause) {
      this.#handlerThrew(controller, cause);
    }
  }

  onResponseEnd(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    try {
      this.#handler.onEnd();
    } catch (error) {
      rethrowLater(error);
    }
  }

  onResponseError(_: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#isEnded) return;
    const kind = kindOf(error, this.#controller !== null);
    const reusedSocket = kind === 'reset' && this.#reusedSocket && !this.#isAnswered;
    this.#fail({ kind, reusedSocket, cause: error });
  }

  #handlerThrew(controller: Dispatcher.DispatchController, cause: unknown): void {
    if (!this.#isEnded) this.#fail({ kind: 'handler', reusedSocket: false, cause });
    controller.abort(new Error('the handler threw'));
  }

  #fail(error: TransportError): void {
    this.#isEnded = true;
    try {
      this.#handler.onError(error);
    } catch (thrown) {
      rethrowLater(thrown);
    }
  }
}

/** Nobody is left to tell; inside undici's own work it would leave the connection in a wrong state. */
function rethrowLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

const kindsByCode: { readonly [code: string]: TransportErrorKind } = {
  UND_ERR_CONNECT_TIMEOUT: 'connect-timeout',
  UND_ERR_HEADERS_TIMEOUT: 'headers-timeout',
  UND_ERR_BODY_TIMEOUT: 'body-timeout',
  UND_ERR_HEADERS_OVERFLOW: 'protocol',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'reset',
  UND_ERR_INVALID_ARG: 'request',
  UND_ERR_NOT_SUPPORTED: 'request',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'request',
  UND_ERR_CLOSED: 'request',
  UND_ERR_DESTROYED: 'request',
};

/** @param isStarted - whether the request had a connection */
function kindOf(error: Error, isStarted: boolean): TransportErrorKind {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const kind = kindsByCode[code];
  if (kind !== undefined) return kind;
  if (!isStarted) return 'connect';
  return error.name === 'HTTPParserError' ? 'protocol' : 'reset';
}
