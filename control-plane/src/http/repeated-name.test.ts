import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { repeatedName } from './repeated-name.ts';

describe('a name that an object has twice', () => {
  it('is found at any depth and however it is spelled', () => {
    for (const text of [
      '{"a":1,"a":2}',
      '{"a":1,"\\u0061":2}',
      '{ "a" : {"b":[]} , "c":0 , "a" \n:1}',
      '[0,{"b":{"a":1,"x":"}","a":1}}]',
      '{"x":[{"a":1},{"q":"\\"a\\":","a":1,"a":2}]}',
    ]) {
      expect([text, repeatedName(text)]).toEqual([text, 'a']);
    }
    expect(repeatedName('{"":1,"":2}')).toBe('');
    expect(repeatedName('{"__proto__":1,"__proto__":2}')).toBe('__proto__');
  });

  it('is none of another object, of a value, or inside of a text', () => {
    for (const text of [
      '{"a":{"a":{"a":"a"}},"b":["a","a",{"a":1},{"a":1}]}',
      '{"a":"{\\"a\\":1,\\"a\\":2}","A":1,"a ":1}',
      '"a"',
      '[]',
      '{"a":"\\\\","b":"\\\\\\""}',
    ]) {
      expect([text, repeatedName(text)]).toEqual([text, undefined]);
    }
  });

  it('is found among any other JSON, which has none of its own', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), (text) => {
        expect(repeatedName(text)).toBeUndefined();
        const twice = `{"x":${text},"y":[{"z":1,"w":${text},"z":2}]}`;
        expect(repeatedName(twice)).toBe('z');
      }),
    );
  });
});
