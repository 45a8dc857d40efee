import { afterEach, describe, expect, it } from 'vitest';
import type { Limiter } from '../../src/ports.ts';
import { createMemoryLimiter } from '../../src/stores/memory/limiter.ts';
import { chatBody, startGatewayUnderTest, type GatewayUnderTest } from '../gateway-under-test.ts';

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

/** A limiter whose answers take a round trip, which the test ends. */
function slowLimiter() {
  const inner = createMemoryLimiter({ clock: { now: Date.now } });
  const asked = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<void>();
  const limiter: Limiter = {
    reserve: async (request) => {
      asked.resolve();
      await answered.promise;
      return inner.reserve(request);
    },
    correct: (correction) => inner.correct(correction),
  };
  return { limiter, asked: asked.promise, answer: answered.resolve };
}

describe('a caller who leaves while its limits are asked', () => {
  it.each([false, true])(
    'is accounted for, and nothing goes upstream, stream %s',
    async (stream) => {
      const { limiter, asked, answer } = slowLimiter();
      gateway = await startGatewayUnderTest({
        deployments: [{ resourceName: 'simulator', deployment: 'gpt-4o' }],
        ports: { limiter },
      });
      const leave = new AbortController();
      const call = gateway.call('/v1/chat/completions', chatBody('gpt-4o', 'hi', { stream }), {
        signal: leave.signal,
      });
      await asked;
      leave.abort();
      await expect(call).rejects.toThrow('abort');
      // Its connection is gone once another, made after it, has been served.
      await (await gateway.call('/v1/models')).text();
      answer();
      await gateway.until(() => gateway.usage.length === 1);
      expect(gateway.usage[0]).toMatchObject({ outcome: 'aborted', status: 499, attempts: [] });
      expect(gateway.simulator.requests().filter(({ method }) => method === 'POST')).toEqual([]);
    },
  );
});
