import type { DeploymentRecord } from '@aigateway/contract/records';
import { afterEach, describe, expect, it } from 'vitest';
import {
  chatBody,
  startGatewayUnderTest,
  stillClock,
  type DeploymentSpec,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
let clock: ReturnType<typeof stillClock>;
afterEach(() => gateway.close());

function start(
  deployments: { east: object; west: object },
  ptu: Partial<DeploymentRecord> = {},
  more: DeploymentSpec[] = [],
) {
  clock = stillClock();
  return startGatewayUnderTest({
    simulator: {
      resources: [
        {
          name: 'east',
          region: 'swedencentral',
          keys: ['east-key'],
          deployments: [
            { name: 'ptu', model: 'gpt-4o', provisioned: {}, ...deployments.east },
            { name: 'beside', model: 'gpt-4o' },
          ],
        },
        {
          name: 'west',
          region: 'westeurope',
          keys: ['west-key'],
          deployments: [{ name: 'standard', model: 'gpt-4o', ...deployments.west }],
        },
      ],
    },
    deployments: [
      {
        resourceName: 'east',
        deployment: 'ptu',
        model: 'gpt-4o',
        capacity: 'ptu',
        priority: 0,
        ...ptu,
      },
      { resourceName: 'west', deployment: 'standard', model: 'gpt-4o' },
      ...more,
    ],
    ports: { clock },
  });
}

async function servedBy(content = 'hi', extra: object = {}): Promise<string | undefined> {
  const response = await gateway.call('/v1/chat/completions', {
    ...chatBody('gpt-4o', content),
    ...extra,
  });
  return /\[(\w+)\//.exec(await response.text())?.[1];
}

describe('provisioned capacity', () => {
  it('is used first, as long as it lasts', async () => {
    gateway = await start({ east: {}, west: {} });
    for (let index = 0; index < 10; index += 1) expect(await servedBy()).toBe('east');
    expect(
      gateway.usage.every(
        ({ deploymentId, region }) => deploymentId === 'east-ptu' && region === 'swedencentral',
      ),
    ).toBe(true);
  });

  it('serves its whole share of a load that is above it, and the metrics tell how much that was', async () => {
    // Ten tokens of output weigh 40: about 2,500 weighted tokens in a burst, and none drained while the clock stands.
    const provisioned = { units: 1, inputTpmPerUnit: 15_000, outputRatio: 4, burstSeconds: 10 };
    gateway = await start({ east: { provisioned }, west: {} });
    const capacity = 2_500;
    const calls = 100;
    for (let index = 0; index < calls; index += 1)
      await servedBy(`call ${index} [SIM:tokens 10]`, { max_tokens: 10 });
    const answered = (deployment: string) =>
      gateway.usage.filter(({ deploymentId }) => deploymentId === deployment);
    const ofPtu = answered('east-ptu');
    const weight = ofPtu.reduce((sum, { tokens }) => sum + tokens.input + 4 * tokens.output, 0);
    // What it had is used to the last call that fitted, and only what did not fit was paid for by the token.
    expect(weight).toBeGreaterThan(capacity * 0.95);
    expect(ofPtu.length + answered('west-standard').length).toBe(calls);
    expect(ofPtu.length).toBeLessThan(calls);
    const metrics = await gateway.metrics();
    const counted = (deployment: string) =>
      Number(
        new RegExp(
          `upstream_attempts_total\\{deployment="${deployment}",status="200",reason="answered"\\} (\\d+)`,
        ).exec(metrics)?.[1],
      );
    expect(counted('east-ptu')).toBe(ofPtu.length);
    expect(counted('west-standard')).toBe(calls - ofPtu.length);
  });

  it('spills at once when it is full, over resources and regions, and rests for the wait it told', async () => {
    gateway = await start({ east: {}, west: {} });
    gateway.simulator.fault({ kind: 'error', error: '429-ptu', times: 1 });
    expect(await servedBy()).toBe('west');
    expect(gateway.usage[0]).toMatchObject({
      deploymentId: 'west-standard',
      region: 'westeurope',
      attempts: [
        { deploymentId: 'east-ptu', status: 429, reason: 'capacity_exhausted' },
        { deploymentId: 'west-standard', status: 200 },
      ],
    });
    expect(await servedBy()).toBe('west');
    clock.advance(1480);
    // What the upstream last said of its utilisation is believed for a while longer.
    clock.advance(10_000);
    expect(await servedBy()).toBe('east');
  });

  it("spills within its resource by Azure's own doing, where a deployment for that is named", async () => {
    const full = { contextWindow: 50 };
    gateway = await start({ east: full, west: {} }, { spilloverDeployment: 'beside' });
    expect(await servedBy('word '.repeat(200))).toBe('east');
    expect(gateway.usage[0]?.attempts).toMatchObject([{ deploymentId: 'east-ptu', status: 200 }]);
    expect(gateway.simulator.requests().at(-1)?.headers).toMatchObject({
      'x-ms-spillover-deployment': 'beside',
    });
  });

  it.each([
    ['the deployment, where it is configured', { deployment: 'beside' }, 7_000],
    ['the model, where it is not', { deployment: 'elsewhere' }, undefined],
  ])('pays for what Azure passed on by the prices of %s', async (_, other, nanoUsdForToken) => {
    const prices = (input: number) => ({ input, output: input });
    gateway = await start(
      { east: { contextWindow: 50 }, west: {} },
      {
        spilloverDeployment: 'beside',
        prices: prices(0),
      },
      [{ resourceName: 'east', model: 'other', prices: prices(7_000_000), ...other }],
    );
    for (const stream of [false, true]) {
      expect(await servedBy('word '.repeat(200), { stream })).toBe('east');
      const record = gateway.usage.at(-1);
      expect(record).toMatchObject({ deploymentId: 'east-ptu', spilledTo: 'beside' });
      const { input = 0, output = 0 } = record?.tokens ?? {};
      const cost = (input + output) * (nanoUsdForToken ?? 0);
      if (nanoUsdForToken === undefined) expect(record?.costNanoUsd).toBeGreaterThan(0);
      else expect(record?.costNanoUsd).toBe(cost);
    }
    await gateway.until(() => gateway.log().includes('"spilledTo":"beside"'));
    expect(await servedBy('hi')).toBe('east');
    expect(gateway.usage.at(-1)).toMatchObject({ costNanoUsd: 0, unpriced: false });
    expect(gateway.usage.at(-1)?.spilledTo).toBeUndefined();
  });

  it('does not let callers choose where a call spills', async () => {
    gateway = await start({ east: { contextWindow: 50 }, west: {} });
    const response = await gateway.call(
      '/v1/chat/completions',
      chatBody('gpt-4o', 'word '.repeat(200)),
      { headers: { 'x-ms-spillover-deployment': 'beside' } },
    );
    expect(await response.text()).toContain('[west/');
  });

  it('spills a call that is too long for it, and keeps serving the others', async () => {
    gateway = await start({ east: { contextWindow: 50 }, west: {} });
    expect(await servedBy('word '.repeat(200))).toBe('west');
    expect(await servedBy()).toBe('east');
  });

  it.each(['500-internal', '503-unavailable', '408-timeout', '504-empty'] as const)(
    'spills at once for %s',
    async (error) => {
      gateway = await start({ east: {}, west: {} });
      gateway.simulator.fault({ kind: 'error', error, deployment: 'ptu', times: 1 });
      expect(await servedBy()).toBe('west');
    },
  );

  it('does not spill what is wrong with the request', async () => {
    gateway = await start({ east: {}, west: {} });
    const response = await gateway.call('/v1/chat/completions', {
      ...chatBody('gpt-4o', '[SIM:block-prompt]'),
    });
    expect(response.status).toBe(400);
    expect(gateway.simulator.counters().by['west/standard/chat.completions']).toBeUndefined();
  });
});
