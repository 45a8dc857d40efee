import type * as z from 'zod';
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
  let body: object = {};
  if (route.body !== undefined) {
    const given = request.body ?? {};
    if (typeof given !== 'object' || Array.isArray(given)) {
      throw fieldErrors([
        { type: 'model_attributes_type', loc: ['body'], msg: 'Input should be an object' },
      ]);
    }
    checkDepth(given, deepest);
    const unknown = Object.keys(given).filter((name) => !(name in route.body!.shape));
    if ((route.own === true || route.isStrict === true) && unknown.length > 0) {
      throw fieldErrors(
        unknown.map((name) => ({
          type: 'extra_forbidden',
          loc: ['body', name],
          msg: 'Extra inputs are not permitted',
        })),
      );
    }
    ignored.push(...unknown);
    body = parse('body', route.body, given);
    for (const [name, value] of Object.entries(body)) {
      const effect = effectOf(route.body.shape[name]);
      if (effect === undefined || isEmpty(value)) continue;
      if (effect === 'inert') ignored.push(name);
      else {
        throw proxyError(
          400,
          'bad_request_error',
          `This gateway does not have what "${name}" asks for. It is refused rather than ignored, because something would go unprotected.`,
          name,
        );
      }
    }
  }
  return { params: request.params, query, body, ignored };
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
