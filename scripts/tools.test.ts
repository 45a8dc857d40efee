import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installTool, toolPath, tools, type Tool } from './tools.ts';

let folder: string;
let environment: { PATH: string; AIGATEWAY_TOOLS_DIR: string };
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aigateway-tools-'));
  mkdirSync(join(folder, 'path'));
  environment = {
    PATH: `${join(folder, 'path')}:/usr/bin:/bin`,
    AIGATEWAY_TOOLS_DIR: join(folder, 'tools'),
  };
});
afterEach(() => rmSync(folder, { recursive: true }));

const helm = tools.find(({ name }) => name === 'helm')!;
const zizmor = tools.find(({ name }) => name === 'zizmor')!;
const log = () => readFileSync(join(folder, 'log'), 'utf8');

/** A program on PATH that writes down what it is asked, and does what the script says. */
function program(name: string, script: string): void {
  const file = join(folder, 'path', name);
  writeFileSync(file, `#!/bin/sh\necho "${name} $*" >> ${join(folder, 'log')}\n${script}\n`);
  chmodSync(file, 0o755);
}

function install(tool: Tool): string | undefined {
  return installTool(tool, environment);
}

describe('a tool', () => {
  it('is built by Go in its pinned version, once', () => {
    program('go', 'mkdir -p "$GOBIN"; touch "$GOBIN/helm"');
    expect(install(helm)).toBeUndefined();
    expect(install(helm)).toBeUndefined();
    expect(log()).toBe(`go install helm.sh/helm/v4/cmd/helm@${helm.version}\n`);
    expect(toolPath('helm', environment)).toBe(
      join(folder, 'tools', `helm-${helm.version}`, 'bin', 'helm'),
    );
  });

  it('of Python gets an environment of its own', () => {
    program('python3', `mkdir -p "$3/bin"; cp ${join(folder, 'path', 'pip')} "$3/bin/python"`);
    program('pip', '');
    expect(install(zizmor)).toBeUndefined();
    expect(log()).toContain(
      `pip -m pip install --quiet --disable-pip-version-check zizmor==${zizmor.version}`,
    );
    expect(toolPath('zizmor', environment)).toContain(`zizmor-${zizmor.version}`);
  });

  it('whose installation failed is not taken for one, and is tried anew', () => {
    program('go', 'mkdir -p "$GOBIN"; touch "$GOBIN/helm"; exit 3');
    expect(install(helm)).toBe('go ended with exit code 3');
    expect(toolPath('helm', environment)).toBeUndefined();
    program('go', '[ -e "$GOBIN/helm" ] && exit 4; mkdir -p "$GOBIN"; touch "$GOBIN/helm"');
    expect(install(helm)).toBeUndefined();
    expect(toolPath('helm', environment)).toBeDefined();
  });

  it('that needs what this machine lacks says so', () => {
    environment.PATH = join(folder, 'path');
    expect(install(helm)).toMatch(/^go cannot be run: /);
  });

  it('that is on PATH is found where none was installed', () => {
    program('helm', '');
    expect(toolPath('helm', environment)).toBe(join(folder, 'path', 'helm'));
    expect(toolPath('no-such-tool', environment)).toBeUndefined();
    expect(existsSync(environment.AIGATEWAY_TOOLS_DIR)).toBe(false);
  });
});

it('has a pinned version, never the latest one', () => {
  for (const { version } of tools) expect(version).toMatch(/^v?\d+\.\d+\.\d+/);
});
