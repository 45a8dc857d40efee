import { setTimeout as delay } from 'node:timers/promises';

export type PollOptions = {
  /** Ends it: between two steps at once, else when the step that is under way has ended. */
  readonly signal: AbortSignal;
  /** Between the end of a step and the beginning of the next. */
  readonly everyMs: number;
  /** Before the first step. Default 0. */
  readonly firstAfterMs?: number;
  /** While steps fail the wait doubles up to this, by chance somewhat shorter: who failed together comes back apart. Default `everyMs`. */
  readonly longestWaitMs?: number;
  /** Told when a step has failed and the one before had not, and, with undefined, when one has not failed any more. */
  readonly onTrouble?: (error: unknown) => void;
  /** Lets time pass, or rejects when it is ended; for tests. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<unknown>;
};

const sleep = (ms: number, signal: AbortSignal) => delay(ms, undefined, { signal, ref: false });

/**
 * Does something again and again, one step after the other, until it is ended. Waiting does not keep the process alive.
 *
 * @returns when it has ended; it never rejects
 */
export async function poll(step: () => Promise<unknown>, options: PollOptions): Promise<void> {
  const { signal, everyMs, firstAfterMs = 0, longestWaitMs = everyMs } = options;
  const { onTrouble, wait = sleep } = options;
  let failures = 0;
  let waitMs = firstAfterMs;
  for (;;) {
    // Rejects when it is ended, and only then.
    if (waitMs > 0) await wait(waitMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    waitMs = everyMs;
    try {
      await step();
      if (failures > 0) onTrouble?.(undefined);
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      if (failures === 0) onTrouble?.(error);
      failures += 1;
      const longer = Math.min(longestWaitMs, everyMs * 2 ** failures) - everyMs;
      waitMs += Math.max(0, longer) * (0.5 + Math.random() / 2);
    }
  }
}
