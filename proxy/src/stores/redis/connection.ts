import { Cluster, Redis } from 'ioredis';
import type { AccessToken } from '../../upstream/token-source.ts';

/** Where a Redis is, and how to come in. */
export type RedisAddress =
  | { readonly kind: 'single'; readonly host: string; readonly port: number; readonly db?: number }
  | {
      readonly kind: 'sentinel';
      /** Name of the master that the sentinels watch. */
      readonly master: string;
      readonly sentinels: readonly { host: string; port: number }[];
      readonly sentinelPassword?: string;
      readonly db?: number;
    }
  /** Some of the servers: the rest is learned from them. */
  | { readonly kind: 'cluster'; readonly nodes: readonly { host: string; port: number }[] };

/** A user and password, or an Entra identity, whose tokens are the passwords of its object id. */
export type RedisSignIn =
  | { readonly username?: string; readonly password: string }
  | { readonly username: string; readonly token: () => Promise<AccessToken> };

export type RedisConnectionOptions = {
  readonly address: RedisAddress;
  readonly signIn?: RedisSignIn;
  /** Present: TLS, with what is to be trusted besides the usual authorities. */
  readonly tls?: { readonly ca?: string; readonly servername?: string };
  /** Without TLS only this machine is connected to unless this is true: keys and limits are not for the network. */
  readonly allowPlaintext?: boolean;
  /** Put before every name, for gateways that share a Redis. */
  readonly keyPrefix?: string;
  /** An answer that takes longer counts as none. */
  readonly answerMs?: number;
  /** A token is used for so long at least, even if it says that it is over. */
  readonly tokenUseMs?: number;
  /** A connection failed, or a token could not be had. Called often while Redis is away. */
  readonly onError?: (error: Error) => void;
};

export type RedisConnection = {
  readonly client: Redis | Cluster;
  /** Another connection with the same settings, for what waits: blocking reads, subscriptions. It ends with this one. */
  duplicate(): Redis | Cluster;
  close(): Promise<void>;
};

/** Thrown for settings that must not be connected with. */
export class RedisSettingsError extends Error {}

const connectMs = 5000;
const longestPauseMs = 2000;

/** Tokens are renewed this long before their end, and no sooner than this after they came. */
const renewAheadMs = 300_000;
const leastTokenUseMs = 10_000;
const retryTokenMs = 10_000;

/**
 * Connects to Redis: one server, a master that sentinels watch, or a cluster.
 *
 * The client refuses commands at once while it is not connected, gives each one bounded time, and sends none a second time: what
 * uses it decides itself what is to happen then. It reconnects for ever. Renewed tokens are shown to live connections before the
 * old ones end.
 *
 * @throws RedisSettingsError for an address in the network without TLS
 * @throws when the first token cannot be had; not when Redis is away
 */
export async function connectRedis(options: RedisConnectionOptions): Promise<RedisConnection> {
  refusePlaintext(options);
  const { signIn, tokenUseMs = leastTokenUseMs, onError = () => undefined } = options;
  const clients: (Redis | Cluster)[] = [];
  let password = signIn !== undefined && 'password' in signIn ? signIn.password : undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const open = (): Redis | Cluster => {
    const client = createClient(options, password);
    // Without a listener an error event would end the process.
    client.on('error', onError);
    clients.push(client);
    return client;
  };

  const renew = async (token: () => Promise<AccessToken>, username: string): Promise<void> => {
    const fresh = await token();
    password = fresh.value;
    for (const client of clients) showToken(client, username, fresh.value, onError);
    const inMs = Math.max(tokenUseMs, fresh.expiresAt - Date.now() - renewAheadMs);
    schedule(token, username, Math.min(inMs, 2 ** 31 - 1));
  };
  const schedule = (token: () => Promise<AccessToken>, username: string, inMs: number): void => {
    if (isClosed) return;
    timer = setTimeout(() => {
      renew(token, username).catch((error: unknown) => {
        onError(asError(error));
        schedule(token, username, retryTokenMs);
      });
    }, inMs);
    timer.unref();
  };
  if (signIn !== undefined && 'token' in signIn) await renew(signIn.token, signIn.username);

  return {
    client: open(),
    duplicate: open,
    close: async () => {
      isClosed = true;
      clearTimeout(timer);
      for (const client of clients) client.disconnect();
      await Promise.resolve();
    },
  };
}

