/** One top-level member of a JSON object, as byte offsets into the body. */
export type Member = {
  /** Offset of the key's opening quote. */
  start: number;
  /** Offset of the value's first byte. */
  valueStart: number;
  /** Offset after the value's last byte. */
  end: number;
};

/** Where the top-level members of a body stand. Nested content is skipped, not read. */
export type Scan = {
  /** The scanned text itself; absent where it is too long to be kept as long as its request. */
  text?: string | undefined;
  members: ReadonlyMap<string, Member>;
  /** Offset after the opening brace and after the last member: where another member could be written. */
  open: number;
};

/** A body that the scan refuses; `reason` may be shown to the caller. */
export class ScanError extends Error {
  override readonly name = 'ScanError';
}

const quote = 0x22;
const backslash = 0x5c;
const brace = 0x7b;
const bracket = 0x5b;
const closingBrace = 0x7d;
const closingBracket = 0x5d;
const comma = 0x2c;
const colon = 0x3a;

/**
 * Finds the top-level members of a JSON object without parsing what is inside them.
 *
 * The text is latin1, so that offsets are byte offsets of the UTF-8 body. Only the outermost structure is checked:
 * what lies deeper is for whoever parses it. Keys that occur twice, or that differ only by case from one in `guarded`,
 * are refused, because parsers disagree about which one counts and a second `model` would slip past the allow-list.
 *
 * @param text - the body decoded as latin1
 * @param guarded - lower-case names that may stand there only once and only in lower case
 * @throws {ScanError} if the text is not one JSON object, or a guarded key is ambiguous
 */
export function scanObject(text: string, guarded: ReadonlySet<string>): Scan {
  const members = new Map<string, Member>();
  if (text.startsWith('\xef\xbb\xbf')) throw new ScanError('it starts with a byte order mark');
  let at = skipSpace(text, 0);
  if (at === text.length) throw new ScanError('it is empty');
  if (text.charCodeAt(at) !== brace) throw new ScanError('it is not a JSON object');
  at = skipSpace(text, at + 1);
  const open = at;
  if (text[at] === '}') return finish(text, at, members, open);
  for (;;) {
    if (text.charCodeAt(at) !== quote) throw new ScanError(`a key is expected at byte ${at}`);
    const start = at;
    const keyEnd = endOfString(text, at);
    const raw = text.slice(start + 1, keyEnd - 1);
    const key = raw.includes('\\') || hasControl(raw) ? decodeKey(text, start, keyEnd) : raw;
    at = skipSpace(text, keyEnd);
    if (text.charCodeAt(at) !== colon) throw new ScanError(`a colon is expected at byte ${at}`);
    const valueStart = skipSpace(text, at + 1);
    const end = endOfValue(text, valueStart);
    if (members.has(key)) throw new ScanError(`the key ${show(key)} stands there twice`);
    if (!guarded.has(key)) {
      const folded = key.toLowerCase();
      if (folded !== key && guarded.has(folded)) {
        throw new ScanError(`the key ${show(key)} differs from "${folded}" only by case`);
      }
    }
    if (members.size === maxMembers) throw new ScanError(`it has more than ${maxMembers} members`);
    members.set(key, { start, valueStart, end });
    at = skipSpace(text, end);
    const next = text.charCodeAt(at);
    if (next === comma) {
      at = skipSpace(text, at + 1);
      continue;
    }
    if (text[at] === '}') return finish(text, at, members, open);
    throw new ScanError(`a comma or a closing brace is expected at byte ${at}`);
  }
}

function finish(text: string, closing: number, members: Map<string, Member>, open: number): Scan {
  if (skipSpace(text, closing + 1) !== text.length)
    throw new ScanError('something follows the JSON object');
  return { text, members, open };
}

function show(key: string): string {
  return `"${key.slice(0, 40)}"`;
}

function decodeKey(text: string, start: number, end: number): string {
  try {
    return JSON.parse(text.slice(start, end)) as string;
  } catch {
    throw new ScanError(`the key at byte ${start} is not a JSON string`);
  }
}

// eslint-disable-next-line no-control-regex -- control characters are what this looks for: JSON forbids them in strings
const control = /[\u0000-\u001f]/;

function hasControl(text: string): boolean {
  return control.test(text);
}

function skipSpace(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) at += 1;
    else return at;
  }
}

/** Offset after the closing quote of the string that opens at `at`. */
function endOfString(text: string, at: number): number {
  let from = at + 1;
  for (;;) {
    const close = text.indexOf('"', from);
    if (close === -1) throw new ScanError(`the string at byte ${at} does not end`);
    let slashes = 0;
    while (text.charCodeAt(close - 1 - slashes) === backslash) slashes += 1;
    if (slashes % 2 === 0) return close + 1;
    from = close + 1;
  }
}

/** No API of ours has a tenth of these members, and no schema of a tool nests so deep: what has more is made to exhaust. */
const maxMembers = 1000;
const maxDepth = 500;

// One call jumps over everything that neither opens, closes nor quotes.
const structural = /["[\]{}]/g;
const scalar = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y;

function isStructural(code: number): boolean {
  return (
    code === quote ||
    code === brace ||
    code === bracket ||
    code === closingBrace ||
    code === closingBracket
  );
}

function endOfValue(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === quote) return endOfString(text, start);
  if (first !== brace && first !== bracket) {
    scalar.lastIndex = start;
    if (!scalar.test(text)) throw new ScanError(`a value is expected at byte ${start}`);
    return scalar.lastIndex;
  }
  let depth = 0;
  let at = start;
  for (;;) {
    // Brackets and quotes stand close together or far apart: a search for each would make the close ones dear.
    let code = text.charCodeAt(at);
    if (code === comma || code === colon) code = text.charCodeAt(++at);
    if (!isStructural(code)) {
      structural.lastIndex = at;
      if (!structural.test(text)) throw new ScanError(`the value at byte ${start} does not end`);
      at = structural.lastIndex - 1;
      code = text.charCodeAt(at);
    }
    if (code === quote) {
      at = endOfString(text, at);
      continue;
    }
    at += 1;
    if (code === brace || code === bracket) {
      depth += 1;
      if (depth > maxDepth) throw new ScanError(`it is nested more than ${maxDepth} levels deep`);
    } else if (--depth === 0) return at;
  }
}
