import { setTimeout as delay } from 'node:timers/promises';
import { exchange } from '@aigateway/smoke/simulator/exchange';
import type { Fleet } from './fleet.ts';
import { oneOf, seeded, type Holder, type LedgerPlan } from './plan.ts';

/** What callers saw. */
export type Seen = {
  /** Request ids of answers that came whole. */
  readonly whole: string[];
  /** Tries by how they ended: a status, `cut`, `left` or `unreachable`. */
  readonly ends: Map<string, number>;
};

/** A share of the callers leaves before the answer is whole. */
const leavingShare = 0.1;
const streamedShare = 0.5;

/**
 * Calls from all sides until the plan's number of tries is reached.
 *
 * @param keys - of each holder
 * @param onTry - told before each try of how many there were
 */
export async function load(
  fleet: Fleet,
  plan: LedgerPlan,
  keys: ReadonlyMap<Holder, string>,
  onTry: (tries: number) => void,
): Promise<Seen> {
  const seen: Seen = { whole: [], ends: new Map() };
  let tries = 0;
  const caller = async (seed: number): Promise<void> => {
    const chance = seeded(seed);
    while (tries < plan.calls) {
      onTry(tries);
      tries += 1;
      const end = await call(fleet, keys, chance, seen);
      seen.ends.set(end, (seen.ends.get(end) ?? 0) + 1);
      // What is refused at once would otherwise be all there is.
      await delay(end === '200' ? 0 : 10 * chance());
    }
  };
  await Promise.all(
    Array.from({ length: plan.callers }, (_, index) => caller(plan.seed * 1000 + index)),
  );
  return seen;
}

async function call(
  fleet: Fleet,
  keys: ReadonlyMap<Holder, string>,
  chance: () => number,
  seen: Seen,
): Promise<string> {
  const [, key] = oneOf([...keys], chance);
  // A proxy that is not there is not asked: its callers are the others' meanwhile.
  let urls = fleet.proxyUrls();
  for (; urls.length === 0; urls = fleet.proxyUrls()) await delay(20);
  const stream = chance() < streamedShare;
  const words = Array.from({ length: 5 + Math.floor(chance() * 20) }, () => 'word').join(' ');
  const leaving = new AbortController();
  const leavesAfterMs = chance() < leavingShare ? 20 + 60 * chance() : undefined;
  const json = {
    model: 'gpt-4o',
    messages: [{ role: 'user', content: words }],
    max_tokens: 60,
    stream,
  };
  const url = oneOf(urls, chance);
  const timer =
    leavesAfterMs === undefined ? undefined : setTimeout(() => leaving.abort(), leavesAfterMs);
  try {
    const answer = await exchange(`${url}/v1/chat/completions`, {
      headers: { authorization: `Bearer ${key}` },
      json,
      signal: leaving.signal,
    });
    if (answer.broken !== undefined) return leaving.signal.aborted ? 'left' : 'cut';
    if (answer.status !== 200) return String(answer.status);
    if (stream && !answer.text.includes('data: [DONE]')) return 'cut';
    seen.whole.push(String(answer.headers['x-request-id']));
    return '200';
  } catch {
    return leaving.signal.aborted ? 'left' : 'unreachable';
  } finally {
    clearTimeout(timer);
  }
}
