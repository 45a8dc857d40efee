/**
 * `npm run build`: the gateway as the image runs it, in `dist/`. One file holds all that a start needs; what is imported lazily
 * stays in files of its own beside it, so that a start does not pay for it.
 */
import { spawnSync } from 'node:child_process';
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.ts';

const root = join(import.meta.dirname, '..');
const outdir = join(root, 'dist');
const starts = 5;

rmSync(outdir, { recursive: true, force: true });
const { metafile } = await bundle({ gateway: 'gateway/src/main.ts' }, outdir);

for (const [file, { bytes }] of Object.entries(metafile.outputs)) {
  if (file.endsWith('.mjs')) console.log(`${file}  ${Math.round(bytes / 1000)} kB`);
}

const program = join(outdir, 'gateway.mjs');
const times = Array.from({ length: starts }, () => {
  const started = performance.now();
  const run = spawnSync(process.execPath, [program, '--version'], { encoding: 'utf8' });
  if (run.status !== 0) {
    console.error(`gateway.mjs --version ended with exit code ${run.status}\n${run.stderr}`);
    process.exit(1);
  }
  return performance.now() - started;
});
const middle = times.toSorted((a, b) => a - b)[Math.floor(starts / 2)] ?? 0;
console.log(
  `gateway.mjs --version: ${middle.toFixed(0)} ms from start to end (${Math.round(statSync(program).size / 1000)} kB)`,
);
