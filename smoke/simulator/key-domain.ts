import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';

/** Start of every sealed text, as Azure's encrypted reasoning begins. */
const PREFIX = 'gAAAA';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Seals texts so that only resources of the same key domain can read them. */
export interface KeyDomain {
  seal(text: string): string;
  /** The text sealed, or undefined when it was sealed elsewhere or tampered with. */
  open(sealed: string): string | undefined;
}

/** A domain named `name`; two domains of one name read each other. */
export function keyDomain(name: string): KeyDomain {
  const key = createHash('sha256').update(`simulated key domain ${name}`).digest();
  return {
    seal: (text) => {
      // The nonce is the digest of the text: equal texts seal equally, so runs can be compared.
      const nonce = createHash('sha256').update(text).digest().subarray(0, NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce);
      const sealed = Buffer.concat([
        nonce,
        cipher.update(text, 'utf8'),
        cipher.final(),
        cipher.getAuthTag(),
      ]);
      return PREFIX + sealed.toString('base64url');
    },
    open: (sealed) => {
      if (!sealed.startsWith(PREFIX)) return undefined;
      const bytes = Buffer.from(sealed.slice(PREFIX.length), 'base64url');
      if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      try {
        const text = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES));
        return Buffer.concat([text, decipher.final()]).toString('utf8');
      } catch {
        return undefined;
      }
    },
  };
}
