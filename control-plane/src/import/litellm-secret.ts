import { hash } from 'node:crypto';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';

const nonceBytes = 24;
const tagBytes = 16;

/** What became of a text of LiteLLM's data base: what it hides, itself where it hides nothing, or that no key opens it. */
export type Opened = { readonly text: string } | 'locked';

/**
 * Opens values as LiteLLM stores secrets: NaCl's secretbox under the SHA-256 of its salt key (or, without one, of its master key),
 * nonce first, in either base64. Values that were stored without a key are themselves.
 *
 * @param keys - tried one after another
 * @see https://nacl.cr.yp.to/secretbox.html
 */
export function createLitellmOpener(keys: readonly string[]): (text: string) => Opened {
  const derived = keys.map((key) => hash('sha256', key, 'buffer'));
  return (text) => {
    // LiteLLM's other algorithm, which is asked for by `encryption_algorithm`.
    if (text.startsWith('v2:gcm:')) return 'locked';
    const bytes = sealedBytes(text);
    if (bytes === undefined) return { text };
    const nonce = bytes.subarray(0, nonceBytes);
    for (const key of derived) {
      try {
        const opened = xsalsa20poly1305(key, nonce).decrypt(bytes.subarray(nonceBytes));
        return { text: Buffer.from(opened).toString('utf8') };
      } catch {
        // Not with this key.
      }
    }
    return 'locked';
  };
}

/** The bytes of a text that can be a sealed one: base64, and long enough for nonce and tag. A key of an upstream is shorter or no base64. */
function sealedBytes(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9+/_-]{54,}={0,2}$/.test(text) || text.length % 4 !== 0) return undefined;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length >= nonceBytes + tagBytes ? bytes : undefined;
}
