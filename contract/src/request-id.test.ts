import { describe, expect, it } from 'vitest';
import { requestIdOf } from './request-id.ts';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('requestIdOf', () => {
  it('makes a UUID of version 4 where the caller names no id, another each time', () => {
    const ids = Array.from({ length: 1000 }, () => requestIdOf({}));
    expect(ids.filter((id) => !uuid.test(id))).toEqual([]);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('takes every digit for every place that is free', () => {
    const seen = Array.from({ length: 36 }, () => new Set<string>());
    for (let made = 0; made < 2000; made += 1)
      for (const [at, digit] of requestIdOf({}).split('').entries()) seen[at]?.add(digit);
    const sizes = seen.map(({ size }) => size);
    const variants = 4;
    expect(sizes).toEqual(
      'xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx'
        .split('')
        .map((place) => (place === 'x' ? 16 : place === 'y' ? variants : 1)),
    );
  });

  it("keeps the caller's where it is fit for logs and headers", () => {
    expect(requestIdOf({ 'x-request-id': 'mine-12345678' })).toBe('mine-12345678');
    expect(requestIdOf({ 'x-litellm-call-id': 'mine-12345678' })).toBe('mine-12345678');
    expect(requestIdOf({ 'x-request-id': 'a b"c\n12345' })).toMatch(uuid);
  });
});
