import { createSealer, type Sealer } from '@aigateway/contract/sealer';
import type { RoleInput } from './roles.ts';

const leastSaltBytes = 32;

/**
 * LiteLLM's salt key seals where it is set; else the root secret. Both planes need the same.
 *
 * @throws {Error} for a salt key that is too short
 */
export function sealerOf({
  environment,
  secret,
}: Pick<RoleInput, 'environment' | 'secret'>): Sealer {
  const roots: [string, ...string[]] = [
    secret.current,
    ...(secret.previous === undefined ? [] : [secret.previous]),
  ];
  const salt = environment['LITELLM_SALT_KEY'];
  if (salt && Buffer.byteLength(salt) < leastSaltBytes)
    throw new Error(`LITELLM_SALT_KEY: must have at least ${leastSaltBytes} bytes`);
  return createSealer(salt ? [salt, ...roots] : roots);
}
