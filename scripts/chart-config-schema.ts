import { configSchema } from '@aigateway/contract/config';
import * as z from 'zod';

/** JSON Schema, draft 7: what Helm of every version understands. */
export type JsonSchema = {
  type?: string | string[];
  description?: string;
  properties?: { [key: string]: JsonSchema };
  additionalProperties?: boolean | JsonSchema;
  [keyword: string]: unknown;
};

/** A whole value may stand for a variable of the process wherever the gateway reads one. */
const reference = String.raw`os\.environ/\S+`;

/**
 * What the chart sets by itself as environment variables, which count before the file; and more files, which a pod does not have.
 */
const setByChart: { readonly [section: string]: readonly string[] } = {
  '': ['include', 'environment_variables'],
  aigateway_settings: ['port', 'ops_port', 'data_dir', 'stop_delay', 'drain_time', 'replicas'],
};

/**
 * JSON Schema of the gateway's configuration as a value of the chart: the schema that the gateway reads its file with, without what
 * the gateway refuses and what the chart sets. A secret can only be referred to, for the file becomes a ConfigMap.
 */
export function chartConfigSchema(): JsonSchema {
  const schema = z.toJSONSchema(configSchema, {
    target: 'draft-7',
    io: 'input',
    unrepresentable: 'any',
    override({ zodSchema, jsonSchema }) {
      const node = jsonSchema as JsonSchema;
      const { type, status, default: fallback, harmless: _harmless, ...rest } = node;
      for (const key of Object.keys(node)) delete node[key];
      // What an optional value takes was put into words, and read, with the value itself.
      Object.assign(node, rest, typeof type === 'string' ? valueSchema(type) : type && { type });
      if (typeof fallback === 'string' && fallback !== 'required')
        node.description = `${String(node.description)}. Default: ${fallback}`;
      if (status === 'inert') node.description = `No effect: ${String(node.description)}`;
      if (zodSchema instanceof z.ZodObject) {
        node.additionalProperties ??= false;
        dropRefused(node, zodSchema);
      }
    },
  }) as JsonSchema;
  delete schema['$schema'];
  for (const [section, keys] of Object.entries(setByChart)) {
    const { properties = {} } = section === '' ? schema : (schema.properties?.[section] ?? {});
    for (const key of keys) delete properties[key];
  }
  return schema;
}

/** An object that takes any other key is told which it does not take. */
function dropRefused(node: JsonSchema, { shape }: z.ZodObject): void {
  for (const [key, field] of Object.entries(shape)) {
    if ((field as z.ZodType).meta()?.['status'] !== 'refused') continue;
    if (node.additionalProperties === false) delete node.properties![key];
    else node.properties![key] = { not: {} };
  }
}

/** Values in the words of config-fields.ts, which reads them. Maps and lists of maps have a schema of their own besides. */
function valueSchema(type: string): JsonSchema {
  const range = /^a (whole )?number from (\S+) to (\S+)$/.exec(type);
  if (range !== null) {
    return {
      type: [range[1] === undefined ? 'number' : 'integer', 'string'],
      minimum: Number(range[2]),
      maximum: Number(range[3]),
      pattern: String.raw`^(${reference}|[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)$`,
    };
  }
  if (type.startsWith('one of ')) {
    const names = type.slice('one of '.length).split(', ');
    return { type: 'string', pattern: `^(${[...names, reference].join('|')})$` };
  }
  if (type.startsWith('a secret, ')) {
    const vault = type.includes('keyvault/') ? String.raw`|keyvault/\S+` : '';
    return { type: 'string', pattern: `^(${reference}${vault})$` };
  }
  if (type.startsWith('seconds, ')) {
    return {
      type: ['number', 'string'],
      pattern: String.raw`^(${reference}|[0-9]+(\.[0-9]+)?(ms|s|m|h)?)$`,
    };
  }
  if (type.startsWith('a size ')) {
    return {
      type: ['integer', 'string'],
      pattern: String.raw`^(${reference}|[0-9]+(\.[0-9]+)?\s*[kKmMgG]?[iI]?[bB]?)$`,
    };
  }
  if (/^(an amount|a price) in US dollars/.test(type)) {
    return { type: ['number', 'string'], minimum: 0, pattern: `^(${reference}|[0-9.eE+-]+)$` };
  }
  if (type.startsWith('a map')) return { type: 'object' };
  if (type.startsWith('a list of maps')) return { type: 'array' };
  if (['array', 'boolean', 'integer', 'number', 'object', 'string'].includes(type)) return { type };
  const known = valueTypes[type];
  if (known === undefined) throw new Error(`no JSON Schema for "${type}"`);
  return known;
}

const anyText: JsonSchema = { type: 'string', minLength: 1 };

const valueTypes: { readonly [type: string]: JsonSchema } = {
  'a text': { type: ['string', 'number'], minLength: 1 },
  'true or false': {
    type: ['boolean', 'string'],
    pattern: `^(${reference}|true|false|yes|no|on|off|1|0)$`,
  },
  'a list of texts': { type: ['array', 'string'], items: { type: ['string', 'number'] } },
  'a list of addresses and networks, as 203.0.113.7 and 10.0.0.0/8': {
    type: ['array', 'string'],
    minItems: 1,
    minLength: 1,
    items: { type: 'string', pattern: String.raw`^[0-9a-fA-F.:]+(/[1-9][0-9]*)?$` },
  },
  'a list of servers as host:port': {
    type: ['array', 'string'],
    items: { type: ['string', 'array', 'object'] },
  },
  'a duration such as 30s, 5m, 1h, 7d, 1mo, daily, weekly or monthly': anyText,
  'a date such as 2027-06-30 or 2027-06-30T12:00:00Z': anyText,
  'a time of day, HH:MM': anyText,
  'a time zone such as UTC or Africa/Johannesburg': anyText,
  'a plain path that begins with a slash and ends with none': anyText,
  'a model, or a map with model and hidden': { type: ['string', 'object'] },
};
