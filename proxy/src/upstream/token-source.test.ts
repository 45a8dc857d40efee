import { describe, expect, it } from 'vitest';
import type { FreshEvent } from './fresh-value.ts';
import type { Header } from './headers.ts';
import { TokenSource, type AccessToken } from './token-source.ts';

const second = 1000;
const minute = 60 * second;

/** An issuer that answers when told to, numbering its tokens. */
function setUp(lifeMs = 60 * minute, refreshAfterMs?: number) {
  let now = 1_000_000;
  let issued = 0;
  let outage: Error | undefined;
  const previous: (string | undefined)[] = [];
  const events: FreshEvent[] = [];
  const source = new TokenSource(
    { now: () => now },
    async (old) => {
      previous.push(old);
      // One turn of the loop, as any issuer takes.
      await new Promise((resolve) => setImmediate(resolve));
      if (outage !== undefined) throw outage;
      issued += 1;
      const token: AccessToken = { value: `t${issued}`, expiresAt: now + lifeMs };
      return refreshAfterMs === undefined
        ? token
        : { ...token, refreshAfter: now + refreshAfterMs };
    },
    (event) => events.push(event),
  );
  return {
    source,
    events,
    previous,
    /** Times the issuer was asked. */
    asked: () => previous.length,
    pass: (ms: number) => {
      now += ms;
    },
    fail: (error: Error | undefined) => {
      outage = error;
    },
    value: async () => (await source.header()).value,
    settled: async () => {
      for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe('a token', () => {
  it('is fetched once for all who wait, then given at once', async () => {
    const { source, asked } = setUp();
    const all = await Promise.all(Array.from({ length: 20 }, async () => source.header()));
    expect(new Set(all.map((header) => header.value))).toEqual(new Set(['Bearer t1']));
    expect(source.header()).not.toBeInstanceOf(Promise);
    expect((source.header() as Header).name).toBe('authorization');
    expect(asked()).toBe(1);
  });

  it('is refreshed five minutes before its end, while the old one serves', async () => {
    const test = setUp();
    await test.value();
    test.pass(54 * minute);
    expect(await test.value()).toBe('Bearer t1');
    expect(test.asked()).toBe(1);
    test.pass(minute + second);
    expect(test.source.header()).not.toBeInstanceOf(Promise);
    expect(await test.value()).toBe('Bearer t1');
    await test.settled();
    expect(test.asked()).toBe(2);
    expect(test.previous[1]).toBe('t1');
    expect(await test.value()).toBe('Bearer t2');
  });

  it('is refreshed when its issuer says so, if that is earlier', async () => {
    const test = setUp(24 * 60 * minute, 12 * 60 * minute);
    await test.value();
    test.pass(12 * 60 * minute);
    await test.value();
    await test.settled();
    expect(await test.value()).toBe('Bearer t2');
  });

  it('of one minute is refreshed at half its life', async () => {
    const test = setUp(minute);
    await test.value();
    test.pass(29 * second);
    await test.value();
    expect(test.asked()).toBe(1);
    test.pass(second);
    await test.value();
    await test.settled();
    expect(await test.value()).toBe('Bearer t2');
  });

  it('is waited for after its end', async () => {
    const test = setUp();
    await test.value();
    test.pass(61 * minute);
    expect(await test.value()).toBe('Bearer t2');
  });

  it('that looks expired when it comes is still used, and its issuer not flooded', async () => {
    const test = setUp(-5 * minute);
    expect(await test.value()).toBe('Bearer t1');
    expect(await test.value()).toBe('Bearer t1');
    expect(test.asked()).toBe(1);
  });
});

describe('an outage of the issuer', () => {
  it('goes unnoticed while the old token is valid, and is asked about twice a minute', async () => {
    const test = setUp();
    await test.value();
    test.fail(new Error('down'));
    test.pass(56 * minute);
    for (let at = 0; at < 10; at += 1) {
      expect(await test.value()).toBe('Bearer t1');
      await test.settled();
    }
    expect(test.asked()).toBe(2);
    expect(test.events).toEqual([{ type: 'refresh_failed', error: new Error('down') }]);
    test.pass(30 * second);
    await test.value();
    await test.settled();
    expect(test.asked()).toBe(3);
    test.fail(undefined);
    test.pass(30 * second);
    await test.value();
    await test.settled();
    expect(await test.value()).toBe('Bearer t2');
  });

  it('is told when there is no token, without asking for every call', async () => {
    const test = setUp();
    test.fail(new Error('down'));
    await expect(test.value()).rejects.toThrow('down');
    await expect(test.value()).rejects.toThrow('down');
    expect(test.asked()).toBe(1);
    expect(test.events).toEqual([{ type: 'fetch_failed', error: new Error('down') }]);
    test.fail(undefined);
    test.pass(5 * second);
    expect(await test.value()).toBe('Bearer t1');
  });
});

describe('a refused token', () => {
  it('is replaced once for all whose calls were refused', async () => {
    const test = setUp();
    await test.value();
    test.pass(minute);
    await Promise.all(Array.from({ length: 10 }, () => test.source.renew()));
    await test.source.renew();
    expect(test.asked()).toBe(2);
    expect(test.previous[1]).toBe('t1');
    expect(await test.value()).toBe('Bearer t2');
  });

  it('that is seconds old stays: its predecessor was refused', async () => {
    const test = setUp();
    await test.value();
    test.pass(9 * second);
    await test.source.renew();
    expect(await test.value()).toBe('Bearer t1');
    expect(test.asked()).toBe(1);
  });

  it('is not served again when no other can be had', async () => {
    const test = setUp();
    await test.value();
    test.pass(minute);
    test.fail(new Error('down'));
    await test.source.renew();
    await expect(test.value()).rejects.toThrow('down');
    expect(test.events.map(({ type }) => type)).toEqual(['fetch_failed']);
  });

  it('is waited for by calls that come meanwhile', async () => {
    const test = setUp();
    await test.value();
    test.pass(minute);
    const renewed = test.source.renew();
    expect(await test.value()).toBe('Bearer t2');
    await renewed;
  });
});
