/// <reference lib="esnext.temporal" />

/** A stretch of time as configured. Whole days and months follow the calendar; seconds never do. */
export type Duration =
  | { readonly unit: 'second'; readonly count: number }
  | { readonly unit: 'day'; readonly count: number }
  | { readonly unit: 'month'; readonly count: number };

const words: { readonly [word: string]: string } = {
  hourly: '1h',
  daily: '1d',
  weekly: '1w',
  monthly: '1mo',
};

const secondsPerUnit: { readonly [unit: string]: number } = {
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 604_800,
};

const secondsPerDay = 86_400;

/** Ten years: beyond any sensible window, and far from where dates overflow. */
const longestSeconds = 3660 * secondsPerDay;
const longestMonths = 120;

/** 5 January 1970: a Monday, so that windows of whole weeks start on Mondays. */
const firstMonday = Temporal.PlainDate.from('1970-01-05');

/**
 * Reads LiteLLM's duration grammar: `<n>` + `s`, `m`, `h`, `d`, `w` or `mo`, or `hourly`, `daily`, `weekly`, `monthly`.
 *
 * A whole number of days is days however it is written (`24h` = `1d`), and `30d` is a month, as LiteLLM has it.
 *
 * @returns undefined for anything else, for zero, and for more than ten years
 */
export function parseDuration(text: string): Duration | undefined {
  const trimmed = text.trim().toLowerCase();
  const match = /^(\d{1,9})(s|m|h|d|w|mo)$/.exec(words[trimmed] ?? trimmed);
  if (!match) return undefined;
  const count = Number(match[1]);
  const unit = match[2] ?? '';
  if (count === 0) return undefined;
  if (unit === 'mo') return count <= longestMonths ? { unit: 'month', count } : undefined;

  const seconds = count * (secondsPerUnit[unit] ?? 0);
  if (seconds > longestSeconds) return undefined;
  if (seconds % secondsPerDay !== 0) return { unit: 'second', count: seconds };
  const days = seconds / secondsPerDay;
  return days === 30 ? { unit: 'month', count: 1 } : { unit: 'day', count: days };
}

/**
 * Length of a duration that is not aligned to anything, such as the life of a key; a month counts 30 days.
 *
 * @returns milliseconds, or undefined when the text is not a duration
 */
export function durationMs(text: string): number | undefined {
  const duration = parseDuration(text);
  if (!duration) return undefined;
  switch (duration.unit) {
    case 'second':
      return duration.count * 1000;
    case 'day':
      return duration.count * secondsPerDay * 1000;
    case 'month':
      return duration.count * 30 * secondsPerDay * 1000;
  }
}

/** Reads a time of day, `HH:MM` from 00:00 to 23:59. */
export function parseResetTime(text: string): { hour: number; minute: number } | undefined {
  const match = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text.trim());
  return match ? { hour: Number(match[1]), minute: Number(match[2]) } : undefined;
}

/** Tells whether a name is a time zone of the IANA data base (or an offset such as `+02:00`) that this runtime knows. */
export function isTimeZone(name: string): boolean {
  try {
    Temporal.PlainDate.from('2000-01-01').toZonedDateTime(name);
    return true;
  } catch {
    return false;
  }
}

export type BudgetWindow = { readonly startMs: number; readonly endMs: number };

/**
 * The calendar window that an instant lies in: `startMs <= nowMs < endMs`, and one window's end is the next one's start.
 *
 * LiteLLM's alignment: parts of a day start on their multiples since local midnight; days at `resetTime`; seven days on
 * Monday; thirty days and months on the first; other numbers of days are counted from a Monday, other numbers of months
 * from a January. A part of a day that does not divide one (`7h`) is counted from the Unix epoch. Takes microseconds:
 * hold on to the result until `endMs` on a hot path.
 *
 * @param window - see {@link parseDuration}
 * @param timezone - IANA name
 * @param resetTime - `HH:MM` at which windows of days and months begin
 * @throws {RangeError} if one of the three is not valid: the configuration has checked them
 */
export function budgetWindow(
  nowMs: number,
  window: string,
  timezone = 'UTC',
  resetTime = '00:00',
): BudgetWindow {
  const duration = parseDuration(window);
  if (!duration) throw new RangeError(`not a duration: ${window}`);
  const reset = parseResetTime(resetTime);
  if (!reset) throw new RangeError(`not a time of day: ${resetTime}`);

  const now = Temporal.Instant.fromEpochMilliseconds(Math.floor(nowMs)).toZonedDateTimeISO(
    timezone,
  );
  if (duration.unit === 'second') return secondsWindow(now, duration.count * 1000);

  const bounds = duration.unit === 'day' ? dayBounds : monthBounds;
  const resetAt = Temporal.PlainTime.from(reset);
  const startOf = (date: Temporal.PlainDate) =>
    date.toZonedDateTime({ timeZone: timezone, plainTime: resetAt }).epochMilliseconds;

  let [start, end] = bounds(now.toPlainDate(), duration.count);
  // Before the reset time the first day of a window still belongs to the one before it.
  if (now.epochMilliseconds < startOf(start)) {
    [start, end] = bounds(start.subtract({ days: 1 }), duration.count);
  }
  return { startMs: startOf(start), endMs: startOf(end) };
}

function dayBounds(
  date: Temporal.PlainDate,
  count: number,
): [Temporal.PlainDate, Temporal.PlainDate] {
  const days = firstMonday.until(date, { largestUnit: 'day' }).days;
  const start = date.subtract({ days: modulo(days, count) });
  return [start, start.add({ days: count })];
}

function monthBounds(
  date: Temporal.PlainDate,
  count: number,
): [Temporal.PlainDate, Temporal.PlainDate] {
  const months = date.year * 12 + date.month - 1;
  const start = date.with({ day: 1 }).subtract({ months: modulo(months, count) });
  return [start, start.add({ months: count })];
}

function secondsWindow(now: Temporal.ZonedDateTime, lengthMs: number): BudgetWindow {
  const nowMs = now.epochMilliseconds;
  if ((secondsPerDay * 1000) % lengthMs !== 0) {
    const startMs = nowMs - modulo(nowMs, lengthMs);
    return { startMs, endMs: startMs + lengthMs };
  }
  const midnight = now.startOfDay();
  const startMs = nowMs - ((nowMs - midnight.epochMilliseconds) % lengthMs);
  // A day that loses or gains an hour ends its last window early.
  const nextMidnightMs = midnight.add({ days: 1 }).startOfDay().epochMilliseconds;
  return { startMs, endMs: Math.min(startMs + lengthMs, nextMidnightMs) };
}

/** Remainder that is never negative, so that instants before 1970 are treated alike. */
function modulo(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor;
}
