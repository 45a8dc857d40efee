import type { RequestListener } from 'node:http';
import type { RequestHandler } from 'express';
import type { Registry } from 'prom-client';
import type { LoginThrottle } from '@aigateway/contract/login-throttle';
import type { Records } from '@aigateway/contract/records';
import type {
  Catalogue,
  FoundKey,
  SnapshotChange,
  SnapshotStanding,
} from '@aigateway/contract/snapshot';
import type { StandingChanges } from '@aigateway/contract/standing-changes';
import { Corrections } from './accounting/corrections.ts';
import { Meter } from './accounting/meter.ts';
import { OutputMeans } from './admission/estimate.ts';
import { onlyFromAllowed } from './allowed-addresses.ts';
import { createApp } from './app.ts';
import type { ProxyOptions } from './config.ts';
import { createOpsServer, type Readiness } from './ops.ts';
import type { Gateway } from './pipeline/gateway.ts';
import { Heartbeat } from './pipeline/heartbeat.ts';
import { arrive, handle, refuseArrival } from './pipeline/pipeline.ts';
import type { Clock, Estimates, Limiter, UsageSink } from './ports.ts';
import { IdTagger } from './routing/affinity.ts';
import { Deployments } from './routing/deployments.ts';
import { standing } from './routing/health.ts';
import { Prober } from './pipeline/probes.ts';
import { HolderTable } from './holder-table.ts';
import { KeyTable } from './key-table.ts';
import { startServer, type Refuse } from './server.ts';
import { checkSchema, Snapshot } from './snapshot.ts';
import { MemoryEstimates } from './stores/memory/estimates.ts';
import { createMemoryLimiter } from './stores/memory/limiter.ts';
import { MemoryStandingChanges } from './stores/memory/standing-changes.ts';
import { createMemoryUsageSink } from './stores/memory/usage-sink.ts';
import { AccessLog } from './telemetry/access-log.ts';
import { DeploymentLog } from './telemetry/deployment-log.ts';
import { createLogger, type Logger, type LogLevel } from './telemetry/logger.ts';
import { Metrics } from './telemetry/metrics.ts';
import { registerReadings, snapshotAgeSeconds, snapshotReadings } from './telemetry/readings.ts';
import { createCredentials } from './upstream/credential.ts';
import { createTransport } from './upstream/transport.ts';

/** What a proxy needs from outside. What is left out is the in-process kind. */
export type ProxyPorts = {
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly limiter?: Limiter;
  readonly usage?: UsageSink;
  readonly estimates?: Estimates;
  /** How deployments fared; shared where others see it too. */
  readonly standingChanges?: StandingChanges;
  /** Asks for a key that is not among the records, by its hash; see `SnapshotSource.findKey`. */
  readonly findKey?: (hash: string) => Promise<FoundKey | undefined>;
  /** How far the source of its records is; see `SnapshotSource.standing`. */
  readonly standing?: () => SnapshotStanding;
  /** Slows down who guesses keys. */
  readonly logins?: LoginThrottle;
  /** Answers paths that the proxy does not have, and passes on those that nobody has: the management API of an embedded control plane. */
  readonly management?: RequestHandler;
  /** Takes log lines, one or several at a time; standard output unless given. */
  readonly writeLog?: (text: string) => void;
  /** For lines about the gateway itself, where the process has a logger already. */
  readonly logger?: Logger;
  /** Takes in its metrics, where the process has more of them. */
  readonly registry?: Registry;
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
  const logger = ports.logger ?? createLogger(options.logLevel, ports.writeLog);
  const { writeLog } = ports;
  const accessLog = new AccessLog(writeLog && ((lines) => writeLog(lines.toString())));
  let snapshot: Snapshot | undefined;
  let keys = new KeyTable([]);
  let revision = 0;
  let holders = new HolderTable([]);
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
  const standingChanges = ports.standingChanges ?? new MemoryStandingChanges();
  const deployments = new Deployments(clock);
  const transport = createTransport(options.transport);
  let draining = false;
  const readiness = (): Readiness => {
    const known = {
      ...(ports.standing && { snapshot: described(ports.standing(), clock.now()) }),
      ...(options.warning !== undefined && { warning: options.warning }),
    };
    if (draining) return { ready: false, reason: 'draining', ...known };
    if (snapshot === undefined) return { ready: false, reason: 'no records yet', ...known };
    return { ready: true, ...known };
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
    ports.registry,
  );
  if (ports.standing !== undefined)
    registerReadings(
      metrics.registry,
      snapshotReadings(ports.standing, () => clock.now()),
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
            const found = await ports.findKey?.(hash);
            // What came meanwhile may say that the key is blocked or gone: nothing older takes its place.
            if (found !== undefined && found.revision > revision) keys.put(found.key);
            return keys.find(hash) !== undefined;
          },
    logins: ports.logins,
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
    deploymentLog: new DeploymentLog(logger, clock, standingChanges),
    standingChanges,
    logger,
    options: options.pipeline,
  };

  const put = (next: Catalogue, nextKeys: KeyTable, nextHolders: HolderTable): void => {
    const incoming = new Snapshot(next, nextKeys, nextHolders);
    deployments.update(next);
    snapshot = incoming;
    keys = nextKeys;
    holders = nextHolders;
    warm(next, gateway);
  };
  const update = (next: Records): void => {
    checkSchema(next);
    ({ revision } = next);
    put(next, new KeyTable(next.keys), new HolderTable(next.holders ?? []));
  };
  const apply = (change: SnapshotChange): void => {
    ({ revision } = change);
    switch (change.kind) {
      case 'catalogue':
        put(change.catalogue, keys, holders);
        break;
      case 'key':
        if (change.key === undefined) keys.delete(change.keyId);
        else keys.put(change.key);
        break;
      case 'holder':
        if (change.holder === undefined) holders.delete(change.name);
        else holders.put(change.holder);
    }
  };
  if (records !== undefined) update(records);

  const app = createApp(gateway, {
    readiness,
    corsOrigins: options.corsOrigins,
    management: ports.management,
  });
  const refuse: Refuse = (request, response, error) =>
    refuseArrival(request, response, gateway, arrive(request, gateway), 'unknown', error);
  const server = await startServer(
    options,
    onlyFromAllowed(
      { allowedIps: options.allowedIps, trustedHops: options.pipeline.trustedHops },
      pastExpress(app, gateway),
      refuse,
    ),
    refuse,
    createOpsServer(metrics.registry, readiness),
  );
  const prober = new Prober(gateway, options.probeIntervalMs);
  prober.start();

  let drained: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    draining = true;
    prober.stop();
    await server.drain(() => {
      const calls = gateway.heartbeat.interrupt();
      if (calls > 0) logger.warn({ calls }, 'drain_time is over: calls under way were interrupted');
    });
    await Promise.race([meter.whenIdle().then(() => corrections.whenIdle()), delay(1000)]);
    await transport.close();
    credentials.close();
    accessLog.flush();
  };

  return {
    url: server.url,
    opsUrl: server.opsUrl,
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

/** Hot paths go straight to the pipeline; everything else through Express, to the same handlers. */
function pastExpress(app: RequestListener, gateway: Gateway): RequestListener {
  return (request, response) => {
    const url = request.url ?? '';
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

/** How far a proxy is with its records, as probes are told. */
function described(standing: SnapshotStanding, now: number): NonNullable<Readiness['snapshot']> {
  const { revision, connected } = standing;
  const age = snapshotAgeSeconds(standing, now);
  return { revision, age_seconds: Number.isFinite(age) ? age : null, connected };
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
}
