import { createCipheriv, createDecipheriv, hash, hkdfSync, randomBytes } from 'node:crypto';

/** Secrets of upstreams on their way into the store and out of it. */
export interface Sealer {
  seal(secret: string): string;
  /**
   * @returns the secret; undefined when it was sealed with a key that is not known here, or was changed
   */
  unseal(sealed: string): string | undefined;
  /** Whether a text was made by `seal`, with whatever key. */
  isSealed(text: string): boolean;
  /** Whether it was sealed with a key that is only kept for reading: seal it anew. */
  isOutdated(sealed: string): boolean;
}

const prefix = 'sealed:1:';
const nonceBytes = 12;
const tagBytes = 16;

/** Design D4: what is derived from the root secret has a label of its own, so that nothing fits elsewhere. */
const label = 'aigateway credentials 1';

type SealingKey = { readonly id: string; readonly key: Buffer };

/**
 * AES-256-GCM under keys derived from a secret of at least 32 bytes.
 *
 * A sealed text is `sealed:1:<key id>:<base64url of nonce, ciphertext and tag>`; the same secret never seals to the same text.
 *
 * @param secrets - the current one first; those after it are only read with
 */
export function createSealer(secrets: readonly [string, ...string[]]): Sealer {
  const [current, ...previous] = secrets.map(sealingKey) as [SealingKey, ...SealingKey[]];
  const keys = new Map([...previous, current].map((one) => [one.id, one]));
  return {
    seal(secret) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', current.key, nonce);
      const sealed = Buffer.concat([
        nonce,
        cipher.update(secret, 'utf8'),
        cipher.final(),
        cipher.getAuthTag(),
      ]);
      return `${prefix}${current.id}:${sealed.toString('base64url')}`;
    },
    unseal(sealed) {
      const [id = '', text = ''] = partsOf(sealed);
      const known = keys.get(id);
      const bytes = Buffer.from(text, 'base64url');
      if (known === undefined || bytes.length < nonceBytes + tagBytes) return undefined;
      const decipher = createDecipheriv('aes-256-gcm', known.key, bytes.subarray(0, nonceBytes));
      decipher.setAuthTag(bytes.subarray(-tagBytes));
      try {
        const opened = decipher.update(bytes.subarray(nonceBytes, -tagBytes));
        return Buffer.concat([opened, decipher.final()]).toString('utf8');
      } catch {
        // The tag does not fit: not sealed with this key, or changed since.
        return undefined;
      }
    },
    isSealed: (text) => text.startsWith(prefix),
    isOutdated: (sealed) => sealed.startsWith(prefix) && partsOf(sealed)[0] !== current.id,
  };
}

function partsOf(sealed: string): string[] {
  return sealed.startsWith(prefix) ? sealed.slice(prefix.length).split(':') : [];
}

function sealingKey(secret: string): SealingKey {
  const key = Buffer.from(hkdfSync('sha256', secret, '', label, 32));
  return { id: hash('sha256', key, 'base64url').slice(0, 8), key };
}
