import { modelError } from './errors.ts';
import { arrayOf, isObject } from './json.ts';
import type { JsonObject } from './json.ts';

/** What a schema belongs to, for the text and the `param` of its refusal. */
export type SchemaOwner = {
  /** E.g. `function 'weather'` or `response_format 'answer'`. */
  subject: string;
  param: string;
  code: string | null;
};

/**
 * Checks what Azure demands of schemas marked `strict`: every object closed, and every property required.
 *
 * @throws {AzureError} 400 naming the first place that is not
 */
export function checkStrictSchema(schema: JsonObject, owner: SchemaOwner): void {
  visit(schema, [], owner);
}

function visit(schema: unknown, context: readonly string[], owner: SchemaOwner): void {
  if (!isObject(schema)) return;
  const { properties, items } = schema;
  if (schema['type'] === 'object' || isObject(properties)) {
    if (schema['additionalProperties'] !== false) {
      throw refused(
        owner,
        context,
        "'additionalProperties' is required to be supplied and to be false.",
      );
    }
    const required = arrayOf(schema['required']);
    const missing = Object.keys(isObject(properties) ? properties : {}).find(
      (name) => !required.includes(name),
    );
    if (missing !== undefined) {
      throw refused(
        owner,
        context,
        `'required' is required to be supplied and to be an array including every key in properties. Missing '${missing}'.`,
      );
    }
  }
  for (const keyword of ['properties', '$defs', 'definitions']) {
    const named = schema[keyword];
    if (!isObject(named)) continue;
    for (const [name, inner] of Object.entries(named))
      visit(inner, [...context, keyword, name], owner);
  }
  visit(items, [...context, 'items'], owner);
  for (const [index, option] of arrayOf(schema['anyOf']).entries()) {
    visit(option, [...context, 'anyOf', String(index)], owner);
  }
}

function refused(owner: SchemaOwner, context: readonly string[], reason: string): Error {
  const place = `(${context.map((step) => `'${step}'`).join(', ')})`;
  return modelError(400, {
    message: `Invalid schema for ${owner.subject}: In context=${place}, ${reason}`,
    param: owner.param,
    code: owner.code,
  });
}