function createClient(
  { address, signIn, tls, keyPrefix, answerMs = 500 }: RedisConnectionOptions,
  password: string | undefined,
): Redis | Cluster {
  const pauseMs = (times: number): number =>
    Math.random() * Math.min(longestPauseMs, 50 * 2 ** Math.min(times, 10)) + 20;
  const common = {
    ...(signIn?.username !== undefined && { username: signIn.username }),
    ...(password !== undefined && { password }),
    ...(tls !== undefined && { tls }),
    connectTimeout: connectMs,
    commandTimeout: answerMs,
    // A command whose connection broke may have been carried out: repeating it is its sender's decision.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // A server that was a master a moment ago answers so until it is left.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  };
  if (address.kind === 'cluster') {
    return new Cluster([...address.nodes], {
      redisOptions: common,
      ...(keyPrefix !== undefined && { keyPrefix }),
      enableOfflineQueue: false,
      clusterRetryStrategy: pauseMs,
      // A moved slot is found at the second try; a server that is away is not waited for.
      maxRedirections: 3,
      retryDelayOnFailover: 50,
      retryDelayOnClusterDown: 50,
      retryDelayOnTryAgain: 50,
      slotsRefreshTimeout: connectMs,
      // Certificates are made out to names: the addresses in them must not be resolved before.
      ...(tls !== undefined && { dnsLookup: (name, found) => found(null, name) }),
    });
  }
  const single = {
    ...common,
    ...(keyPrefix !== undefined && { keyPrefix }),
    ...(address.db !== undefined && { db: address.db }),
    enableOfflineQueue: false,
    retryStrategy: pauseMs,
  };
  if (address.kind === 'single') {
    return new Redis({ ...single, host: address.host, port: address.port });
  }
  return new Redis({
    ...single,
    name: address.master,
    sentinels: [...address.sentinels],
    sentinelRetryStrategy: pauseMs,
    ...(address.sentinelPassword !== undefined && { sentinelPassword: address.sentinelPassword }),
    ...(tls !== undefined && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
  });
}

/** Signs live connections in anew, and those to come with the same token. */
function showToken(
  client: Redis | Cluster,
  username: string,
  token: string,
  onError: (error: Error) => void,
): void {
  if (client instanceof Cluster && client.options.redisOptions !== undefined) {
    client.options.redisOptions.password = token;
  }
  for (const node of client instanceof Cluster ? client.nodes() : [client]) {
    node.options.password = token;
    if (node.status !== 'ready') continue;
    node.auth(username, token).catch((error: unknown) => onError(asError(error)));
  }
}

function refusePlaintext({ address, tls, allowPlaintext }: RedisConnectionOptions): void {
  if (tls !== undefined || allowPlaintext === true) return;
  const hosts =
    address.kind === 'single'
      ? [address.host]
      : (address.kind === 'sentinel' ? address.sentinels : address.nodes).map(({ host }) => host);
  const outside = hosts.find((host) => !isThisMachine(host));
  if (outside === undefined) return;
  throw new RedisSettingsError(
    `Redis at ${outside} is not on this machine: use rediss:// (TLS), or allow plain text explicitly.`,
  );
}

function isThisMachine(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/**
 * Reads `redis://` and, for TLS, `rediss://` addresses: `rediss://user:password@host:port/database`.
 *
 * @throws RedisSettingsError without repeating the text, which may hold a password
 */
export function parseRedisUrl(
  text: string,
): Pick<RedisConnectionOptions, 'address' | 'signIn' | 'tls'> {
  const url = URL.parse(text);
  const isTls = url?.protocol === 'rediss:';
  const db = /^\/?(\d*)$/.exec(url?.pathname ?? '')?.[1];
  if (url === null || url.hostname === '' || db === undefined) throw unusableUrl();
  if (!isTls && url.protocol !== 'redis:') throw unusableUrl();
  return {
    address: {
      kind: 'single',
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? 6379 : Number(url.port),
      ...(db !== '' && { db: Number(db) }),
    },
    ...(url.password !== '' && {
      signIn: {
        password: decodeURIComponent(url.password),
        ...(url.username !== '' && { username: decodeURIComponent(url.username) }),
      },
    }),
    ...(isTls && { tls: {} }),
  };
}

function unusableUrl(): RedisSettingsError {
  return new RedisSettingsError(
    'not an address of the form redis://host:port or rediss://host:port',
  );
}
