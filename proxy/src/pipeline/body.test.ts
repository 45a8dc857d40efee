import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyJson, withoutBackslash } from '../../../contract/test/json.fixture.ts';
import { scanObject } from '../operations/scan.ts';
import { BodyEdit, memberValue } from './body.ts';

function edit(text: string, change: (body: BodyEdit) => void): Buffer {
  const bytes = Buffer.from(text);
  const body = new BodyEdit(bytes, scanObject(bytes.toString('latin1'), new Set()));
  change(body);
  return body.bytes();
}

describe('BodyEdit', () => {
  it('gives the very bytes that came when nothing changes', () => {
    const bytes = Buffer.from('{ "a" : 1.0 }');
    const body = new BodyEdit(bytes, scanObject(bytes.toString('latin1'), new Set()));
    body.remove('absent');
    expect(body.bytes()).toBe(bytes);
  });

  it('replaces a value and leaves every other byte alone', () => {
    const text = '{\n  "temperature" : 1.0, "model" : "größe",\t"big": 12345678901234567890 }';
    expect(edit(text, (body) => body.set('model', '"d-1"')).toString()).toBe(
      text.replace('"größe"', '"d-1"'),
    );
  });

  it('removes and adds members in any place', () => {
    const text = '{"a":1,"model":"x","b":[2,{"model":3}]}';
    const changed = edit(text, (body) => {
      body.remove('a');
      body.set('model', '"y"');
      body.set('stream_options', '{"include_usage":true}');
    });
    expect(changed.toString()).toBe(
      '{"model":"y","b":[2,{"model":3}],"stream_options":{"include_usage":true}}',
    );
    const added = edit('{ "a" : 1, "b":2}', (body) => {
      body.set('b', '3');
      body.set('c', '4');
      body.set('d', '5');
    });
    expect(added.toString()).toBe('{ "c":4,"d":5,"a" : 1, "b":3}');
    expect(edit('{"a":1}', (body) => body.remove('a')).toString()).toBe('{}');
    expect(edit('{}', (body) => body.set('a', '1')).toString()).toBe('{"a":1}');
  });

  it('leaves names with escapes as they are written, one beside the other', () => {
    const text = String.raw`{"\\":[1],"\"":2,"\n":{"\"":3},"a\\":4,"a\"":5,"mode\u006c":6}`;
    expect(edit(text, (body) => body.set('b', '0')).toString()).toBe(text.replace('{', '{"b":0,'));
    const changed = edit(text, (body) => {
      body.remove('"');
      body.set('a"', '7');
      body.set('model', '8');
    });
    expect(changed.toString()).toBe(
      String.raw`{"\\":[1],"\n":{"\"":3},"a\\":4,"a\"":7,"mode\u006c":8}`,
    );
  });

  it('does to any object what the same edits do to the parsed one', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'grapheme-ascii' }).map(withoutBackslash), anyJson()),
        fc.dictionary(fc.constantFrom('a', 'b', 'model'), anyJson()),
        fc.array(fc.constantFrom('a', 'c', 'stream')),
        (object, set, removed) => {
          fc.pre(!('__proto__' in object));
          const text = JSON.stringify(object);
          const changed = edit(text, (body) => {
            for (const [name, value] of Object.entries(set)) body.set(name, JSON.stringify(value));
            for (const name of removed) body.remove(name);
          });
          const expected = { ...(JSON.parse(text) as object), ...set } as Record<string, unknown>;
          for (const name of removed) delete expected[name];
          expect(JSON.parse(changed.toString())).toEqual(JSON.parse(JSON.stringify(expected)));
        },
      ),
    );
  });
});

describe('memberValue', () => {
  it('reads UTF-8 values by byte offsets', () => {
    const bytes = Buffer.from('{"ü":"€","model":"größe"}');
    const scan = scanObject(bytes.toString('latin1'), new Set());
    expect(memberValue(bytes, scan, 'model')).toBe('größe');
    expect(memberValue(bytes, scan, 'absent')).toBeUndefined();
  });
});
