/** A schema as it stands in an OpenAPI document, or a JSON Schema made of it. */
export type Schema = { [keyword: string]: unknown };

const prefix = '#/components/schemas/';
/** Properties by which alternatives are told apart where no discriminator is named. */
const usualTags = ['type', 'object', 'role', 'event'];
/** Keywords without a say in whether a value is valid, and those rewritten below. */
const dropped = new Set(
  'default example examples discriminator nullable xml externalDocs anyOf oneOf exclusiveMinimum exclusiveMaximum $recursiveRef'.split(
    ' ',
  ),
);

/**
 * Rewrites the schemas of an OpenAPI document (3.0 or 3.1) as JSON Schema 2020-12, under `$defs` of one schema.
 *
 * Alternatives become if-then chains wherever a tag or the JSON type tells them apart: a value is then judged by the one
 * alternative it claims to be, and what is wrong with it is named, instead of why it is none of forty others. `oneOf` is read as
 * `anyOf`: the documents' alternatives overlap, which is no fault of the value. `nullable` is honoured in 3.1 too, since the
 * documents use it there.
 */
export function toJsonSchema(schemas: Readonly<Record<string, Schema>>): Schema {
  const converter = new Converter(schemas);
  const definitions: Schema = {};
  for (const [name, schema] of Object.entries(schemas)) {
    definitions[name] = converter.convert(schema);
    const mapping = converter.openMapping(schema);
    if (mapping) {
      definitions[baseOf(name)] = definitions[name];
      definitions[name] = converter.withSubtypes(name, schema, mapping);
    }
  }
  return { $id: documentId, $defs: definitions };
}

/** The `$id` under which the rewritten schemas refer to one another. */
const documentId = 'openapi:document';

/** The reference to one of the document's schemas, or to one that stands alone, rewritten the same way. */
export function rootSchema(schema: Schema, schemas: Readonly<Record<string, Schema>>): Schema {
  return new Converter(schemas).convert(schema);
}

function baseOf(name: string): string {
  return `${name} (without its subtypes)`;
}

