import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import type { RecordedRequest } from '../simulator/recorder.ts';
import type { Simulator } from '../simulator/simulator.ts';
import { startGatewayProcess } from './gateway-process.ts';
import type { GatewayProcess } from './gateway-process.ts';
import { keyOfEast, startSimulatedAzure } from './simulated-azure.ts';

/** Stands in every prompt and may stand in no log line. */
export const canary = 'canary-5b1f0c';

/** What the clients of one test file run against. */
export type Stage = {
  readonly simulator: Simulator;
  /** Base URL without a path; what `https://gateway.example.com` stands for in the settings. */
  readonly url: string;
  /** Base URL of OpenAI's paths; what `https://gateway.example.com/v1` stands for. */
  readonly v1: string;
  /** The caller's key. */
  readonly key: string;
  /** Key of a caller who may make one request a minute. */
  readonly slowKey: string;
  /** The administrator's key. */
  readonly masterKey: string;
  /** Requests at the simulator since `from`, of models only. */
  modelCalls(from?: number): readonly RecordedRequest[];
  /** A fresh folder for a program's home. */
  home(name: string): string;
  /** An environment built from nothing, in which nothing but loopback can be reached. */
  environment(home: string, more?: Readonly<Record<string, string>>): Record<string, string>;
  /**
   * Ends everything, and fails unless what holds for every client held: no key of a caller went upstream, what was admitted was
   * settled, once, and the log holds neither prompts nor keys.
   */
  end(): Promise<void>;
};

/** Keys of callers and administrator, of which no part may be seen upstream or in a log. */
const callerKey = 'sk-caller-0f4e7d2b9a6c8135e7f1';
const slowKey = 'sk-slow-7a10c4e2f8b35d96';
const masterKey = 'sk-master-b3d91c5f7e2a6048d9c0';

/**
 * `simulator` instead of the gateway when `AIGATEWAY_E2E_TARGET` says so: shows whether a client's failure is the gateway's. The
 * simulator refuses what Azure refuses, so not every test can pass there.
 */
const isDirect = process.env['AIGATEWAY_E2E_TARGET'] === 'simulator';

/** Starts the simulated Azure and the gateway in front of it. */
export async function startStage(role: 'proxy' | 'all' = 'proxy'): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'aigateway-clients-'));
  const simulator = await startSimulatedAzure();
  let gateway: GatewayProcess | undefined;
  try {
    if (!isDirect)
      gateway = await startGatewayProcess({
        simulator,
        folder,
        key: callerKey,
        slowKey,
        masterKey,
        role,
      });
  } catch (error) {
    await simulator.close();
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  const url = gateway?.url ?? simulator.resourceUrl('east');
  return {
    simulator,
    url,
    v1: gateway === undefined ? `${url}/openai/v1` : `${url}/v1`,
    key: gateway === undefined ? keyOfEast : callerKey,
    slowKey,
    masterKey,
    modelCalls: (from = 0) =>
      simulator
        .requests()
        .filter(
          ({ method, operation, sequence }) =>
            sequence > from && method === 'POST' && operation !== undefined,
        ),
    home: (name) => {
      const path = join(folder, name);
      mkdirSync(path, { recursive: true });
      return path;
    },
    environment: (home, more = {}) => environmentIn(home, more),
    end: async () => {
      try {
        if (gateway !== undefined) {
          await checkAccounts(gateway);
          // The last lines are written when it ends.
          await gateway.stop();
          checkSecrecy(simulator, gateway);
        }
      } finally {
        await gateway?.stop();
        await simulator.close();
        rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
      }
    },
  };
}

function environmentIn(
  home: string,
  more: Readonly<Record<string, string>>,
): Record<string, string> {
  const temporary = join(home, 'tmp');
  mkdirSync(temporary, { recursive: true });
  // Nothing listens on the discard port of loopback: whatever leaves the machine fails at once.
  const closed = 'http://127.0.0.1:9';
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    TMPDIR: temporary,
    LANG: 'C.UTF-8',
    HTTP_PROXY: closed,
    HTTPS_PROXY: closed,
    http_proxy: closed,
    https_proxy: closed,
    NO_PROXY: '127.0.0.1,localhost',
    no_proxy: '127.0.0.1,localhost',
    ...more,
  };
}

/** What was admitted is settled, once. A program that has ended may have left a stream behind, which ends a moment later. */
async function checkAccounts(gateway: GatewayProcess): Promise<void> {
  await vi.waitFor(
    async () => {
      expect(metricOf(await gateway.metrics(), 'aigateway_requests_in_flight')).toBe(0);
    },
    { timeout: 10_000 },
  );
  const metrics = await gateway.metrics();
  const admitted = metricOf(metrics, 'aigateway_admitted_requests');
  expect(admitted).toBeGreaterThan(0);
  expect(metricOf(metrics, 'aigateway_settled_requests')).toBe(admitted);
  expect(metricOf(metrics, 'aigateway_double_settled_requests')).toBe(0);
}

/** No key of a caller went upstream; no key and no prompt is in the log. */
function checkSecrecy(simulator: Simulator, gateway: GatewayProcess): void {
  const upstream = JSON.stringify(simulator.requests());
  const log = gateway.log();
  expect(upstream.includes(canary), 'no prompt of this file held the canary').toBe(true);
  for (const key of [callerKey, slowKey, masterKey]) {
    expect(upstream.includes(key), 'a key of a caller reached the upstream').toBe(false);
    expect(log.includes(key), 'a key of a caller is in the log').toBe(false);
  }
  expect(log.includes('"event":"call"'), 'calls are in the log').toBe(true);
  expect(log.includes(canary), 'a prompt is in the log').toBe(false);
  expect(log.includes(keyOfEast), 'a key of a resource is in the log').toBe(false);
}

function metricOf(text: string, name: string): number {
  const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1];
  return Number(value ?? Number.NaN);
}
