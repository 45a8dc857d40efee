import { createDecipheriv, hash, hkdfSync } from 'node:crypto';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';

/** What became of a text of LiteLLM's data base: what it hides, itself where it hides nothing, or that no key opens it. */
export type Opened = { readonly text: string } | 'locked';

/** A form in which LiteLLM seals texts. */
type Form = {
  /** @returns nonce, what is sealed and its tag; undefined for a text that is not of this form */
  readonly sealed: (text: string) => Buffer | undefined;
  /** 32 bytes from a salt key. */
  readonly derive: (saltKey: string) => Buffer;
  /** @throws {Error} with another key */
  readonly open: (sealed: Buffer, key: Buffer) => Uint8Array;
};

/**
 * Opens values as LiteLLM stores secrets, under its salt key or, without one, its master key: NaCl's secretbox, or, by a prefix, the
 * two forms of `encryption_algorithm: aes-256-gcm`. Values that were stored without a key are themselves.
 *
 * @param keys - tried one after another
 */
export function createLitellmOpener(keys: readonly string[]): (text: string) => Opened {
  const derived = forms.map((form) => ({ form, keys: keys.map(form.derive) }));
  return (text) => {
    for (const { form, keys: tried } of derived) {
      const sealed = form.sealed(text);
      if (sealed === undefined) continue;
      for (const key of tried) {
        try {
          return { text: Buffer.from(form.open(sealed, key)).toString('utf8') };
        } catch {
          // Not with this key.
        }
      }
      return 'locked';
    }
    return { text };
  };
}

const sha256 = (saltKey: string): Buffer => hash('sha256', saltKey, 'buffer');

/** The info that LiteLLM gives HKDF, which it uses without a salt. */
const hkdfInfo = 'litellm-at-rest-v3';

const secretBoxNonceBytes = 24;
const gcmNonceBytes = 12;
const tagBytes = 16;

/** @see https://nacl.cr.yp.to/secretbox.html */
const secretBox: Form = {
  // Base64 of either alphabet, and long enough for nonce and tag: a key of an upstream is shorter or no base64.
  sealed(text) {
    if (!/^[A-Za-z0-9+/_-]{54,}={0,2}$/.test(text) || text.length % 4 !== 0) return undefined;
    const bytes = Buffer.from(text, 'base64');
    return bytes.length >= secretBoxNonceBytes + tagBytes ? bytes : undefined;
  },
  derive: sha256,
  open: (sealed, key) =>
    xsalsa20poly1305(key, sealed.subarray(0, secretBoxNonceBytes)).decrypt(
      sealed.subarray(secretBoxNonceBytes),
    ),
};

/** AES-256-GCM without associated data, in base64url behind a prefix. */
const gcm = (prefix: string, derive: Form['derive']): Form => ({
  sealed: (text) =>
    text.startsWith(prefix) ? Buffer.from(text.slice(prefix.length), 'base64url') : undefined,
  derive,
  open(sealed, key) {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, gcmNonceBytes), {
      authTagLength: tagBytes,
    });
    decipher.setAuthTag(sealed.subarray(-tagBytes));
    return Buffer.concat([
      decipher.update(sealed.subarray(gcmNonceBytes, -tagBytes)),
      decipher.final(),
    ]);
  },
});

const forms: readonly Form[] = [
  gcm('v2:gcm:', sha256),
  gcm('v3:gcm:', (saltKey) => Buffer.from(hkdfSync('sha256', saltKey, '', hkdfInfo, 32))),
  secretBox,
];
