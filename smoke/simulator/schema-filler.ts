import { arrayOf, isObject } from './json.ts';
import type { JsonObject } from './json.ts';

/** From this depth on only what a schema demands is filled in, so that recursive schemas end. */
const ENOUGH_DEPTH = 5;
/** Schemas that demand endless nesting are given up here. */
const MAX_DEPTH = 64;

/** Sample strings of the formats of JSON Schema. */
const FORMATS: Readonly<Record<string, string>> = {
  'date-time': '2026-11-10T09:00:00Z',
  date: '2026-11-10',
  time: '09:00:00Z',
  duration: 'P1D',
  email: 'someone@example.com',
  'idn-email': 'someone@example.com',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uri: 'https://example.com/',
  'uri-reference': '/path',
  url: 'https://example.com/',
  uuid: '00000000-0000-4000-8000-000000000001',
  regex: '^.*$',
  'json-pointer': '/a',
};

/** Strings tried in turn against a `pattern`; patterns that match none of them are beyond this filler. */
const PATTERN_SAMPLES = [
  'a',
  'A',
  '0',
  '1',
  'abc',
  'ABC',
  'Abc',
  '123',
  '1.0',
  '1.0.0',
  'a1',
  'a-b',
  'a_b',
  'a.b',
  'a/b',
  '/a',
  '#aabbcc',
  'ab',
  'AB',
  '12',
  '1234',
  '12345',
  '+1234567890',
  '@a',
  'a@b.co',
  '2026-11-10',
  '09:00',
  '12:34:56',
  'abcdefgh',
  '00000000',
];

type Place = {
  root: JsonObject;
  depth: number;
  /** Name of the property or tool being filled, used as the text of a string. */
  hint: string;
  /** Differs among the items of an array whose items must be unique. */
  variant: number;
};

/**
 * The same valid value every time for a JSON Schema. Understands type, enum, const, properties, required, items,
 * prefixItems, minItems, uniqueItems, lengths, bounds, multipleOf, format, simple patterns, anyOf, oneOf, allOf and
 * local `$ref`. Every described property is filled in, as strict structured output demands.
 *
 * @param schema - the schema; anything but an object allows every value
 * @param hint - text of strings that nothing else determines
 */
export function fillSchema(schema: unknown, hint = 'value'): unknown {
  if (!isObject(schema)) return hint;
  return fill(schema, { root: schema, depth: 0, hint, variant: 0 });
}

function fill(written: unknown, place: Place): unknown {
  if (!isObject(written)) return place.hint;
  const schema = resolved(written, place.root);
  if ('const' in schema) return schema['const'];
  const choices = arrayOf(schema['enum']);
  if (choices.length > 0) return choices[place.variant % choices.length];

  const options = [...arrayOf(schema['anyOf']), ...arrayOf(schema['oneOf'])].filter(isObject);
  if (options.length > 0) {
    const { anyOf: _any, oneOf: _one, ...shared } = schema;
    return fill(merge(shared, resolved(pickOption(options, place), place.root)), place);
  }
  switch (typeOf(schema, place)) {
    case 'object':
      return fillObject(schema, place);
    case 'array':
      return fillArray(schema, place);
    case 'integer':
      return fillNumber(schema, true, place.variant);
    case 'number':
      return fillNumber(schema, false, place.variant);
    case 'boolean':
      return place.variant % 2 === 0;
    case 'null':
      return null;
    default:
      return fillString(schema, place);
  }
}

/** Follows `$ref` and folds `allOf` into one schema. */
function resolved(schema: JsonObject, root: JsonObject): JsonObject {
  let current = schema;
  for (let hops = 0; typeof current['$ref'] === 'string' && hops < MAX_DEPTH; hops += 1) {
    const { $ref: reference, ...siblings } = current;
    const target = lookUp(root, reference as string);
    current = isObject(target) ? merge(siblings, target) : siblings;
  }
  const parts = arrayOf(current['allOf']).filter(isObject);
  if (parts.length === 0) return current;
  const { allOf: _all, ...rest } = current;
  return parts.reduce<JsonObject>((whole, part) => merge(whole, resolved(part, root)), rest);
}

function lookUp(root: JsonObject, reference: string): unknown {
  if (!reference.startsWith('#')) return undefined;
  let found: unknown = root;
  for (const part of reference
    .slice(1)
    .split('/')
    .filter((step) => step !== '')) {
    const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(found)) found = (found as unknown[])[Number(key)];
    else found = isObject(found) ? found[key] : undefined;
  }
  return found;
}

