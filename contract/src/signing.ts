import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  hash,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';

/** The root secret, and the one before it while it is being changed: what that one signed stays valid. */
export type RootSecrets = { readonly current: string; readonly previous?: string };

/** Kinds of records that this version writes; it may meet others, of later versions. */
export type RecordKind = 'key' | 'holder' | 'catalogue';

/** What vouches for a whole snapshot: with it nothing can be left out, put back or added. */
export type SnapshotHead = {
  readonly schemaVersion: number;
  readonly revision: number;
  /** Names the place that everything was written anew to; not later than `revision`, and later than every one before. */
  readonly generation: number;
  /** How many keys and holders there are. */
  readonly count: number;
  /** {@link SnapshotDigest} over all records, base64url. */
  readonly digest: string;
  /** Secret that the digest is made with, base64url; a new one for each generation. */
  readonly digestKey: string;
  /** {@link SnapshotSigner.fingerprint} of the secret that the generation was written under. */
  readonly signedBy: string;
  /** When it was made, in milliseconds since the epoch. Every head is later than the one before. */
  readonly at: number;
};

/** A record as its signature says it is. */
export type SignedRecord = {
  readonly schemaVersion: number;
  /** The revision it was published at. */
  readonly revision: number;
  /** JSON. */
  readonly body: string;
};

/** One label for each use of the root secret: none of the keys says anything of another. */
const labels = {
  record: 'snapshot-record',
  head: 'snapshot-head',
  fingerprint: 'snapshot-fingerprint',
} as const;

const macLength = 43;
const nonceLength = 12;
const tagLength = 16;
const recordPattern = new RegExp(`^(\\d{1,6})\\.(\\d{1,16})\\.([\\w-]{${macLength}})\\.`);

type Keys = { readonly record: Buffer; readonly head: Buffer; readonly fingerprint: Buffer };

/**
 * Signs what is published and tells what was not signed by a holder of the root secret.
 *
 * Records carry an HMAC over kind, id, schema, revision and body. The head is sealed (AES-256-GCM) rather than signed: its digest
 * is then unknown to those who can write to Redis, and they cannot look for other records that give the same one.
 */
export class SnapshotSigner {
  readonly #keys: readonly [Keys, ...Keys[]];

  /** @throws {RangeError} if a secret is shorter than 32 bytes */
  constructor({ current, previous }: RootSecrets) {
    this.#keys = [deriveKeys(current), ...(previous === undefined ? [] : [deriveKeys(previous)])];
  }

  /** Names the current secret without telling anything of it. */
  get fingerprint(): string {
    return this.#keys[0].fingerprint.toString('base64url');
  }

  sign(kind: string, id: string, record: SignedRecord): string {
    const mac = macOf(this.#keys[0].record, kind, id, record);
    return `${record.schemaVersion}.${record.revision}.${mac}.${record.body}`;
  }

  /** Undefined for what is not this record, or was not signed by us. */
  verify(kind: string, id: string, text: string): SignedRecord | undefined {
    const [prefix, schema, revision, mac] = recordPattern.exec(text) ?? [];
    if (prefix === undefined || mac === undefined) return undefined;
    const record = {
      schemaVersion: Number(schema),
      revision: Number(revision),
      body: text.slice(prefix.length),
    };
    const given = Buffer.from(mac);
    const isOurs = this.#keys.some(({ record: key }) =>
      timingSafeEqual(given, Buffer.from(macOf(key, kind, id, record))),
    );
    return isOurs ? record : undefined;
  }

  seal(head: SnapshotHead): string {
    const nonce = randomBytes(nonceLength);
    const cipher = createCipheriv('aes-256-gcm', this.#keys[0].head, nonce);
    const sealed = [cipher.update(JSON.stringify(head), 'utf8'), cipher.final()];
    return Buffer.concat([nonce, cipher.getAuthTag(), ...sealed]).toString('base64url');
  }

  /** Undefined for what was not sealed by us. */
  open(text: string): SnapshotHead | undefined {
    const sealed = Buffer.from(text, 'base64url');
    if (sealed.length < nonceLength + tagLength) return undefined;
    for (const { head: key } of this.#keys) {
      const plain = decrypt(sealed, key);
      if (plain !== undefined) return JSON.parse(plain) as SnapshotHead;
    }
    return undefined;
  }
}

/**
 * A sum over a set of records by kind, id and revision: adding or taking out one costs the same however many there are, and the
 * order does not matter. Signatures bind what a record says to its revision.
 */
export class SnapshotDigest {
  readonly #key: string;
  readonly #sum: Int32Array;

  private constructor(key: string, sum: Int32Array) {
    this.#key = key;
    this.#sum = sum;
  }

  /** Of no records, with a key of its own. */
  static create(key: string = randomBytes(32).toString('base64url')): SnapshotDigest {
    return new SnapshotDigest(key, new Int32Array(8));
  }

  /** As it was at a head. */
  static of({ digest, digestKey }: SnapshotHead): SnapshotDigest {
    const sum = new Int32Array(8);
    new Uint8Array(sum.buffer).set(Buffer.from(digest, 'base64url').subarray(0, 32));
    return new SnapshotDigest(digestKey, sum);
  }

  copy(): SnapshotDigest {
    return new SnapshotDigest(this.#key, this.#sum.slice());
  }

  /** Adds a record that is not in the sum, or takes out one that is. */
  toggle(kind: string, id: string, revision: number): void {
    const term = hash('sha256', `${this.#key}\0${kind}\0${revision}\0${id}`, 'buffer');
    for (let word = 0; word < this.#sum.length; word += 1) {
      this.#sum[word] = (this.#sum[word] ?? 0) ^ term.readInt32LE(word * 4);
    }
  }

  get key(): string {
    return this.#key;
  }

  toString(): string {
    return Buffer.from(this.#sum.buffer).toString('base64url');
  }
}

function deriveKeys(secret: string): Keys {
  // An empty or guessable secret would sign anything for anyone.
  if (Buffer.byteLength(secret) < 32) {
    throw new RangeError('the root secret has at least 32 bytes');
  }
  const derive = (label: string, length: number) =>
    Buffer.from(hkdfSync('sha256', secret, '', label, length));
  return {
    record: derive(labels.record, 32),
    head: derive(labels.head, 32),
    fingerprint: derive(labels.fingerprint, 9),
  };
}

function macOf(key: Buffer, kind: string, id: string, record: SignedRecord): string {
  const { schemaVersion, revision, body } = record;
  return createHmac('sha256', key)
    .update(`${kind}\0${schemaVersion}\0${revision}\0${id.length}\0${id}\0${body}`)
    .digest('base64url');
}

function decrypt(sealed: Buffer, key: Buffer): string | undefined {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceLength), {
    authTagLength: tagLength,
  });
  decipher.setAuthTag(sealed.subarray(nonceLength, nonceLength + tagLength));
  const start = decipher.update(sealed.subarray(nonceLength + tagLength), undefined, 'utf8');
  try {
    return start + decipher.final('utf8');
  } catch {
    // The tag is not of this key: forged, or of another secret.
    return undefined;
  }
}
