import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { bundle } from '../../scripts/bundle.ts';
import manifest from '../package.json' with { type: 'json' };

const root = join(import.meta.dirname, '..', '..');

/** Files that a proxy loads before it listens: those that others import at once, from the entry on. */
function atStart({ outputs }: Awaited<ReturnType<typeof bundle>>['metafile']): Set<string> {
  const found = new Set<string>();
  const add = (path: string): void => {
    if (found.has(path)) return;
    found.add(path);
    for (const { path: next, kind } of outputs[path]?.imports ?? [])
      if (kind === 'import-statement') add(next);
  };
  for (const [path, { entryPoint }] of Object.entries(outputs))
    if (entryPoint === 'gateway/src/main.ts') add(path);
  return found;
}

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
    expect(used.filter((path) => path.includes('iconv-lite/encodings/tables/'))).toEqual([]);
    // One letter beyond ASCII doubles what a text of a megabyte takes in memory.
    for (const path of atStart(metafile)) {
      const text = readFileSync(join(root, path), 'latin1');
      expect([path, ...(/[^\0-\x7f]/.exec(text) ?? [])]).toEqual([path]);
    }
    const program = join(outdir, 'gateway.mjs');
    const version = execFileSync(process.execPath, [program, '--version'], { encoding: 'utf8' });
    expect(version.trim()).toBe(manifest.version);
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
});
