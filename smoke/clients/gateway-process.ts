import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../free-port.ts';
import type { Simulator } from '../simulator/simulator.ts';
import { start } from './child-process.ts';
import { gatewayConfig } from './simulated-azure.ts';

/** A running gateway. */
export type GatewayProcess = {
  /** Base URL without a path. */
  url: string;
  /** Text of `/metrics`. */
  metrics(): Promise<string>;
  /** Everything it has logged. */
  log(): string;
  /** Lets requests under way finish, and ends it. @throws {Error} if its exit status is not 0 */
  stop(): Promise<void>;
};

const readyLimitMs = 60_000;
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/**
 * Starts the gateway as its users do, with a configuration file and two keys in the environment.
 *
 * @param folder - takes its configuration and data
 * @throws {Error} with its log, when it does not get ready
 */
export async function startGatewayProcess(options: {
  simulator: Simulator;
  folder: string;
  key: string;
  /** Of a caller who may make one request a minute. */
  slowKey: string;
  masterKey: string;
  /** `all` serves the management API as well. */
  role: 'proxy' | 'all';
}): Promise<GatewayProcess> {
  const { simulator, folder, key, slowKey, masterKey, role } = options;
  const opsPort = await freePort();
  const data = join(folder, 'gateway');
  const config = join(data, 'config.yaml');
  mkdirSync(data, { recursive: true });
  writeFileSync(config, gatewayConfig(simulator, opsPort));
  const running = start({
    file: process.execPath,
    args: [
      join(root, 'gateway', 'src', 'main.ts'),
      '--config',
      config,
      '--port',
      '0',
      '--host',
      '127.0.0.1',
    ],
    environment: {
      PATH: process.env['PATH'] ?? '',
      AIGATEWAY_ROLE: role,
      LITELLM_MASTER_KEY: masterKey,
      PROXY_API_KEY: key,
      SLOW_KEY: slowKey,
      AIGATEWAY_SECRET: 'secret-of-the-end-to-end-tests-0123456789',
      AIGATEWAY_DATA_DIR: data,
    },
    cwd: data,
    stdin: 'keep-open',
  });
  const log = (): string => {
    const { stdout, stderr } = running.output();
    return stdout + stderr;
  };
  let hasEnded = false;
  void running.ended.then(() => (hasEnded = true));
  const deadline = performance.now() + readyLimitMs;
  let url: string | undefined;
  for (;;) {
    url ??= /http:\/\/127\.0\.0\.1:(?!0\b)\d+/.exec(
      log().replaceAll(`:${String(opsPort)}`, ':0'),
    )?.[0];
    if (url !== undefined && (await isReady(url))) break;
    if (hasEnded || performance.now() > deadline) {
      await running.stop();
      throw new Error(`the gateway did not get ready:\n${log().slice(-4000)}`);
    }
    await sleep(20);
  }
  return {
    url,
    metrics: async () => await (await fetch(`http://127.0.0.1:${String(opsPort)}/metrics`)).text(),
    log,
    stop: async () => {
      const { status } = await running.stop(15_000);
      if (status !== 0 && status !== 'SIGTERM')
        throw new Error(`the gateway ended with ${String(status)}:\n${log().slice(-4000)}`);
    },
  };
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health/readiness`, { signal: AbortSignal.timeout(2000) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false; // not listening yet
  }
}
