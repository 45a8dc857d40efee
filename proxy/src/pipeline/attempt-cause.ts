import { describeError, type Cause } from '../telemetry/logger.ts';
import type { FailureKind, UpstreamFailure } from '../upstream/failure.ts';
import type { UpstreamAnswerHeaders } from '../upstream/headers.ts';
import type { TransportError } from '../upstream/transport.ts';
import type { AttemptResult } from './attempt.ts';

/** Refusals for which an upstream need not have read the request: their words are about the gateway's own access. */
const accessKinds: ReadonlySet<FailureKind> = new Set([
  'auth',
  'network_refused',
  'resource_blocked',
  'deployment_missing',
  'api_version',
]);

/** What stands in quotation marks, closed or not. An apostrophe within a word is none. */
const quotation = /(?<!\w)(['"`])[^]*?(?:\1(?!\w)|$)/g;

const neededVersion =
  /^[\w .:/-]{1,100} is (enabled only for api versions \d{4}-\d\d-\d\d(?:-preview)? and later)/i;

/** Longer words explain nothing more. */
const maxWords = 300;

/**
 * What an operator may read of why an attempt failed. Never anything that could be the caller's: the words of a refusal count only
 * where they are about access or about the upstream itself, and there without quotations.
 *
 * @returns undefined when there is no more to say than the failure's kind and status
 */
export function attemptCause(result: AttemptResult, failure: UpstreamFailure): Cause | undefined {
  if (result.kind === 'lost') return lostCause(result.error);
  if (result.kind !== 'refused') return undefined;
  const message = words(failure).slice(0, maxWords);
  if (message === '' && failure.code === null) return undefined;
  return { name: 'refusal', ...(failure.code !== null && { code: failure.code }), message };
}

/** The id by which the upstream's own support finds the call. */
export function upstreamRequestId(headers: UpstreamAnswerHeaders | undefined): string | undefined {
  const id = headers?.['apim-request-id'] ?? headers?.['x-request-id'];
  return typeof id === 'string' && /^[\w-]{1,128}$/.test(id) ? id : undefined;
}

/** The gateway itself could not send the request or take its answer. */
export function isOwnFault(result: AttemptResult): boolean {
  return (
    result.kind === 'lost' && (result.error.kind === 'request' || result.error.kind === 'handler')
  );
}

/** What an operator may read of why a connection or an answer was lost. */
export function lostCause({ kind, cause }: TransportError): Cause {
  if (cause === undefined) return { name: kind, message: '' };
  const described = describeError(cause);
  // A fault while an answer was read may show a piece of it.
  return kind === 'handler' ? { name: described.name, message: '' } : described;
}

function words({ kind, status, message }: UpstreamFailure): string {
  // Of what is refused by its version alone, the version: what needs it is a part of the request.
  if (kind === 'api_version' && status === 400) return neededVersion.exec(message)?.[1] ?? '';
  // Whoever answers 400 has read the request, whatever the text was taken for.
  if (status === 400 || status === 422) return '';
  if (accessKinds.has(kind)) return message;
  return kind === 'unavailable' ? message.replace(quotation, '…') : '';
}