function merge(first: JsonObject, second: JsonObject): JsonObject {
  const merged: JsonObject = { ...first, ...second };
  if (isObject(first['properties']) && isObject(second['properties'])) {
    merged['properties'] = { ...first['properties'], ...second['properties'] };
  }
  if (Array.isArray(first['required']) && Array.isArray(second['required'])) {
    merged['required'] = [
      ...new Set([...arrayOf(first['required']), ...arrayOf(second['required'])]),
    ];
  }
  for (const bound of ['minimum', 'exclusiveMinimum', 'minLength', 'minItems']) {
    if (typeof first[bound] === 'number' && typeof second[bound] === 'number') {
      merged[bound] = Math.max(first[bound], second[bound]);
    }
  }
  for (const bound of ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems']) {
    if (typeof first[bound] === 'number' && typeof second[bound] === 'number') {
      merged[bound] = Math.min(first[bound], second[bound]);
    }
  }
  return merged;
}

/** Near the surface the first option with content; deep down one that ends the nesting. */
function pickOption(options: readonly JsonObject[], place: Place): JsonObject {
  const ending =
    options.find((option) => option['type'] === 'null') ??
    options.find(
      (option) => !('$ref' in option) && option['type'] !== 'object' && option['type'] !== 'array',
    );
  const telling = options.find((option) => option['type'] !== 'null');
  return (place.depth >= ENOUGH_DEPTH ? ending : telling) ?? options[0] ?? {};
}

function typeOf(schema: JsonObject, place: Place): unknown {
  const type = schema['type'];
  if (Array.isArray(type)) {
    const types = type as unknown[];
    if (place.depth >= ENOUGH_DEPTH && types.includes('null')) return 'null';
    return types.find((name) => name !== 'null') ?? 'null';
  }
  if (type !== undefined) return type;
  if ('properties' in schema || 'required' in schema) return 'object';
  if ('items' in schema || 'prefixItems' in schema) return 'array';
  if ('minimum' in schema || 'maximum' in schema || 'multipleOf' in schema) return 'number';
  return 'string';
}

function fillObject(schema: JsonObject, place: Place): JsonObject {
  if (place.depth > MAX_DEPTH) return {};
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  const required = arrayOf(schema['required']).filter((name) => typeof name === 'string');
  const names = place.depth >= ENOUGH_DEPTH ? required : [...Object.keys(properties), ...required];
  const filled: JsonObject = {};
  for (const name of new Set(names)) {
    filled[name] = fill(properties[name] ?? {}, { ...place, depth: place.depth + 1, hint: name });
  }
  return filled;
}

function fillArray(schema: JsonObject, place: Place): unknown[] {
  if (place.depth > MAX_DEPTH) return [];
  const leading = arrayOf(schema['prefixItems']);
  const least = numberOr(schema['minItems'], 0);
  const most = numberOr(schema['maxItems'], Number.POSITIVE_INFINITY);
  const wanted = place.depth >= ENOUGH_DEPTH ? least : Math.max(least, leading.length, 1);
  const length =
    schema['items'] === false ? Math.min(wanted, leading.length) : Math.min(wanted, most);
  return Array.from({ length }, (_, index) =>
    fill(leading[index] ?? schema['items'] ?? {}, {
      ...place,
      depth: place.depth + 1,
      variant: index,
      hint: index === 0 ? place.hint : `${place.hint}-${String(index)}`,
    }),
  );
}

function fillNumber(schema: JsonObject, whole: boolean, variant: number): number {
  const unit = numberOr(schema['multipleOf'], whole ? 1 : 0);
  const step = unit > 0 ? unit : 0.5;
  const above = numberOr(schema['exclusiveMinimum'], Number.NEGATIVE_INFINITY);
  const below = numberOr(schema['exclusiveMaximum'], Number.POSITIVE_INFINITY);
  const least = Math.max(numberOr(schema['minimum'], Number.NEGATIVE_INFINITY), above);
  const most = Math.min(numberOr(schema['maximum'], Number.POSITIVE_INFINITY), below);
  const fits = (value: number): boolean =>
    value >= least && value <= most && value > above && value < below;

  const lowest = Math.ceil(least / step) * step;
  const highest = Math.floor(most / step) * step;
  const candidates = [0, lowest, lowest + step, highest, highest - step, (least + most) / 2];
  const value = candidates.find((candidate) => Number.isFinite(candidate) && fits(candidate)) ?? 0;
  const varied = value + variant * step;
  return fits(varied) ? varied : value;
}

function fillString(schema: JsonObject, place: Place): string {
  const { pattern } = schema;
  const format = typeof schema['format'] === 'string' ? FORMATS[schema['format']] : undefined;
  const least = numberOr(schema['minLength'], 0);
  const most = numberOr(schema['maxLength'], Number.POSITIVE_INFINITY);
  if (typeof pattern === 'string') {
    const test = new RegExp(pattern, 'u');
    const fitting = [place.hint, ...PATTERN_SAMPLES].find(
      (sample) => test.test(sample) && sample.length >= least && sample.length <= most,
    );
    if (fitting !== undefined) return fitting;
  }
  if (format !== undefined) return format;
  const text = place.hint.padEnd(least, 'x');
  return text.length > most ? text.slice(0, most) : text;
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise;
}
