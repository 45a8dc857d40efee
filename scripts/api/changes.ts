/**
 * `node scripts/api/changes.ts BEFORE.json AFTER.json`: what of the API breaks programs that worked before, a line for each. Exit code 2
 * when there is something, unless `TITLE`, that of the pull request, announces it as Conventional Commits do: `feat(api)!: …`.
 */
import { readFileSync } from 'node:fs';

type Schema = {
  readonly type?: string | readonly string[];
  readonly properties?: { readonly [name: string]: Schema };
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
};

type Parameter = { readonly name: string; readonly in: string; readonly required?: boolean };
type Content = { readonly content?: { readonly [type: string]: { readonly schema?: Schema } } };

type Operation = {
  readonly parameters?: readonly (Parameter & { readonly schema?: Schema })[];
  readonly requestBody?: Content;
  readonly responses?: { readonly [status: string]: Content };
};

/** The parts of OpenAPI that are compared. */
export type Description = {
  readonly paths: { [path: string]: { readonly [method: string]: Operation } };
};

/** Sides of a schema: what a caller gives may be wider later, what it gets may not. */
type Side = 'given' | 'got';

/**
 * What breaks a program that was written for `before`: what is gone, what is asked for in addition, what is no longer taken, what comes
 * in another form. What is new and need not be known is no break.
 */
export function breakingChanges(before: Description, after: Description): string[] {
  return Object.entries(before.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) => {
      const place = `${method.toUpperCase()} ${path}`;
      const now = after.paths[path]?.[method];
      if (now === undefined) return [`${place}: is gone`];
      return [
        ...parameterChanges(operation, now),
        ...schemaChanges(bodyOf(operation), bodyOf(now), 'given', 'body'),
        ...responseChanges(operation, now),
      ].map((change) => `${place}: ${change}`);
    }),
  );
}

function bodyOf({ requestBody }: Operation): Schema | undefined {
  return requestBody?.content?.['application/json']?.schema;
}

function parameterChanges(before: Operation, after: Operation): string[] {
  const [old = [], now = []] = [before.parameters, after.parameters];
  const same = (one: Parameter) => (other: Parameter) =>
    one.name === other.name && one.in === other.in;
  const gone = old
    .filter((one) => !now.some(same(one)))
    .map(({ name }) => `parameter ${name} is gone`);
  const asked = now
    .filter((one) => one.required === true && old.find(same(one))?.required !== true)
    .map(({ name }) => `parameter ${name} is required`);
  const changed = old.flatMap((one) => {
    const next = now.find(same(one));
    return next === undefined
      ? []
      : schemaChanges(one.schema, next.schema, 'given', `parameter ${one.name}`);
  });
  return [...gone, ...asked, ...changed];
}

function responseChanges(before: Operation, after: Operation): string[] {
  return Object.entries(before.responses ?? {}).flatMap(([status, { content }]) => {
    const now = after.responses?.[status];
    if (now === undefined) return [`answer ${status} is gone`];
    const schema = content?.['application/json']?.schema;
    return schemaChanges(schema, now.content?.['application/json']?.schema, 'got', 'answer');
  });
}

function schemaChanges(
  before: Schema | undefined,
  after: Schema | undefined,
  side: Side,
  place: string,
): string[] {
  if (before === undefined) return isAsked(after, side) ? [`${place} is required`] : [];
  if (after === undefined) return [`${place} is gone`];
  // A program gives what was taken before, and understands what it got before.
  const [less, more] = side === 'given' ? [before, after] : [after, before];
  return [
    ...lackOf(typesOf(less), typesOf(more), place, side),
    ...lackOf(valuesOf(less), valuesOf(more), place, side),
    ...propertyChanges(before, after, side, place),
    ...(before.items && after.items
      ? schemaChanges(before.items, after.items, side, `${place}[]`)
      : []),
  ];
}

function isAsked(schema: Schema | undefined, side: Side): boolean {
  return side === 'given' && partsOf(schema).some(({ required = [] }) => required.length > 0);
}

