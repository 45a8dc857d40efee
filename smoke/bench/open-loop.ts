import { Connection, type Shot } from './connection.ts';
import { type Endings, noEndings } from './saturate.ts';

/**
 * Open loop: calls leave at a steady rate whether or not earlier ones have ended, as callers do who don't know of each other, so
 * that a target that hangs is seen to hang. A call past its deadline counts with the deadline as its latency.
 *
 * @returns milliseconds from each request's write to its answer's last byte
 */
export async function openLoop(
  target: Shot,
  options: { perSecond: number; seconds: number; deadlineMs: number },
): Promise<{ latencies: number[]; endings: Endings }> {
  const { deadlineMs } = options;
  const calls = Math.round(options.perSecond * options.seconds);
  const latencies: number[] = [];
  const endings = noEndings();
  const idle: Connection[] = [];
  const started = performance.now();
  const send = (): Promise<void> =>
    new Promise((resolve) => {
      const connection = idle.pop() ?? new Connection(target.port);
      const sent = performance.now();
      connection.send(target.request, deadlineMs, (ending) => {
        latencies.push(ending === 'late' ? deadlineMs : performance.now() - sent);
        endings[ending] += 1;
        if (!connection.closed) idle.push(connection);
        resolve();
      });
    });
  const running: Promise<void>[] = [];
  await new Promise<void>((resolve) => {
    const tick = (): void => {
      const due = ((performance.now() - started) / 1000) * options.perSecond;
      while (running.length < Math.min(due, calls)) running.push(send());
      if (running.length === calls) {
        resolve();
        return;
      }
      const nextAt = started + (running.length / options.perSecond) * 1000;
      setTimeout(tick, Math.max(0, nextAt - performance.now()));
    };
    tick();
  });
  await Promise.all(running);
  for (const connection of idle) connection.close();
  return { latencies, endings };
}
