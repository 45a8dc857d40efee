import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { azureCliPython, refusedByAzureCli } from './azure-cli.ts';

const root = join(import.meta.dirname, '..', '..', '..');

/** Blocks of commands in the documentation that call Azure CLI. */
const blocks = globSync('**/*.md', { cwd: root, exclude: ['**/node_modules'] }).flatMap((page) =>
  [...readFileSync(join(root, page), 'utf8').matchAll(/^```sh\n(.*?)^```/gms)]
    .map(([, commands = '']) => ({ page, commands }))
    .filter(({ commands }) => /\baz /.test(commands)),
);

/**
 * The arguments of each call of `az` in a block, which is run by a shell that has no other program, writes no file and enters no folder.
 * What another program would have printed is empty there, and "example" where it is an argument.
 */
function callsOf(commands: string): string[][] {
  const shell = String.raw`exec 3>&1 1>&2; az() { printf '%s\0' "$@" >&3; printf '\1' >&3; }; PATH=; set -r; `;
  const { stdout } = spawnSync('bash', ['-c', shell + commands], { encoding: 'utf8', env: {} });
  return stdout
    .split('\u0001')
    .slice(0, -1)
    .map((call) =>
      call
        .split('\0')
        .slice(0, -1)
        .map((arg) => arg || 'example'),
    );
}

describe('the documentation', () => {
  it('has calls of Azure CLI that can be read', () => {
    expect(blocks).not.toEqual([]);
    expect(blocks.filter(({ commands }) => callsOf(commands).length === 0)).toEqual([]);
  });
});

describe.skipIf(azureCliPython === undefined)('Azure CLI (npm run tools -- az)', () => {
  it('refuses what it does not know, and nothing else', () => {
    const calls = [
      ['group', 'show', '--name', 'x', '--qeury', 'id'],
      ['group', 'show', '--name', 'x', '--query', 'id'],
      ['group', 'shwo', '--name', 'x'],
      ['group', 'show', '--name', 'x', '--query', '[?name'],
      ['role', 'assignment', 'create', '--assignee', 'x', '--role', 'Reader'],
      ['keyvault', 'secret', 'set', '--vault-name', 'x', '--name', 'y'],
      ['keyvault', 'secret', 'set', '--vault-name', 'x', '--name', 'y', '--file', 'gone'],
      ['storage', 'account', 'create', '-g', 'x', '-n', 'y', '--kind', 'z'],
      ['containerapp', 'job', 'logs', 'show', '-g', 'x', '-n', 'y', '--container', 'z'],
    ];
    expect(refusedByAzureCli(calls)).toEqual([
      'az group show --name x --qeury id: unrecognized arguments: --qeury id',
      "az group shwo --name x: 'shwo' is misspelled or not recognized by the system.",
      "az group show --name x --query [?name: argument --query: invalid jmespath_type value: '[?name'",
      expect.stringContaining('the following arguments are required: --scope'),
      expect.stringContaining('[Required] --value VALUE | --file PATH'),
      expect.stringContaining("'z' is not a valid value for '--kind'"),
      expect.stringContaining("'logs' is misspelled"),
    ]);
  });

  it('takes every call of the documentation', () => {
    expect(refusedByAzureCli(blocks.flatMap(({ commands }) => callsOf(commands)))).toEqual([]);
  });
});
