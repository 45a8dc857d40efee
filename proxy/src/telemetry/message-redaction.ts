import type { JsonObject, JsonValue } from '@aigateway/contract/records';

const redacted = '[redacted]';

/** Names of members and headers whose values are secrets, without case and punctuation: `x-api-key`, `clientSecret`, `access_token`. */
const secretName =
  /(?:authorization|(?:api|access|account|shared|signing|secret|private|subscription)key|password|passwd|passphrase|secret|token|cookie|credentials?|connectionstring|signature)$/;

/** What holds no text, whatever it looks like. */
const opaqueNames: ReadonlySet<string> = new Set([
  'b64_json',
  'embedding',
  'encrypted_content',
  'file_data',
  'partial_image_b64',
]);

/** Kinds of parts and items, and of their `data` or `result`, that are sound or pictures. */
const soundNames: ReadonlySet<string> = new Set(['audio', 'input_audio']);

const base64 = /^[A-Za-z0-9+/_-]+={0,2}$/;
/** Shorter texts of that alphabet are words and names. */
const leastBase64Length = 256;

/** What each value takes of the length, however short it is. */
const leastLength = 4;

/** Longer lists of numbers are vectors. */
const mostNumbers = 16;

const beginsDataUrl = /^data:([\w.+/-]{0,100})(?:;[\w=.-]{1,100}){0,8};base64,/;
const dataUrl = /data:([\w.+/-]{0,100})(?:;[\w=.-]{1,100}){0,8};base64,([A-Za-z0-9+/=_-]*)/g;

