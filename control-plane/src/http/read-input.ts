import * as z from 'zod';
import { type FieldProblem, detailError, fieldErrors, proxyError } from '../errors.ts';
import { effectOf, isEmpty } from './fields.ts';
import type { Route } from './route.ts';

export type Input = {
  readonly params: { [name: string]: string };
  readonly query: object;
  readonly body: object;
  /** Fields that had no effect, for the header. */
  readonly ignored: readonly string[];
};

/** Deeper JSON than this has no meaning here and would exhaust the stack of whoever walks it. */
const deepest = 40;

/**
 * Checks what a request brings against what the route takes.
 *
 * @throws ApiError 422 for wrong types and missing fields; 400 for a field that asks for a protection there is not here
 */
export function readInput(
  route: Route,
  request: {
    readonly params: { [name: string]: string };
    readonly query: object;
    readonly body: unknown;
  },
): Input {
  const ignored: string[] = [];
  const query = route.query ? parse('query', route.query, request.query) : {};
  const parameters = route.query?.shape ?? {};
  ignored.push(...Object.keys(request.query).filter((name) => !(name in parameters)));
  let body: object = {};
  if (route.body !== undefined) {
    const given = request.body ?? {};
    if (typeof given !== 'object' || Array.isArray(given)) {
      throw fieldErrors([
        { type: 'model_attributes_type', loc: ['body'], msg: 'Input should be an object' },
      ]);
    }
    checkDepth(given, deepest);
    const idle: IdleFields = { unknown: new Set(), inert: new Set(), refused: new Set() };
    collectIdle(route.body, given, '', idle);
    if ((route.own === true || route.isStrict === true) && idle.unknown.size > 0) {
      throw fieldErrors(
        [...idle.unknown].map((name) => ({
          type: 'extra_forbidden',
          loc: ['body', name],
          msg: 'Extra inputs are not permitted',
        })),
      );
    }
    body = parse('body', route.body, given);
    for (const name of idle.refused) {
      throw proxyError(
        400,
        'bad_request_error',
        `This gateway does not have what "${name}" asks for. It is refused rather than ignored, because something would go unprotected.`,
        name,
      );
    }
    ignored.push(...idle.unknown, ...idle.inert);
  }
  return { params: request.params, query, body, ignored };
}

/** Fields of a body that do nothing, by their paths. Those of all members of a list are named once. */
type IdleFields = { readonly [kind in 'unknown' | 'inert' | 'refused']: Set<string> };

function collectIdle(schema: unknown, value: unknown, path: string, idle: IdleFields): void {
  if (typeof value !== 'object' || value === null) return;
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault
  )
    return collectIdle(schema.unwrap(), value, path, idle);
  if (schema instanceof z.ZodUnion) {
    const taken = schema.options.find(
      (option) => option instanceof z.ZodType && option.safeParse(value).success,
    );
    return collectIdle(taken, value, path, idle);
  }
  if (schema instanceof z.ZodArray && Array.isArray(value)) {
    for (const member of value) collectIdle(schema.element, member, path, idle);
    return;
  }
  if (!(schema instanceof z.ZodObject) || Array.isArray(value)) return;
  const shape: { readonly [name: string]: z.ZodType } = schema.shape;
  const isOpen = schema.def.catchall !== undefined;
  for (const [name, member] of Object.entries(value)) {
    const here = path === '' ? name : `${path}.${name}`;
    const field = Object.hasOwn(shape, name) ? shape[name] : undefined;
    const effect = effectOf(field);
    if (field === undefined) {
      if (!isOpen) idle.unknown.add(here);
    } else if (effect === undefined) collectIdle(field, member, here, idle);
    else if (!isEmpty(member)) idle[effect === 'refused' ? 'refused' : 'inert'].add(here);
  }
}

function parse(where: 'query' | 'body', schema: z.ZodObject, value: unknown): object {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw fieldErrors(result.error.issues.map((issue) => problemOf(where, issue)));
}

function problemOf(where: string, issue: z.core.$ZodIssue): FieldProblem {
  const loc = [
    where,
    ...issue.path.map((part) => (typeof part === 'number' ? part : String(part))),
  ];
  if (issue.code === 'invalid_type' && issue.input === undefined && /undefined/.test(issue.message))
    return { type: 'missing', loc, msg: 'Field required' };
  if (issue.code === 'invalid_type')
    return {
      type: `${issue.expected}_type`,
      loc,
      msg: `Input should be a valid ${issue.expected}`,
    };
  return { type: 'value_error', loc, msg: issue.message };
}

function checkDepth(value: unknown, left: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (left === 0) throw detailError(400, 'The body is nested too deeply.');
  for (const member of Object.values(value)) checkDepth(member, left - 1);
}
