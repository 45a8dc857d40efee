import { hash } from 'node:crypto';

/**
 * Headers by which programs name a conversation, most deliberate first. The request's own `prompt_cache_key` comes before.
 */
const sessionHeaders = [
  'x-session-affinity',
  'session-id',
  'session_id',
  'x-session-id',
  'x-claude-code-session-id',
  'thread-id',
  'x-thread-id',
] as const;

/** Longer values are cut before hashing, so that no caller buys CPU time with a header. */
const maxKeyLength = 256;

/**
 * What names the conversation of a call, if anything does.
 *
 * @param headers - names in lower case
 */
export function sessionKeyOf(
  headers: { readonly [name: string]: string | string[] | undefined },
  promptCacheKey?: string,
): string | undefined {
  if (promptCacheKey !== undefined && promptCacheKey !== '')
    return promptCacheKey.slice(0, maxKeyLength);
  for (const name of sessionHeaders) {
    const value = headers[name];
    if (typeof value === 'string' && value !== '') return value.slice(0, maxKeyLength);
  }
  return undefined;
}

/**
 * Rendezvous hashing: the deployment with the best draw is the home of the session. When one disappears only its own
 * sessions move, and every replica agrees without a table.
 *
 * @returns a number between 0 and 1, both excluded
 */
export function sessionDraw(sessionKey: string, deploymentId: string): number {
  const digest = hash('sha256', `${sessionKey}\0${deploymentId}`, 'hex');
  return (Number.parseInt(digest.slice(0, 12), 16) + 0.5) / 2 ** 48;
}