/** The alternatives of a schema, itself where there are none. */
function partsOf(schema: Schema | undefined): readonly Schema[] {
  if (schema === undefined) return [];
  const alternatives = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  return alternatives.length === 0 ? [schema] : alternatives.flatMap(partsOf);
}

/** Undefined: any. */
function typesOf(schema: Schema): ReadonlySet<string> | undefined {
  const types = partsOf(schema).map(({ type, const: value }) =>
    type === undefined && value !== undefined ? [typeof value] : type && [type].flat(),
  );
  return types.includes(undefined) ? undefined : new Set(types.flatMap((one) => one ?? []));
}

/** Undefined: any. */
function valuesOf(schema: Schema): ReadonlySet<string> | undefined {
  const values = partsOf(schema).map((part) =>
    part.const === undefined ? part.enum : [part.const],
  );
  if (values.includes(undefined)) return undefined;
  return new Set(values.flatMap((one) => one ?? []).map((one) => JSON.stringify(one)));
}

function lackOf(
  less: ReadonlySet<string> | undefined,
  more: ReadonlySet<string> | undefined,
  place: string,
  side: Side,
): string[] {
  if (more === undefined) return [];
  const verb = side === 'given' ? 'no longer takes' : 'may now be';
  if (less === undefined)
    return [`${place} ${verb} ${side === 'given' ? 'everything' : 'anything'}`];
  // Every whole number is a number.
  const isIn = (one: string) => more.has(one) || (one === 'integer' && more.has('number'));
  return [...less].filter((one) => !isIn(one)).map((one) => `${place} ${verb} ${one}`);
}

type Properties = { readonly [name: string]: Schema };

/** Of all alternatives together: which of them is meant is not for a comparison to say. */
function propertiesOf(schema: Schema): Properties {
  return Object.assign(
    {},
    ...partsOf(schema).map(({ properties = {} }) => properties),
  ) as Properties;
}

/** What every alternative has. */
function requiredOf(schema: Schema): ReadonlySet<string> {
  const [first = new Set<string>(), ...others] = partsOf(schema)
    .filter(({ type }) => type !== 'null')
    .map(({ required = [] }) => new Set(required));
  return others.reduce((all, one) => all.intersection(one), first);
}

function propertyChanges(before: Schema, after: Schema, side: Side, place: string): string[] {
  const [old, now] = [propertiesOf(before), propertiesOf(after)];
  const [was, is] = [requiredOf(before), requiredOf(after)];
  const at = (name: string) => `${place}.${name}`;
  const asked = [...is].filter((name) => side === 'given' && !was.has(name));
  const promised = [...was].filter((name) => side === 'got' && name in now && !is.has(name));
  return [
    ...asked.map((name) => `${at(name)} is required`),
    ...promised.map((name) => `${at(name)} is no longer always there`),
    ...Object.entries(old).flatMap(([name, schema]) =>
      name in now ? schemaChanges(schema, now[name], side, at(name)) : [`${at(name)} is gone`],
    ),
  ];
}

if (import.meta.main) {
  const [before, after] = process.argv
    .slice(2)
    .map((file) => JSON.parse(readFileSync(file, 'utf8')) as Description);
  if (before === undefined || after === undefined) {
    process.stderr.write('usage: node scripts/api/changes.ts BEFORE.json AFTER.json\n');
    process.exit(1);
  }
  const changes = breakingChanges(before, after);
  const isAnnounced = /^\w+(\([^)]*\))?!: /.test(process.env['TITLE'] ?? '');
  for (const change of changes) process.stdout.write(`${change}\n`);
  if (changes.length > 0 && !isAnnounced) {
    process.stderr.write(
      'Programs that work today would break. If that is meant, announce it: "!" before the colon of the title, and an entry under "Changed" or "Removed" in CHANGELOG.md.\n',
    );
    process.exitCode = 2;
  }
}
