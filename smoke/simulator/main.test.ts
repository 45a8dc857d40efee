import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
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
    await expect.poll(output).toContain('control:');
    const v1 = /v1 +(\S+)/.exec(output())?.[1] ?? '';
    const key = /key (\S+)/.exec(output())?.[1] ?? '';
    expect((await exchange(`${v1}/models`, { headers: { 'api-key': key } })).status).toBe(200);
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  });

  it('serves HTTPS with a certificate of its own', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'simulator-tls-'));
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    execFileSync('openssl', ['req', '-x509', ...newKey, ...subject, '-keyout', key, '-out', cert], {
      stdio: 'pipe',
    });
    const { child, output } = run('--port', '0', '--tls-cert', cert, '--tls-key', key);
    await expect.poll(output).toContain('control:');
    const health = `${/control: (https:\S+)/.exec(output())?.[1] ?? ''}health`;
    const request = get(health, { ca: readFileSync(cert), agent: false });
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    expect(await json(answer)).toEqual({ status: 'ok' });
    child.kill('SIGTERM');
    await once(child, 'exit');
    rmSync(folder, { recursive: true });
  });

  it.each([
    [['--port', 'nine'], '--port nine is no port'],
    [['--seed', 'one'], '--seed one is no whole number'],
    [['--tls-cert', 'cert.pem'], '--tls-cert and --tls-key need each other'],
  ])('says what is wrong and fails: %j', async (options, problem) => {
    const { child, output } = run(...options);
    expect(await once(child, 'close')).toEqual([1, null]);
    expect(output()).toContain(problem);
  });
});
