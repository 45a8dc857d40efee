import { describe, expect, it } from 'vitest';
import { poll, type PollOptions } from './poll.ts';

/** Steps one after the other until there are none left; undefined = it succeeds. */
async function run(
  outcomes: readonly (Error | undefined)[],
  options: Partial<PollOptions> = {},
): Promise<{ waits: number[]; told: unknown[] }> {
  const end = new AbortController();
  const waits: number[] = [];
  const told: unknown[] = [];
  const left = [...outcomes];
  await poll(
    () => {
      const outcome = left.shift();
      return outcome === undefined ? Promise.resolve() : Promise.reject(outcome);
    },
    {
      signal: end.signal,
      everyMs: 100,
      onTrouble: (error) => told.push(error),
      wait: (ms) => {
        if (left.length === 0) end.abort();
        else waits.push(ms);
        return Promise.resolve();
      },
      ...options,
    },
  );
  return { waits, told };
}

describe('poll', () => {
  const [first, second] = [new Error('first'), new Error('second')];

  it('begins at once, or after a while, and waits the same between steps', async () => {
    expect((await run([undefined, undefined, undefined])).waits).toEqual([100, 100]);
    expect((await run([undefined, undefined], { firstAfterMs: 7 })).waits).toEqual([7, 100]);
  });

  it('tells of trouble once, and once that it is over', async () => {
    const { told } = await run([undefined, first, second, undefined, undefined, second]);
    expect(told).toEqual([first, undefined, second]);
  });

  it('waits longer and longer while steps fail, up to a bound, and not as long as another one', async () => {
    const failures = Array.from({ length: 8 }, () => first);
    const { waits } = await run([...failures, undefined, undefined], { longestWaitMs: 1000 });
    for (const [at, ms] of waits.slice(0, 8).entries()) {
      const longest = Math.min(1000, 100 * 2 ** (at + 1));
      expect(ms).toBeGreaterThanOrEqual(100 + (longest - 100) / 2);
      expect(ms).toBeLessThanOrEqual(longest);
    }
    expect(waits[8]).toBe(100);
    expect((await run(failures)).waits).toEqual(Array.from({ length: 7 }, () => 100));
  });

  it('ends while it waits, and lets a step that is under way end; what that says then is nobody’s trouble', async () => {
    const waiting = new AbortController();
    const done = poll(() => Promise.resolve(), { signal: waiting.signal, everyMs: 3_600_000 });
    waiting.abort();
    await expect(done).resolves.toBeUndefined();

    const under = new AbortController();
    const step = Promise.withResolvers<void>();
    const told: unknown[] = [];
    let hasEnded = false;
    const ended = poll(() => step.promise, {
      signal: under.signal,
      everyMs: 1,
      onTrouble: (error) => told.push(error),
    }).then(() => (hasEnded = true));
    under.abort();
    await Promise.resolve();
    expect(hasEnded).toBe(false);
    step.reject(first);
    await ended;
    expect(told).toEqual([]);
  });
});
