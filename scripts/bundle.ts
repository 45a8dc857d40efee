import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';

/** Programs of threads: each is loaded by a name beside the file that starts it, which is imported lazily. */
const threads = { 'lazy/sqlite-worker': 'control-plane/src/store/sqlite/sqlite-worker.ts' };

/**
 * Has Node's own modules required where they were imported. An import takes all that a module exports, and so loads what Node keeps
 * back until it is asked for: of `node:http` that is Node's whole fetch and WebSocket client, 15 MB and a fifth of a start.
 */
const requiredBuiltins: Plugin = {
  name: 'required-builtins',
  setup: (bundling) => {
    bundling.onResolve({ filter: /^[a-z]/ }, ({ path, kind }) =>
      kind === 'import-statement' && isBuiltin(path) ? { path, namespace: 'builtin' } : undefined,
    );
    bundling.onLoad({ filter: /^/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)});`,
    }));
  },
};

/**
 * Leaves out the tables of encodings that JSON may not be in, half a megabyte. What parses bodies brings them, and takes none but `utf-`.
 */
const noOtherEncodings: Plugin = {
  name: 'no-other-encodings',
  setup: (bundling) => {
    bundling.onLoad({ filter: /iconv-lite\/encodings\/dbcs-data\.js$/ }, () => ({
      contents: 'module.exports = {};',
    }));
  },
};

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
    plugins: [requiredBuiltins, noOtherEncodings],
    // V8 reads the whole text at each start and keeps it for as long as the program runs, in twice the space where it is not all ASCII.
    // Names stay, for stacks, and so do lines, which Node shows of a program that fails.
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 200,
    legalComments: 'external',
    logLevel: 'warning',
    // Packages in CommonJS form call `require` for Node's own modules.
    banner: {
      js: "import { createRequire as createRequireOfBundle } from 'node:module';\nconst require = createRequireOfBundle(import.meta.url);",
    },
  });
}
