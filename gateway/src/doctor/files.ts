import { access, constants, readdir, stat, statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { about, type Check, type Finding, type Patient } from './finding.ts';

/** Below this the spool of usage has no room for a bad hour. */
const littleBytes = 1024 ** 3;
const tooLittleBytes = 100 * 1024 ** 2;

/** Whether the data directory can be used, and whether others can read what holds secrets. */
export const checkFiles: Check = {
  area: 'files',
  async run(patient) {
    const ofDirectory = usesDirectory(patient) ? await directory(patient) : [];
    return [...ofDirectory, ...(await secretFiles(patient))];
  },
};

/** A proxy that stands alone in production keeps nothing. */
function usesDirectory({ role, configuration }: Patient): boolean {
  const { server, records } = configuration.compiled;
  const standsAlone = role === 'proxy' && records.deployments.length > 0;
  return server.profile === 'development' || !standsAlone;
}

async function directory({ configuration }: Patient): Promise<Finding[]> {
  const path = resolve(configuration.compiled.server.dataDir);
  const { ok, warning, failed } = about('files', path);
  const present = await nearest(path);
  try {
    await access(present, constants.W_OK | constants.X_OK);
  } catch {
    return [
      failed(
        present === path
          ? 'this user may not write into it'
          : `it is not there, and this user may not make it in ${present}`,
        'Give this user the directory, or name another one by AIGATEWAY_DATA_DIR.',
      ),
    ];
  }
  const { bavail, bsize } = await statfs(present);
  const free = bavail * bsize;
  const amount = `${Math.floor(free / 1024 ** 2)} MiB are free`;
  const change =
    'Make room: without any the spool of usage is full, and calls are answered with 503.';
  if (free < tooLittleBytes) return [failed(amount, change)];
  if (free < littleBytes) return [warning(amount, change)];
  return [ok(present === path ? `can be written, ${amount}` : `will be made, ${amount}`)];
}

/** The path itself, or the nearest folder above it that is there. */
async function nearest(path: string): Promise<string> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  return isThere || dirname(path) === path ? path : nearest(dirname(path));
}

async function secretFiles({ configuration, environmentFile }: Patient): Promise<Finding[]> {
  if (process.platform === 'win32') return [];
  const folder = resolve(configuration.compiled.server.dataDir);
  const names = await readdir(folder).catch(() => []);
  const kept = names.filter((name) => /^(?:secret|master-key|gateway\.db.*)$/.test(name));
  const files = [environmentFile, ...kept.map((name) => join(folder, name))];
  const found = await Promise.all(files.map(modeOf));
  return found.flat();
}

async function modeOf(file: string): Promise<Finding[]> {
  const { ok, warning } = about('files', file);
  const mode = await stat(file).then(
    (stats) => stats.mode & 0o777,
    () => undefined,
  );
  if (mode === undefined) return [];
  const text = mode.toString(8).padStart(3, '0');
  if ((mode & 0o077) === 0) return [ok(`its owner alone can read it (mode ${text})`)];
  return [warning(`others can read the secrets in it (mode ${text})`, `chmod 600 ${file}`)];
}
