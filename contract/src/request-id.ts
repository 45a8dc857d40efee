import { randomUUID } from 'node:crypto';

/** An id that a caller may set: it goes into logs and headers, so it is plain and short. */
const plainId = /^[A-Za-z0-9_.:-]{8,128}$/;

/** The id of a request: the caller's `x-request-id` or `x-litellm-call-id` where it is fit for logs and headers, else a new one. */
export function requestIdOf(headers: {
  readonly [name: string]: string | readonly string[] | undefined;
}): string {
  const given = headers['x-request-id'] ?? headers['x-litellm-call-id'];
  return typeof given === 'string' && plainId.test(given) ? given : randomUUID();
}
