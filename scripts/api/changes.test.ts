import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { breakingChanges, type Description } from './changes.ts';
import { apiDescription } from './description.ts';

const text = { type: 'string' } as const;
const json = (schema: object) => ({ content: { 'application/json': { schema } } });
const object = (properties: object, required: string[] = []) => ({
  type: 'object',
  properties,
  required,
});

function described(operation: object): Description {
  return { paths: { '/thing': { post: operation } } };
}

const changesOf = (before: object, after: object) =>
  breakingChanges(described(before), described(after)).map((line) =>
    line.replace('POST /thing: ', ''),
  );
const given = (before: object, after: object) =>
  changesOf({ requestBody: json(before) }, { requestBody: json(after) });
const got = (before: object, after: object) =>
  changesOf({ responses: { 200: json(before) } }, { responses: { 200: json(after) } });

describe('what breaks programs', () => {
  it('is a path or a method that is gone', () => {
    expect(breakingChanges(described({}), { paths: {} })).toEqual(['POST /thing: is gone']);
    expect(breakingChanges(described({}), { paths: { '/thing': { get: {} } } })).toEqual([
      'POST /thing: is gone',
    ]);
  });

  it('is a parameter that is gone, or that is asked for', () => {
    const page = { name: 'page', in: 'query', schema: text };
    expect(changesOf({ parameters: [page] }, { parameters: [] })).toEqual([
      'parameter page is gone',
    ]);
    const required = { parameters: [{ ...page, required: true }] };
    expect(changesOf({ parameters: [page] }, required)).toEqual(['parameter page is required']);
    expect(changesOf({}, required)).toEqual(['parameter page is required']);
    const whole = { parameters: [{ ...page, schema: { type: 'integer' } }] };
    expect(changesOf({ parameters: [page] }, whole)).toEqual([
      'parameter page no longer takes string',
    ]);
  });

  it('is a field of a body that is no longer taken, that is asked for, or that takes less', () => {
    expect(given(object({ a: text }), object({}))).toEqual(['body.a is gone']);
    expect(given(object({ a: text }), object({ a: text }, ['a']))).toEqual(['body.a is required']);
    expect(given(object({}), object({ b: text }, ['b']))).toEqual(['body.b is required']);
    const orNothing = { anyOf: [text, { type: 'null' }] };
    expect(given(object({ a: orNothing }), object({ a: text }))).toEqual([
      'body.a no longer takes null',
    ]);
    const chosen = { ...text, enum: ['x', 'y'] };
    expect(given(object({ a: text }), object({ a: chosen }))).toEqual([
      'body.a no longer takes everything',
    ]);
    expect(given(object({ a: chosen }), object({ a: { ...text, enum: ['x'] } }))).toEqual([
      'body.a no longer takes "y"',
    ]);
    const lists = (items: object) => object({ a: { type: 'array', items } });
    expect(given(lists(object({ b: text })), lists(object({})))).toEqual(['body.a[].b is gone']);
  });

  it('is a field of an answer that is gone, that may be missing, or that has another form', () => {
    expect(got(object({ a: text }), object({}))).toEqual(['answer.a is gone']);
    expect(got(object({ a: text }, ['a']), object({ a: text }))).toEqual([
      'answer.a is no longer always there',
    ]);
    expect(got(object({ a: text }), object({ a: { type: ['string', 'null'] } }))).toEqual([
      'answer.a may now be null',
    ]);
    expect(got(object({ a: text }), object({ a: {} }))).toEqual(['answer.a may now be anything']);
    expect(changesOf({ responses: { 200: {} } }, { responses: { 201: {} } })).toEqual([
      'answer 200 is gone',
    ]);
  });

  it('is nothing that need not be known', () => {
    expect(given(object({ a: { type: 'integer' } }), object({ a: { type: 'number' } }))).toEqual(
      [],
    );
    expect(given(object({ a: text }, ['a']), object({ a: text, b: text }))).toEqual([]);
    expect(got(object({ a: { type: 'number' } }), object({ a: { type: 'integer' } }))).toEqual([]);
    expect(got(object({ a: text }), object({ a: text, b: text }, ['a', 'b']))).toEqual([]);
    expect(breakingChanges({ paths: {} }, described({}))).toEqual([]);
  });
});

describe('the API of this checkout', () => {
  it('breaks nothing of itself, and what is taken away from it shows', () => {
    const now = apiDescription();
    expect(breakingChanges(now, now)).toEqual([]);
    const { '/key/generate': _gone, 'data plane /responses': _too, ...paths } = now.paths;
    expect(breakingChanges(now, { paths })).toEqual([
      'POST /key/generate: is gone',
      'POST data plane /responses: is gone',
    ]);
    const changed = JSON.stringify(now).replaceAll('"token_id"', '"token_number"');
    expect(breakingChanges(now, JSON.parse(changed) as Description)).toContain(
      'POST /key/generate: answer.token_id is gone',
    );
  });
});

describe('the command', () => {
  it('fails for a break that the title does not announce', () => {
    const folder = mkdtempSync(join(tmpdir(), 'aigateway-api-'));
    try {
      const [before, after] = ['before.json', 'after.json'].map((name) => join(folder, name));
      writeFileSync(before!, JSON.stringify(described({})));
      writeFileSync(after!, JSON.stringify({ paths: {} }));
      const run = (title: string, ...files: string[]) =>
        spawnSync(process.execPath, [join(import.meta.dirname, 'changes.ts'), ...files], {
          encoding: 'utf8',
          env: { TITLE: title },
        });
      const silent = run('feat(control-plane): less of it', before!, after!);
      expect([silent.status, silent.stdout]).toEqual([2, 'POST /thing: is gone\n']);
      expect(silent.stderr).toContain('announce it');
      expect(run('feat(control-plane)!: less of it', before!, after!).status).toBe(0);
      expect(run('', before!, before!)).toMatchObject({ status: 0, stdout: '' });
      expect(run('').status).toBe(1);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
