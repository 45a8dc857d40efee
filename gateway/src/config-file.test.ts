import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigFileError, readConfigFile, readConfigText } from './config-file.ts';

let directory: string;
beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'config-file-')));
});
afterEach(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string | Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

describe('readConfigFile', () => {
  it('reads YAML with anchors and merge keys', () => {
    const path = file(
      'config.yaml',
      'model_list:\n  - litellm_params: &p\n      rpm: 1\n      tpm: 2\n  - litellm_params:\n      <<: *p\n      rpm: 3\n',
    );
    expect(readConfigFile(path).raw).toEqual({
      model_list: [{ litellm_params: { rpm: 1, tpm: 2 } }, { litellm_params: { rpm: 3, tpm: 2 } }],
    });
  });

  it('tells the line of a value, or of the nearest one around it', () => {
    const path = file(
      'config.yaml',
      'general_settings:\n  a: 1\nmodel_list:\n  - x: 1\n  - x: 2\n    y: 3\n',
    );
    const config = readConfigFile(path);
    expect(config.positionOf(['model_list', 1, 'y'])).toEqual({ file: path, line: 6 });
    expect(config.positionOf(['model_list', 1, 'missing', 'deeper'])).toEqual({
      file: path,
      line: 5,
    });
    expect(config.positionOf(['nowhere'])).toBeUndefined();
  });

  it('appends lists and merges maps of included files, nested ones too', () => {
    const path = file(
      'a.yaml',
      'include: [b.yaml]\nmodel_list: [{n: 1}]\nrouter_settings: {x: 1, y: 1}\n',
    );
    const b = file('b.yaml', 'include: c.yaml\nmodel_list:\n  - n: 2\nrouter_settings: {y: 2}\n');
    const c = file('c.yaml', 'model_list:\n  - n: 3\n');
    const config = readConfigFile(path);
    expect(config.raw).toMatchObject({
      model_list: [{ n: 1 }, { n: 2 }, { n: 3 }],
      router_settings: { x: 1, y: 2 },
    });
    expect(config.files).toEqual([path, b, c]);
    expect(config.positionOf(['model_list', 2, 'n'])).toEqual({ file: c, line: 2 });
    expect(config.positionOf(['model_list', 0, 'n'])).toEqual({ file: path, line: 2 });
  });

  it('reads JSON as the YAML that it is', () => {
    const json = '{\n "a": {"x:": "\\"b\\": 1", "n": 1e3},\n "l": [{"c": [null, true]}]\n}';
    const config = readConfigFile(file('config.json', json));
    expect(config.raw).toEqual({ a: { 'x:': '"b": 1', n: 1000 }, l: [{ c: [null, true] }] });
    expect(config.positionOf(['l', 0, 'c'])).toEqual({
      file: join(directory, 'config.json'),
      line: 3,
    });
  });

  it('refuses files that include themselves', () => {
    file('b.yaml', 'include: a.yaml\n');
    expect(() => readConfigFile(file('a.yaml', 'include: b.yaml\n'))).toThrow(/includes itself/);
  });

  it('takes an empty file as no settings', () => {
    expect(readConfigFile(file('config.yaml', '# nothing\n')).raw).toEqual({});
  });

  it.each([
    ['duplicate keys', 'a: 1\na: 2\n', /:2:1 is not valid YAML: Map keys must be unique$/],
    ['duplicate keys of JSON', '{"l": [{"a": 1,\n"a": 2}]}', /:2:1 is not valid YAML/],
    ['broken syntax', 'a: [1\n', /not valid YAML/],
    ['unknown tags', 'a: !!js/function "x"\n', /not valid YAML/],
    ['a list at the top', '- a\n', /must be a map/],
    ['a lost quote', 'a: 1\nb: "sk-quoted-secret\n', /:3:1 is not valid YAML: Missing closing$/],
    ['what is quoted', 'a: 1\n"sk-quoted-secret" "x"\n', /^((?!sk-).)* is not valid YAML: [^"]+$/],
    ['two documents', 'a: 1\n---\nb: 2\n', /not valid YAML/],
    ['bytes that are no text', new Uint8Array([0x61, 0x3a, 0xff]), /UTF-8/],
    ['an include that is no name', 'include: {a: 1}\n', /include must be/],
    ['an include that does not exist', 'include: [nowhere.yaml]\n', /does not exist/],
  ])('refuses %s, saying where', (_, text, message) => {
    const path = file('config.yaml', text);
    expect(() => readConfigFile(path)).toThrow(ConfigFileError);
    expect(() => readConfigFile(path)).toThrow(message);
  });

  it('refuses a folder, saying so', () => {
    expect(() => readConfigFile(tmpdir())).toThrow(/is a folder, not a file/);
  });

  it('refuses a few lines that expand without end', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let level = 1; level < 9; level += 1) {
      lines.push(
        `a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(', ')}]`,
      );
    }
    expect(() => readConfigFile(file('config.yaml', lines.join('\n')))).toThrow(/aliases/);
  });

  it('never shows the content in an error', () => {
    const path = file('config.yaml', 'general_settings:\n  master_key: "sk-canary\n  b: [\n');
    expect(() => readConfigFile(path)).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('canary') }),
    );
  });
});

describe('readConfigText', () => {
  it('reads YAML and JSON, and tells the line of a value', () => {
    const config = readConfigText('general_settings:\n  a: 1\n', 'TEXT');
    expect(config.raw).toEqual({ general_settings: { a: 1 } });
    expect(config.positionOf(['general_settings', 'a'])).toEqual({ file: 'TEXT', line: 2 });
    expect(config.files).toEqual([]);
    expect(readConfigText('{"model_list": []}', 'TEXT').raw).toEqual({ model_list: [] });
  });

  it('refuses what is no configuration, without showing it, and includes', () => {
    expect(() => readConfigText('a: "sk-secret', 'TEXT')).toThrow(/^TEXT:1:\d+ is not valid YAML/);
    expect(() => readConfigText('a: "sk-secret', 'TEXT')).not.toThrow(/sk-secret/);
    expect(() => readConfigText('include: [more.yaml]', 'TEXT')).toThrow(/include needs/);
  });
});
