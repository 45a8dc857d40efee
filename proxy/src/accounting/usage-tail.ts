import type { Operation } from '@aigateway/contract/records';
import type { TokenCounts } from '@aigateway/contract/usage';
import { readUsage } from './usage-reader.ts';

export type TailUsage = {
  tokens: TokenCounts;
  /** The tier that the upstream says it served. */
  serviceTier?: string | undefined;
  /** The upstream's own name of the model. Absent when it lies before the tail. */
  model?: string | undefined;
};

const usageKey = Buffer.from('"usage"');

/** A usage object has some 400 bytes; a larger one is not one. */
const maxUsageBytes = 16_384;

/** How far before the usage its siblings are looked for; a list of embeddings can be a megabyte. */
const maxLookBackBytes = 65_536;

const quote = 0x22;
const lineFeed = 0x0a;
const comma = 0x2c;
const colon = 0x3a;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/**
 * Finds the last usage in the end of a JSON body or an event stream, without parsing the rest.
 *
 * Text cannot be taken for it: within a JSON string the quotes around `usage` are escaped, so the bytes `"usage"` before a
 * colon are a key. A key deeper down does not count: only the root's, or in an event that of the root's `response`. An answer
 * repeats the tools of its request, whose schemas the caller wrote: without that rule a caller could state its own usage. Where
 * the tail begins within the object that holds the key, the brackets that follow tell how deep it lies. `"usage":null` is
 * passed over, and so is an object that the end cut off.
 *
 * @param tail - the last bytes of the body; may begin anywhere, within a character too
 * @returns undefined when no usable usage is there
 */
export function usageFromTail(tail: Buffer, operation: Operation): TailUsage | undefined {
  return lastUsage(tail, operation, (keyStart) => {
    const { holder, texts } = siblingsBefore(tail, keyStart);
    const foreign = foreignStart(tail, holder, keyStart, operation);
    return foreign === undefined ? { texts } : { before: foreign };
  });
}

/**
 * The same for a whole answer in JSON. How many brackets close behind a usage tells there how deep it lies, so that of what stands
 * before it, which is nearly all of the answer, only the way to its siblings is walked.
 */
export function usageFromBody(body: Buffer, operation: Operation): TailUsage | undefined {
  // What lies behind one usage is not walked again for the one before: a caller may have written thousands into its tools.
  let walkedFrom = body.length;
  let least = 0;
  return lastUsage(body, operation, (keyStart) => {
    const nearer = bracketsIn(body, keyStart, walkedFrom);
    if (nearer === undefined) return { before: 0 };
    least = Math.min(nearer.least, nearer.depth + least);
    walkedFrom = keyStart;
    if (least !== -1) return { before: keyStart };
    const texts = {
      model: textBefore(body, 'model', keyStart),
      serviceTier: body.includes(serviceTierEnd)
        ? textBefore(body, 'serviceTier', keyStart)
        : undefined,
    };
    return { texts };
  });
}

/** What stands before the answer's own usage; for another one, the position before which the answer's own may lie. */
type Place = { readonly texts: SiblingTexts } | { readonly before: number };

/**
 * @param placeOf - of the usage whose key begins at a position. It is asked before a usage is read: those within one another would
 *   be read as often as they are deep
 */
function lastUsage(
  bytes: Buffer,
  operation: Operation,
  placeOf: (keyStart: number) => Place,
): TailUsage | undefined {
  let before = bytes.length;
  while (before > 0) {
    const keyStart = bytes.lastIndexOf(usageKey, before - 1);
    if (keyStart <= 0) return undefined;
    before = keyStart;
    const start = usageStart(bytes, keyStart);
    if (start === undefined) continue;
    const place = placeOf(keyStart);
    if ('before' in place) {
      ({ before } = place);
      continue;
    }
    const end = objectEnd(bytes, start);
    if (end === undefined) continue;
    const tokens = readUsage(operation, parse(bytes, start, end));
    if (tokens === undefined) continue;
    const { texts } = place;
    readSiblingsAfter(bytes, end, texts);
    return {
      tokens,
      serviceTier: texts.serviceTier,
      // Azure's first chunk has an empty one.
      model: texts.model === '' ? undefined : texts.model,
    };
  }
  return undefined;
}

/** Where the object begins that the key at a position has for its value. */
function usageStart(bytes: Buffer, keyStart: number): number | undefined {
  const before = bytes[keyStart - 1];
  if (before !== openBrace && before !== comma && !isSpace(before)) return undefined;
  const colonAt = skipSpace(bytes, keyStart + usageKey.length);
  if (bytes[colonAt] !== colon) return undefined;
  const start = skipSpace(bytes, colonAt + 1);
  return bytes[start] === openBrace ? start : undefined;
}

// A search stops at each byte that its first one is, and quotes are everywhere.
const serviceTierEnd = Buffer.from('_tier"');
const siblingKeys = {
  model: Buffer.from('"model"'),
  serviceTier: Buffer.from('"service_tier"'),
};

