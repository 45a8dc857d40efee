import type { Simulator } from '@aigateway/smoke/simulator/simulator';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { post, ready } from './calls.ts';
import { GatewayProcess, newFolder } from './gateway-process.ts';
import { startAzureOfOneModel, writeConfigurationOfOneModel } from './one-model.ts';

/** Commits, as an image is built of one. */
const [one, two] = ['aaaaaaa', 'bbbbbbb'] as const;
const key = 'sk-caller-0123456789abcdef';
const started: GatewayProcess[] = [];
let simulator: Simulator;

beforeAll(async () => {
  simulator = await startAzureOfOneModel('an-upstream-key');
});
afterAll(async () => {
  for (const gateway of started) await gateway.stop();
  await simulator.close();
});

/** A revision as a deployment makes it: one process more. */
function revision(name: string): GatewayProcess {
  const folder = newFolder();
  writeConfigurationOfOneModel(folder, simulator, 'an-upstream-key');
  const gateway = new GatewayProcess(
    ['--role', 'proxy', '--port', '0', '--config', 'config.yaml'],
    {
      AIGATEWAY_SECRET: 'a-root-secret-of-more-than-thirty-two-bytes',
      AIGATEWAY_REVISION: name,
      AIGATEWAY_STOP_DELAY: '0.5',
      PROXY_API_KEY: key,
      HOST: '127.0.0.1',
    },
    folder,
  );
  started.push(gateway);
  return gateway;
}

it('one revision takes over from another under load, and no call fails', async () => {
  const before = revision(one);
  // Where the ingress sends the next call.
  let url = await before.url();
  await ready(url);
  // Streams that are under way while the calls are shifted.
  simulator.fault({ kind: 'stall', at: 'mid-body', ms: 100, times: 1_000_000 });
  const outcomes: string[] = [];
  let isOver = false;
  const caller = async (stream: boolean): Promise<void> => {
    while (!isOver) {
      const messages = [{ role: 'user', content: 'hello' }];
      const body = { model: 'gpt-4o', messages, stream };
      const answer = await post(url, '/v1/chat/completions', key, body);
      const text = await answer.text();
      const isWhole = stream ? text.trimEnd().endsWith('data: [DONE]') : text.endsWith('}');
      const by = answer.headers.get('x-litellm-version')?.split('+')[1];
      outcomes.push(`${answer.status} ${isWhole ? 'whole' : 'broken'} by ${by}`);
    }
  };
  const load = [true, true, false, false].map(caller);
  const answeredBy = (name: string) =>
    outcomes.filter((outcome) => outcome === `200 whole by ${name}`).length;
  await expect.poll(() => answeredBy(one)).toBeGreaterThan(10);

  const after = revision(two);
  const next = await after.url();
  await ready(next);
  url = next;
  before.child.kill('SIGTERM');
  expect(await before.ended()).toBe(0);
  await expect.poll(() => answeredBy(two)).toBeGreaterThan(10);
  isOver = true;
  await Promise.all(load);

  expect(
    outcomes.filter((outcome) => ![one, two].some((name) => outcome === `200 whole by ${name}`)),
  ).toEqual([]);
  expect(before.output).not.toContain('interrupted');
});