function reference(name: string): string {
  const pointer = name.replaceAll('~', '~0').replaceAll('/', '~1');
  return `${documentId}#/$defs/${encodeURIComponent(pointer)}`;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function listOf(value: unknown): Schema[] {
  return Array.isArray(value) ? value.filter(isSchema) : [];
}

class Converter {
  readonly #schemas: Readonly<Record<string, Schema>>;

  constructor(schemas: Readonly<Record<string, Schema>>) {
    this.#schemas = schemas;
  }

  /** @param withSubtypes - false inside `allOf`, where a reference to a base means the base alone */
  convert(schema: Schema, withSubtypes = true): Schema {
    const result: Schema = {};
    for (const [keyword, value] of Object.entries(schema)) {
      if (!dropped.has(keyword)) result[keyword] = this.#keyword(keyword, value, withSubtypes);
    }
    // A number in 3.1; in 3.0 a boolean that says what `minimum` and `maximum` mean.
    for (const [exclusive, bound] of [
      ['exclusiveMinimum', 'minimum'],
      ['exclusiveMaximum', 'maximum'],
    ] as const) {
      const value = schema[exclusive];
      if (typeof value === 'number') result[exclusive] = value;
      else if (value === true) result[exclusive] = schema[bound];
    }
    const branches = [...listOf(schema.anyOf), ...listOf(schema.oneOf)];
    if (branches.length > 0) {
      const tag = isSchema(schema.discriminator) ? schema.discriminator.propertyName : undefined;
      const all = [...listOf(result.allOf), this.#union(branches, tag)];
      result.allOf = all;
    }
    if (schema.nullable !== true) return result;
    return { if: { type: 'null' }, else: result };
  }

  /** The discriminator's mapping of a base whose subtypes refer to it, instead of it to them. */
  openMapping(schema: Schema): { tag: string; names: Map<string, string> } | undefined {
    const discriminator = schema.discriminator;
    if (!isSchema(discriminator) || schema.anyOf || schema.oneOf) return undefined;
    const { propertyName, mapping } = discriminator;
    if (typeof propertyName !== 'string' || !isSchema(mapping)) return undefined;
    const names = Object.entries(mapping).map(
      ([value, target]) => [value, String(target).replace(prefix, '')] as const,
    );
    return { tag: propertyName, names: new Map(names) };
  }

  withSubtypes(
    name: string,
    schema: Schema,
    mapping: { tag: string; names: Map<string, string> },
  ): Schema {
    const branches = [...mapping.names].map(([value, subtype]) => ({
      values: [value],
      // One that maps to itself would send the validator round in a circle.
      schema: { $ref: reference(subtype === name ? baseOf(name) : subtype) },
    }));
    const judged = {
      $ref: reference(baseOf(name)),
      allOf: [chain(mapping.tag, branches)],
    };
    return schema.nullable === true ? { if: { type: 'null' }, else: judged } : judged;
  }

  #keyword(keyword: string, value: unknown, withSubtypes: boolean): unknown {
    if (keyword === '$ref') return this.#reference(String(value), withSubtypes);
    if (keyword === 'allOf') return listOf(value).map((part) => this.convert(part, false));
    if (keyword === 'properties' && isSchema(value)) {
      return Object.fromEntries(
        Object.entries(value).map(([name, one]) => [name, isSchema(one) ? this.convert(one) : one]),
      );
    }
    const holdsSchema = ['items', 'additionalProperties', 'not', 'propertyNames'];
    if (holdsSchema.includes(keyword) && isSchema(value)) return this.convert(value);
    return value;
  }

  #reference(target: string, withSubtypes: boolean): string {
    const name = decodeURIComponent(target.slice(prefix.length));
    const schema = this.#schemas[name];
    if (!target.startsWith(prefix) || !schema) throw new Error(`cannot resolve ${target}`);
    return reference(!withSubtypes && this.openMapping(schema) ? baseOf(name) : name);
  }

  #union(branches: readonly Schema[], tag: unknown): Schema {
    const types = branches.map((branch) => this.#types(branch));
    const known = new Set(types.flatMap((some) => some ?? []));
    if (known.size > 1 && types.every((some) => some !== undefined)) {
      const cases = [...known].map((type) =>
        when(
          { type },
          this.#ofOneType(
            branches.filter((_, at) => types[at]?.includes(type)),
            tag,
          ),
        ),
      );
      return { type: [...known], allOf: cases };
    }
    return this.#ofOneType(branches, tag);
  }

  #ofOneType(branches: readonly Schema[], tag: unknown): Schema {
    if (branches.length === 1) return this.convert(branches[0]!);
    const tags = typeof tag === 'string' ? [tag, ...usualTags] : usualTags;
    for (const candidate of tags) {
      const values = branches.map((branch) => this.#tagValues(branch, candidate));
      if (values.every((some) => some !== undefined)) {
        return chain(
          candidate,
          branches.map((branch, at) => ({
            values: values[at] ?? [],
            schema: this.convert(branch),
          })),
        );
      }
    }
    return { anyOf: branches.map((branch) => this.convert(branch)) };
  }

  #resolve(schema: Schema): Schema {
    let resolved = schema;
    while (typeof resolved.$ref === 'string') {
      const next = this.#schemas[decodeURIComponent(resolved.$ref.slice(prefix.length))];
      if (!next) throw new Error(`cannot resolve ${resolved.$ref}`);
      resolved = next;
    }
    return resolved;
  }

  /** JSON types a value of this schema can have; undefined when the schema does not say. */
  #types(schema: Schema, depth = 0): string[] | undefined {
    const resolved = this.#resolve(schema);
    if (depth > 8) return undefined;
    const orNull = resolved.nullable === true || schema.nullable === true ? ['null'] : [];
    const own = resolved.type ?? (resolved.properties ? 'object' : undefined);
    if (typeof own === 'string') return [jsonType(own), ...orNull];
    if (Array.isArray(own)) return [...own.map(String).map(jsonType), ...orNull];
    const branches = [...listOf(resolved.anyOf), ...listOf(resolved.oneOf)];
    const types = branches.map((branch) => this.#types(branch, depth + 1));
    if (branches.length > 0 && types.every((some) => some !== undefined)) {
      return [...new Set([...types.flatMap((some) => some ?? []), ...orNull])];
    }
    for (const part of listOf(resolved.allOf)) {
      const found = this.#types(part, depth + 1);
      if (found) return [...found, ...orNull];
    }
    return undefined;
  }

  /** Values that `property` has in objects of this schema; undefined when any text will do. */
  #tagValues(schema: Schema, property: string, depth = 0): string[] | undefined {
    const resolved = this.#resolve(schema);
    if (depth > 8) return undefined;
    const mapping = this.openMapping(resolved);
    if (mapping?.tag === property) return [...mapping.names.keys()];
    const own = isSchema(resolved.properties) ? resolved.properties[property] : undefined;
    if (isSchema(own)) {
      const { const: only, enum: some } = this.#resolve(own);
      if (typeof only === 'string') return [only];
      if (Array.isArray(some)) return some.map(String);
    }
    const branches = [...listOf(resolved.anyOf), ...listOf(resolved.oneOf)];
    const values = branches.map((branch) => this.#tagValues(branch, property, depth + 1));
    if (branches.length > 0 && values.every((found) => found !== undefined)) {
      return values.flatMap((found) => found ?? []);
    }
    for (const part of listOf(resolved.allOf)) {
      const found = this.#tagValues(part, property, depth + 1);
      if (found) return found;
    }
    return undefined;
  }
}

/** Integers are numbers to whoever has to choose between them. */
function jsonType(type: string): string {
  return type === 'integer' ? 'number' : type;
}

function when(condition: Schema, judge: Schema): Schema {
  // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema; nothing awaits schemas
  return { if: condition, then: judge };
}

/** Judges an object by the branches that its tag names; a tag that none has is wrong. */
function chain(tag: string, branches: readonly { values: string[]; schema: Schema }[]): Schema {
  const byValue = Map.groupBy(
    branches.flatMap(({ values, schema }) => values.map((value) => ({ value, schema }))),
    ({ value }) => value,
  );
  const cases = [...byValue].map(([value, some]) => {
    const [first, ...others] = some.map(({ schema }) => schema);
    const judge = others.length === 0 ? first! : { anyOf: [first, ...others] };
    return when({ properties: { [tag]: { const: value } }, required: [tag] }, judge);
  });
  const known = { type: 'object', properties: { [tag]: { enum: [...byValue.keys()] } } };
  return { allOf: [{ ...known, required: [tag] }, ...cases] };
}
