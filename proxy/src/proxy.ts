import {
  createServer,
  STATUS_CODES,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { RequestHandler } from 'express';
import type { KeyRecord, Records } from '@aigateway/contract/records';
import type { Catalogue, SnapshotChange } from '@aigateway/contract/snapshot';
import { Corrections } from './accounting/corrections.ts';
import { Meter } from './accounting/meter.ts';
import { OutputMeans } from './admission/estimate.ts';
import { createApp } from './app.ts';
import type { ProxyOptions } from './config.ts';
import { GatewayError } from './errors.ts';
import { createOpsServer, type Readiness } from './ops.ts';
import type { Gateway } from './pipeline/gateway.ts';
import { Heartbeat } from './pipeline/heartbeat.ts';
import { handle } from './pipeline/pipeline.ts';
import type { Clock, Estimates, Limiter, UsageSink } from './ports.ts';
import { IdTagger } from './routing/affinity.ts';
import { Deployments } from './routing/deployments.ts';
import { standing } from './routing/health.ts';
import { Prober } from './pipeline/probes.ts';
import { KeyTable } from './key-table.ts';
import { checkSchema, Snapshot } from './snapshot.ts';
import { MemoryEstimates } from './stores/memory/estimates.ts';
import { createMemoryLimiter } from './stores/memory/limiter.ts';
import { createMemoryUsageSink } from './stores/memory/usage-sink.ts';
import { AccessLog } from './telemetry/access-log.ts';
import { DeploymentLog } from './telemetry/deployment-log.ts';
import { createLogger, type Logger, type LogLevel } from './telemetry/logger.ts';
import { Metrics } from './telemetry/metrics.ts';
import { createCredentials } from './upstream/credential.ts';
import { createTransport } from './upstream/transport.ts';

/** What a proxy needs from outside. What is left out is the in-process kind. */
export type ProxyPorts = {
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly limiter?: Limiter;
  readonly usage?: UsageSink;
  readonly estimates?: Estimates;
  /** Asks for a key that is not among the records, by its hash; see `SnapshotSource.findKey`. */
  readonly findKey?: (hash: string) => Promise<KeyRecord | undefined>;
  /** Answers paths that the proxy does not have, and passes on those that nobody has: the management API of an embedded control plane. */
  readonly management?: RequestHandler;
  /** Takes log lines, one or several at a time; standard output unless given. */
  readonly writeLog?: (text: string) => void;
  /** For lines about the gateway itself, where the process has a logger already. */
  readonly logger?: Logger;
  /** Variables that credentials refer to by name. */
  readonly environment: { readonly [name: string]: string | undefined };
  /** Root secret of tagged ids, and the previous one during its rotation. */
  readonly secret: { readonly current: string; readonly previous?: string };
};

export type Proxy = {
  /** Base URL of the main port. */
  readonly url: string;
  /** Base URL of the ops port; undefined without one. */
  readonly opsUrl: string | undefined;
  readonly meter: Meter;
  readonly logger: Logger;
  /** Puts new records in force; requests under way keep the old ones. */
  update(records: Records): void;
  /** Puts one change of the records in force. Costs what the change does, not what all records do. */
  apply(change: SnapshotChange): void;
  setLogLevel(level: LogLevel): void;
  /** Not ready at once; requests under way are finished up to a limit, then everything is closed. */
  drain(): Promise<void>;
};

/** How often a proxy that stops ends the connections that have become idle. */
const idleSweepMs = 50;

/** Paths that go past Express. Any other spelling of them is found there. */
const hotPaths: ReadonlySet<string> = new Set(
  ['/chat/completions', '/responses', '/embeddings', '/completions'].flatMap((path) =>
    ['/v1', '', '/openai/v1'].map((prefix) => prefix + path),
  ),
);

/**
 * Starts a proxy: all parts wired together, listening, ready once it has records.
 *
 * @throws {Error} if a port cannot be listened on
 */
export async function startProxy(
  records: Records | undefined,
  options: ProxyOptions,
  ports: ProxyPorts,
): Promise<Proxy> {
  const clock = ports.clock ?? { now: Date.now };
  const writeLog = ports.writeLog ?? ((text: string) => void process.stdout.write(text));
  const logger =
    ports.logger ??
    createLogger(options.logLevel, ports.writeLog === undefined ? undefined : writeLog);
  const accessLog = new AccessLog(writeLog);
  let snapshot: Snapshot | undefined;
  let keys = new KeyTable([]);
  const limiter =
    ports.limiter ?? createMemoryLimiter({ clock, calendar: () => snapshot?.records.settings });
  const outputMeans = new OutputMeans();
  const sink = ports.usage ?? createMemoryUsageSink({});
  const meter = new Meter({ clock, sink, means: outputMeans });
  const corrections = new Corrections({
    estimates: ports.estimates ?? new MemoryEstimates(clock),
    sink,
    limiter,
    onRecord: (record) => accessLog.corrected(clock.now(), record),
    onTrouble: (error) => logger.warn({ error }, 'a background response stays charged by estimate'),
  });
  const deployments = new Deployments(clock);
  const transport = createTransport(options.transport);
  let draining = false;
  const readiness = (): Readiness => {
    if (draining) return { ready: false, reason: 'draining' };
    return snapshot === undefined ? { ready: false, reason: 'no records yet' } : { ready: true };
  };
  const metrics = new Metrics(
    () => meter.counts,
    () =>
      [...deployments.all()].map((state) => ({
        id: state.record.id,
        model: state.record.model,
        region: state.record.region ?? state.record.resource.region ?? '',
        state: standing(state, clock.now()),
      })),
  );
  const credentials = createCredentials({
    clock,
    environment: ports.environment,
    vaultIdentity: options.vaultIdentity,
    caCertificates: options.transport.caCertificates,
    onEvent: (event) => logger.warn(event, 'upstream credential'),
  });
  const gateway: Gateway = {
    clock,
    random: ports.random ?? Math.random,
    snapshot: () => snapshot,
    findKey:
      ports.findKey === undefined
        ? undefined
        : async (hash) => {
            const key = await ports.findKey?.(hash);
            if (key !== undefined) keys.put(key);
            return key !== undefined;
          },
    deployments,
    limiter,
    meter,
    corrections,
    outputMeans,
    transport,
    credentials,
    tagger: new IdTagger(ports.secret),
    heartbeat: new Heartbeat(() => clock.now(), options.heartbeatTickMs),
    metrics,
    accessLog,
    deploymentLog: new DeploymentLog(logger, clock),
    logger,
    options: options.pipeline,
  };

  const put = (next: Catalogue, nextKeys: KeyTable): void => {
    const incoming = new Snapshot(next, nextKeys);
    deployments.update(next);
    snapshot = incoming;
    keys = nextKeys;
    warm(next, gateway);
  };
  const update = (next: Records): void => {
    checkSchema(next);
    put(next, new KeyTable(next.keys));
  };
  const apply = (change: SnapshotChange): void => {
    if (change.kind === 'catalogue') put(change.catalogue, keys);
    else if (change.key === undefined) keys.delete(change.keyId);
    else keys.put(change.key);
  };
  if (records !== undefined) update(records);

  const app = createApp(gateway, {
    readiness,
    corsOrigins: options.corsOrigins,
    management: ports.management,
  });
  const answer = listener(app, gateway, options.basePath);
  const server = createServer(serverOptions(options), answer);
  // A socket forgets its peer when it ends unless it was asked before, and callers who left are logged after that.
  server.on('connection', (socket) => void socket.remoteAddress);
  server.on('checkContinue', answer);
  server.on('clientError', answerMalformed);
  // Clients that try a WebSocket first (Codex does where it is told to) go on with POST at once when they are told.
  server.on('upgrade', (_request, socket) =>
    endWith(socket, new GatewayError('upgrade_unsupported')),
  );
  server.keepAliveTimeout = options.keepAliveMs;
  server.maxConnections = options.maxConnections;
  await listen(server, options.port, options.host);
  const ops =
    options.opsPort === undefined ? undefined : createOpsServer(metrics.registry, readiness);
  if (ops !== undefined && options.opsPort !== undefined) {
    await listen(ops, options.opsPort, options.opsHost).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE' || !options.opsPortIsFlexible) throw error;
      return listen(ops, 0, options.opsHost);
    });
  }
  const prober = new Prober(gateway, options.probeIntervalMs);
  prober.start();

  let drained: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    draining = true;
    prober.stop();
    if (options.stopDelayMs > 0) await delay(options.stopDelayMs);
    // Idle connections go at once, others when they have become idle: also those whose request is still on its way.
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    const closing = setInterval(() => server.closeIdleConnections(), idleSweepMs);
    await Promise.race([closed, delay(options.drainMs)]);
    clearInterval(closing);
    server.closeAllConnections();
    await closed;
    await Promise.race([meter.whenIdle().then(() => corrections.whenIdle()), delay(1000)]);
    await transport.close();
    credentials.close();
    accessLog.flush();
    if (ops !== undefined) await new Promise<void>((resolve) => ops.close(() => resolve()));
  };

  return {
    url: addressOf(server),
    opsUrl: ops === undefined ? undefined : addressOf(ops),
    meter,
    logger,
    update,
    apply,
    setLogLevel: (level) => {
      logger.level = level;
    },
    drain: () => (drained ??= stop()),
  };
}

