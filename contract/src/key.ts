import { createHash } from 'node:crypto';

/** Lower-case hex SHA-256 of the whole secret, as LiteLLM stores it, so that imported keys keep working. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