/** The text of a sibling before the usage, by whichever way to where its key first occurs is the shorter. */
function textBefore(
  body: Buffer,
  name: keyof SiblingTexts,
  usageStart: number,
): string | undefined {
  const key = siblingKeys[name];
  const first = body.indexOf(key);
  if (first === -1 || first > usageStart) return undefined;
  if (first * 2 < usageStart && bracketsIn(body, 0, first)?.depth === 1) {
    const colonAt = skipSpace(body, first + key.length);
    const start = skipSpace(body, colonAt + 1);
    const end = body[start] === quote ? stringEnd(body, start) : undefined;
    if (body[colonAt] === colon && end !== undefined) {
      const text = parse(body, start, end);
      return typeof text === 'string' ? text : undefined;
    }
  }
  return siblingsBefore(body, usageStart, first).texts[name];
}

/** Members beside the usage whose values are wanted. */
type SiblingTexts = { model: string | undefined; serviceTier: string | undefined };

type Siblings = {
  texts: SiblingTexts;
  /** What the object that holds the usage is. */
  holder: Holder;
};

/**
 * - `root`: the whole text or the whole of an event's data
 * - `nested`: begins at `start`; an element of a list, or the value of the key at `key.start`
 * - `unknown`: its start is not in the tail
 */
type Holder =
  | { kind: 'root' | 'unknown' }
  | { kind: 'nested'; start: number; key: { name: unknown; start: number } | undefined };

const unknownHolder: Holder = { kind: 'unknown' };

/**
 * Undefined for the answer's own usage. For one in what the answer repeats, where that begins at the latest: all of it is the caller's,
 * and is not walked again for the usage before.
 */
function foreignStart(
  tail: Buffer,
  holder: Holder,
  keyStart: number,
  operation: Operation,
): number | undefined {
  switch (holder.kind) {
    case 'root':
      return undefined;
    case 'unknown': {
      const levels = levelsAfter(tail, keyStart);
      return levels === 1 || (operation === 'responses' && levels === 2) ? undefined : 0;
    }
    case 'nested': {
      const { key } = holder;
      if (operation !== 'responses' || key?.name !== 'response') return holder.start;
      const outer = siblingsBefore(tail, key.start).holder;
      if (outer.kind === 'root') return undefined;
      if (outer.kind === 'nested') return outer.start;
      return levelsAfter(tail, keyStart) === 2 ? undefined : 0;
    }
  }
}

/** Walks back from a key, which is outside of any string, to the brace that opens its object, or to `limit`. */
function siblingsBefore(
  tail: Buffer,
  keyStart: number,
  limit = Math.max(0, keyStart - maxLookBackBytes),
): Siblings {
  const texts: SiblingTexts = { model: undefined, serviceTier: undefined };
  let depth = 0;
  // Positions, not objects: an answer has hundreds of texts. An end of 0 = none.
  let textStart = 0;
  let textEnd = 0;
  let valueStart = 0;
  let valueEnd = 0;

  for (let at = keyStart - 1; at >= limit; at -= 1) {
    const byte = tail[at];
    if (byte === quote) {
      const start = stringStart(tail, at, limit);
      if (start === undefined) break;
      if (depth === 0) {
        textStart = start;
        textEnd = at + 1;
        if (valueEnd > 0) addText(texts, tail, textStart, textEnd, valueStart, valueEnd);
        valueEnd = 0;
      }
      at = start;
    } else if (byte === closeBrace || byte === closeBracket) {
      depth += 1;
    } else if (byte === openBrace || byte === openBracket) {
      depth -= 1;
      if (depth < 0) return { texts, holder: holderOf(tail, at, limit) };
    } else if (depth === 0 && byte === colon) {
      valueStart = textStart;
      valueEnd = textEnd;
    } else if (depth === 0 && byte === comma) {
      textEnd = 0;
    }
  }
  return { texts, holder: unknownHolder };
}

/** What the object that opens at `at` is the value of. An event's `data:` is no key: its letters have no quotes. */
function holderOf(tail: Buffer, at: number, limit: number): Holder {
  const before = skipSpaceBack(tail, at - 1);
  if (before < 0) return unknownHolder;
  if (tail[before] === comma || tail[before] === openBracket)
    return { kind: 'nested', start: at, key: undefined };
  if (tail[before] !== colon) return { kind: 'root' };
  const end = skipSpaceBack(tail, before - 1);
  if (end < 0) return unknownHolder;
  if (tail[end] !== quote) return { kind: 'root' };
  const start = stringStart(tail, end, limit);
  return {
    kind: 'nested',
    start: at,
    key: start === undefined ? undefined : { name: parse(tail, start, end + 1), start },
  };
}

/** How many brackets that opened before `from` close between it and the end of the event, or of the tail. */
function levelsAfter(tail: Buffer, from: number): number | undefined {
  let to = tail.indexOf(lineFeed, from);
  while (to !== -1 && !isLineOfStream(tail[to + 1])) to = tail.indexOf(lineFeed, to + 1);
  const brackets = bracketsIn(tail, from, to === -1 ? tail.length : to);
  return brackets === undefined ? undefined : -brackets.least;
}

/** Of a stretch of JSON: how many brackets more open in it than close, at its end and where they are the fewest. */
type Brackets = { readonly depth: number; readonly least: number };

