import type { Prompt } from './prompt.ts';

/** Code points of one token: the simulator's whole tokenizer. */
export const CODE_POINTS_PER_TOKEN = 4;
/** Tokens every entry of a conversation costs besides its text. */
const TOKENS_PER_ENTRY = 4;
/** Tokens every prompt costs besides its entries. */
const TOKENS_PER_PROMPT = 3;
/** Tokens of one image, whatever its size. */
const TOKENS_PER_IMAGE = 85;

/** What a call consumed, in the simulator's tokens. */
export type Usage = {
  promptTokens: number;
  /** Part of `promptTokens` that a prefix seen before by the same deployment covers. */
  cachedTokens: number;
  /** Everything generated, reasoning included. */
  completionTokens: number;
  /** Part of `completionTokens` that is not shown. */
  reasoningTokens: number;
};

/** Tokens of a text: a quarter of its code points, rounded up. */
export function estimateTokens(text: string): number {
  return Math.ceil(codePoints(text) / CODE_POINTS_PER_TOKEN);
}

/**
 * Tokens of a prompt: its entries and the tools offered. Chat and Responses spellings of one conversation give one
 * number, so a bridge between them can be checked by its usage.
 */
export function promptTokens(prompt: Pick<Prompt, 'entries' | 'tools'>): number {
  let tokens = TOKENS_PER_PROMPT;
  for (const entry of prompt.entries) {
    tokens += TOKENS_PER_ENTRY;
    if (entry.kind === 'call') tokens += estimateTokens(entry.name + entry.arguments);
    else tokens += estimateTokens(entry.text);
    if (entry.kind === 'text') tokens += entry.images * TOKENS_PER_IMAGE;
  }
  for (const tool of prompt.tools) {
    tokens += estimateTokens(tool.name + tool.description + JSON.stringify(tool.parameters ?? {}));
  }
  return tokens;
}

/** Cuts a text into pieces of `size` code points, so that no piece splits a character. */
export function pieces(text: string, size: number): string[] {
  const found: string[] = [];
  let start = 0;
  let count = 0;
  for (let index = 0; index < text.length; index += 1) {
    if (isHighSurrogateOfPair(text, index)) index += 1;
    count += 1;
    if (count === size) {
      found.push(text.slice(start, index + 1));
      start = index + 1;
      count = 0;
    }
  }
  if (start < text.length) found.push(text.slice(start));
  return found;
}

/** The first `tokens` tokens of a text. */
export function firstTokens(text: string, tokens: number): string {
  if (tokens <= 0) return '';
  return pieces(text, tokens * CODE_POINTS_PER_TOKEN)[0] ?? '';
}

function codePoints(text: string): number {
  let count = 0;
  for (let index = 0; index < text.length; index += 1) {
    if (isHighSurrogateOfPair(text, index)) index += 1;
    count += 1;
  }
  return count;
}

function isHighSurrogateOfPair(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  if (unit < 0xd800 || unit > 0xdbff) return false;
  const next = text.charCodeAt(index + 1);
  return next >= 0xdc00 && next <= 0xdfff;
}
