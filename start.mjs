#!/usr/bin/env node
// Starts the gateway (or, with --simulator, the Azure simulator) from a checkout: installs what is missing, then continues
// on the project's own Node. Plain JavaScript for any Node >= 18. All other arguments go to the program.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from './scripts/child-process.mjs';
import { install } from './scripts/install.mjs';
import { environmentWith, nodeFlags, projectNode } from './scripts/project-node.mjs';

const root = dirname(fileURLToPath(import.meta.url));
const args = process.argv.slice(2);

/** Whether `flag` was given; it is taken out of the arguments. */
function take(flag) {
  const at = args.indexOf(flag);
  if (at >= 0) args.splice(at, 1);
  return at >= 0;
}

function namesProfile(file) {
  return (
    existsSync(file) && /^\s*(export\s+)?AIGATEWAY_PROFILE\s*=/m.test(readFileSync(file, 'utf8'))
  );
}

try {
  const program = take('--simulator') ? 'smoke/simulator/main.ts' : 'gateway/src/main.ts';
  const watch = take('--watch') ? ['--watch'] : [];
  await install(root, { development: false });
  const node = projectNode(root);
  // From a checkout it is a developer who starts it, unless the environment or its file says otherwise.
  const profile = namesProfile('.env') ? {} : { AIGATEWAY_PROFILE: 'development' };
  const env = { ...profile, ...environmentWith(node) };
  const nodeArgs = [...nodeFlags, ...watch, join(root, program), ...args];
  // Where this process can become the program, signals and exit code need no passing on, and no second process stays behind.
  if (process.execve && process.platform !== 'win32')
    process.execve(node, [node, ...nodeArgs], env);
  // npm's shell does not pass a signal on that ends it: then it is for this process to say so.
  const shell = process.ppid;
  const look = setInterval(() => {
    if (process.ppid === shell) return;
    clearInterval(look);
    process.kill(process.pid, 'SIGTERM');
  }, 500);
  process.exitCode = await runChild(node, nodeArgs, { env });
  clearInterval(look);
} catch (error) {
  process.stderr.write(`Cannot start: ${error.message}\n`);
  process.exitCode = 1;
}
