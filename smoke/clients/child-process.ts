import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

/** How a program ended. */
export type Ended = {
  /** Exit status, or the signal that ended it. */
  status: number | NodeJS.Signals;
  stdout: string;
  stderr: string;
};

/** A started program. */
export type Running = {
  readonly child: ChildProcess;
  /** Everything written so far. */
  output(): { stdout: string; stderr: string };
  readonly ended: Promise<Ended>;
  /** Ends it and whatever it has started; SIGKILL when it is still there after `graceMs`. */
  stop(graceMs?: number): Promise<Ended>;
};

/** What to start. `environment` is all the program gets: nothing is inherited. */
export type Command = {
  file: string;
  args: readonly string[];
  environment: Readonly<Record<string, string>>;
  cwd: string;
  /** Written to standard input, which is then closed; `keep-open` until this process ends. Closed unless given. */
  stdin?: string;
};

/** Starts a program in a process group of its own, so that its children end with it. */
export function start({ file, args, environment, cwd, stdin }: Command): Running {
  const child = spawn(file, args, {
    cwd,
    env: { ...environment },
    stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    detached: true,
  });
  if (stdin !== undefined && stdin !== 'keep-open') child.stdin?.end(stdin);
  const written = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (written.stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (written.stderr += text));
  // A group of its own gets no signal of the terminal: it must not outlive this process.
  const endNow = (): void => signalGroup(child, 'SIGKILL');
  process.once('exit', endNow);
  const ended = new Promise<Ended>((resolve) => {
    child.once('error', (error) => resolve({ ...written, status: 127, stderr: error.message }));
    child.once('close', (code, signal) => resolve({ status: code ?? signal ?? 0, ...written }));
  });
  void ended.then(() => process.off('exit', endNow));
  return {
    child,
    output: () => ({ ...written }),
    ended,
    stop: async (graceMs = 5000) => {
      signalGroup(child, 'SIGTERM');
      const late = setTimeout(() => signalGroup(child, 'SIGKILL'), graceMs);
      const result = await ended;
      clearTimeout(late);
      signalGroup(child, 'SIGKILL');
      return result;
    },
  };
}

/**
 * Runs a program to its end.
 *
 * @param limitMs - after which it is ended; its status is then the signal
 */
export async function run(command: Command, limitMs: number): Promise<Ended> {
  const running = start(command);
  let result: Promise<Ended> | undefined;
  const late = setTimeout(() => {
    result = running.stop();
  }, limitMs);
  try {
    const ended = await running.ended;
    return result === undefined ? ended : await result;
  } finally {
    clearTimeout(late);
    signalGroup(running.child, 'SIGKILL');
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is gone.
  }
}
