import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../../smoke/free-port.ts';

export type RedisServer = {
  readonly port: number;
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
};

export type RedisServerOptions = {
  /** Further arguments of redis-server. */
  args?: string[];
  /** A free one unless given. */
  port?: number;
  /** File of settings, which comes first, e.g. of a sentinel. */
  settings?: string;
};

const { status, stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' });

/** False where there is no redis-server to be started: tests that need one are then skipped, by name. */
export const hasRedisServer = status === 0;

/** False also for the one that tests bring where nothing may be installed: it is of version 6, without TLS. */
export const hasRedis7 = hasRedisServer && Number(/\bv=(\d+)/.exec(stdout)?.[1]) >= 7;

const startMs = 20_000;

/** Starts an empty Redis on 127.0.0.1 that writes nothing to disk, and waits until it answers. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const port = options.port ?? (await freePort());
  const folder = mkdtempSync(join(tmpdir(), 'aigateway-redis-'));
  const plain = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
  const { settings } = options;
  const first = settings === undefined ? ['--save', '', '--appendonly', 'no'] : [settings];
  const child = spawn('redis-server', [...first, ...plain, ...(options.args ?? [])], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let output = '';
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`redis-server is silent: ${output}`)), startMs);
    const look = (chunk: Buffer): void => {
      output += chunk.toString();
      if (!/eady to accept connections|\+monitor/.test(output)) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`redis-server ended: ${output}`)));
  });
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
