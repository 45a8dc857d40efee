import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { RootSecrets } from './signing.ts';

/** Design D4: what is derived from the root secret has a label of its own. */
const label = 'usage-event';

/**
 * Signs usage events on their way to the ledger, so that nobody who can write to Redis can invent spend or change it: HMAC-SHA-256
 * over producer, sequence and record. What one producer signed counts for no other place.
 */
export class UsageSigner {
  readonly #keys: readonly [Buffer, ...Buffer[]];

  /** @param secrets - each of at least 32 bytes; what the previous one signed stays valid */
  constructor({ current, previous }: RootSecrets) {
    this.#keys = [deriveKey(current), ...(previous === undefined ? [] : [deriveKey(previous)])];
  }

  /** @param record - JSON, as it is sent */
  sign(producer: string, sequence: number, record: string): string {
    return macOf(this.#keys[0], producer, sequence, record);
  }

  isSigned(producer: string, sequence: number, record: string, mac: string): boolean {
    const given = Buffer.from(mac);
    return this.#keys.some((key) => {
      const right = Buffer.from(macOf(key, producer, sequence, record));
      return given.length === right.length && timingSafeEqual(given, right);
    });
  }
}

function deriveKey(secret: string): Buffer {
  // An empty or guessable secret would sign anything for anyone.
  if (Buffer.byteLength(secret) < 32) {
    throw new RangeError('the root secret has at least 32 bytes');
  }
  return Buffer.from(hkdfSync('sha256', secret, '', label, 32));
}

function macOf(key: Buffer, producer: string, sequence: number, record: string): string {
  return createHmac('sha256', key)
    .update(`${producer}\0${sequence}\0${record}`)
    .digest('base64url');
}
