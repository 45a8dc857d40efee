import { createHash } from 'node:crypto';

import type { Entry, OfferedTool } from './prompt.ts';
import { estimateTokens, pieces } from './tokens.ts';

/** Shorter prefixes are never cached. */
const LEAST_TOKENS = 1024;
/** Prefixes are cached in steps of this many tokens. */
const STEP_TOKENS = 128;
const STEP_CODE_POINTS = STEP_TOKENS * 4;
/** Prefixes remembered by one deployment; the oldest go first. */
const MAX_PREFIXES = 20_000;

/** Remembers the prompts one deployment has seen, as Azure's prompt caching does. */
export interface PromptCache {
  /** Tokens of the prompt covered by a prefix seen before; remembers the prompt. At most `promptTokens`. */
  match(entries: readonly Entry[], tools: readonly OfferedTool[], promptTokens: number): number;
}

/** A cache without expiry: what was seen stays seen until a reset. */
export function createPromptCache(): PromptCache {
  const seen = new Set<string>();
  return {
    match: (entries, tools, promptTokens) => {
      const text = JSON.stringify([tools, entries.map((entry) => ({ ...entry, id: undefined }))]);
      if (estimateTokens(text) < LEAST_TOKENS) return 0;
      let cached = 0;
      let covered = 0;
      let hash = '';
      let stillKnown = true;
      for (const piece of pieces(text, STEP_CODE_POINTS)) {
        if (piece.length < STEP_CODE_POINTS) break;
        hash = createHash('sha1').update(hash).update(piece).digest('base64');
        covered += STEP_TOKENS;
        stillKnown &&= seen.has(hash);
        if (stillKnown) cached = covered;
        else seen.add(hash);
      }
      for (const oldest of seen) {
        if (seen.size <= MAX_PREFIXES) break;
        seen.delete(oldest);
      }
      if (cached < LEAST_TOKENS) return 0;
      return Math.min(cached, Math.floor(promptTokens / STEP_TOKENS) * STEP_TOKENS);
    },
  };
}
