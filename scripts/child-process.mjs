// Plain JavaScript for any Node >= 18: it runs before the project's own Node is known.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/**
 * Runs a program on this process's terminal and waits for its end. Signals sent to this process reach it.
 *
 * @param {string} file
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} [options]
 * @returns {Promise<number>} its exit code; 128 + number after a signal, as shells have it
 * @throws {Error} when it cannot be started
 */
export function runChild(file, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: 'inherit', ...options });
    const forwarders = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => {
      // A terminal's Ctrl-C goes to the whole group: sent on, the child would see it twice and give up its drain.
      const ignored = signal === 'SIGINT' && process.stdin.isTTY;
      const forward = () => ignored || child.kill(signal);
      process.on(signal, forward);
      return [signal, forward];
    });
    const settle = (act) => {
      for (const [signal, forward] of forwarders) process.off(signal, forward);
      act();
    };
    child.once('error', (cause) => settle(() => reject(cause)));
    child.once('exit', (code, signal) =>
      settle(() => resolve(code ?? 128 + (constants.signals[signal] ?? 0))),
    );
  });
}
