import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { newFolder } from './gateway-process.ts';

const root = new URL('../../', import.meta.url).pathname;

/** A Node that cannot become another program, as those before 22.15 cannot. */
const withoutExecve = 'data:text/javascript,delete process.execve';

const environment = {
  PATH: process.env['PATH'] ?? '',
  HOME: process.env['HOME'] ?? '',
  AIGATEWAY_OPS_PORT: '0',
  AIGATEWAY_ROLE: 'proxy',
  KEY: 'a-key-of-an-upstream',
};

let started: ChildProcess | undefined;
let folder = '';
afterEach(() => {
  // All that is left of its group, if it did not end by itself.
  try {
    process.kill(-(started?.pid ?? 0), 'SIGKILL');
  } catch {
    started = undefined;
  }
  rmSync(folder, { recursive: true, force: true });
});

/** The gateway as `npm start` starts it on an older Node, and what it has said so far. */
function start(args: readonly string[], { inShell = false } = {}) {
  folder = newFolder();
  writeFileSync(
    join(folder, 'config.yaml'),
    'model_list:\n  - model_name: m\n    litellm_params: { model: azure/m, api_base: "http://127.0.0.1:9", api_key: os.environ/KEY, api_version: v1 }\naigateway_settings: { allow_insecure_upstream: true }\n',
  );
  const line = [process.execPath, '--import', withoutExecve, join(root, 'start.mjs'), ...args];
  // As npm's shell does: it waits for the program, and hands no signal on.
  const [file = '', ...rest] = inShell ? ['sh', '-c', '"$@"; exit $?', 'sh', ...line] : line;
  const child = spawn(file, rest, {
    cwd: folder,
    env: { ...environment, ...(inShell && { npm_lifecycle_event: 'start' }) },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  started = child;
  const said = { output: '', errors: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.errors += text));
  const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const found = pattern.exec(said.output);
      if (found !== null) return found;
      if (child.exitCode !== null) throw new Error(`${said.output}\n${said.errors}`);
      await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
    }
  };
  return { child, said, until };
}

const serving = ['--config', 'config.yaml', '--port', '0'];

describe.skipIf(process.platform === 'win32')('a start by a Node without execve', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'ends the gateway in good order on %s, and nothing stays behind',
    async (signal) => {
      const { child, until } = start(serving);
      const [, url = ''] = await until(/listens on (http:\S+)/);
      child.kill(signal);
      await until(new RegExp(`"signal":"${signal}"`));
      expect(await once(child, 'close')).toEqual([0, null]);
      await expect(fetch(`${url}/health/liveliness`)).rejects.toThrow('fetch failed');
    },
  );

  it('reads the configuration again on SIGHUP', async () => {
    const { child, said, until } = start(serving);
    await until(/listens on/);
    writeFileSync(join(folder, 'config.yaml'), 'model_list: [{ model_name: 7 }]\n');
    child.kill('SIGHUP');
    await until(/stays in force/);
    expect(said.output).not.toContain('"signal"');
  });

  it('starts the gateway anew at every change of the program, as npm run dev does', async () => {
    const { child, said, until } = start(['--watch', ...serving]);
    await until(/listens on/);
    said.output = '';
    const now = new Date();
    utimesSync(join(root, 'gateway/src/banner.ts'), now, now);
    const [, url = ''] = await until(/listens on (http:\S+)/);
    expect((await fetch(`${url}/health/liveliness`)).status).toBe(200);
    child.kill('SIGTERM');
    await once(child, 'close');
  });

  it('ends the gateway when the shell ends that npm runs it in', async () => {
    const { child, said, until } = start(serving, { inShell: true });
    await until(/listens on/);
    const closed = once(child.stdout, 'close');
    child.kill('SIGTERM');
    await closed;
    expect(said.output).toContain('"signal":"SIGTERM"');
  });

  it.each([
    [['--check', '--config', 'config.yaml'], 0],
    [['--check', '--config', 'missing.yaml'], 1],
    [['--no-such-option'], 1],
  ])('passes arguments and exit code on: %s gives %i', async (args, code) => {
    const { child } = start(args);
    expect(await once(child, 'close')).toEqual([code, null]);
  });
});
