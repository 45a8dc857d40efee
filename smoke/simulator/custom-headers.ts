/** Headers the front end understands itself; all others count as custom. */
const UNDERSTOOD = new Set([
  'host',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'expect',
  'date',
  'via',
  'forwarded',
  'cookie',
  'origin',
  'referer',
  'pragma',
  'cache-control',
  'user-agent',
  'authorization',
  'api-key',
  'ocp-apim-subscription-key',
  'traceparent',
  'tracestate',
  'dnt',
  'priority',
]);
const UNDERSTOOD_PREFIXES = ['accept', 'content-', 'sec-', 'x-ms-', 'x-forwarded-', 'if-'];

/** How many headers of a request count against Azure's limit of custom headers. */
export function countCustomHeaders(headers: Record<string, string>): number {
  return Object.keys(headers).filter(
    (name) =>
      !UNDERSTOOD.has(name) && !UNDERSTOOD_PREFIXES.some((prefix) => name.startsWith(prefix)),
  ).length;
}
