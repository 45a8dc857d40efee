/**
 * The product as one file, for places that the internet does not reach.
 *
 *   node scripts/airgap/airgap.ts pack --image IMAGE.tar --out FILE.tar.gz     image, chart, Terraform of every environment, lists of contents
 *   node scripts/airgap/airgap.ts verify FILE.tar.gz                           whether it is whole and unchanged; exit code 1 when not
 *
 * The image comes from `docker save` or `buildah push … docker-archive:`. Needs Helm (`npm run tools -- helm`) to pack, and nothing but
 * this file and Node to verify.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';

const root = join(import.meta.dirname, '..', '..');
const manifestName = 'manifest.json';

type Manifest = {
  readonly version: string;
  /** SHA-256 of every other file, in hexadecimal, by its path. */
  readonly files: { readonly [path: string]: string };
};

async function digestOf(file: string): Promise<string> {
  const digest = createHash('sha256');
  await pipeline(createReadStream(file), digest);
  return digest.digest('hex');
}

async function digestsOf(folder: string): Promise<{ [path: string]: string }> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .filter((path) => path !== manifestName)
    .toSorted();
  const digests: { [path: string]: string } = {};
  for (const path of files) digests[path] = await digestOf(join(folder, path));
  return digests;
}

/** @throws {Error} when the program is not there, or ends with another exit code than 0 */
function run(program: string, args: readonly string[], cwd = root): string {
  const { error, status, stdout, stderr } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (error !== undefined) throw new Error(`${program} cannot be run: ${error.message}`);
  if (status !== 0) throw new Error(`${program} ended with exit code ${status}: ${stderr.trim()}`);
  return stdout;
}

async function inScratch<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'aigateway-airgap-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Writes the bundle.
 *
 * @param image - archive of the image
 * @throws {Error} when a part cannot be made
 */
export async function pack(image: string, out: string): Promise<Manifest> {
  const { toolPath } = await import('../tools.ts');
  const helm = toolPath('helm');
  if (helm === undefined) throw new Error('helm is not there: npm run tools -- helm');
  return inScratch(async (folder) => {
    copyFileSync(image, join(folder, 'image.tar'));
    run(helm, ['package', 'charts/aigateway', '--destination', folder]);
    cpSync(join(root, 'cdktf', 'snapshots'), join(folder, 'terraform'), { recursive: true });
    // What the image is made of, and what the Terraform was made with; what only builds them is marked so. Left out by npm it would take
    // along packages that both a tool and the gateway need.
    for (const [name, project] of [
      ['gateway', root],
      ['infrastructure', join(root, 'cdktf')],
    ] as const) {
      const sbom = run('npm', ['sbom', '--sbom-format=cyclonedx', '--package-lock-only'], project);
      mkdirSync(join(folder, 'sbom'), { recursive: true });
      writeFileSync(join(folder, 'sbom', `${name}.cdx.json`), sbom);
    }
    copyFileSync(join(root, 'scripts', 'airgap', 'airgap.ts'), join(folder, 'verify.ts'));
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
    const manifest = { version, files: await digestsOf(folder) };
    writeFileSync(join(folder, manifestName), `${JSON.stringify(manifest, undefined, 2)}\n`);
    run('tar', ['-czf', resolve(out), '-C', folder, '.']);
    return manifest;
  });
}

/**
 * Compares a bundle with its own list.
 *
 * @returns what is wrong, for people; empty when nothing is
 */
export async function verify(file: string): Promise<string[]> {
  return inScratch(async (folder) => {
    try {
      run('tar', ['-xzf', file, '-C', folder], process.cwd());
    } catch (error) {
      return [`it cannot be unpacked: ${(error as Error).message}`];
    }
    let manifest: Manifest;
    try {
      manifest = JSON.parse(readFileSync(join(folder, manifestName), 'utf8')) as Manifest;
    } catch {
      return [`${manifestName} is missing or no JSON`];
    }
    const present = await digestsOf(folder);
    const paths = new Set([...Object.keys(manifest.files), ...Object.keys(present)]);
    return [...paths].toSorted().flatMap((path) => {
      const wanted = manifest.files[path];
      const found = present[path];
      if (wanted === found) return [];
      if (found === undefined) return [`${path} is missing`];
      return [wanted === undefined ? `${path} is not in the list` : `${path} was changed`];
    });
  });
}

if (import.meta.main) {
  try {
    const { values, positionals } = parseArgs({
      options: { image: { type: 'string' }, out: { type: 'string' } },
      allowPositionals: true,
    });
    const [command, file] = positionals;
    if (command === 'pack' && values.image !== undefined && values.out !== undefined) {
      const { files } = await pack(values.image, values.out);
      console.log(`${values.out}: ${Object.keys(files).length} files`);
    } else if (command === 'verify' && file !== undefined) {
      const problems = await verify(file);
      for (const problem of problems) console.error(problem);
      console.log(problems.length === 0 ? `${file} is whole` : `${file} is not what was packed`);
      process.exitCode = problems.length === 0 ? 0 : 1;
    } else {
      console.error('pack --image IMAGE.tar --out FILE.tar.gz, or verify FILE.tar.gz');
      process.exitCode = 1;
    }
  } catch (error) {
    console.error(`Cannot do that: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
