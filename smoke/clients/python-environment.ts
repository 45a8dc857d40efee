import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './child-process.ts';
import type { Ended } from './child-process.ts';
import { clientsFolder } from './client-packages.ts';

/** A Python that has the packages of a list, or why there is none. */
export type PythonEnvironment = { readonly interpreter: string } | { readonly missing: string };

const installLimitMs = 180_000;

/**
 * Makes an environment with the pinned packages of a list in smoke/clients/.venv, unless it is there already. Each list has one of
 * its own: clients need different versions of the same packages.
 */
export async function preparePython(list = 'requirements.txt'): Promise<PythonEnvironment> {
  const requirements = join(clientsFolder, list);
  const folder = join(clientsFolder, '.venv', list.replace(/\.txt$/, ''));
  const interpreter = join(folder, 'bin', 'python');
  const stamp = join(folder, 'requirements.sha256');
  const wanted = createHash('sha256').update(readFileSync(requirements)).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return { interpreter };

  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const made = await runHere('python3', ['-m', 'venv', folder]);
  if (made.status !== 0) return { missing: `python3 with its venv module (${reasonOf(made)})` };
  const installed = await runHere(interpreter, [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '--no-deps',
    '--only-binary=:all:',
    `--requirement=${requirements}`,
  ]);
  if (installed.status !== 0) {
    rmSync(folder, { recursive: true, force: true });
    return { missing: `the packages of ${list} (${reasonOf(installed)})` };
  }
  writeFileSync(stamp, wanted);
  return { interpreter };
}

async function runHere(file: string, args: readonly string[]): Promise<Ended> {
  // The one program that may use the network, with the machine's own settings for it.
  const environment = Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    ),
  );
  return await run({ file, args, environment, cwd: clientsFolder }, installLimitMs);
}

function reasonOf({ status, stdout, stderr }: Ended): string {
  const said = (stderr || stdout).trim().split('\n').at(-1) ?? '';
  return said === '' ? `it ended with ${String(status)}` : said.slice(0, 200);
}
