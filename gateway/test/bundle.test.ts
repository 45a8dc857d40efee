import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { bundle } from '../../scripts/bundle.ts';
import manifest from '../package.json' with { type: 'json' };

// What Node loads only for an import of all its exports, and what of undici and zod nobody here calls, was a fifth of a start.
it('starts without what it does not use', async () => {
  const outdir = mkdtempSync(join(tmpdir(), 'aigateway-bundle-'));
  try {
    const { metafile } = await bundle({ gateway: 'gateway/src/main.ts' }, outdir);
    const outputs = Object.values(metafile.outputs);
    const imported = outputs
      .flatMap(({ imports }) => imports)
      .filter(({ kind, external }) => kind === 'import-statement' && external === true);
    expect(imported).toEqual([]);
    const used = outputs.flatMap(({ inputs }) =>
      Object.entries(inputs).flatMap(([path, { bytesInOutput }]) =>
        bytesInOutput > 0 ? path : [],
      ),
    );
    expect(used.filter((path) => path.endsWith('undici/index.js'))).toEqual([]);
    expect(
      used.filter((path) => path.includes('zod/v4/locales/') && !path.endsWith('/en.js')),
    ).toEqual([]);
    const program = join(outdir, 'gateway.mjs');
    const version = execFileSync(process.execPath, [program, '--version'], { encoding: 'utf8' });
    expect(version.trim()).toBe(manifest.version);
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
});
