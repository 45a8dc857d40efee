import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = new URL('../../', import.meta.url).pathname;
const samples = join(root, 'docs/samples');
const run = promisify(execFile);

describe.skipIf(process.platform === 'win32')('an empty folder and nothing configured', () => {
  const folder = mkdtempSync(join(tmpdir(), 'aigateway-start-'));
  let gateway: ChildProcess;
  let output = '';
  let exit: Promise<unknown[]>;

  beforeAll(async () => {
    const { PATH = '', HOME = '' } = process.env;
    gateway = spawn(process.execPath, [join(root, 'start.mjs'), '--port', '0'], {
      cwd: folder,
      env: { PATH, HOME, AIGATEWAY_OPS_PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    exit = once(gateway, 'exit');
    await new Promise<void>((resolve, reject) => {
      gateway.stdout?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (output.includes('In a client')) resolve();
      });
      exit.then(([code]) => reject(new Error(`ended with ${String(code)}: ${output}`)), reject);
    });
  });

  afterAll(async () => {
    gateway.kill('SIGTERM');
    await exit;
    rmSync(folder, { recursive: true });
  });

  it('give an answer to the line that the banner shows', async () => {
    const line = /curl .*\\\n.*/.exec(output)?.[0] ?? '';
    const { stdout } = await run('sh', ['-c', line]);
    expect(JSON.parse(stdout)).toMatchObject({ object: 'response', status: 'completed' });
  });

  it('say that models are simulated, and show no key', () => {
    const key = readFileSync(join(folder, '.aigateway/master-key'), 'utf8').trim();
    expect(output).toContain('SIMULATED');
    expect(output).not.toContain(key);
  });

  it.each([
    ['sh', 'ask.sh'],
    [process.execPath, 'ask.mjs'],
  ])('are enough for the sample %s %s, which knows nothing of Azure', async (program, file) => {
    const GATEWAY_URL = /listens on (\S+)/.exec(output)?.[1] ?? '';
    const GATEWAY_KEY = readFileSync(join(folder, '.aigateway/master-key'), 'utf8').trim();
    const { PATH } = process.env;
    const env = { PATH, GATEWAY_URL, GATEWAY_KEY };
    const { stdout } = await run(program, [join(samples, file), 'gpt-4o', 'Say hello'], { env });
    expect(stdout).toContain('You said: Say hello');
    expect(readFileSync(join(samples, file), 'utf8')).not.toMatch(/azure/i);
  });
});
