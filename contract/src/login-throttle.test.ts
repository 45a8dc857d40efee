import { describe, expect, it } from 'vitest';
import { LoginThrottle } from './login-throttle.ts';

const address = '203.0.113.9';
const chosen = 'sk-a-key-that-people-chose';
const generated = 'sk-0123456789abcdefghijkl';

function throttle(tries = 3) {
  const clock = { ms: 1_000_000 };
  const logins = new LoginThrottle({ now: () => clock.ms, tries });
  const guess = (count: number, from = address) =>
    Array.from({ length: count }, (_, at) => logins.failed(from, `sk-guess-${from}-${at}`));
  return { clock, logins, guess };
}

describe('who guesses keys', () => {
  it('has so many tries, then one more every six seconds, and is told when', () => {
    const { clock, logins, guess } = throttle();
    expect(guess(5)).toEqual([0, 0, 0, 6000, 6000]);
    clock.ms += 4000;
    const wait = logins.failed(address, 'sk-another');
    expect(wait).toBe(2000);
    clock.ms += wait;
    expect(logins.failed(address, 'sk-another')).toBe(0);
    expect(logins.failed(address, 'sk-yet-another')).toBe(6000);
  });

  it('is not told when a guess was right', () => {
    const { logins, guess } = throttle();
    guess(4);
    expect(logins.waitMs(address, chosen)).toBe(6000);
  });

  it('is one address with all ports of it, and with all of an IPv6 network', () => {
    for (const [one, another, elsewhere] of [
      ['203.0.113.9:1000', '203.0.113.9:2000', '203.0.113.10'],
      ['::ffff:203.0.113.9', '203.0.113.9', '::ffff:203.0.113.10'],
      ['2001:db8:0:1::1', '2001:0DB8::1:a:b:c:d', '2001:db8:0:2::1'],
      ['[2001:db8::1]:443', '2001:db8::2', '2001:db8:1::1'],
    ] as const) {
      const { logins, guess } = throttle();
      guess(4, one);
      expect([one, logins.waitMs(another, chosen)]).toEqual([one, 6000]);
      expect([one, logins.waitMs(elsewhere, chosen)]).toEqual([one, 0]);
    }
  });

  it('fills no memory', () => {
    const { logins } = throttle(1);
    for (let at = 0; at < 10_001; at += 1)
      logins.failed(`10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`, 'sk-guess');
    // The first was forgotten for the last: it begins anew.
    expect(logins.failed('10.0.0.0', 'sk-another')).toBe(0);
    expect(logins.failed('10.0.39.16', 'sk-another')).toBeGreaterThan(0);
  });
});

describe('who shares an address with somebody who guesses', () => {
  it('goes on with a key that a gateway made', () => {
    const { logins, guess } = throttle();
    guess(10);
    expect(logins.waitMs(address, generated)).toBe(0);
  });

  it('goes on with a key that was right from there before', () => {
    const { logins, guess } = throttle();
    guess(1);
    logins.succeeded(address, chosen);
    guess(10);
    expect(logins.waitMs(address, chosen)).toBe(0);
  });

  it('is not concerned by a program that goes on sending one wrong key', () => {
    const { logins } = throttle();
    const waits = Array.from({ length: 100 }, () => logins.failed(address, 'sk-an-old-key'));
    expect(new Set(waits)).toEqual(new Set([0]));
    expect(logins.waitMs(address, chosen)).toBe(0);
  });

  it('is free again ten minutes after the last failure', () => {
    const { clock, logins, guess } = throttle();
    guess(10);
    clock.ms += 600_000;
    expect(logins.waitMs(address, chosen)).toBe(0);
    expect(logins.isQuiet).toBe(true);
  });
});
