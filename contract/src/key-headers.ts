/** Headers that carry a key, in LiteLLM's order of precedence where it has one. */
const keyHeaders: readonly string[] = [
  'x-litellm-api-key',
  'authorization',
  'api-key',
  'x-api-key',
  'x-gateway-key',
  'ocp-apim-subscription-key',
  'x-goog-api-key',
];

/**
 * The headers that a request's key is looked for in, as LiteLLM does it on every path: the one that `litellm_key_header_name` names,
 * where it is sent, and no other beside it; without it, the usual ones.
 *
 * @param named - in lower case
 */
export function keyHeadersIn(
  headers: { readonly [name: string]: string | string[] | undefined },
  named: string | undefined,
): readonly string[] {
  return named === undefined || headers[named] === undefined ? keyHeaders : [named];
}

/** Longer than any key; what exceeds it is not hashed. */
export const longestKey = 1024;

/**
 * The key in a header. `Authorization` wants the word Bearer, the others take a bare key; LiteLLM's own header takes both.
 *
 * @param name - in lower case
 * @returns empty for an `Authorization` that holds no key, undefined without the header
 */
export function keyInHeader(
  name: string,
  header: string | string[] | undefined,
): string | undefined {
  if (typeof header !== 'string' || header === '') return undefined;
  const isBearer = header.length > 7 && header.slice(0, 7).toLowerCase() === 'bearer ';
  if (isBearer) return header.slice(7).trim();
  return name === 'authorization' ? '' : header;
}
