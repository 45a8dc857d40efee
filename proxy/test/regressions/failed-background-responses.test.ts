import { afterEach, describe, expect, it } from 'vitest';
import {
  callerKey,
  readEvents,
  responsesBody,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

const runMs = 60_000;

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

async function start(ranMs = runMs, settings: { responseModel?: 'alias' } = {}) {
  gateway = await startGatewayUnderTest({
    simulator: {
      background: { queuedMs: 0, runMs: ranMs },
      resources: [
        {
          name: 'east',
          region: 'hidden-region',
          keys: ['k'],
          deployments: ['hidden-name', 'other-name'].map((name) => ({ name, model: 'gpt-5' })),
        },
      ],
    },
    // Whichever of them is asked about a response: it may be the other's.
    deployments: ['hidden-name', 'other-name'].map((deployment) => ({
      resourceName: 'east',
      deployment,
      model: `public-${deployment === 'hidden-name' ? 1 : 2}`,
    })),
    settings,
  });
}

async function createFailing(model: string, extra = {}): Promise<Response> {
  const body = responsesBody(model, '[SIM:fail-run] hello', { background: true, ...extra });
  return gateway.call('/v1/responses', body);
}

type Failed = { id: string; status: string; model: string; error: { [name: string]: unknown } };

describe('a response that failed in the background', () => {
  it.each(['public-1', 'public-2'])(
    'tells its error without deployment and region, as streams do (%s)',
    async (model) => {
      await start();
      const { id } = (await (await createFailing(model)).json()) as Failed;
      gateway.simulator.advance(2 * runMs);
      const answer = (await (await gateway.call(`/v1/responses/${id}`)).json()) as Failed;
      expect(answer).toMatchObject({ id, status: 'failed', background: true });
      // Nothing but the two members that OpenAI's response errors have.
      expect(answer.error).toEqual({
        code: 'rate_limit_exceeded',
        message: 'Your requests have exceeded token rate limit. (RateLimitError)',
      });
    },
  );

  it('does so under the name that callers know, too', async () => {
    await start(runMs, { responseModel: 'alias' });
    const { id } = (await (await createFailing('public-1')).json()) as Failed;
    gateway.simulator.advance(2 * runMs);
    const text = await (await gateway.call(`/v1/responses/${id}`)).text();
    expect(JSON.parse(text)).toMatchObject({ id, status: 'failed', model: 'public-1' });
    for (const secret of ['hidden-name', 'other-name', 'hidden-region', callerKey])
      expect(text).not.toContain(secret);
  });

  it('tells the same in its stream, and where that is taken up again, which fails nothing', async () => {
    await start(0);
    const events = await readEvents(await createFailing('public-1', { stream: true }));
    const { response } = JSON.parse(events[0]?.data ?? '') as { response: Failed };
    const before = events.findIndex(({ event }) => event === 'response.failed') - 1;
    const again = await gateway.call(
      `/v1/responses/${response.id}?stream=true&starting_after=${before}`,
    );
    expect(again.status).toBe(200);
    const [first] = await readEvents(again);
    for (const failed of [events[before + 1], first]) {
      expect(failed?.event).toBe('response.failed');
      expect(failed?.data).toContain('Your requests have exceeded');
      expect(failed?.data).not.toContain('hidden-region');
    }
    // It is the past that failed: the deployment is not asked again for it, and does not rest.
    const asked = gateway.simulator.requests().filter(({ url }) => url.includes('starting_after'));
    expect(asked).toHaveLength(1);
    expect((await gateway.call('/v1/responses', responsesBody('public-1', 'x'))).status).toBe(200);
  });
});