/** In this order: what one has taken out the next ones do not see. */
const secretsInText: readonly (readonly [RegExp, string])[] = [
  [
    /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|$)/g,
    redacted,
  ],
  [
    /\b((?:proxy-)?authorization|(?:set-)?cookie)(["']?\s{0,4}[:=]\s{0,4}["']?)[^\r\n"']+/gi,
    `$1$2${redacted}`,
  ],
  [/\b(Bearer|Basic)\s{1,4}[\w.~+/=:-]{16,}/gi, `$1 ${redacted}`],
  [/\beyJ[\w-]{8,}(?:\.[\w-]*){0,4}/g, redacted],
  [
    /\b(?:[spr]k[-_][\w-]{12,}|gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{8,}|A[KS]IA[0-9A-Z]{12,}|AIza[\w-]{30,}|ya29\.[\w-]{16,}|(?:hf|npm)_\w{20,})/g,
    redacted,
  ],
  [/\b([a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/@:"'<>]{0,256}:[^\s/@"'<>]{1,256}@/gi, `$1${redacted}@`],
  [
    /((?:(?:api|access|account|shared|private|subscription)[_ -]?key|secret|password|passwd|pwd|token|connection[_ -]?string|\bsig|signature)(?:_?\d{1,4})?\\{0,7}["']?\s{0,4}[:=]\s{0,4})(?:\\{0,7}"(?:[^"\\\r\n]|\\[^\r\n])*"?|\\{0,7}'(?:[^'\\\r\n]|\\[^\r\n])*'?|[^\s,;&"']+)/gi,
    `$1${redacted}`,
  ],
  [/(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==/g, redacted],
  [/\b(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{32,}\b/g, redacted],
];

const mailName = /^[\p{L}\p{N}_.+-]$/u;
const mailDomain = /@[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63}){1,8}/uy;
/** RFC 5321 §4.5.3.1.1. */
const longestMailName = 64;

/** Some secrets are recognised by their whole length only: so much of a text that was cut may be part of one. */
const longestTail = 512;

/** What is nested deeper says nothing. */
const mostDepth = 64;

/** JSON inside a text, as arguments of tools are, is read as such up to this length. */
const longestNestedJson = 262_144;

/** A body as it may be logged. */
export type LoggedBody = {
  /** JSON text, or its beginning. */
  readonly text: string;
  readonly isCut: boolean;
};

/**
 * Makes a body fit for the log. Secrets, tokens, keys, what stands under a secret's name and e-mail addresses are replaced; pictures,
 * files, sound, vectors and opaque blobs by their kind and size; probabilities of tokens, which would spell it all again, are left out.
 *
 * The work grows with what is kept, not with the body.
 *
 * @param maxLength - of the text
 */
export function loggedBody(body: JsonValue, maxLength: number): LoggedBody {
  const walk = new Walk(maxLength, 0);
  const text = JSON.stringify(walk.value(body, '', '')).toWellFormed();
  return { text: text.slice(0, maxLength), isCut: walk.isCut || text.length > maxLength };
}

/** A text that goes on, or may: without its end, where a secret may have begun. */
export function withoutTail(text: string): string {
  const tail = text.slice(-longestTail);
  const blank = tail.search(/\s\S*$/);
  return text.slice(0, blank === -1 ? -longestTail : text.length - tail.length + blank);
}

class Walk {
  #left: number;
  #depth: number;
  isCut = false;

  constructor(length: number, depth: number) {
    this.#left = length;
    this.#depth = depth;
  }

  /**
   * @param name - of the member that has this value
   * @param kind - what the object around it says it is, or the name that it has itself
   */
  value(value: JsonValue, name: string, kind: string): JsonValue {
    if (this.#isFull()) return '…';
    this.#left -= leastLength;
    if (value === null || typeof value === 'boolean') return value;
    if (typeof value === 'number') return isSecret(name) ? redacted : value;
    if (name === 'logprobs') return '[left out]';
    if (isSecret(name)) return this.#keep(redacted);
    if (typeof value === 'string') return this.#keep(this.#text(value, name, kind));
    this.#depth += 1;
    const kept = Array.isArray(value) ? this.#list(value, name, kind) : this.#object(value, name);
    this.#depth -= 1;
    return kept;
  }

  #list(list: readonly JsonValue[], name: string, kind: string): JsonValue {
    if (list.length > mostNumbers && list.every((item) => typeof item === 'number'))
      return this.#keep(`[${list.length} numbers]`);
    const kept: JsonValue[] = [];
    for (const item of list) {
      if (this.#isFull()) break;
      kept.push(this.value(item, name, kind));
    }
    return kept;
  }

  #object(object: JsonObject, name: string): JsonObject {
    const kind = typeof object['type'] === 'string' ? object['type'] : name;
    // A header or a variable as a pair.
    const named = object['name'] ?? object['key'] ?? object['header'];
    const isPair = typeof named === 'string' && isSecret(named);
    const kept: JsonObject = {};
    for (const [member, value] of Object.entries(object)) {
      if (this.#isFull()) break;
      this.#left -= member.length;
      kept[this.#name(member)] =
        isPair && member === 'value' && value !== null
          ? this.#keep(redacted)
          : this.value(value, member, soundNames.has(name) ? name : kind);
    }
    return kept;
  }

  /** Callers choose names of members, too. */
  #name(member: string): string {
    return this.#inText(member.length > 200 ? `${member.slice(0, 200)}…` : member);
  }

  #text(text: string, name: string, kind: string): string {
    const { length } = text;
    if (opaqueNames.has(name)) return sized(name, length);
    if (name === 'data' && soundNames.has(kind)) return sized('audio', length);
    if (name === 'result' && kind === 'image_generation_call') return sized('image', length);
    if (length >= leastBase64Length && base64.test(text)) return sized('base64', length);
    const url = beginsDataUrl.exec(text);
    if (url !== null && base64.test(text.slice(url[0].length)))
      return sized(url[1], text.length - url[0].length);
    const nested = this.#nested(text);
    if (nested !== undefined) return nested;
    const longest = this.#left + 8 * longestTail;
    if (length <= longest) return this.#inText(text);
    this.isCut = true;
    return this.#inText(withoutTail(text.slice(0, longest)));
  }

  #nested(text: string): string | undefined {
    if (!/^\s*[{[]/.test(text) || text.length > longestNestedJson) return undefined;
    let parsed: JsonValue;
    try {
      parsed = JSON.parse(text) as JsonValue;
    } catch {
      // A text in brackets.
      return undefined;
    }
    const walk = new Walk(this.#left, this.#depth);
    const kept = JSON.stringify(walk.value(parsed, '', ''));
    this.isCut ||= walk.isCut;
    return kept;
  }

  #inText(text: string): string {
    let result = text.includes(';base64,')
      ? text.replace(dataUrl, (_, type: string, data: string) => sized(type, data.length))
      : text;
    for (const [pattern, by] of secretsInText) result = result.replace(pattern, by);
    return withoutAddresses(result);
  }

  #keep(text: string): string {
    this.#left -= text.length;
    return text;
  }

  #isFull(): boolean {
    if (this.#left > 0 && this.#depth <= mostDepth) return false;
    this.isCut = true;
    return true;
  }
}

/** E-mail addresses are looked for from their sign on: from their beginning on, each letter of a text would be one. */
function withoutAddresses(text: string): string {
  let result = '';
  let end = 0;
  for (let sign = text.indexOf('@'); sign !== -1; sign = text.indexOf('@', sign + 1)) {
    mailDomain.lastIndex = sign;
    const domain = mailDomain.exec(text)?.[0];
    const least = Math.max(end, sign - longestMailName);
    let start = sign;
    while (start > least && mailName.test(text[start - 1] ?? '')) start -= 1;
    if (domain === undefined || start === sign) continue;
    result += text.slice(end, start) + redacted;
    end = sign + domain.length;
    sign = end - 1;
  }
  return result + text.slice(end);
}

/** @param length - in characters of base64 */
function sized(kind: string | undefined, length: number): string {
  return `[${kind || 'data'}, ${Math.floor((length * 3) / 4)} bytes]`;
}

function isSecret(name: string): boolean {
  return secretName.test(name.toLowerCase().replace(/[^a-z\d]/g, ''));
}
