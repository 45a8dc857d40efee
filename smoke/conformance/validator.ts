import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import * as formats from 'ajv-formats';
import { rootSchema, type Schema, toJsonSchema } from './json-schema.ts';
import { jsonPath, type Violation } from './violation.ts';

/** Finds what is wrong with a value; compiles a schema when it is first asked for. */
export type Validator = (schema: Schema, value: unknown) => Omit<Violation, 'exchange'>[];

/** Makes the validator of a document's schemas. */
export function createValidator(schemas: Readonly<Record<string, Schema>>): Validator {
  const ajv = new Ajv2020({
    allErrors: true,
    strict: false, // the documents are full of keywords of their own
    validateSchema: false,
    unicodeRegExp: false, // their patterns are of the older kind
    inlineRefs: false,
    logger: false,
  });
  formats.default.default(ajv);
  ajv.addSchema(toJsonSchema(schemas));
  const compiled = new Map<string, ValidateFunction>();
  return (schema, value) => {
    const name = JSON.stringify(schema);
    let validate = compiled.get(name);
    if (validate === undefined) {
      validate = ajv.compile(rootSchema(schema, schemas));
      compiled.set(name, validate);
    }
    if (validate(value)) return [];
    return telling(validate.errors ?? []).map((error) => ({
      at: jsonPath(error.instancePath),
      message: describe(error, value),
    }));
  };
}

/** The errors without those that only repeat others: an `anyOf` speaks for its branches, a condition for nothing. */
function telling(errors: readonly ErrorObject[]): ErrorObject[] {
  return errors.filter(
    (error, at) =>
      error.keyword !== 'if' &&
      !errors.some(
        (other, later) =>
          other.keyword === 'anyOf' &&
          later > at &&
          `${error.instancePath}/`.startsWith(`${other.instancePath}/`),
      ),
  );
}

function describe(error: ErrorObject, root: unknown): string {
  const params: { allowedValues?: unknown[]; allowedValue?: unknown } = error.params;
  const wanted = params.allowedValues ?? params.allowedValue;
  const detail = wanted === undefined ? '' : ` ${shorten(JSON.stringify(wanted))}`;
  const value = valueAt(root, error.instancePath);
  const about = ['type', 'enum', 'const', 'format', 'pattern'].includes(error.keyword)
    ? `, is ${shorten(JSON.stringify(value))}`
    : '';
  return `${error.message ?? error.keyword}${detail}${about}`;
}

function valueAt(root: unknown, pointer: string): unknown {
  const steps = pointer.split('/').slice(1);
  return steps.reduce<unknown>((value, step) => {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
    return (value as { [name: string]: unknown } | undefined)?.[name];
  }, root);
}

function shorten(text: string | undefined): string {
  if (text === undefined) return 'absent';
  return text.length > 120 ? `${text.slice(0, 117)}…` : text;
}
