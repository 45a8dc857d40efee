import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { bundle } from '../../../scripts/bundle.ts';

it('finds its thread in the bundle as it does in the source', async () => {
  const outdir = mkdtempSync(join(tmpdir(), 'aigateway-bundle-'));
  try {
    const program = 'control-plane/test/conformance/bundled-store.ts';
    await bundle({ program }, outdir);
    for (const file of [
      join(outdir, 'program.mjs'),
      join(import.meta.dirname, 'bundled-store.ts'),
    ]) {
      expect(execFileSync(process.execPath, [file], { encoding: 'utf8' })).toBe('{"answer":42}');
    }
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
});
