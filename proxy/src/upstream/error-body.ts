import { isObject } from '@aigateway/contract/json';

/** An upstream's error, whatever shape it came in. */
export type UpstreamError = {
  /** As the upstream wrote it; empty when it said nothing usable. Not fit to be shown before it is redacted. */
  message: string;
  code: string | null;
  type: string | null;
  param: string | null;
  /** Azure's second code, e.g. `ResponsibleAIPolicyViolation`. */
  innerCode: string | null;
  /** Azure's content-filter fields under the names they came with; null without any. */
  filterDetails: Record<string, unknown> | null;
};

const nothingSaid: UpstreamError = {
  message: '',
  code: null,
  type: null,
  param: null,
  innerCode: null,
  filterDetails: null,
};

/** Longer texts repeat the request; everything of use stands at the start. */
const maxMessageLength = 4096;

/** A plain-text body longer than this is a page, not a message. */
const maxPlainTextLength = 500;

/**
 * Reads an error body: OpenAI's envelope, Azure's variants of it, an `error` that is a string, a root without `error` (Azure's 401),
 * a flat stream error, FastAPI's `detail`, short plain text. HTML, nothing and anything else give an empty message.
 */
export function readErrorBody(body: string): UpstreamError {
  const text = body.trim();
  if (text === '') return nothingSaid;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const isPage = text.startsWith('<') || text.length > maxPlainTextLength;
    return isPage ? nothingSaid : { ...nothingSaid, message: text };
  }
  return readErrorValue(value);
}

/** The same for an error that is already parsed. */
export function readErrorValue(value: unknown): UpstreamError {
  if (typeof value === 'string')
    return { ...nothingSaid, message: value.slice(0, maxMessageLength) };
  if (!isObject(value)) return nothingSaid;
  if (isObject(value['error'])) return readFields(value['error']);
  if (typeof value['error'] === 'string') {
    const rest = readFields(value);
    // Two habits: the text itself, or a short code beside a `message`.
    return rest.message === ''
      ? { ...rest, message: value['error'].slice(0, maxMessageLength) }
      : { ...rest, code: rest.code ?? value['error'] };
  }
  return readFields(value);
}

function readFields(error: Record<string, unknown>): UpstreamError {
  const inner = error['innererror'] ?? error['inner_error'];
  const issue = validationIssue(error['detail'] ?? error['details']);
  const message = textOf(error['message']) ?? textOf(error['detail']) ?? issue?.message ?? '';
  return {
    message: message.slice(0, maxMessageLength),
    code: issue?.code ?? codeOf(error['code'] ?? error['statusCode']),
    type: textOf(error['type']),
    param: issue?.param ?? textOf(error['param']),
    innerCode: isObject(inner) ? codeOf(inner['code']) : null,
    filterDetails: filterDetailsOf(error),
  };
}

/** The wire has both spellings, whatever the specification says. */
const filterFields = [
  'innererror',
  'inner_error',
  'content_filter_result',
  'content_filter_results',
  'content_filters',
];

function filterDetailsOf(error: Record<string, unknown>): Record<string, unknown> | null {
  const present = filterFields.filter(
    (name) => isObject(error[name]) || Array.isArray(error[name]),
  );
  return present.length === 0
    ? null
    : Object.fromEntries(present.map((name) => [name, error[name]]));
}

/** FastAPI's and pydantic's form: where in the request, and what is wrong with it. */
function validationIssue(
  detail: unknown,
): { message: string; code: string | null; param: string | null } | undefined {
  const issue: unknown = Array.isArray(detail) ? detail[0] : detail;
  if (!isObject(issue) || !Array.isArray(issue['loc'])) return undefined;
  const path = issue['loc'].filter((part) => typeof part === 'string' || typeof part === 'number');
  const param = (path[0] === 'body' ? path.slice(1) : path).join('.');
  const message = textOf(issue['msg']) ?? 'is not valid';
  return {
    message: param === '' ? message : `${param}: ${message}`,
    code: textOf(issue['type']),
    param: param === '' ? null : param,
  };
}

/** A code or a status in whichever of its two forms it came; null for anything else, of which `Number` may make nothing or throw. */
export function codeOf(value: unknown): string | null {
  return typeof value === 'number' ? String(value) : textOf(value);
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
