import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { plainStacks } from '../src/snapshots.ts';
import { variants } from '../src/variants.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'aigateway-stub-'));
  mkdirSync(join(folder, 'bin'));
  const stub = join(folder, 'bin', 'terraform');
  // Notes what it was asked, where, and with which files; fails where it is told to.
  writeFileSync(
    stub,
    '#!/bin/sh\necho "$1 $(basename "$PWD") $(ls | tr \'\\n\' \' \')$(ls tests) ${TF_CLI_CONFIG_FILE:+offline}" >> "$NOTES"\ngrep -q backend main.tf.json && exit 9\n[ "$1 $(basename "$PWD")" != "$FAILS" ]\n',
  );
  chmodSync(stub, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true }));

function run(more: { readonly [name: string]: string }): {
  status: number | null;
  notes: string[];
  last: string;
} {
  const notes = join(folder, 'notes');
  rmSync(notes, { force: true });
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, '..', 'src', 'terraform.ts')],
    {
      encoding: 'utf8',
      env: {
        PATH: `${join(folder, 'bin')}${delimiter}${process.env['PATH']}`,
        NOTES: notes,
        FAILS: '',
        ...more,
      },
    },
  );
  const last = stdout.trim().split('\n').at(-1) ?? '';
  return { status, notes: readFileSync(notes, 'utf8').trim().split('\n'), last };
}

describe('the terraform command', () => {
  it('validates and tests every stack and variant, without a download where the provider is at hand', async () => {
    const { status, notes, last } = run({ AZURERM_PROVIDER_DIR: folder });
    expect({ status, last }).toEqual({ status: 0, last: 'all pass' });
    const stacks = readdirSync(join(import.meta.dirname, '..', 'snapshots')).map((file) =>
      file.replace('.tf.json', ''),
    );
    const tested = globSync('*.tftest.hcl', { cwd: join(import.meta.dirname, '..', 'tests') });
    expect(tested.map((file) => file.replace('.tftest.hcl', '')).toSorted()).toEqual(
      stacks.toSorted(),
    );
    const further = [...(await plainStacks(variants)).keys()];
    expect(further.length).toBeGreaterThan(variants.length);
    for (const stack of [...stacks, ...further]) {
      const asked = notes.filter((line) => line.split(' ')[1] === stack);
      expect([stack, ...asked.map((line) => line.split(' ')[0])]).toEqual([
        stack,
        'validate',
        'test',
      ]);
      const test = stacks.includes(stack) ? 'stack.tftest.hcl' : 'plan.tftest.json';
      for (const line of asked) expect(line).toContain(` ${test} `);
    }
    for (const line of notes) expect(line).toMatch(/ main\.tf\.json tests .*offline$/);
  });

  it('gets the provider where none is at hand', () => {
    const { notes } = run({});
    expect(notes[0]).toMatch(/^init /);
    expect(notes.join('\n')).not.toContain('offline');
  });

  it('fails with a stack that fails, naming it, after all others', () => {
    const { status, notes, last } = run({
      AZURERM_PROVIDER_DIR: folder,
      FAILS: 'validate contoso-dev',
    });
    expect({ status, last }).toEqual({ status: 1, last: 'failed: contoso-dev' });
    expect(notes.some((line) => line.startsWith('test pvc-prod'))).toBe(true);
  });
});
