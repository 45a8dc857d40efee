import { describe, expect, it } from 'vitest';
import type { Schema } from './json-schema.ts';
import { createValidator } from './validator.ts';

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const tagged = (type: string, properties: Schema): Schema => ({
  type: 'object',
  required: ['type', ...Object.keys(properties)],
  properties: { type: { type: 'string', enum: [type] }, ...properties },
});
const text = { type: 'string' };

/** What is wrong with a value under the schema called `root`, as `path message` lines. */
function problems(schemas: Record<string, Schema>, value: unknown): string[] {
  return createValidator(schemas)(ref('root'), value).map(({ at, message }) => `${at} ${message}`);
}

describe('schemas of OpenAPI documents', () => {
  it('take null where nullable says so, beside a reference too', () => {
    const schemas = {
      root: {
        type: 'object',
        properties: { a: { ...text, nullable: true }, b: { ...ref('b'), nullable: true }, c: text },
      },
      b: { type: 'object', required: ['x'] },
    };
    expect(problems(schemas, { a: null, b: null, c: 'x' })).toEqual([]);
    expect(problems(schemas, { a: 1, b: {}, c: null })).toEqual([
      '$.a must be string, is 1',
      "$.b must have required property 'x'",
      '$.c must be string, is null',
    ]);
  });

  it('judge a tagged alternative by its own schema alone', () => {
    const schemas = {
      root: { type: 'array', items: { oneOf: [ref('one'), ref('two')] } },
      one: tagged('one', { text }),
      two: { allOf: [tagged('two', { number: { type: 'integer' } })] },
    };
    expect(problems(schemas, [{ type: 'one', text: 'a' }])).toEqual([]);
    expect(problems(schemas, [{ type: 'two', number: 'b' }, { type: 'three' }, {}])).toEqual([
      '$[*].number must be integer, is "b"',
      '$[*].type must be equal to one of the allowed values ["one","two"], is "three"',
      "$[*] must have required property 'type'",
    ]);
  });

  it('tell alternatives of different JSON types apart, and a tag among objects', () => {
    const schemas = {
      root: { anyOf: [text, { type: 'array', items: text }, ref('one'), ref('two')] },
      one: tagged('one', { text }),
      two: tagged('two', {}),
    };
    expect(problems(schemas, 'a')).toEqual([]);
    expect(problems(schemas, ['a', 1])).toEqual(['$[*] must be string, is 1']);
    expect(problems(schemas, { type: 'one' })).toEqual(["$ must have required property 'text'"]);
    expect(problems(schemas, 7)[0]).toContain('$ must be string,array,object, is 7');
  });

  it('find the subtype by the mapping of a base that subtypes extend', () => {
    const base = {
      type: 'object',
      required: ['type'],
      properties: { type: { anyOf: [text, { enum: ['deep'] }] } },
      discriminator: {
        propertyName: 'type',
        mapping: { deep: '#/components/schemas/deep' },
      },
    };
    const deep = {
      allOf: [ref('root'), { required: ['inner'], properties: { inner: ref('root') } }],
    };
    const value = { type: 'deep', inner: { type: 'deep', inner: { type: 'deep' } } };
    expect(problems({ root: base, deep }, value)).toEqual([
      "$.inner.inner must have required property 'inner'",
    ]);
    expect(problems({ root: base, deep }, { type: 'other' })).toHaveLength(1);
  });

  it('read oneOf as anyOf, and say nothing of branches when one fits', () => {
    const schemas = { root: { oneOf: [{ required: ['a'] }, { required: ['b'] }] } };
    expect(problems(schemas, { a: 1, b: 2 })).toEqual([]);
    expect(problems(schemas, {})).toEqual(['$ must match a schema in anyOf']);
  });

  it('read the exclusive bounds of both versions', () => {
    for (const bound of [{ minimum: 0, exclusiveMinimum: true }, { exclusiveMinimum: 0 }]) {
      const schemas = { root: { type: 'number', ...bound } };
      expect(problems(schemas, 1)).toEqual([]);
      expect(problems(schemas, 0)).toEqual(['$ must be > 0']);
    }
  });

  it('refuse a reference that leads nowhere', () => {
    expect(() => createValidator({ root: ref('missing') })).toThrow(/missing/);
  });
});
