import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Violation } from './violation.ts';

/** A deviation that is right as it is, and why. */
export type Explanation = {
  /** Start of the document's title and version; absent = all documents. */
  document?: string;
  /** Who deviates: Azure and so the simulator, or the gateway; absent = both. */
  target?: 'gateway' | 'simulator';
  /** Name of the exchange; `*` stands for any text. */
  exchange: string;
  /** JSON path; a `*` outside brackets stands for any text. */
  at: string;
  /** Start of the message; absent = any. */
  message?: string;
  reason: string;
};

/** The explained deviations, from `explained.json`. */
export function readExplanations(): Explanation[] {
  const text = readFileSync(join(import.meta.dirname, 'explained.json'), 'utf8');
  return JSON.parse(text) as Explanation[];
}

/**
 * Divides violations into those with an explanation and those without.
 *
 * @param run - what was checked; `exchanges` are the names of those whose answers were held against a schema
 * @returns also the explanations that nothing needed although their exchange was checked: they may be out of date
 */
export function explain(
  violations: readonly Violation[],
  explanations: readonly Explanation[],
  run: { document: string; target: string; exchanges: readonly string[] },
): { explained: Violation[]; unexplained: Violation[]; unused: Explanation[] } {
  const mine = explanations.filter(
    (one) =>
      run.document.startsWith(one.document ?? '') &&
      (one.target === undefined || one.target === run.target),
  );
  const used = new Set<Explanation>();
  const explained: Violation[] = [];
  const unexplained: Violation[] = [];
  for (const violation of violations) {
    const found = mine.filter(
      (one) =>
        matches(one.exchange, violation.exchange) &&
        matches(one.at, violation.at) &&
        violation.message.startsWith(one.message ?? ''),
    );
    for (const one of found) used.add(one);
    (found.length > 0 ? explained : unexplained).push(violation);
  }
  const unused = mine.filter(
    (one) => !used.has(one) && run.exchanges.some((name) => matches(one.exchange, name)),
  );
  return { explained, unexplained, unused };
}

function matches(pattern: string, text: string): boolean {
  const parts = pattern.replaceAll('[*]', '[\0]').split('*');
  const expression = parts.map((part) => RegExp.escape(part.replaceAll('[\0]', '[*]'))).join('.*');
  return new RegExp(`^${expression}$`, 's').test(text);
}
