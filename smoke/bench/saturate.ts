import { Connection, type Ending, type Shot } from './connection.ts';

export type Endings = { [ending in Ending]: number };

/** No call ended yet. */
export function noEndings(): Endings {
  return { ok: 0, refused: 0, broken: 0, late: 0, cut: 0 };
}

/**
 * Closed loop: each of a fixed number of connections sends its next call when the last has ended, so the target is as busy as it
 * can be. Resolves when every call begun has ended, so that work counted and work done are the same.
 *
 * @param goOn - asked before each call; false ends the loop
 * @param cutAfter - for the call with this number (from 0): bytes after which the client hangs up, or undefined
 */
export async function saturate(
  target: Shot,
  connections: number,
  goOn: () => boolean,
  cutAfter?: (call: number) => number | undefined,
): Promise<Endings> {
  const endings = noEndings();
  let calls = 0;
  const loop = (): Promise<void> =>
    new Promise((resolve) => {
      let connection = new Connection(target.port);
      const next = (): void => {
        if (!goOn()) {
          connection.close();
          resolve();
          return;
        }
        if (connection.closed) connection = new Connection(target.port);
        connection.send(target.request, 60_000, ended, cutAfter?.(calls));
        calls += 1;
      };
      const ended = (ending: Ending): void => {
        endings[ending] += 1;
        // A target that is gone would otherwise be called in one endless synchronous loop.
        if (ending === 'broken') setTimeout(next, 50);
        else next();
      };
      next();
    });
  await Promise.all(Array.from({ length: connections }, loop));
  return endings;
}

/** The `goOn` of a loop that lasts a time. */
export function until(milliseconds: number): () => boolean {
  const end = performance.now() + milliseconds;
  return () => performance.now() < end;
}