/** Takes the base path off. Hot paths go straight to the pipeline; everything else through Express, to the same handlers. */
function listener(
  app: (request: IncomingMessage, response: ServerResponse) => void,
  gateway: Gateway,
  basePath: string,
) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    let url = request.url ?? '';
    if (basePath !== '' && url.startsWith(`${basePath}/`)) {
      url = url.slice(basePath.length);
      request.url = url;
    }
    const query = url.indexOf('?');
    if (
      request.method === 'POST' &&
      hotPaths.has(query === -1 ? url : url.slice(0, query)) &&
      request.headers.origin === undefined
    ) {
      void handle(request, response, gateway);
      return;
    }
    app(request, response);
  };
}

function serverOptions(options: ProxyOptions) {
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
      return endWith(socket, invalid('its headers are too large', 431));
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

/** Connections and tokens before the first request: a TLS handshake costs more than the request. */
function warm(records: Catalogue, gateway: Gateway): void {
  const byId = new Map(records.credentials.map((credential) => [credential.id, credential]));
  for (const { credential, resource, dialect } of records.deployments) {
    const record = byId.get(credential);
    if (record?.origins.includes(resource.origin) === true) {
      gateway.credentials.get(record, resource.origin, dialect);
    }
  }
  const origins = [...new Set(records.deployments.map(({ resource }) => resource.origin))];
  Promise.all([gateway.credentials.warm(), gateway.transport.warm(origins)]).catch(
    (error: unknown) => gateway.logger.warn({ error }, 'warming up failed'),
  );
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
