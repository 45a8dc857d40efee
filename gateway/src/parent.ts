/** How often it is looked after. */
const lookMs = 500;

/** Known from the start: it may be gone by the time that somebody asks for its end. */
const parent = process.ppid;

/**
 * Calls back once when the process that started this one has ended. npm starts programs in a shell that is ended by a signal
 * without passing it on: who stops npm stops the shell, and would leave the program behind.
 *
 * Not on Windows, where a process keeps the id of a parent that is gone.
 */
export function whenParentEnds(ended: () => void): void {
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    ended();
  }, lookMs);
  timer.unref();
}
