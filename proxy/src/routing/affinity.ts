import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

/** Begins every tag. The underscore keeps it out of standard base64, so that a search for it rarely finds anything else. */
export const tagMarker = 'agw_';

const kindCodes = { response: 'r', item: 'i', conversation: 'c', encrypted: 'e' } as const;

/** What an id names. `encrypted` is no id but a blob that only its resource can read. */
export type TaggedKind = keyof typeof kindCodes;

export type Unwrapped = {
  kind: TaggedKind;
  /** The upstream's own id or text. */
  original: string;
  /** `ResourceRecord.id` of the resource it lives in. */
  resourceId: string;
};

const kindsByCode: ReadonlyMap<string, TaggedKind> = new Map([
  [kindCodes.response, 'response'],
  [kindCodes.item, 'item'],
  [kindCodes.conversation, 'conversation'],
  [kindCodes.encrypted, 'encrypted'],
]);

type Secret = string | Uint8Array;

const lengthAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** 72 bits: a forger also needs the other tenant's original id, and can only guess online. */
const macLength = 12;
/** `resp_`, `msg_`, `file-`: kept in front, because clients look at it. */
const prefixPattern = /^[a-z]{1,16}[_-]/;

/**
 * Puts the home of an upstream object into the id that callers get: `resp_` + marker, kind, resource, MAC + the rest of the
 * original. Any replica can lead such an id back to its resource, without a table and after restarts, and only for its owner:
 * the MAC covers kind, resource, owner and original. Tags are deterministic, hold only `[A-Za-z0-9_-]`, and add 18 characters
 * to the length of the resource's id.
 */
export class IdTagger {
  readonly #key: Buffer;
  readonly #keys: readonly Buffer[];

  /**
   * @param secrets - the root secret, and the previous one while a rotation is under way: what it tagged stays valid
   */
  constructor(secrets: { current: Secret; previous?: Secret }) {
    this.#key = deriveKey(secrets.current);
    this.#keys =
      secrets.previous === undefined ? [this.#key] : [this.#key, deriveKey(secrets.previous)];
  }

  /**
   * The text to hand out for an upstream's id or encrypted blob. What the same owner's tag is on already comes back as it is.
   *
   * @throws {RangeError} if the resource's id is longer than 63 characters or holds others than `[A-Za-z0-9_-]`
   */
  wrap(kind: TaggedKind, resourceId: string, ownerId: string, original: string): string {
    if (!/^[\w-]{1,63}$/.test(resourceId)) {
      throw new RangeError('a resource id has 1 to 63 characters of A-Z a-z 0-9 _ -');
    }
    if (original.includes(tagMarker) && typeof this.unwrap(original, ownerId) === 'object') {
      return original;
    }
    const prefix = prefixPattern.exec(original)?.[0] ?? '';
    const length = lengthAlphabet[resourceId.length] ?? '';
    const mac = macOf(this.#key, kind, resourceId, ownerId, original);
    return (
      prefix +
      tagMarker +
      kindCodes[kind] +
      length +
      resourceId +
      mac +
      original.slice(prefix.length)
    );
  }

  /**
   * Reads a tag back.
   *
   * @returns `foreign` for a tag that is not this owner's (another tenant's, or forged), `untagged` for a text without tag
   */
  unwrap(text: string, ownerId: string): Unwrapped | 'foreign' | 'untagged' {
    let outcome: 'foreign' | 'untagged' = 'untagged';
    const prefix = prefixPattern.exec(text)?.[0] ?? '';
    // The prefix of a text without one may be the marker itself.
    for (const start of prefix === '' ? [0] : [0, prefix.length]) {
      const read = this.#readAt(text, start, ownerId);
      if (typeof read === 'object') return read;
      if (read === 'foreign') outcome = 'foreign';
    }
    return outcome;
  }

  /** Tags everything of one answer. Ids recur in many events of a stream, so each is computed once. */
  forAnswer(answer: { resourceId: string; ownerId: string; stored: boolean }): AnswerTagger {
    return new AnswerTagger(this, answer);
  }

  #readAt(text: string, start: number, ownerId: string): Unwrapped | 'foreign' | 'untagged' {
    if (!text.startsWith(tagMarker, start)) return 'untagged';
    const kindAt = start + tagMarker.length;
    const kind = kindsByCode.get(text[kindAt] ?? '');
    const length = lengthAlphabet.indexOf(text[kindAt + 1] ?? ' ');
    const resourceAt = kindAt + 2;
    const macAt = resourceAt + length;
    const tailAt = macAt + macLength;
    if (kind === undefined || length < 1 || text.length < tailAt) return 'untagged';
    const resourceId = text.slice(resourceAt, macAt);
    const original = text.slice(0, start) + text.slice(tailAt);
    const mac = Buffer.from(text.slice(macAt, tailAt));
    for (const key of this.#keys) {
      const expected = Buffer.from(macOf(key, kind, resourceId, ownerId, original));
      if (mac.length === expected.length && timingSafeEqual(mac, expected)) {
        return { kind, original, resourceId };
      }
    }
    return 'foreign';
  }
}

/** Most ids that one answer's memory holds; further ones are computed each time. */
const maxRemembered = 1_000;

/** The tagger of one answer: resource and owner are fixed. */
export class AnswerTagger {
  /** False when the upstream keeps nothing of the answer: then its ids lead nowhere and stay as they are. */
  readonly stored: boolean;
  readonly #tagger: IdTagger;
  readonly #resourceId: string;
  readonly #ownerId: string;
  readonly #known = new Map<string, string>();

  constructor(tagger: IdTagger, answer: { resourceId: string; ownerId: string; stored: boolean }) {
    this.#tagger = tagger;
    this.#resourceId = answer.resourceId;
    this.#ownerId = answer.ownerId;
    this.stored = answer.stored;
  }

  wrap(kind: TaggedKind, original: string): string {
    if (kind === 'encrypted')
      return this.#tagger.wrap(kind, this.#resourceId, this.#ownerId, original);
    const known = this.#known.get(original);
    if (known !== undefined) return known;
    const wrapped = this.#tagger.wrap(kind, this.#resourceId, this.#ownerId, original);
    if (this.#known.size < maxRemembered) this.#known.set(original, wrapped);
    return wrapped;
  }
}

function deriveKey(secret: Secret): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', 'ids', 32));
}

function macOf(
  key: Buffer,
  kind: TaggedKind,
  resourceId: string,
  ownerId: string,
  original: string,
): string {
  return createHmac('sha256', key)
    .update(`${kind}\0${resourceId}\0${ownerId.length}\0${ownerId}\0${original}`)
    .digest('base64url')
    .slice(0, macLength);
}
