import { createSealer, type Sealer } from '@aigateway/contract/sealer';
import type { RoleInput } from './roles.ts';

const leastSaltBytes = 32;

/**
 * LiteLLM's salt key seals where it is set; else the root secret. Both planes need the same. What earlier salt keys sealed
 * (`LITELLM_SALT_KEY_PREVIOUS`, several apart by spaces) can still be opened, and what the root secrets did.
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
  const salt = environment['LITELLM_SALT_KEY']?.trim();
  const earlier = (environment['LITELLM_SALT_KEY_PREVIOUS'] ?? '').split(/\s+/).filter(Boolean);
  for (const [name, keys] of [
    ['LITELLM_SALT_KEY', salt ? [salt] : []],
    ['LITELLM_SALT_KEY_PREVIOUS', earlier],
  ] as const) {
    if (keys.some((key) => Buffer.byteLength(key) < leastSaltBytes))
      throw new Error(`${name}: must have at least ${leastSaltBytes} bytes`);
  }
  return createSealer(salt ? [salt, ...earlier, ...roots] : [...roots, ...earlier]);
}
