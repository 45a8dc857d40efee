import { createHash } from 'node:crypto';

import type { JsonObject } from './json.ts';
import type { MagicWords } from './magic-words.ts';

/** One thing said, called or returned in a conversation, the same for every operation. */
export type Entry =
  | { kind: 'text'; role: 'system' | 'user' | 'assistant'; text: string; images: number }
  | { kind: 'call'; id: string; name: string; arguments: string }
  | { kind: 'output'; id: string; text: string };

/** A tool the caller offers. */
export type OfferedTool = {
  kind: 'function' | 'custom' | 'hosted';
  name: string;
  /** Responses only: the `namespace` tool that holds it. */
  namespace?: string;
  description: string;
  /** JSON Schema of the arguments. */
  parameters?: JsonObject;
};

/** What the caller demands about tools. */
export type ToolChoice = {
  mode: 'none' | 'auto' | 'required';
  /** Only these may be called; absent means any. */
  names?: readonly string[];
};

/** What form the answer's text must have. */
export type TextFormat =
  | { kind: 'text' }
  | { kind: 'json_object' }
  | { kind: 'json_schema'; schema: JsonObject };

/** A request to a model, freed of the spelling of its operation. */
export type Prompt = {
  entries: Entry[];
  tools: OfferedTool[];
  toolChoice: ToolChoice;
  parallelToolCalls: boolean;
  format: TextFormat;
  maxOutputTokens?: number;
  effort?: string;
  summary: boolean;
  words: MagicWords;
};

/** The text of the last user entry, or the empty string. */
export function lastUserText(entries: readonly Entry[]): string {
  const last = entries.findLast((entry) => entry.kind === 'text' && entry.role === 'user');
  return last?.kind === 'text' ? last.text : '';
}

/**
 * Eight hexadecimal digits that stand for the whole conversation: roles, texts, calls and outputs, but no ids. The
 * chat and the Responses spelling of one conversation have one digest.
 */
export function conversationDigest(entries: readonly Entry[]): string {
  const said = entries.map((entry) => {
    if (entry.kind === 'text') return [entry.role, entry.text, entry.images];
    if (entry.kind === 'call') return ['call', entry.name, entry.arguments];
    return ['output', entry.text];
  });
  return createHash('sha256').update(JSON.stringify(said)).digest('hex').slice(0, 8);
}
