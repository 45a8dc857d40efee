import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { JsonObject } from './json.ts';
import { fillSchema } from './schema-filler.ts';

function accepts(schema: JsonObject, value: unknown): string[] {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  const validate = ajv.compile(schema);
  validate(value);
  return (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message ?? ''}`);
}

const bounds = fc.tuple(fc.integer({ min: -50, max: 50 }), fc.integer({ min: 1, max: 20 }));

const scalarSchema: fc.Arbitrary<JsonObject> = fc.oneof(
  fc.constant<JsonObject>({ type: 'boolean' }),
  fc.constant<JsonObject>({ type: 'null' }),
  fc.constant<JsonObject>({ type: ['string', 'null'] }),
  bounds.map(([minimum, span]) => ({ type: 'integer', minimum, maximum: minimum + span })),
  bounds.map(([minimum, span]) => ({
    type: 'number',
    exclusiveMinimum: minimum,
    exclusiveMaximum: minimum + span,
  })),
  bounds.map(([maximum]) => ({ type: 'number', maximum })),
  fc.integer({ min: 2, max: 9 }).map((multipleOf) => ({ type: 'integer', multipleOf, minimum: 3 })),
  fc
    .tuple(fc.nat(8), fc.nat(8))
    .map(([minLength, more]) => ({ type: 'string', minLength, maxLength: minLength + more })),
  fc
    .constantFrom('date-time', 'date', 'email', 'uuid', 'uri', 'ipv4', 'ipv6', 'hostname')
    .map((format) => ({ type: 'string', format })),
  fc
    .uniqueArray(fc.oneof(fc.string(), fc.integer()), { minLength: 1, maxLength: 4 })
    .map((values) => ({ enum: values })),
  fc.oneof(fc.string(), fc.integer(), fc.boolean()).map((value) => ({ const: value })),
);

const { schema: anySchema } = fc.letrec<{ schema: JsonObject }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    scalarSchema,
    fc
      .tuple(
        fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), tie('schema'), { maxKeys: 4 }),
        fc.boolean(),
      )
      .map(([properties, all]) => ({
        type: 'object',
        properties,
        required: all ? Object.keys(properties) : [],
        additionalProperties: false,
      })),
    fc.tuple(tie('schema'), fc.nat(3), fc.nat(3)).map(([items, minItems, more]) => ({
      type: 'array',
      items,
      minItems,
      maxItems: minItems + more,
    })),
    fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
  ),
}));

describe('fillSchema', () => {
  it('satisfies every schema it claims to understand', () => {
    fc.assert(
      fc.property(anySchema, (schema) => {
        expect(accepts(schema, fillSchema(schema))).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  it('ends recursive schemas', () => {
    const schema: JsonObject = {
      $defs: {
        node: {
          type: 'object',
          properties: {
            name: { type: 'string' },
            next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] },
            children: { type: 'array', items: { $ref: '#/$defs/node' } },
          },
          required: ['name', 'next', 'children'],
          additionalProperties: false,
        },
      },
      $ref: '#/$defs/node',
    };
    expect(accepts(schema, fillSchema(schema))).toEqual([]);
  });

  it('folds allOf and follows references beside other keywords', () => {
    const schema: JsonObject = {
      definitions: { id: { type: 'string', format: 'uuid' } },
      allOf: [
        { type: 'object', properties: { id: { $ref: '#/definitions/id' } }, required: ['id'] },
        { properties: { size: { type: 'integer', minimum: 3 } }, required: ['size'] },
      ],
    };
    const value = fillSchema(schema);
    expect(accepts(schema, value)).toEqual([]);
    expect(value).toEqual({ id: expect.any(String), size: 3 });
  });

  it('gives unique items where they are demanded', () => {
    const schema: JsonObject = {
      type: 'array',
      items: { type: 'string' },
      minItems: 3,
      uniqueItems: true,
    };
    expect(new Set(fillSchema(schema) as string[]).size).toBe(3);
  });

  it('names a string after its property', () => {
    const schema = { type: 'object', properties: { city: { type: 'string' } } };
    expect(fillSchema(schema)).toEqual({ city: 'city' });
  });
});
