import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  globSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSimulator, type Simulator } from '@aigateway/smoke/simulator/simulator';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bundle } from '../bundle.ts';
import { nodeFlags } from '../project-node.mjs';
import { toolPath } from '../tools.ts';

const root = join(import.meta.dirname, '..', '..');
const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8').replaceAll('\\\n', ' ');
const instructions = (name: string) =>
  dockerfile.split('\n').filter((line) => line.startsWith(`${name} `));
const lastStage = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));
const user = 65_532;

describe('the Dockerfile', () => {
  it('starts what is tested, with the flags of Node that everything else is started with', () => {
    const entrypoint = /^ENTRYPOINT (.*)$/m.exec(lastStage)?.[1] ?? '';
    expect(JSON.parse(entrypoint)).toEqual([
      '/usr/local/bin/node',
      ...nodeFlags,
      '/app/gateway.mjs',
    ]);
  });

  it('ends in a stage of nothing but the root file system, as a user without rights', () => {
    expect(lastStage).toMatch(/^\nFROM scratch\n/);
    expect(lastStage).not.toMatch(/^(RUN|ADD) /m);
    expect(lastStage).toContain(`\nUSER ${user}:${user}\n`);
    expect(lastStage).toContain('\nENV AIGATEWAY_DATA_DIR=/data\n');
  });

  it('gives npm the manifest of every workspace', () => {
    const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      workspaces: string[];
    };
    for (const workspace of workspaces)
      expect(instructions('COPY')).toContain(`COPY ${workspace}/package.json ${workspace}/`);
  });

  const hadolint = toolPath('hadolint');
  it.skipIf(hadolint === undefined)(
    'has no findings of hadolint (npm run tools -- hadolint)',
    () => {
      const run = spawnSync(hadolint ?? '', ['Dockerfile'], { cwd: root, encoding: 'utf8' });
      expect(run.stdout + run.stderr).toBe('');
      expect(run.status).toBe(0);
    },
  );
});

const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
const needs = [
  existsSync('/etc/debian_version') ? '' : 'Debian',
  runs([...sudo, 'unshare', '--mount', 'true']) ? '' : 'the right to mount',
].filter((need) => need !== '');

function runs([program = '', ...args]: readonly string[]): boolean {
  return spawnSync(program, args).status === 0;
}

