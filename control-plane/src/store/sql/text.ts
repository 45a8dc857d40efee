import { createHash } from 'node:crypto';

/** The longest text that is kept as it is, in bytes: an entry of an index holds 2,704 in PostgreSQL, and some have two such texts. */
export const maxTextBytes = 1200;

/** Characters that are kept of a longer one: at most five bytes each. */
const keptLength = 200;
const unstorable = /[\0\\\p{Surrogate}]/gu;
const plain = /^[ -[\]-~]*$/;
const escaped = /\\([0-9a-f]{4})/g;

/**
 * Any text as one that every database stores and compares as it stands, no two texts as the same: PostgreSQL holds neither U+0000
 * nor a lone surrogate, and indexes nothing long. A longer text keeps its beginning, and a digest stands for the rest.
 */
export function toColumn(text: string): string {
  // Most are of these characters, a byte each.
  if (text.length <= maxTextBytes && plain.test(text)) return text;
  const column = escape(text);
  if (Buffer.byteLength(column) <= maxTextBytes) return column;
  const digest = createHash('sha256').update(Buffer.from(text, 'utf16le')).digest('hex');
  return `${escape(text.slice(0, keptLength))}\\sha256:${digest}`;
}

/** Whether a text is kept as it is, so that it can be read back. */
export function isKept(text: string): boolean {
  return Buffer.byteLength(escape(text)) <= maxTextBytes;
}

/** The text that was given to `toColumn`; of a long one its beginning and digest. */
export function fromColumn(column: string): string {
  if (!column.includes('\\')) return column;
  return column.replace(escaped, (_match, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function escape(text: string): string {
  return text.replace(
    unstorable,
    (unit) => `\\${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Where a page ended, as opaque text. */
export function toCursor(place: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/**
 * @param types - of the members
 * @throws {RangeError} when the text is no such place
 */
export function fromCursor(
  cursor: string,
  types: readonly ('string' | 'number')[],
): readonly (string | number)[] {
  const place = parse(Buffer.from(cursor, 'base64url').toString());
  // oxlint-disable-next-line valid-typeof -- the types are given
  const fits = (value: unknown, at: number): boolean => typeof value === types[at];
  if (Array.isArray(place) && place.length === types.length && place.every(fits)) return place;
  throw new RangeError('there is no page after this: take `next` of the page before');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
