import { randomBytes } from 'node:crypto';
import { hashSecret } from '@aigateway/contract/key';
import { proxyError } from '../errors.ts';
import type { Call } from '../http/call.ts';
import type { KeySecret } from '../store/documents.ts';

const leastLength = 16;
const longestLength = 512;

/** A new secret, shown once and known afterwards only by its hash. */
export type NewSecret = { readonly secret: string; readonly stored: KeySecret };

/**
 * Makes a secret in LiteLLM's form, or takes the caller's.
 *
 * @throws ApiError 400 for a value that could be guessed, or that is no key
 */
export function newSecret(call: Call, own: string | null | undefined): NewSecret {
  const secret = own ?? `sk-${randomBytes(16).toString('base64url')}`;
  if (own !== null && own !== undefined) checkOwn(own, call);
  return {
    secret,
    stored: { hash: hashSecret(secret), name: `sk-...${secret.slice(-4)}`, not_after: null },
  };
}

function checkOwn(own: string, call: Call): void {
  const refuse = (message: string) => proxyError(400, 'bad_request_error', message, 'key');
  if (!call.settings.customKeys) {
    throw refuse('Custom API key values are disabled. Leave the value out to get one.');
  }
  if (!own.startsWith('sk-')) throw refuse('Invalid key format. A key must start with "sk-".');
  if (own.length < leastLength || own.length > longestLength || !/^[\x21-\x7e]+$/.test(own)) {
    throw refuse(
      `Invalid key format. A key has ${leastLength} to ${longestLength} printable characters.`,
    );
  }
}
