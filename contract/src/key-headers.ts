/** Headers that carry a key, in LiteLLM's order of precedence where it has one. */
export const keyHeaders: readonly string[] = [
  'x-litellm-api-key',
  'authorization',
  'api-key',
  'x-api-key',
  'x-gateway-key',
  'ocp-apim-subscription-key',
  'x-goog-api-key',
];

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
