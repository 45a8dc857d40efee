import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const folder = join(import.meta.dirname, '..');

/** Node erases types without looking: a misspelt property would be missing from the JSON, and nothing would say so. */
describe('tsc', () => {
  it.each(['tsconfig.json', 'test/tsconfig.json'])('finds nothing with %s', (project) => {
    const tsc = join(folder, 'node_modules', 'typescript', 'bin', 'tsc');
    const { stdout, status } = spawnSync(
      process.execPath,
      [tsc, '--noEmit', '-p', join(folder, project)],
      {
        encoding: 'utf8',
      },
    );
    expect(stdout).toBe('');
    expect(status).toBe(0);
  });

  it('runs before every synthesis', () => {
    const { scripts } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      scripts: { [name: string]: string };
    };
    expect(scripts['types']).toBe('tsc --noEmit');
    for (const name of ['synth', 'snapshots']) expect(scripts[name]).toMatch(/^npm run types && /);
  });
});
