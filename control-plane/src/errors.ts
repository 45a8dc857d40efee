import { errorDefinitions, errorMessage } from '@aigateway/contract/errors';

/** LiteLLM's first form of an error: `code` is the status as text. */
export type ProxyErrorBody = {
  error: { message: string; type: string; param: string | null; code: string };
};

/** A refusal with the body that the caller sees. Holds no secret and nothing of another tenant. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly body: unknown;
  /** Of the answer, besides those of every answer. */
  readonly headers: { readonly [name: string]: string };

  constructor(
    status: number,
    message: string,
    body: unknown,
    cause?: unknown,
    headers: ApiError['headers'] = {},
  ) {
    super(message, { cause });
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/** An error in LiteLLM's ProxyException form, which most of its routes use and its clients read. */
export function proxyError(
  status: number,
  type: string,
  message: string,
  param: string | null = null,
  cause?: unknown,
): ApiError {
  const body: ProxyErrorBody = { error: { message, type, param, code: String(status) } };
  return new ApiError(status, message, body, cause);
}

/** 429: the address of the caller has tried too many different wrong keys. */
export function tooManyWrongKeys(waitMs: number): ApiError {
  const seconds = Math.ceil(waitMs / 1000);
  const message = errorMessage('too_many_wrong_keys', { seconds });
  const { type } = errorDefinitions.too_many_wrong_keys;
  const body: ProxyErrorBody = { error: { message, type, param: null, code: '429' } };
  return new ApiError(429, message, body, undefined, { 'retry-after': String(seconds) });
}

/** An error in the form of LiteLLM's web framework: `{"detail": …}`, a text or `{"error": text}`. */
export function detailError(status: number, detail: string | { error: string }): ApiError {
  return new ApiError(status, typeof detail === 'string' ? detail : detail.error, { detail });
}

/** One mistyped field, as LiteLLM's web framework lists them under `detail`. */
export type FieldProblem = { type: string; loc: (string | number)[]; msg: string };

/** 422: values have the wrong type or are missing. */
export function fieldErrors(problems: readonly FieldProblem[]): ApiError {
  return new ApiError(422, problems.map(({ msg }) => msg).join('; '), { detail: problems });
}

/** What does not exist and what the caller may not see: one answer, so that nothing can be told apart. */
export function notFound(what: string, param: string | null): ApiError {
  return proxyError(404, 'not_found_error', `${what} not found`, param);
}
