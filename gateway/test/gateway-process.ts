import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The gateway's own file. */
export const program = join(import.meta.dirname, '..', 'src', 'main.ts');

/** How long a process may take to say what is waited for; less than a test's own limit, which would not tell what it did say. */
const limitMs = 120_000;

/** The gateway as people start it: a process of its own, with nothing in its environment but what the test gives it. */
export class GatewayProcess {
  readonly child: ChildProcess;
  readonly folder: string;
  output = '';
  errors = '';

  constructor(args: readonly string[], environment: Record<string, string>, folder = newFolder()) {
    this.folder = folder;
    this.child = spawn(process.execPath, [program, ...args], {
      cwd: folder,
      env: { PATH: process.env['PATH'] ?? '', AIGATEWAY_OPS_PORT: '0', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text;
    });
  }

  /** Base URL, once the process listens. @throws {Error} with its output if it does not */
  async url(): Promise<string> {
    const found = await this.until(/listens on (http:\/\/[\d.]+:\d+)/);
    return found[1] ?? '';
  }

  /** Waits until the output matches. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    const giveUpAt = Date.now() + limitMs;
    for (;;) {
      const found = pattern.exec(this.output);
      if (found !== null) return found;
      if (this.child.exitCode !== null || Date.now() > giveUpAt) {
        throw new Error(`no ${pattern} in:\n${this.output}\n${this.errors}`);
      }
      // Whichever comes first, the others stop listening.
      const over = new AbortController();
      await Promise.race([
        once(this.child.stdout ?? this.child, 'data', { signal: over.signal }),
        once(this.child, 'exit', { signal: over.signal }),
        new Promise((resolve) => setTimeout(resolve, 200)),
      ]);
      over.abort();
    }
  }

  /** Exit code, once the process has ended by itself. */
  async ended(): Promise<number | null> {
    if (this.child.exitCode === null) await once(this.child, 'exit');
    return this.child.exitCode;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGKILL');
      await once(this.child, 'exit');
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function newFolder(): string {
  return mkdtempSync(join(tmpdir(), 'aigateway-test-'));
}
