import { execFileSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../free-port.ts';
import { nodeFlags } from '../../scripts/project-node.mjs';
import { type ServerProcess, startServer } from './server-process.ts';
import { benchModel } from './workloads.ts';

/** A server that stands in front of the upstream, or the upstream itself. */
export type Target = {
  name: string;
  port: number;
  /** Absent where the process is none of ours to look into. */
  pid?: number;
  headers: Readonly<Record<string, string>>;
  readyMs?: number;
  stop(): Promise<void>;
};

/** What a target is started with. */
export type Surroundings = { upstreamPort: number; folder: string; core: number | undefined };

const root = join(import.meta.dirname, '..', '..');
const bundle = join(root, 'dist', 'gateway.mjs');
const key = 'sk-bench-0123456789abcdef0123456789abcdef';
/** The administrator's key of every gateway started here. */
export const masterKey = `${key}-master`;

/** A path that the upstream answers with 200, whoever stands before it. */
const upstreamPath = '/v1/chat/completions';

/** The upstream process that all targets share. */
export async function startUpstream(folder: string, fixedPort?: number): Promise<ServerProcess> {
  const port = fixedPort ?? (await freePort());
  return startServer({
    name: 'upstream',
    folder,
    command: [process.execPath, join(import.meta.dirname, 'upstream.ts'), String(port)],
    port,
    readyPath: upstreamPath,
  });
}

/** Starts the bare reference: see `pass-through.ts`. */
export async function startBare({ upstreamPort, folder, core }: Surroundings): Promise<Target> {
  const port = await freePort();
  const program = join(import.meta.dirname, 'pass-through.ts');
  const started = await startServer({
    name: `bare-${port}`,
    folder,
    command: [process.execPath, program, String(port), String(upstreamPort)],
    port,
    readyPath: upstreamPath,
    core,
  });
  return { name: 'bare', headers: {}, ...started };
}

/** Whether nginx, the other reference, is installed. */
export function hasNginx(): boolean {
  try {
    execFileSync('nginx', ['-v'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Starts nginx as a plain reverse proxy with kept connections, unbuffered, without a log: its cheapest. */
export async function startNginx({ upstreamPort, folder, core }: Surroundings): Promise<Target> {
  const port = await freePort();
  const home = join(folder, `nginx-${port}`);
  mkdirSync(home);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    join(home, 'nginx.conf'),
    `daemon off; master_process off; worker_processes 1; pid ${home}/pid; error_log stderr;
events { worker_connections 8192; }
http {
  access_log off; client_max_body_size 32m; client_body_buffer_size 256k;
  ${temporary.map((name) => `${name}_temp_path ${home}/${name};`).join(' ')}
  upstream bench { server 127.0.0.1:${upstreamPort}; keepalive 512; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port}; keepalive_requests 100000000; keepalive_timeout 120s;
    location / {
      proxy_pass http://bench; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }
  }
}
`,
  );
  const started = await startServer({
    name: `nginx-${port}`,
    folder,
    command: ['nginx', '-p', home, '-e', 'stderr', '-c', join(home, 'nginx.conf')],
    port,
    readyPath: upstreamPath,
    core,
  });
  return { name: 'nginx', headers: {}, ...started };
}

/** The file that runs as the gateway: the bundle of `npm run build` where there is one, as in the image. */
export function gatewayProgram(): string {
  return existsSync(bundle) ? bundle : join(root, 'gateway', 'src', 'main.ts');
}

/** What each key of a gateway may do, in LiteLLM's terms. */
type KeyLimits = {
  readonly rpm_limit: number;
  readonly tpm_limit: number;
  readonly max_budget: number;
};

/** Out of reach, yet all are counted. */
const farLimits: KeyLimits = { rpm_limit: 1e9, tpm_limit: 1e12, max_budget: 1e6 };

export type GatewayOptions = {
  /** How many virtual keys it knows. Default 1. */
  readonly keys?: number;
  /** The file to run. */
  readonly program?: string;
  readonly limits?: KeyLimits;
  /** Counts its limits there, together with others. */
  readonly redisUrl?: string;
};

/** Starts the gateway with everything on that a production gateway does: virtual keys, limits, routing, metering, access log. */
export async function startGateway(
  { upstreamPort, folder, core }: Surroundings,
  { keys = 1, program = gatewayProgram(), limits = farLimits, redisUrl }: GatewayOptions = {},
): Promise<Target> {
  const port = await freePort();
  const home = join(folder, `gateway-${port}`);
  mkdirSync(home);
  const config = join(home, 'config.yaml');
  writeFileSync(config, gatewayConfig(upstreamPort, keys, limits));
  const started = await startServer({
    name: `gateway-${port}`,
    folder,
    command: [
      process.execPath,
      ...nodeFlags,
      program,
      '--config',
      config,
      '--port',
      String(port),
      '--host',
      '127.0.0.1',
    ],
    environment: {
      ...gatewayEnvironment(home),
      ...(redisUrl !== undefined && { REDIS_URL: redisUrl }),
    },
    port,
    readyPath: '/health/readiness',
    core,
  });
  return { name: 'gateway', headers: keyHeaders(0), ...started };
}

/** Headers of the key with this number, from 0. */
export function keyHeaders(at: number): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${key}-${at}` };
}

/** The environment of a gateway in the production profile, which makes no secrets by itself, with its data in a folder. */
export function gatewayEnvironment(folder: string): Record<string, string> {
  return {
    AIGATEWAY_PROFILE: 'production',
    AIGATEWAY_SECRET: key.repeat(2),
    AIGATEWAY_DATA_DIR: folder,
    AIGATEWAY_OPS_PORT: '0',
    LITELLM_MASTER_KEY: masterKey,
  };
}

/** JSON is YAML too. Keys come as hashes, as files with many of them do. */
function gatewayConfig(upstreamPort: number, keys: number, limits: KeyLimits): string {
  return JSON.stringify({
    model_list: [
      {
        model_name: benchModel,
        litellm_params: {
          model: `azure/${benchModel}`,
          api_base: `http://127.0.0.1:${upstreamPort}`,
          api_version: '2024-10-21',
          api_key: 'bench',
          rpm: 1_000_000_000,
          tpm: 1_000_000_000_000,
        },
      },
    ],
    virtual_keys: Array.from({ length: keys }, (_, at) => ({
      key_hash: hash('sha256', `${key}-${at}`),
      models: [benchModel],
      ...limits,
    })),
    aigateway_settings: { allow_insecure_upstream: true, stop_delay: 0 },
  });
}

/**
 * A gateway started by hand, to be measured beside ours: LiteLLM, Portkey, an older release. Its upstream is
 * `http://127.0.0.1:PORT` with the port given as `--upstream-port`.
 *
 * @param text - `NAME=URL[,pid=N][,key=K]`; without a pid its CPU time is not measured
 */
export function parseRunningTarget(text: string): Target {
  const [start = '', ...options] = text.split(',');
  const at = start.indexOf('=');
  const port = Number(at > 0 && new URL(start.slice(at + 1)).port);
  if (!port) throw new Error(`not NAME=http://127.0.0.1:PORT[,pid=N][,key=K]: ${text}`);
  const option = Object.fromEntries(options.map((pair) => pair.split('=', 2)));
  return {
    name: start.slice(0, at),
    port,
    ...(option.pid ? { pid: Number(option.pid) } : {}),
    headers: option.key ? { authorization: `Bearer ${option.key}` } : {},
    stop: () => Promise.resolve(),
  };
}
