import type { Simulator } from '@aigateway/smoke/simulator/simulator';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../smoke/free-port.ts';
import { metric, post, ready } from './calls.ts';
import { GatewayProcess, newFolder } from './gateway-process.ts';
import { startAzureOfOneModel, writeConfigurationOfOneModel } from './one-model.ts';

const key = 'sk-caller-0123456789abcdef';
/** Calls under way that one replica more is started for, and how many replicas there are at most. */
const callsOfReplica = 10;
const mostReplicas = 3;
/** A replica goes when fewer have been enough so many times in a row. */
const calmSamples = 5;

type Replica = { readonly process: GatewayProcess; readonly url: string; readonly opsPort: number };

let simulator: Simulator;
const started: GatewayProcess[] = [];
/** Those that the ingress sends calls to. */
const replicas: Replica[] = [];
const gone: GatewayProcess[] = [];

beforeAll(async () => {
  simulator = await startAzureOfOneModel('an-upstream-key');
});
afterAll(async () => {
  for (const gateway of started) await gateway.stop();
  await simulator.close();
});

async function scaleOut(): Promise<void> {
  const folder = newFolder();
  writeConfigurationOfOneModel(folder, simulator, 'an-upstream-key');
  const opsPort = await freePort();
  const process = new GatewayProcess(
    ['--role', 'proxy', '--port', '0', '--config', 'config.yaml'],
    {
      AIGATEWAY_SECRET: 'a-root-secret-of-more-than-thirty-two-bytes',
      AIGATEWAY_STOP_DELAY: '0.5',
      AIGATEWAY_OPS_PORT: String(opsPort),
      PROXY_API_KEY: key,
      HOST: '127.0.0.1',
    },
    folder,
  );
  started.push(process);
  const url = await process.url();
  await ready(url);
  replicas.push({ process, url, opsPort });
}

function scaleIn(): void {
  const { process } = replicas.pop()!;
  process.child.kill('SIGTERM');
  gone.push(process);
}

/** What a scaler is told by all replicas together. */
async function callsUnderWay(): Promise<number> {
  const counts = await Promise.all(
    replicas.map(({ opsPort }) => metric(opsPort, 'requests_in_flight')),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

/** One look of a scaler, as KEDA has them: up at once, down when it has been calm for a while. */
let calm = 0;
async function scale(): Promise<number> {
  const wanted = Math.ceil((await callsUnderWay()) / callsOfReplica);
  const count = Math.min(mostReplicas, Math.max(1, wanted));
  calm = count < replicas.length ? calm + 1 : 0;
  if (count > replicas.length) await scaleOut();
  if (calm >= calmSamples) {
    scaleIn();
    calm = 0;
  }
  return replicas.length;
}

it('replicas follow the calls under way, up and down, and no call fails', async () => {
  simulator.fault({ kind: 'stall', at: 'mid-body', ms: 200, times: 1_000_000 });
  await scaleOut();
  const outcomes: string[] = [];
  const answeredBy = new Map<string, number>();
  let callers = 0;
  let next = 0;
  const caller = async (number: number): Promise<void> => {
    while (number <= callers) {
      next = (next + 1) % replicas.length;
      const { url } = replicas[next]!;
      const messages = [{ role: 'user', content: 'hello' }];
      const body = { model: 'gpt-4o', messages, stream: true };
      const answer = await post(url, '/v1/chat/completions', key, body);
      const isWhole = (await answer.text()).trimEnd().endsWith('data: [DONE]');
      outcomes.push(`${answer.status} ${isWhole ? 'whole' : 'broken'}`);
      answeredBy.set(url, (answeredBy.get(url) ?? 0) + 1);
    }
  };
  const load: Promise<void>[] = [];
  const step = (count: number): void => {
    const before = callers;
    callers = count;
    for (let number = before + 1; number <= count; number += 1) load.push(caller(number));
  };

  step(callsOfReplica / 2);
  expect(await scale()).toBe(1);
  for (const [count, expected] of [
    [callsOfReplica + 6, 2],
    [2 * callsOfReplica + 6, 3],
    [callsOfReplica / 2, 1],
  ] as const) {
    step(count);
    await expect.poll(scale, { interval: 50, timeout: 100_000 }).toBe(expected);
    const [{ url }] = replicas.slice(-1) as [Replica];
    const already = answeredBy.get(url) ?? 0;
    await expect
      .poll(() => answeredBy.get(url) ?? 0, { timeout: 60_000 })
      .toBeGreaterThan(already + 5);
  }
  step(0);
  await Promise.all(load);

  expect(new Set(outcomes)).toEqual(new Set(['200 whole']));
  expect(answeredBy.size).toBe(mostReplicas);
  expect(await Promise.all(gone.map((process) => process.ended()))).toEqual([0, 0]);
  for (const { output } of gone) expect(output).not.toContain('interrupted');
  await expect.poll(callsUnderWay).toBe(0);
});
