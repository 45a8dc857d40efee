/** Source of time: milliseconds since 1970. */
export interface Clock {
  now(): number;
}

/** A clock that can be pushed forward on command, for quota windows, token expiry and background work. */
export interface AdjustableClock extends Clock {
  /** Moves the clock forward by `ms` milliseconds, on top of the clock it was made from. */
  advance(ms: number): void;
  /** Forgets every advance. */
  reset(): void;
}

/** Wraps `base` so that time can be advanced without waiting. */
export function adjustableClock(base: Clock): AdjustableClock {
  let offset = 0;
  return {
    now: () => base.now() + offset,
    advance: (ms) => {
      offset += ms;
    },
    reset: () => {
      offset = 0;
    },
  };
}
