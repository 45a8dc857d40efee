import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { exchange } from './exchange.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

function run(...options: string[]) {
  const child = spawn(process.execPath, [MAIN, ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return { child, output: () => output };
}

describe('the command', () => {
  it('prints where it listens and with which key, and ends on a signal', async () => {
    const { child, output } = run('--port', '0');
    await expect.poll(output, { timeout: 20_000 }).toContain('control:');
    const v1 = /v1 +(\S+)/.exec(output())?.[1] ?? '';
    const key = /key (\S+)/.exec(output())?.[1] ?? '';
    expect((await exchange(`${v1}/models`, { headers: { 'api-key': key } })).status).toBe(200);
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  });

  it('says what is wrong and fails', async () => {
    const { child, output } = run('--port', 'nine');
    expect(await once(child, 'close')).toEqual([1, null]);
    expect(output()).toContain('--port nine is no port');
  });
});
