import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Redis } from 'ioredis';
import { startSimulator, type Simulator } from '@aigateway/smoke/simulator/simulator';
import {
  startPostgres,
  type PostgresServer,
} from '../../../control-plane/test/servers/postgres-server.ts';
import { startRedis, type RedisServer } from '../../../proxy/test/servers/redis-server.ts';
import { startRelay, type TcpRelay } from '../../../proxy/test/servers/tcp-relay.ts';
import { GatewayProcess, newFolder } from '../gateway-process.ts';
import { configurationOfOneModel } from '../one-model.ts';

export const masterKey = 'sk-master-0123456789abcdef';
const upstreamKey = 'simulated-key-of-the-ledger';
const skewedClock = pathToFileURL(join(import.meta.dirname, 'skewed-clock.mjs')).href;

/** A process of the fleet over all its lives: its directory stays, its port does not. */
type Member = { readonly folder: string; start(): GatewayProcess; current: GatewayProcess };

export type FleetOptions = {
  /** One proxy for each. */
  readonly skewsMs: readonly number[];
  readonly controlPlanes: number;
};

/** Proxies and control planes as processes, over one Redis, one store and simulated Azure, each of which can fail. */
export class Fleet {
  readonly simulator: Simulator;
  readonly redis: TcpRelay;
  readonly store: TcpRelay;
  readonly proxies: Member[];
  readonly controlPlanes: Member[];
  readonly #postgres: PostgresServer;
  #server: RedisServer;

  private constructor(parts: {
    simulator: Simulator;
    redis: TcpRelay;
    store: TcpRelay;
    postgres: PostgresServer;
    server: RedisServer;
    proxies: Member[];
    controlPlanes: Member[];
  }) {
    this.simulator = parts.simulator;
    this.redis = parts.redis;
    this.store = parts.store;
    this.proxies = parts.proxies;
    this.controlPlanes = parts.controlPlanes;
    this.#postgres = parts.postgres;
    this.#server = parts.server;
  }

  /** Starts everything, and waits until each part serves. */
  static async start({ skewsMs, controlPlanes }: FleetOptions): Promise<Fleet> {
    const simulator = await startSimulator({
      config: {
        recordedRequests: 1_000_000,
        chunkDelayMs: 3,
        resources: [
          {
            name: 'east',
            keys: [upstreamKey],
            deployments: [{ name: 'gpt-4o', model: 'gpt-4o', latencyMs: 30 }],
          },
        ],
      },
    });
    const server = await startRedis();
    const postgres = await startPostgres();
    const redis = await startRelay(server.port);
    const store = await startRelay(postgres.port);
    const database = new URL(await postgres.createDatabase());
    const common = {
      AIGATEWAY_SECRET: 'a-root-secret-of-more-than-thirty-two-bytes',
      AIGATEWAY_STOP_DELAY: '0',
      AIGATEWAY_WITHOUT_REDIS: 'closed',
      LITELLM_MASTER_KEY: masterKey,
      REDIS_URL: `redis://127.0.0.1:${redis.port}`,
      HOST: '127.0.0.1',
    };
    const direct = { ...common, DATABASE_URL: database.href };
    const job = new GatewayProcess(['--migrate', 'apply'], direct);
    if ((await job.ended()) !== 0) throw new Error(`the store was not migrated: ${job.errors}`);
    await job.stop();

    database.port = String(store.port);
    const controlEnvironment = { ...common, DATABASE_URL: database.href };
    const configuration = JSON.stringify(configurationFor(simulator));
    const fleet = new Fleet({
      simulator,
      redis,
      store,
      postgres,
      server,
      controlPlanes: Array.from({ length: controlPlanes }, () => {
        const folder = newFolder();
        writeFileSync(join(folder, 'config.yaml'), configuration);
        const args = ['--port', '0', '--role', 'control-plane', '--config', 'config.yaml'];
        return member(folder, () => new GatewayProcess(args, controlEnvironment, folder));
      }),
      proxies: skewsMs.map((skewMs) => {
        const folder = newFolder();
        const environment = {
          ...common,
          NODE_OPTIONS: `--import ${skewedClock}`,
          CLOCK_SKEW_MS: String(skewMs),
        };
        const args = ['--port', '0', '--role', 'proxy'];
        return member(folder, () => new GatewayProcess(args, environment, folder));
      }),
    });
    await Promise.all([...fleet.controlPlanes, ...fleet.proxies].map(isReady));
    return fleet;
  }

  /** Base URLs of the proxies that are there. */
  proxyUrls(): string[] {
    return this.proxies.flatMap((one) => urlOf(one) ?? []);
  }

