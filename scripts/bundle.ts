import { join } from 'node:path';
import { build } from 'esbuild';

/** Programs of threads: each is loaded by a name beside the file that starts it, which is imported lazily. */
const threads = { 'lazy/sqlite-worker': 'control-plane/src/store/sqlite/sqlite-worker.ts' };

/**
 * Bundles programs and the threads they may start.
 *
 * @param programs - source by name in `outdir`, without extension
 */
export function bundle(programs: { [name: string]: string }, outdir: string) {
  return build({
    absWorkingDir: join(import.meta.dirname, '..'),
    entryPoints: { ...programs, ...threads },
    outdir,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'lazy/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    sourcemap: 'external',
    metafile: true,
    logLevel: 'warning',
    // Packages in CommonJS form call `require` for Node's own modules.
    banner: {
      js: "import { createRequire as createRequireOfBundle } from 'node:module';\nconst require = createRequireOfBundle(import.meta.url);",
    },
  });
}
