import {
  keyRecord,
  startGatewayUnderTest,
  stillClock,
  type GatewaySpec,
  type GatewayUnderTest,
} from './gateway-under-test.ts';

export type LimitedGateway = {
  readonly gateway: GatewayUnderTest;
  readonly clock: ReturnType<typeof stillClock>;
};

/**
 * A gateway in front of two models, one in the United States and one in the European Union, at one dollar for a million tokens. Its clock
 * stands at the beginning of a minute, so that a window is whole.
 */
export async function startLimitedGateway(spec: Partial<GatewaySpec>): Promise<LimitedGateway> {
  const clock = stillClock();
  clock.advance(60_000 - (clock.now() % 60_000));
  const gateway = await startGatewayUnderTest({
    simulator: {
      resources: [
        {
          name: 'east',
          keys: ['k'],
          deployments: [
            { name: 'gpt-4o', model: 'gpt-4o' },
            { name: 'gpt-4o-mini', model: 'gpt-4o-mini' },
          ],
        },
      ],
    },
    deployments: ['gpt-4o', 'gpt-4o-mini'].map((deployment) => ({
      resourceName: 'east',
      deployment,
      region: deployment === 'gpt-4o' ? 'eastus' : 'swedencentral',
      residency: deployment === 'gpt-4o' ? 'us' : 'eu',
      prices: { input: 1_000_000, output: 1_000_000 },
    })),
    keys: [keyRecord()],
    ports: { clock },
    ...spec,
  });
  return { gateway, clock };
}