/** @returns undefined where the stretch ends within a text */
function bracketsIn(bytes: Buffer, from: number, to: number): Brackets | undefined {
  let depth = 0;
  let least = 0;
  for (let at = from; at < to; at += 1) {
    const byte = bytes[at];
    if (byte === quote) {
      const end = stringEnd(bytes, at);
      if (end === undefined || end > to) return undefined;
      at = end - 1;
    } else if (byte === openBrace || byte === openBracket) {
      depth += 1;
    } else if (byte === closeBrace || byte === closeBracket) {
      depth -= 1;
      if (depth < least) least = depth;
    }
  }
  return { depth, least };
}

/** The first byte of a blank line, or of `data`, `event`, `id`, `retry` and comments; within JSON no line begins with these. */
function isLineOfStream(byte: number | undefined): boolean {
  return byte !== undefined && '\n\rdeir:'.includes(String.fromCharCode(byte));
}

/** Walks on from the end of a value to the brace that closes its object, or to the end of the tail. */
function readSiblingsAfter(tail: Buffer, valueEnd: number, texts: SiblingTexts): void {
  let depth = 0;
  let keyStart = 0;
  let keyEnd = 0;
  let textStart = 0;
  let textEnd = 0;

  for (let at = valueEnd; at < tail.length; at += 1) {
    const byte = tail[at];
    if (byte === quote) {
      const end = stringEnd(tail, at);
      if (end === undefined) break;
      if (depth === 0) {
        textStart = at;
        textEnd = end;
        if (keyEnd > 0) addText(texts, tail, keyStart, keyEnd, textStart, textEnd);
        keyEnd = 0;
      }
      at = end - 1;
    } else if (byte === openBrace || byte === openBracket) {
      depth += 1;
      keyEnd = 0;
    } else if (byte === closeBrace || byte === closeBracket) {
      depth -= 1;
      if (depth < 0) break;
    } else if (depth === 0 && byte === colon) {
      keyStart = textStart;
      keyEnd = textEnd;
    } else if (depth === 0 && byte === comma) {
      keyEnd = 0;
    }
  }
}

function addText(
  texts: SiblingTexts,
  tail: Buffer,
  keyStart: number,
  keyEnd: number,
  valueStart: number,
  valueEnd: number,
): void {
  const length = keyEnd - keyStart - 2;
  if (length !== 'model'.length && length !== 'service_tier'.length) return;
  const name = tail.toString('latin1', keyStart + 1, keyEnd - 1);
  if (name !== 'service_tier' && name !== 'model') return;
  const text = parse(tail, valueStart, valueEnd);
  if (typeof text !== 'string') return;
  if (name === 'model') texts.model = text;
  else texts.serviceTier = text;
}

function objectEnd(tail: Buffer, start: number): number | undefined {
  const limit = Math.min(tail.length, start + maxUsageBytes);
  let depth = 0;
  for (let at = start; at < limit; at += 1) {
    const byte = tail[at];
    if (byte === quote) {
      const end = stringEnd(tail, at);
      if (end === undefined) return undefined;
      at = end - 1;
    } else if (byte === openBrace) {
      depth += 1;
    } else if (byte === closeBrace) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return undefined;
}

// Plain loops for the start of a string: most are short, and a call into the runtime costs as much as a hundred bytes.
const longString = 128;

/** Position after the quote that closes the string opening at `start`. */
function stringEnd(tail: Buffer, start: number): number | undefined {
  for (let at = start + 1; at < tail.length; at += 1) {
    const byte = tail[at];
    if (byte === quote) return at + 1;
    if (byte === backslash) at += 1;
    else if (at - start === longString) return endOfLongString(tail, at + 1);
  }
  return undefined;
}

function endOfLongString(tail: Buffer, from: number): number | undefined {
  let at = tail.indexOf(quote, from);
  while (at !== -1 && isEscaped(tail, at)) at = tail.indexOf(quote, at + 1);
  return at === -1 ? undefined : at + 1;
}

/** Position of the quote that opens the string closing at `end`. */
function stringStart(tail: Buffer, end: number, limit: number): number | undefined {
  for (let at = end - 1; at >= limit; at -= 1) {
    if (end - at === longString) at = tail.lastIndexOf(quote, at);
    if (at < limit) return undefined;
    if (tail[at] === quote && !isEscaped(tail, at)) return at;
  }
  return undefined;
}

function isEscaped(tail: Buffer, at: number): boolean {
  let backslashes = 0;
  while (tail[at - 1 - backslashes] === backslash) backslashes += 1;
  return backslashes % 2 === 1;
}

function parse(tail: Buffer, start: number, end: number): unknown {
  try {
    return JSON.parse(tail.toString('utf8', start, end));
  } catch {
    // Not JSON, so nothing that could be read.
    return undefined;
  }
}

function skipSpace(tail: Buffer, from: number): number {
  let at = from;
  while (isSpace(tail[at])) at += 1;
  return at;
}

function skipSpaceBack(tail: Buffer, from: number): number {
  let at = from;
  while (isSpace(tail[at])) at -= 1;
  return at;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
