import { createHash } from 'node:crypto';

/** Lower-case hex SHA-256 of the whole secret, as LiteLLM stores it, so that imported keys keep working. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** What the master key is called where keys are named, in LiteLLM's words. */
export const masterKeyId = 'litellm_proxy_master_key';