describe.skipIf(needs.length > 0)(
  `the image's root file system${needs.length > 0 ? `: needs ${needs.join(' and ')}` : ''}`,
  () => {
    let folder: string;
    let image: string;
    let simulator: Simulator;
    let child: ChildProcess | undefined;
    let output = '';

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'aigateway-image-'));
      image = join(folder, 'root');
      const dist = join(folder, 'dist');
      await bundle({ gateway: 'gateway/src/main.ts' }, dist);
      execFileSync(join(root, 'scripts', 'image', 'root-file-system.sh'), [image, dist]);
      // What a container runtime brings, and the volume.
      for (const name of ['proc', 'dev', 'data']) mkdirSync(join(image, name));
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));
    beforeEach(async () => {
      simulator = await startSimulator();
    });
    afterEach(async () => {
      if (child?.exitCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
      await simulator.close();
    });

    /** A program of the image as a container runs it: the root read-only, an empty data directory, a user without rights. */
    function start(program: readonly string[], environment: Record<string, string>): ChildProcess {
      const script = `
        mount --bind "$1" "$1" && mount --bind /dev "$1/dev" && mount -t proc proc "$1/proc"
        mount -t tmpfs -o uid=${user},gid=${user},mode=700 data "$1/data"
        mount -o remount,bind,ro "$1"
        shift
        exec env -i "$@"`;
      const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
      const inside = ['/usr/sbin/chroot', `--userspec=${user}:${user}`, image, ...program];
      const args = ['unshare', '--mount', 'sh', '-euc', script, 'sh', image];
      const [command = '', ...rest] = [...sudo, ...args, ...variables, ...inside];
      child = spawn(command, rest);
      output = '';
      for (const stream of [child.stdout, child.stderr])
        stream?.setEncoding('utf8').on('data', (text: string) => {
          output += text;
        });
      return child;
    }

    const gateway = ['/usr/local/bin/node', ...nodeFlags, '/app/gateway.mjs'];

    async function listening(): Promise<string> {
      await expect.poll(() => child?.exitCode !== null || /listens on/.test(output)).toBe(true);
      const url = /listens on (http:\/\/[\d.]+:\d+)/.exec(output)?.[1];
      if (url === undefined) throw new Error(output);
      return url;
    }

    async function post(url: string, key: string, body: object): Promise<[number, unknown]> {
      const response = await fetch(url, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return [response.status, await response.json()];
    }

    const settings = () => ({
      AIGATEWAY_DATA_DIR: '/data',
      AIGATEWAY_SECRET: 'test-secret-of-at-least-32-bytes-length',
      AIGATEWAY_HOST: '127.0.0.1',
      AIGATEWAY_PORT: '0',
      AIGATEWAY_OPS_PORT: '0',
      AIGATEWAY_STOP_DELAY: '0',
      AZURE_OPENAI_URL: simulator.resourceUrl('simulator'),
      AZURE_OPENAI_API_KEY: 'simulated-key',
    });

    it('holds no shell and no package manager, and is smaller than 200 MB', () => {
      const files = readdirSync(image, { recursive: true, withFileTypes: true }).filter(
        (entry) => !entry.isDirectory(),
      );
      const executables = files.filter(
        ({ name, parentPath }) =>
          lstatSync(join(parentPath, name)).mode & 0o111 && !/\.so[.\d]*$/.test(name),
      );
      expect(executables.map(({ name }) => name)).toEqual(['node']);
      const bytes = files.reduce(
        (sum, { name, parentPath }) => sum + lstatSync(join(parentPath, name)).size,
        0,
      );
      expect(bytes).toBeLessThan(200_000_000);
      expect(globSync('**/*.map', { cwd: image })).toEqual([]);
    });

    it('says which packages its libraries are of, for scanners, and under which licences', () => {
      for (const name of ['libc6', 'libatomic1', 'libstdc++6', 'libgcc-s1', 'ca-certificates']) {
        expect(readFileSync(join(image, 'var/lib/dpkg/status.d', name), 'utf8')).toContain(
          `Package: ${name}\n`,
        );
        expect(existsSync(join(image, 'usr/share/doc', name, 'copyright'))).toBe(true);
      }
      const ofBundle = readFileSync(join(image, 'usr/share/doc/aigateway/THIRD-PARTY'), 'utf8');
      expect(ofBundle).toMatch(/express\/index\.js:\n.*MIT Licensed/s);
    });

    it('serves models as a user without rights on a read-only root', async () => {
      start([...gateway, '--role', 'proxy'], {
        ...settings(),
        PROXY_API_KEY: 'sk-caller-of-tests',
      });
      const url = await listening();
      const [status, body] = await post(`${url}/v1/responses`, 'sk-caller-of-tests', {
        model: 'gpt-5.3-codex',
        input: 'Hello',
      });
      expect(status).toBe(200);
      expect(body).toMatchObject({ object: 'response', status: 'completed' });
      child!.kill('SIGTERM');
      await once(child!, 'exit');
      expect(child!.exitCode).toBe(0);
    });

    it('keeps keys in its data directory where both roles run in it', async () => {
      const master = 'sk-master-of-the-tests-of-images';
      start([...gateway, '--role', 'all'], { ...settings(), LITELLM_MASTER_KEY: master });
      const url = await listening();
      const [made, key] = await post(`${url}/key/generate`, master, {});
      expect(made).toBe(200);
      const [status] = await post(`${url}/v1/embeddings`, (key as { key: string }).key, {
        model: 'text-embedding-3-small',
        input: 'Hello',
      });
      expect(status).toBe(200);
    });

    it('finds names, and can write to its data directory alone', async () => {
      const program = `
        const fs = require('node:fs');
        const tried = ['/app/x', '/etc/x', '/tmp/x', '/data/x'].map((file) => {
          try { fs.writeFileSync(file, ''); return 'written'; } catch ({ code }) { return code; }
        });
        const { uid, gid } = require('node:os').userInfo();
        require('node:dns').lookup('name.invalid', (error) =>
          console.log(JSON.stringify({ tried, uid, gid, code: error.code })));`;
      await once(start(['/usr/local/bin/node', '--eval', program], {}), 'close');
      const { tried, uid, gid, code } = JSON.parse(output) as { [name: string]: unknown };
      expect([tried, uid, gid]).toEqual([['EROFS', 'EROFS', 'EROFS', 'written'], user, user]);
      expect(['ENOTFOUND', 'EAI_AGAIN']).toContain(code);
    });
  },
);
