import { createHash } from 'node:crypto';

/** What runs scripts: a client of Redis, of one server or of a cluster. */
export interface ScriptClient {
  evalsha(sha: string, keys: number, ...args: (string | number)[]): Promise<unknown>;
  eval(script: string, keys: number, ...args: (string | number)[]): Promise<unknown>;
}

/** Runs one script; the server is sent its text only when it does not know it. */
export type RedisScript = (
  client: ScriptClient,
  keys: readonly string[],
  args: readonly (string | number)[],
) => Promise<unknown>;

/** @param text - Lua; all keys it touches must be among `keys`, and in one slot */
export function redisScript(text: string): RedisScript {
  const sha = createHash('sha1').update(text).digest('hex');
  return async (client, keys, args) => {
    try {
      return await client.evalsha(sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return client.eval(text, keys.length, ...keys, ...args);
    }
  };
}
