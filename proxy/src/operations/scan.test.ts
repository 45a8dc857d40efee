import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyJson, withoutBackslash } from '../../../contract/test/json.fixture.ts';
import { scanObject, ScanError } from './scan.ts';

const guarded = new Set(['model', 'stream']);

function scan(text: string) {
  return scanObject(Buffer.from(text).toString('latin1'), guarded);
}

function valueOf(text: string, key: string): string | undefined {
  const bytes = Buffer.from(text);
  const member = scanObject(bytes.toString('latin1'), guarded).members.get(
    Buffer.from(key).toString('latin1'),
  );
  return member && bytes.subarray(member.valueStart, member.end).toString();
}

describe('scanObject', () => {
  it('finds top-level values and never nested ones', () => {
    const text = '{"messages":[{"model":"no"}],"model":"yes","n":{"model":"no"}}';
    expect(valueOf(text, 'model')).toBe('"yes"');
  });

  it('is not confused by brackets and escaped quotes in strings', () => {
    expect(valueOf('{"a":"}]\\"{\\\\","model":"x"}', 'model')).toBe('"x"');
  });

  it('gives byte offsets in multi-byte text', () => {
    expect(valueOf('{"a":"äöü€😀","model":"größe"}', 'model')).toBe('"größe"');
  });

  it.each([
    ['[1]', 'not a JSON object'],
    ['', 'it is empty'],
    [' \r\n', 'it is empty'],
    ['{"model":"a","model":"b"}', 'twice'],
    ['{"model":"a","mod\\u0065l":"b"}', 'twice'],
    ['{"Model":"a"}', 'only by case'],
    ['{"\\u004dodel":"a"}', 'only by case'],
    ['\ufeff{"model":"a"}', 'byte order mark'],
    ['{"model":"a"} {"model":"b"}', 'follows'],
    ['{"model":"a"', 'expected'],
    ['{"model":"a}', 'does not end'],
    ['{"model":[1,2', 'does not end'],
    ['{"model" "a"}', 'colon'],
    ['{model:"a"}', 'key'],
    ['{"a":tru}', 'value'],
    ['{"a":1 "b":2}', 'comma'],
    ['{"a":1,}', 'key'],
    [`{"a":${'['.repeat(501)}${']'.repeat(501)}}`, 'levels deep'],
    [JSON.stringify(Object.fromEntries(Array.from({ length: 1001 }, (_, n) => [n, 0]))), 'members'],
  ])('refuses %s', (text, reason) => {
    expect(() => scan(text)).toThrow(ScanError);
    expect(() => scan(text)).toThrow(reason);
  });

  it('agrees with JSON.parse on every object', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'binary' }).map(withoutBackslash), anyJson(), {
          maxKeys: 8,
        }),
        fc.constantFrom(undefined, 2, '\t'),
        (object, indent) => {
          const names = Object.keys(object);
          fc.pre(
            !names.some((name) => name !== name.toLowerCase() && guarded.has(name.toLowerCase())),
          );
          const bytes = Buffer.from(JSON.stringify(object, null, indent));
          const { members } = scanObject(bytes.toString('latin1'), guarded);
          const parsed = JSON.parse(bytes.toString()) as Record<string, unknown>;
          expect(members.size).toBe(Object.keys(parsed).length);
          const seen = [...members.values()].map(({ start, valueStart, end }) => [
            JSON.parse(
              bytes
                .subarray(start, valueStart)
                .toString()
                .replace(/\s*:\s*$/, ''),
            ) as string,
            JSON.parse(bytes.subarray(valueStart, end).toString()) as unknown,
          ]);
          expect(Object.fromEntries(seen)).toEqual(parsed);
        },
      ),
      { numRuns: 5_000 },
    );
  });

  it('never accepts what JSON.parse reads as something else', () => {
    const mutate = fc
      .tuple(
        fc.dictionary(fc.constantFrom('model', 'stream', 'a', 'Model'), anyJson({ maxDepth: 2 })),
        fc.nat(),
        fc.constantFrom('', '"', '{', '}', '[', ']', ',', ':', '\\', ' ', '\\"'),
      )
      .map(([object, at, text]) => {
        const json = JSON.stringify(object);
        const cut = at % (json.length + 1);
        return json.slice(0, cut) + text + json.slice(cut + (at % 2));
      });
    fc.assert(
      fc.property(mutate, (text) => {
        let parsed: unknown;
        try {
          parsed = JSON.parse(text);
        } catch {
          return;
        }
        if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
          expect(() => scan(text)).toThrow(ScanError);
          return;
        }
        let found: string | undefined;
        try {
          found = valueOf(text, 'model');
        } catch (error) {
          expect(error).toBeInstanceOf(ScanError);
          return;
        }
        const model = (parsed as Record<string, unknown>)['model'];
        expect(found === undefined ? undefined : (JSON.parse(found) as unknown)).toEqual(model);
      }),
      { numRuns: 20_000 },
    );
  });
});
