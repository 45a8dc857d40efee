import type { UpstreamAnswerHeaders } from './headers.ts';

/** Azure announces up to a day; anything longer is a mistake. */
const maxWaitMs = 86_400_000;

/** Two announcements closer than this are one, rounded differently. */
const roundingMs = 1000;

const unitMs: { readonly [unit: string]: number } = {
  ms: 1,
  millisecond: 1,
  milliseconds: 1,
  s: 1000,
  sec: 1000,
  secs: 1000,
  second: 1000,
  seconds: 1000,
  m: 60_000,
  min: 60_000,
  mins: 60_000,
  minute: 60_000,
  minutes: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  hours: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
  days: 86_400_000,
};

/**
 * How long the upstream asks to be left alone.
 *
 * Read are `retry-after-ms`, `retry-after` (seconds or HTTP date) and the message ("retry after N seconds", "Try again in 6m0s").
 * The longest wins; when two differ by rounding alone, `retry-after-ms` is the precise one. Only when none of them is there,
 * the `x-ratelimit-reset-*` of a limit with nothing remaining counts.
 *
 * @param now - milliseconds since the epoch, for dates where the answer has no `date` of its own
 * @returns milliseconds from 0 to a day; null when nothing is announced
 */
export function announcedWaitMs(
  headers: UpstreamAnswerHeaders,
  message: string,
  now: number,
): number | null {
  const precise = bounded(numberOf(headers['retry-after-ms']));
  const others = [retryAfterMs(headers, now), waitInText(message)];
  const known = others.filter((wait) => wait !== null);
  const longest = known.length === 0 ? null : Math.max(...known);
  if (precise === null) return longest ?? exhaustedResetMs(headers);
  return longest === null || longest - precise < roundingMs ? precise : longest;
}

function retryAfterMs(headers: UpstreamAnswerHeaders, now: number): number | null {
  const value = headers['retry-after'];
  if (typeof value !== 'string') return null;
  const seconds = numberOf(value);
  if (seconds !== null) return bounded(seconds * 1000);
  const at = Date.parse(value);
  if (Number.isNaN(at)) return null;
  // The upstream's own clock, so that a skewed one does no harm.
  const sentAt = typeof headers['date'] === 'string' ? Date.parse(headers['date']) : Number.NaN;
  return bounded(Math.max(0, at - (Number.isNaN(sentAt) ? now : sentAt)));
}

const announcement =
  /(?:retry after|retry in|try again in)\s{1,3}(\d[\d.]*\s?[a-z]*(?:\d[\d.]*[a-z]+)*)/gi;

function waitInText(message: string): number | null {
  let longest: number | null = null;
  for (const [, text] of message.matchAll(announcement)) {
    const wait = durationMs(text ?? '');
    if (wait !== null && (longest === null || wait > longest)) longest = wait;
  }
  return longest;
}

/** `7`, `7 seconds`, `1.5s`, `250ms`, `6m0s`; a bare number is seconds. Null for anything else. */
function durationMs(text: string): number | null {
  let total: number | null = null;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)\s?([a-z]*)/gi)) {
    const factor = unitMs[unit === '' ? 's' : (unit ?? 's').toLowerCase()];
    if (factor === undefined) return null;
    total = (total ?? 0) + Number(amount) * factor;
  }
  return bounded(total);
}

function exhaustedResetMs(headers: UpstreamAnswerHeaders): number | null {
  let longest: number | null = null;
  for (const limit of ['requests', 'tokens']) {
    const reset = headers[`x-ratelimit-reset-${limit}`];
    const remaining = numberOf(headers[`x-ratelimit-remaining-${limit}`]);
    if (typeof reset !== 'string' || (remaining !== null && remaining > 0)) continue;
    const wait = durationMs(reset);
    if (wait !== null && (longest === null || wait > longest)) longest = wait;
  }
  return longest;
}

function numberOf(value: string | string[] | undefined): number | null {
  if (typeof value !== 'string' || !/^\s*\d+(?:\.\d+)?\s*$/.test(value)) return null;
  return Number(value);
}

function bounded(wait: number | null): number | null {
  return wait === null ? null : Math.min(Math.ceil(wait), maxWaitMs);
}
