// Plain JavaScript for any Node >= 18: it runs before the project's own Node is known.
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { runChild } from './child-process.mjs';
import { nodePackage } from './project-node.mjs';

/**
 * Says what keeps the installed packages from being those of package-lock.json; reads two files and nothing else.
 *
 * @param {string} root - the folder of package.json
 * @param {{ development: boolean }} options - whether packages that only development needs must be there too
 * @returns {string | undefined} the first difference; undefined when all is installed
 */
export function missingPackage(root, { development }) {
  const wanted = readLock(join(root, 'package-lock.json'));
  if (wanted === undefined) throw new Error(`${join(root, 'package-lock.json')} cannot be read`);
  // npm writes this one last, so an interrupted installation has none.
  const installed = readLock(join(root, 'node_modules', '.package-lock.json'));
  if (installed === undefined) return 'nothing is installed';
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    const there = installed[path];
    if (there === undefined) {
      const dispensable = entry.optional && path !== `node_modules/${nodePackage}`;
      if (dispensable || ((entry.dev || entry.devOptional) && !development)) continue;
      return `${path} is missing`;
    }
    if (there.version !== entry.version || there.integrity !== entry.integrity) {
      return `${path} is not the locked ${entry.version}`;
    }
  }
  return undefined;
}

/**
 * Makes the installed packages those of package-lock.json, by `npm ci` where they are not.
 *
 * @param {string} root - the folder of package.json
 * @param {{ development: boolean }} options - see `missingPackage`
 * @throws {Error} with a message for people, when npm fails
 */
export async function install(root, options) {
  const reason = missingPackage(root, options);
  if (reason === undefined) return;
  process.stderr.write(`Installing packages in ${root} (${reason}) …\n`);
  // Not left to NODE_ENV or a user's npmrc: the Node binary is an optional package, the tests are development.
  const args = ['ci', '--include=dev', '--include=optional', '--loglevel=error'];
  const code = await npm(args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (code !== 0) {
    throw new Error(
      `"npm ${args.join(' ')}" ended with exit code ${code}; its messages stand above`,
    );
  }
}

function npm(args, options) {
  const script = process.env.npm_execpath;
  // Another package manager sets npm_execpath as well; only npm's own is used.
  if (script && /^npm-cli\.c?js$/.test(basename(script)) && existsSync(script)) {
    // The system's Node rather than ours, which `npm ci` deletes while it runs.
    const node = process.env.npm_node_execpath;
    return runChild(node && existsSync(node) ? node : process.execPath, [script, ...args], options);
  }
  return process.platform === 'win32'
    ? runChild('npm.cmd', args, { ...options, shell: true })
    : runChild('npm', args, options);
}

function readLock(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch {
    return undefined; // absent or cut short: either way not an installation
  }
}