  /** Base URL of a control plane that is there. */
  async controlUrl(): Promise<string> {
    const [first] = this.controlPlanes;
    if (first === undefined) throw new Error('there is no control plane');
    return first.current.url();
  }

  /** Ends a process at once and starts it again on its directory. Resolves when it serves. */
  async kill(one: Member): Promise<void> {
    one.current.child.kill('SIGKILL');
    await one.current.ended();
    one.current = one.start();
    await isReady(one);
  }

  /** Stops a process for three seconds: longer than leases lie idle, and than a heartbeat takes. Resolves when it goes on. */
  async holdUp({ current }: Member): Promise<void> {
    current.child.kill('SIGSTOP');
    await delay(3000);
    current.child.kill('SIGCONT');
  }

  /** Begins a replica of Redis that has everything by now. */
  async replica(): Promise<RedisServer> {
    const replica = await startRedis({
      args: [
        '--replicaof',
        '127.0.0.1',
        String(this.#server.port),
        '--repl-diskless-sync-delay',
        '0',
      ],
    });
    await withClient(replica, async (client) => {
      while (!(await client.info('replication')).includes('master_link_status:up')) await delay(10);
    });
    return replica;
  }

  /** Makes a replica independent: it follows no more. */
  async detach(replica: RedisServer): Promise<void> {
    await withClient(replica, (client) => client.call('REPLICAOF', 'NO', 'ONE'));
  }

  /** Puts a replica that has everything in the place of Redis. */
  async failOver(): Promise<void> {
    const replica = await this.replica();
    this.redis.cut();
    await withClient(this.#server, async (client) => {
      // Nobody writes any more: what is acknowledged now is everything.
      while (Number(await client.wait(1, 1000)) < 1) await delay(10);
    });
    await this.detach(replica);
    await this.takeOver(replica);
    this.redis.mend();
  }

  /** Puts a server that knows nothing in the place of Redis. */
  async emptyRedis(): Promise<void> {
    await this.takeOver(await startRedis());
  }

  /** Puts another server in the place of Redis. */
  async takeOver(next: RedisServer): Promise<void> {
    this.redis.turnTo(next.port);
    const before = this.#server;
    this.#server = next;
    await before.stop();
  }

  /** Asks what is there of usage that is not counted yet. */
  async usageWaiting(): Promise<number> {
    return withClient(this.#server, async (client) => {
      const streams = await client.keys('aigateway:usage:*:stream');
      const lengths = await Promise.all(streams.map((stream) => client.xlen(stream)));
      return lengths.reduce((sum, length) => sum + length, 0);
    });
  }

  query(sql: string): Promise<readonly Record<string, unknown>[]> {
    return this.#postgres.query(sql, 'test1');
  }

  /** Ends the proxies as an operator does: what they have is on its way before they go. */
  async drainProxies(): Promise<void> {
    for (const { current } of this.proxies) current.child.kill('SIGTERM');
    for (const { current } of this.proxies) await current.ended();
  }

  async close(): Promise<void> {
    for (const { current, folder } of [...this.proxies, ...this.controlPlanes]) {
      await current.stop();
      rmSync(folder, { recursive: true, force: true });
    }
    await this.redis.close();
    await this.store.close();
    await this.#server.stop();
    await this.#postgres.stop();
    await this.simulator.close();
  }
}

function member(folder: string, start: () => GatewayProcess): Member {
  return { folder, start, current: start() };
}

function urlOf({ current }: Member): string | undefined {
  return /listens on (http:\/\/[\d.]+:\d+)/.exec(current.output)?.[1];
}

/** Resolves when a process answers that it is ready. */
async function isReady(one: Member): Promise<void> {
  const url = await one.current.url();
  for (;;) {
    const answer = await fetch(`${url}/health/readiness`).catch(() => undefined);
    if (answer?.status === 200) return;
    if (one.current.child.exitCode !== null) throw new Error(one.current.errors);
    await delay(20);
  }
}

async function withClient<Result>(
  { port }: RedisServer,
  ask: (client: Redis) => Promise<Result>,
): Promise<Result> {
  const client = new Redis(port, '127.0.0.1');
  await once(client, 'ready');
  try {
    return await ask(client);
  } finally {
    client.disconnect();
  }
}

/** One model, asked once for each call: what the simulator counts is what the callers caused. */
function configurationFor(simulator: Simulator): object {
  return {
    ...configurationOfOneModel(simulator, upstreamKey),
    router_settings: { num_retries: 0 },
  };
}
