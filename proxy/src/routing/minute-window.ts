/** What one deployment was given since the start of the present whole minute (UTC). */
export type MinuteWindow = {
  /** Minutes since the epoch. */
  minute: number;
  requests: number;
  /** Estimates of calls in flight, real figures of finished ones. */
  tokens: number;
};

export function newMinuteWindow(): MinuteWindow {
  return { minute: 0, requests: 0, tokens: 0 };
}

/** Empties the window when its minute is over. Call before every read or write. */
export function rollMinute(window: MinuteWindow, now: number): MinuteWindow {
  const minute = Math.floor(now / 60_000);
  if (window.minute !== minute) {
    window.minute = minute;
    window.requests = 0;
    window.tokens = 0;
  }
  return window;
}
